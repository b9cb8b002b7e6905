"""Which exits a selection names, with the reason for each relay that is dropped; and the hops before an exit.

Pure: works on one snapshot. Nothing is dropped silently, so that a scan never looks more complete than it was.
"""

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from random import Random

from .errors import EXIT_USAGE, OperatorError
from .model import Destination, Fingerprint, Relay, Snapshot


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for. `names`: fingerprints, nicknames, `all` or `any`; `destinations`: all of them must be
    allowed; `either`: one of them must, if there are any."""

    names: tuple[str, ...] = ("all",)
    destinations: tuple[Destination, ...] = ()
    either: tuple[Destination, ...] = ()
    flags: tuple[str, ...] = ()
    not_flags: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    contact: re.Pattern[str] | None = None
    with_bad_exits: bool = False
    sample: int | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen exits in the snapshot's order, how many candidates there were, and why the others were dropped."""

    exits: tuple[Relay, ...]
    considered: int
    dropped: Counter[str] = field(default_factory=Counter)

    def account(self) -> str:
        """`615 of 2297 exits (1682: policy)`."""
        why = ", ".join(f"{count}: {reason}" for reason, count in self.dropped.most_common())
        return f"{len(self.exits)} of {self.considered} exits" + (f" ({why})" if why else "")


def select(snapshot: Snapshot, wanted: Wanted, rng: Random) -> Selection:
    """The exits that `wanted` names and its filters leave. Raises OperatorError for a name that nothing matches."""
    named = _named(snapshot, wanted.names)
    everybody = named is None
    candidates = named if named is not None else [r for r in snapshot.relays.values() if r.could_exit]
    dropped: Counter[str] = Counter()
    kept: list[Relay] = []
    for relay in candidates:
        reason = next((why for why, fits in _filters(wanted, everybody) if not fits(relay)), None)
        if reason is None:
            kept.append(relay)
        else:
            dropped[reason] += 1
    count = 1 if wanted.names == ("any",) else wanted.sample
    if count is not None and count < len(kept):
        dropped["not sampled"] += len(kept) - count
        chosen = {relay.fingerprint for relay in rng.sample(kept, count)}
        kept = [relay for relay in kept if relay.fingerprint in chosen]
    return Selection(tuple(kept), len(candidates), dropped)


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


def _filters(wanted: Wanted, everybody: bool) -> list[tuple[str, Callable[[Relay], bool]]]:
    def allows_all(relay: Relay) -> bool:
        policy = relay.policy
        return policy is not None and all(policy.allows(host, port) for host, port in wanted.destinations)

    filters: list[tuple[str, Callable[[Relay], bool]]] = [("not running", lambda r: "Running" in r.flags)]
    if everybody and not wanted.with_bad_exits:
        filters.append(("BadExit", lambda r: "BadExit" not in r.flags))
    filters += [(f"no {flag} flag", lambda r, f=flag: f in r.flags) for flag in wanted.flags]  # type: ignore[misc]
    filters += [(f"{flag} flag", lambda r, f=flag: f not in r.flags) for flag in wanted.not_flags]  # type: ignore[misc]
    if wanted.families:
        families = frozenset(name.removeprefix("$").upper() for name in wanted.families)
        filters.append(("family", lambda r: r.fingerprint in families or bool(r.family & families)))
    contact = wanted.contact
    if contact is not None:
        filters.append(("contact", lambda r: contact.search(r.contact) is not None))
    if wanted.destinations or wanted.either:
        filters.append(("no descriptor", lambda r: r.policy is not None))
        filters.append(("policy", lambda r: allows_all(r) and (not wanted.either or bool(allowed(r, wanted.either)))))
    return filters


def allowed(relay: Relay, destinations: Iterable[Destination]) -> tuple[Destination, ...]:
    """Those that a relay's policy allows; without a descriptor none."""
    policy = relay.policy
    return () if policy is None else tuple(one for one in destinations if policy.allows(*one))


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


def are_family(one: Relay, other: Relay) -> bool:
    """Whether each of two relays declares the other: what only one of them says proves nothing (path-spec 2.2)."""
    return other.fingerprint in one.family and one.fingerprint in other.family


@lru_cache(maxsize=16384)
def subnet(address: str) -> object:
    """The /16 of an IPv4 address, the /32 of an IPv6 one."""
    parsed = ipaddress.ip_address(address)
    return ipaddress.ip_network(f"{address}/{16 if parsed.version == 4 else 32}", strict=False)
