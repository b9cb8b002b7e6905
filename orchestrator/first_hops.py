"""The hops before an exit: whose relays they are, and which of them may stand in one path with it.

The first hop is one of the user's own relays, or else a filtered guard: Guard, Fast, Stable, measured. What stands
between it and the exit is always a filtered guard. None of a path's relays is a directory authority (those have other
work to do) or an exit under test, and no two are of one family or one /16 (/32 for IPv6). Drawn by bandwidth, as it
was measured: what a relay says of itself counts for nothing.

Pure: works on one snapshot, and on what the pool has learned of each relay (`hop_health.py`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from .hop_health import HopHealth
from .model import Fingerprint, Relay, Snapshot
from .selection import are_family, subnet

FLAGS = frozenset({"Guard", "Fast", "Stable", "Running", "Valid"})


@dataclass(frozen=True, slots=True)
class Own:
    """The user's own first hops. `missing`: why each of the others that were named can't be one."""

    usable: tuple[Fingerprint, ...]
    missing: dict[Fingerprint, str]


def own_first_hops(snapshot: Snapshot, named: Iterable[Fingerprint]) -> Own:
    """Which of the relays that the user named are there."""
    usable, missing = [], {}
    for name in dict.fromkeys(named):
        relay = snapshot.relays.get(name)
        if relay is None:
            missing[name] = "not in the consensus"
        elif "Running" not in relay.flags:
            missing[name] = "not running, says the consensus"
        else:
            usable.append(name)
    return Own(tuple(usable), missing)


def first_hop_chooser(
    snapshot: Snapshot,
    own: Iterable[Fingerprint] = (),
    avoid: Iterable[Fingerprint] = (),
    hops: int = 2,
    *,
    health: HopHealth | None = None,
    or_guards: bool = False,
) -> Callable[[Fingerprint, frozenset[Fingerprint], Random], tuple[Fingerprint, ...]]:
    """A function that draws the `hops - 1` relays before an exit: (exit, hops to do without if possible, chance).

    `own`: the first hop is one of these (the operator's relays); `avoid`: not these (exits under test); `health`: who
    is put aside now; `or_guards`: a guard may stand in when none of `own` is well. Otherwise, and when no guard is
    well, the answer is one that is put aside: the pool waits for it. Nothing: nobody may stand before this exit.
    """
    named, shunned = tuple(own), frozenset(avoid)
    known = HopHealth() if health is None else health
    mine = frozenset(own_first_hops(snapshot, named).usable)
    relays = [relay for relay in snapshot.relays.values() if relay.fingerprint not in shunned]
    guards = _Draw(_good_guards(relays, is_any_measured=any(r.is_measured for r in snapshot.relays.values())))
    firsts = _Draw([relay for relay in relays if relay.fingerprint in mine]) if named else guards

    def choose(exit: Fingerprint, tried: frozenset[Fingerprint], rng: Random) -> tuple[Fingerprint, ...]:
        path: list[Relay] = [snapshot.relays[exit]]
        for place in range(hops - 1):
            among = firsts if place == 0 else guards

            def fits(relay: Relay) -> bool:
                return all(_may_share_path(relay, other, snapshot.distinct_subnets) for other in path)

            relay = _well(among, known, tried, rng, fits)
            if relay is None and named and place == 0 and or_guards:
                relay = _well(guards, known, tried, rng, fits)
            relay = relay or among.soonest(known, fits)
            if relay is None:
                return ()
            path.append(relay)
        return tuple(relay.fingerprint for relay in path[1:])

    return choose


def _good_guards(relays: Iterable[Relay], *, is_any_measured: bool) -> list[Relay]:
    """Those at which circuits may begin. Where no relay at all is measured there is nobody who measures."""
    return [
        relay
        for relay in relays
        if relay.flags >= FLAGS and "Authority" not in relay.flags and (relay.is_measured or not is_any_measured)
    ]


def _well(
    among: "_Draw", health: HopHealth, tried: frozenset[Fingerprint], rng: Random, fits: Callable[[Relay], bool]
) -> Relay | None:
    """One that is not put aside; none that was tried or is doubted, if there are others."""
    aside = health.aside
    spared = tried | health.doubted | aside
    return among.one(rng, lambda relay: relay.fingerprint not in spared and fits(relay)) or among.one(
        rng, lambda relay: relay.fingerprint not in aside and fits(relay)
    )


class _Draw:
    """Relays to draw from, by measured bandwidth."""

    def __init__(self, relays: Sequence[Relay]) -> None:
        self._relays = relays
        self._weights = list(accumulate(map(_weight, relays)))

    def one(self, rng: Random, fits: Callable[[Relay], bool]) -> Relay | None:
        """One that fits: a few quick draws, and only then a look at all of them."""
        for _ in range(16 if self._relays else 0):
            relay = rng.choices(self._relays, cum_weights=self._weights)[0]
            if fits(relay):
                return relay
        fitting = [relay for relay in self._relays if fits(relay)]
        return rng.choices(fitting, weights=list(map(_weight, fitting)))[0] if fitting else None

    def soonest(self, health: HopHealth, fits: Callable[[Relay], bool]) -> Relay | None:
        """Of those that are put aside the one that may be tried again first."""
        return min(filter(fits, self._relays), key=lambda relay: health.due_at(relay.fingerprint), default=None)


def _weight(relay: Relay) -> int:
    return relay.bandwidth + 1 if relay.is_measured else 1


def _may_share_path(one: Relay, other: Relay, distinct_subnets: bool) -> bool:
    if one.fingerprint == other.fingerprint:
        return False
    return not are_family(one, other) and not (distinct_subnets and subnet(one.address) == subnet(other.address))
