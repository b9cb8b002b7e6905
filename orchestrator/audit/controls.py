"""Where controls come from: which exits are asked for one tool with one set of parameters, and whose word still counts.

Theory. Runs through other exits, of other families and networks than one another, so that no single operator is a
quorum. A sample grows old (`max_age_s`), and a finding wants samples that are younger than itself: then exits may be
asked anew. It also wants many, for a target may have several true answers: where there are fewer exits than that, they
are asked several times, which makes them no more than they are (`agreement.py`). Where the network is too small for
distinct exits, the demands are relaxed in order, and `relaxed` says so. An exit whose control failed is not asked again
for a while, for it is as likely to be at fault as the target; after very many failures nobody is.

Pure: time is an argument (`now`, seconds since the epoch), chance too. What the samples say is `agreement.py`'s; who
runs them is `controlling.py`'s.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from ..model import Fingerprint, Relay
from ..selection import are_family, subnet
from ..tool import Baseline, Facts
from .agreement import Control, Controls

__all__ = ["Control", "ControlPool", "Controls"]

FORGIVEN_S = 900.0
"""After so long (or `max_age_s`, if that is longer) a failed control is forgotten: a scan of hours outlives an outage,
and a baseline of seconds does not ask for ever."""

DIRECT_TRIES = 3

VIEW_MAX = 32
"""So many samples are compared with, the youngest of each exit first: they stand in every record."""


class _Failure(NamedTuple):
    exit: Fingerprint | None
    why: str
    at: float


@dataclass(slots=True)
class ControlPool:
    """The controls of one tool with one set of parameters. `relaxed`: what was given up of `baseline.distinct`."""

    baseline: Baseline
    relaxed: frozenset[str] = field(default=frozenset(), init=False)
    _samples: dict[Fingerprint | None, list[Control]] = field(default_factory=dict, init=False)
    _relays: dict[Fingerprint, Relay] = field(default_factory=dict, init=False)
    _under_way: set[Fingerprint | None] = field(default_factory=set, init=False)
    _failures: list[_Failure] = field(default_factory=list, init=False)
    _now: float = field(default=float("-inf"), init=False)
    _stale_before: float = field(default=float("-inf"), init=False)
    _is_dry: bool = field(default=False, init=False)

    # What to start.

    @property
    def attempts_max(self) -> int:
        """How many controls may fail before nobody is asked any more."""
        return 4 * self.baseline.exits + 8

    def wanted(
        self,
        now: float,
        fresh_after: float | None = None,
        more: int = 0,
        *,
        at_least: int = 0,
        exit: Relay | None = None,
    ) -> int:
        """How many runs through other exits should be started now.

        Enough for `baseline.exits` (a quorum at least) and `more` that ended after `fresh_after`, and for `at_least` in
        all; those under way count. `exit`: whom they are to judge; its own and its family's then do not count.
        """
        self._age(now)
        if "exits" not in self.baseline.mode or self._has_failed_too_often():
            return 0
        if fresh_after is not None:
            self._stale_before = max(self._stale_before, fresh_after)
        known = [
            name for name in {*self._samples, *self._under_way} if name is not None and not self._is_of(name, exit)
        ]
        young = [name for name in known if name in self._under_way or self._has_fresh(name, fresh_after)]
        target = max(self.baseline.exits, self.baseline.quorum) + more
        return max(0, target - len(young), at_least - len(known))

    def wanted_again(self, now: float, at_least: int, exit: Relay | None = None) -> int:
        """How many runs more through exits that were asked already should be started now, so that there are `at_least`
        in all; those under way count. `exit`: as for `wanted`."""
        self._age(now)
        if "exits" not in self.baseline.mode or self._has_failed_too_often():
            return 0
        counting = [name for name in {*self._samples, *self._under_way} if name is None or not self._is_of(name, exit)]
        made = sum(len(self._samples.get(name, ())) + (name in self._under_way) for name in counting)
        return max(0, at_least - made)

    def wants_direct(self, now: float, fresh_after: float | None = None, at_least: int = 1) -> bool:
        """Whether a run without Tor should be started now: `at_least` so many only where there are no others."""
        self._age(now)
        if "direct" not in self.baseline.mode or None in self._under_way:
            return False
        enough = at_least if self.baseline.mode == "direct" else 1
        has_enough = self._has_fresh(None, fresh_after) and len(self._samples[None]) >= enough
        return not has_enough and self._count_failures(None) < DIRECT_TRIES

    def choose(self, candidates: Sequence[Relay], avoid: Collection[Fingerprint], rng: Random) -> Relay | None:
        """Whom to ask next: at random, distinct from the others as far as that is possible; None: nobody is left.

        An exit with a sample is asked again when `wanted` was asked for younger ones, and rather another.
        """
        failed = {failure.exit for failure in self._failures}
        free = [
            relay
            for relay in rng.sample(candidates, len(candidates))
            if relay.fingerprint not in avoid
            and relay.fingerprint not in failed
            and relay.fingerprint not in self._under_way
            and not self._is_young(relay.fingerprint)
        ]
        free.sort(key=lambda relay: relay.fingerprint in self._samples)
        others = list(self._relays.values())  # whoever has a say, were it by an older sample
        given_up: list[str] = []
        for demand in (None, "subnet", "family"):
            if demand is not None:
                given_up.append(demand)
            demands = [kept for kept in self.baseline.distinct if kept not in given_up]
            chosen = next(
                (r for r in free if all(_is_distinct(r, o, demands) for o in others if o.fingerprint != r.fingerprint)),
                None,
            )
            if chosen is not None:
                self.relaxed |= set(given_up).intersection(self.baseline.distinct)
                break
        self._is_dry = chosen is None
        return chosen

    def choose_again(self, rng: Random) -> Relay | None:
        """Whom to ask once more: of those with a sample one with the fewest, at random; None: nobody is free."""
        failed = {failure.exit for failure in self._failures}
        free = [r for r in self._relays.values() if r.fingerprint in self._samples.keys() - self._under_way - failed]
        fewest = min((len(self._samples[relay.fingerprint]) for relay in free), default=0)
        rarest = [relay for relay in free if len(self._samples[relay.fingerprint]) == fewest]
        return rng.choice(rarest) if rarest else None

    def exhausted(self) -> str | None:
        """Why no more controls can be had: to be asked when a view is not enough and nothing is under way."""
        is_direct_out = "exits" not in self.baseline.mode and self._count_failures(None) >= DIRECT_TRIES
        if not (self._is_dry or is_direct_out or self._has_failed_too_often()):
            return None
        failures = Counter(failure.why for failure in self._failures)
        if not failures:
            return "no other exit is left to ask"
        why, count = failures.most_common(1)[0]
        total = failures.total()
        share = f"{count} of {total} controls" if total > 1 else "the only control"
        return f"{share} failed: {why}" + ("" if self._has_failed_too_often() else "; nobody else is left to ask")

    # What came of it.

    def started(self, exit: Relay | None) -> None:
        """A control through this exit is under way; None: one without Tor."""
        if exit is not None:
            self._relays[exit.fingerprint] = exit
        self._under_way.add(None if exit is None else exit.fingerprint)

    def add(self, control: Control, exit: Relay | None = None) -> None:
        """A usable sample. `exit`: the relay, if `started` was not told."""
        if exit is not None:
            self._relays[exit.fingerprint] = exit
        self._now = max(self._now, control.at)
        self._under_way.discard(control.exit)
        held = self._samples.setdefault(control.exit, [])
        held.append(control)
        held.sort(key=lambda sample: sample.at)
        del held[:-VIEW_MAX]

    def failed(self, exit: Relay | None, why: str) -> None:
        """A control that is not usable, or that never was run. Older samples of the same exit stay."""
        name = None if exit is None else exit.fingerprint
        self._under_way.discard(name)
        self._failures.append(_Failure(name, why, self._now))

    def view(self, now: float, exit: Relay | None, fresh_after: float | None = None) -> Controls:
        """What a run through `exit` is compared with: all but its own and its family's samples."""
        self._age(now)
        if self.baseline.mode == "none":
            return Controls((), self.baseline.quorum)
        if self.baseline.mode == "pinned":
            pins: Facts = dict(self.baseline.pins)
            return Controls((Control("pinned", pins, now),), quorum=1)
        ranked = [
            (sample.vantage == "direct", -rank, sample.at, sample.exit or "", sample)
            for name, samples in self._samples.items()
            if name is None or not self._is_of(name, exit)
            for rank, sample in enumerate(reversed(samples))
            if self._is_fresh(sample, fresh_after)
        ]
        chosen = [sample for *_, sample in sorted(ranked, key=lambda one: one[:4])[-VIEW_MAX:]]
        chosen.sort(key=lambda sample: (sample.vantage == "direct", sample.at, sample.exit or ""))
        return Controls(tuple(chosen), 1 if self.baseline.mode == "direct" else self.baseline.quorum)

    # What counts.

    def _age(self, now: float) -> None:
        """Forget what is too old: samples, failures, and the relays that only they were about."""
        self._now = max(self._now, now)
        born = self._now - self.baseline.max_age_s
        forgiven = self._now - max(self.baseline.max_age_s, FORGIVEN_S)
        young = {name: [sample for sample in held if sample.at >= born] for name, held in self._samples.items()}
        self._samples = {name: held for name, held in young.items() if held}
        self._failures = [failure for failure in self._failures if failure.at >= forgiven]
        kept = {*self._samples, *self._under_way}
        self._relays = {name: relay for name, relay in self._relays.items() if name in kept}

    def _is_fresh(self, sample: Control, fresh_after: float | None) -> bool:
        return fresh_after is None or sample.at > fresh_after

    def _has_fresh(self, name: Fingerprint | None, fresh_after: float | None) -> bool:
        return name in self._samples and self._is_fresh(self._samples[name][-1], fresh_after)

    def _is_young(self, name: Fingerprint) -> bool:
        """Whether it has a sample that is young enough for whoever asked for the youngest."""
        return self._has_fresh(name, self._stale_before)

    def _is_of(self, name: Fingerprint, exit: Relay | None) -> bool:
        """Whether that control went through `exit` or a relay of its family."""
        if exit is None:
            return False
        relay = self._relays.get(name)
        return name == exit.fingerprint or (relay is not None and are_family(relay, exit))

    def _count_failures(self, name: Fingerprint | None) -> int:
        return sum(failure.exit == name for failure in self._failures)

    def _has_failed_too_often(self) -> bool:
        failed = len(self._failures) - self._count_failures(None)
        return failed > self.attempts_max


def _is_distinct(one: Relay, other: Relay, demands: Collection[str]) -> bool:
    """Whether two relays may both be controls; the address and the key are never shared."""
    if one.fingerprint == other.fingerprint:
        return False
    if "family" in demands and are_family(one, other):
        return False
    return not ("subnet" in demands and subnet(one.address) == subnet(other.address))
