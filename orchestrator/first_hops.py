"""The hops before an exit: whose relays they are, and which of them may stand in one path with it.

Pure: works on one snapshot; what is drawn depends on nothing but that and chance.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from random import Random

from .model import Fingerprint, Relay, Snapshot
from .selection import are_family, subnet


def first_hop_chooser(
    snapshot: Snapshot, own: Iterable[Fingerprint] = (), avoid: Iterable[Fingerprint] = (), hops: int = 2
) -> Callable[[Fingerprint, frozenset[Fingerprint], Random], tuple[Fingerprint, ...]]:
    """A function that draws the `hops - 1` relays before an exit.

    `own`: use only these (the operator's relays); `avoid`: not these (exits under test). First hops are Guard, Fast and
    Stable relays of another family and another /16 (/32 for IPv6) than the exit, drawn by bandwidth, and no directory
    authorities: those have other work to do.
    """
    mine, shunned = frozenset(own), frozenset(avoid)
    flags = frozenset({"Guard", "Fast", "Stable", "Running", "Valid"})
    relays = snapshot.relays
    usable = [
        relay
        for relay in relays.values()
        if relay.fingerprint not in shunned
        and (relay.fingerprint in mine if mine else flags <= relay.flags and "Authority" not in relay.flags)
    ]

    weights = list(accumulate(relay.bandwidth + 1 for relay in usable))

    def choose(exit: Fingerprint, tried: frozenset[Fingerprint], rng: Random) -> tuple[Fingerprint, ...]:
        path: list[Relay] = [relays[exit]]
        while len(path) < hops:
            relay = _draw(usable, weights, rng, lambda r: r.fingerprint not in tried and _fits(r, path, snapshot))
            relay = relay or _draw(usable, weights, rng, lambda r: _fits(r, path, snapshot))
            if relay is None:
                return ()
            path.append(relay)
        return tuple(relay.fingerprint for relay in path[:0:-1])

    return choose


def _draw(relays: Sequence[Relay], weights: Sequence[int], rng: Random, fits: Callable[[Relay], bool]) -> Relay | None:
    """One fitting relay by bandwidth: a few quick draws, and only then a look at all of them."""
    for _ in range(16 if relays else 0):
        relay = rng.choices(relays, cum_weights=weights)[0]
        if fits(relay):
            return relay
    fitting = [relay for relay in relays if fits(relay)]
    return rng.choices(fitting, weights=[relay.bandwidth + 1 for relay in fitting])[0] if fitting else None


def _fits(relay: Relay, path: Sequence[Relay], snapshot: Snapshot) -> bool:
    return all(_may_share_path(relay, other, snapshot.distinct_subnets) for other in path)


def _may_share_path(one: Relay, other: Relay, distinct_subnets: bool) -> bool:
    if one.fingerprint == other.fingerprint:
        return False
    return not are_family(one, other) and not (distinct_subnets and subnet(one.address) == subnet(other.address))
