"""Which exits a selection names, with the reason for each relay that is dropped.

Pure: works on one snapshot. Nothing is dropped silently, so that a scan never looks more complete than it was.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from random import Random

from .criteria import NOTHING_MORE, Known, Wanted, allowed, criteria
from .errors import EXIT_USAGE, OperatorError
from .model import Fingerprint, Relay, Snapshot

__all__ = ["InOrder", "Known", "Selection", "Wanted", "allowed", "are_family", "find_relay", "select", "subnet"]

InOrder = Callable[[Sequence[Relay]], Sequence[Relay]]
"""The same relays, in another order."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen exits in the snapshot's order, and whom else there was, each with the first reason against it."""

    exits: tuple[Relay, ...]
    left_out: tuple[tuple[Relay, str], ...] = ()

    @property
    def considered(self) -> int:
        """How many there were to choose from."""
        return len(self.exits) + len(self.left_out)

    @property
    def dropped(self) -> Counter[str]:
        """How many were left out, by kind of reason."""
        return Counter(reason.partition(":")[0] for _, reason in self.left_out)

    def account(self) -> str:
        """`615 of 2297 exits (1682: policy)`."""
        why = ", ".join(f"{count}: {reason}" for reason, count in self.dropped.most_common())
        return f"{len(self.exits)} of {self.considered} exits" + (f" ({why})" if why else "")


def select(
    snapshot: Snapshot, wanted: Wanted, rng: Random, known: Known = NOTHING_MORE, in_order: InOrder = list
) -> Selection:
    """The exits that `wanted` names and its filters leave; of those a sample, and of that, `in_order`, the first ones.

    A sample depends on `rng` (which is drawn from once) and on who there is, and on nothing else: with the same seed,
    one exit more or less changes one in it at most. Raises OperatorError for a name that nothing matches.
    """
    named = _named(snapshot, wanted.names)
    if named is None:  # whoever is called an exit is accounted for, whatever was read of it
        candidates = [relay for relay in snapshot.relays.values() if relay.could_exit or relay.is_called_exit]
    else:
        candidates = named
    asked = criteria(wanted, snapshot, known, is_named=named is not None)
    left_out: list[tuple[Relay, str]] = []
    kept: list[Relay] = []
    for relay in candidates:
        reason = next(filter(None, (why(relay) for why in asked)), "")
        if reason:
            left_out.append((relay, reason))
        else:
            kept.append(relay)
    count = 1 if wanted.names == ("any",) else wanted.sample
    if count is not None and count < len(kept):
        drawn = _sample(kept, count, rng.getrandbits(64))
        left_out += [(relay, "not sampled") for relay in kept if relay.fingerprint not in drawn]
        kept = [relay for relay in kept if relay.fingerprint in drawn]
    kept = list(in_order(kept))
    if wanted.limit is not None:
        left_out += [(relay, f"behind the first {wanted.limit}") for relay in kept[wanted.limit :]]
        kept = kept[: wanted.limit]
    return Selection(tuple(kept), tuple(left_out))


def _sample(relays: Sequence[Relay], count: int, seed: int) -> frozenset[Fingerprint]:
    """Those whose lot is the lowest: each relay draws its own, whoever else there is."""
    lots = sorted((sha256(f"{seed} {relay.fingerprint}".encode()).digest(), relay.fingerprint) for relay in relays)
    return frozenset(fingerprint for _, fingerprint in lots[:count])


def _named(snapshot: Snapshot, names: Sequence[str]) -> list[Relay] | None:
    """The relays that the user named, or None for everybody."""
    if any(name in ("all", "any") for name in names):
        return None
    found: dict[Fingerprint, Relay] = {}
    for name in names:
        relay = find_relay(snapshot, name)
        found[relay.fingerprint] = relay
    return list(found.values())


def find_relay(snapshot: Snapshot, name: str) -> Relay:
    """The relay with this fingerprint or (unique) nickname. Raises OperatorError."""
    plain = name.removeprefix("$").split("~")[0].split("=")[0]
    if len(plain) == 40 and all(c in "0123456789abcdefABCDEF" for c in plain):
        relay = snapshot.relays.get(Fingerprint(plain.upper()))
        if relay is not None:
            return relay
        raise OperatorError(
            f"no relay {plain.upper()} in the consensus of {snapshot.valid_after}.",
            "It may be down, or the fingerprint is mistyped; `exitpin exits` lists what there is.",
        )
    matches = [relay for relay in snapshot.relays.values() if relay.nickname.lower() == plain.lower()]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise OperatorError(
            f"{name!r} is neither a relay's fingerprint (40 hex digits) nor its nickname.",
            "`exitpin exits` lists the exits.",
            EXIT_USAGE,
        )
    raise OperatorError(
        f"{len(matches)} relays are called {name!r}.",
        "Name the fingerprint: " + ", ".join(relay.fingerprint for relay in matches[:5]) + ".",
        EXIT_USAGE,
    )


def are_family(one: Relay, other: Relay) -> bool:
    """Whether each of two relays declares the other, or a family has certified both (dir-spec, `family-cert`): what
    only one of them says proves nothing (path-spec 2.2)."""
    if not one.family_ids.isdisjoint(other.family_ids):
        return True
    return other.fingerprint in one.family and one.fingerprint in other.family


@lru_cache(maxsize=16384)
def subnet(address: str) -> object:
    """The /16 of an IPv4 address, the /32 of an IPv6 one."""
    parsed = ipaddress.ip_address(address)
    return ipaddress.ip_network(f"{address}/{16 if parsed.version == 4 else 32}", strict=False)
