"""Which relays before exits fail: each is put aside for a while, and then tried again by one circuit at a time.

Theory. A circuit breaker for each relay that stands before an exit:

  well  -> aside      FAILURES_MAX circuits in a row could not be built to it
  aside -> half-open  its time is over: one circuit may go through it, to see
  half-open -> well   that circuit got there
  half-open -> aside  it did not, and stays away twice as long

A relay that is reached but from which circuits get no further may be innocent: the next relay can be at fault as well.
After BEYOND_MAX different ones in a row it is *doubted*, which is to say used only where there is no other.

Circuits that were launched before a relay was put aside say nothing new when they fail.

Pure: time comes in as `now` (seconds, monotonic). Called by the pool; `first_hops.py` reads `aside` and `doubted`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from .model import Fingerprint

FAILURES_MAX = 2
BEYOND_MAX = 5
ASIDE_S, ASIDE_MAX_S = 30.0, 1800.0
TRIAL_S = 60.0
"""After so long a trial that nobody has heard of any more makes room for another."""


@dataclass(slots=True)
class _Hop:
    failures: int = 0
    beyond: set[Fingerprint] = field(default_factory=set)
    times_aside: int = 0
    since: float = 0.0
    until: float | None = None
    trial_until: float = 0.0
    heard: float | None = None


@dataclass(slots=True)
class HopHealth:
    """`aside`: not to be used now; `doubted`: only where there is no other. Both as of the last `look_round`."""

    aside: frozenset[Fingerprint] = frozenset()
    doubted: frozenset[Fingerprint] = frozenset()
    _hops: dict[Fingerprint, _Hop] = field(default_factory=dict)

    def look_round(self, now: float) -> None:
        """Bring `aside` and `doubted` up to date."""
        away = ((name, hop) for name, hop in self._hops.items() if hop.until is not None)
        self.aside = frozenset(name for name, hop in away if now < max(hop.until or 0.0, hop.trial_until))
        self.doubted = frozenset(name for name, hop in self._hops.items() if len(hop.beyond) >= BEYOND_MAX)

    def due_at(self, relay: Fingerprint) -> float:
        """When a circuit may go through it again."""
        hop = self._hops.get(relay)
        return 0.0 if hop is None or hop.until is None else max(hop.until, hop.trial_until)

    def launched(self, hops: Iterable[Fingerprint], now: float) -> None:
        """A circuit goes through these: for one that was put aside it is the trial."""
        for relay in hops:
            hop = self._hops.get(relay)
            if hop is not None and hop.until is not None:
                hop.trial_until = now + TRIAL_S

    def failed(self, relay: Fingerprint, launched: float, now: float) -> None:
        """A circuit that was launched at that time could not be built to it."""
        hop = self._hops.setdefault(relay, _Hop())
        if hop.until is not None and launched < hop.until:
            return
        hop.failures += 1
        if hop.failures >= FAILURES_MAX or hop.until is not None:
            pause_s = min(ASIDE_MAX_S, ASIDE_S * 2.0**hop.times_aside)
            hop.times_aside, hop.failures, hop.trial_until = min(hop.times_aside + 1, 10), 0, 0.0
            hop.since, hop.until = now, now + pause_s

    def not_beyond(self, relay: Fingerprint, next_hop: Fingerprint) -> None:
        """A circuit got to it, and not from there to the next relay."""
        self._hops.setdefault(relay, _Hop()).beyond.add(next_hop)

    def heard(self, relay: Fingerprint, now: float) -> None:
        """It answered."""
        hop = self._hops.setdefault(relay, _Hop())
        hop.heard, hop.failures, hop.times_aside, hop.until, hop.trial_until = now, 0, 0, None, 0.0

    def went_beyond(self, relay: Fingerprint) -> None:
        """A circuit got from it to the next relay."""
        self._hops.setdefault(relay, _Hop()).beyond.clear()

    def heard_since(self, hops: Iterable[Fingerprint], since: float) -> bool:
        """Whether each of them has answered since then."""
        found = [self._hops.get(relay) for relay in hops]
        return all(hop is not None and hop.heard is not None and hop.heard >= since for hop in found)

    def forgive(self, since: float) -> None:
        """What was put aside since then was not at fault: the network was."""
        for hop in self._hops.values():
            if hop.until is not None and hop.since >= since:
                hop.failures, hop.times_aside, hop.until, hop.trial_until = 0, 0, None, 0.0
