"""What a selection may ask of an exit, and the reason for which a relay is dropped.

Pure. A reason is `KIND`, or `KIND: detail`: kinds are counted, details are for who looks at one relay. What a snapshot
does not say of its relays (`Known`) is found beforehand, by whoever selects.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .model import Destination, Fingerprint, Relay, Snapshot
from .policy import literal

UNKNOWN_COUNTRY = "??"
"""How tor writes the country of an address that its GeoIP file does not have."""

REFUSES_ALL = "refuses all: its policy does, though the authorities call it an exit"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for.

    `names`: fingerprints, nicknames, `all` or `any`; `destinations`: all of them must be allowed; `either`: one of them
    must, if there are any; `with_ipv6`: by IPv6, too (names by IPv6, at least). `families`: fingerprints, or keys of
    families (`ed25519:...`). `contact`: whether a contact line fits, None: that was not known in time. `countries`:
    two letters each, lower case, or `??`. `bandwidth_min`, `bandwidth_max`: weights in the consensus, kilobytes a
    second. `is_measured` None: either. `sample`: so many, at random; `limit`: so many of the first.
    """

    names: tuple[str, ...] = ("all",)
    destinations: tuple[Destination, ...] = ()
    either: tuple[Destination, ...] = ()
    with_ipv6: bool = False
    flags: tuple[str, ...] = ()
    not_flags: tuple[str, ...] = ()
    with_bad_exits: bool = False
    families: tuple[str, ...] = ()
    contact: Callable[[str], bool | None] | None = None
    countries: frozenset[str] = frozenset()
    not_countries: frozenset[str] = frozenset()
    systems: frozenset[int] = frozenset()
    not_systems: frozenset[int] = frozenset()
    bandwidth_min: int | None = None
    bandwidth_max: int | None = None
    is_measured: bool | None = None
    first_seen_within_s: float | None = None
    sample: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What no snapshot says. `countries`, `systems` (numbers of autonomous systems that announce it): by a relay's
    address; `first_seen`: in seconds since the epoch, by fingerprint; whom it lacks is seen for the first time `now`.
    """

    countries: Mapping[str, str] = field(default_factory=dict)
    systems: Mapping[str, Collection[int]] = field(default_factory=dict)
    first_seen: Mapping[Fingerprint, float] = field(default_factory=dict)
    now: float = 0.0


NOTHING_MORE = Known()

Criterion = Callable[[Relay], str]
"""Why a relay is dropped; empty: it is not."""


def criteria(wanted: Wanted, snapshot: Snapshot, known: Known, *, is_named: bool) -> list[Criterion]:
    """All that is asked, in the order in which it is looked at. `is_named`: the user named the relays one by one."""
    found: list[Criterion] = [lambda relay: "" if "Running" in relay.flags else "not running"]
    if not (is_named or wanted.with_bad_exits or "BadExit" in wanted.flags):
        found.append(lambda relay: "BadExit" if "BadExit" in relay.flags else "")
    if not is_named:
        found.append(lambda relay: "" if relay.could_exit else REFUSES_ALL)
    found += [_flag(flag) for flag in wanted.flags]
    found += [_no_flag(flag) for flag in wanted.not_flags]
    found += _weight(wanted)
    if wanted.families:
        found.append(_family(wanted.families, snapshot))
    if wanted.countries or wanted.not_countries:
        found.append(_country(wanted, known))
    if wanted.systems or wanted.not_systems:
        found.append(_system(wanted, known))
    if wanted.first_seen_within_s is not None:
        found.append(_age(wanted.first_seen_within_s, known))
    if wanted.destinations or wanted.either or wanted.with_ipv6:
        found.append(lambda relay: "no descriptor that can be read" if relay.policy is None else "")
        found.append(_policy(wanted))
    if wanted.contact is not None:
        found.append(_contact(wanted.contact))  # the last one: a pattern may take its time
    return found


def allowed(relay: Relay, destinations: Iterable[Destination]) -> tuple[Destination, ...]:
    """Those that a relay's policy allows; without a descriptor none."""
    policy = relay.policy
    return () if policy is None else tuple(one for one in destinations if policy.allows(*one))


def _flag(flag: str) -> Criterion:
    return lambda relay: "" if flag in relay.flags else f"no {flag} flag"


def _no_flag(flag: str) -> Criterion:
    return lambda relay: f"{flag} flag" if flag in relay.flags else ""


def _weight(wanted: Wanted) -> list[Criterion]:
    low, high, is_measured = wanted.bandwidth_min, wanted.bandwidth_max, wanted.is_measured
    found: list[Criterion] = []
    if low is not None:
        found.append(lambda relay: "" if relay.bandwidth >= low else f"bandwidth: {relay.bandwidth} is less than {low}")
    if high is not None:
        found.append(
            lambda relay: "" if relay.bandwidth <= high else f"bandwidth: {relay.bandwidth} is more than {high}"
        )
    if is_measured is not None:
        why = "bandwidth not measured" if is_measured else "bandwidth measured"
        found.append(lambda relay: "" if relay.is_measured is is_measured else why)
    return found


def _family(names: Sequence[str], snapshot: Snapshot) -> Criterion:
    """Who is named, and who is of one family with that: each names the other, or one key has certified both. Of a relay
    that is not in the consensus one side alone is known."""
    members = frozenset(name.removeprefix("$").upper() for name in names if ":" not in name)
    there = {name: snapshot.relays[Fingerprint(name)] for name in members if name in snapshot.relays}
    keys = frozenset(name for name in names if ":" in name).union(*(one.family_ids for one in there.values()))

    def why(relay: Relay) -> str:
        if relay.fingerprint in members or relay.family_ids & keys:
            return ""
        named = relay.family & members
        return "" if any(name not in there or relay.fingerprint in there[name].family for name in named) else "family"

    return why


def _country(wanted: Wanted, known: Known) -> Criterion:
    def why(relay: Relay) -> str:
        country = known.countries.get(relay.address, UNKNOWN_COUNTRY)
        is_wanted = not wanted.countries or country in wanted.countries
        if is_wanted and country not in wanted.not_countries:
            # one that is unknown may be any, and so one that is not wanted
            return "country unknown" if country == UNKNOWN_COUNTRY and UNKNOWN_COUNTRY not in wanted.countries else ""
        return "country unknown" if country == UNKNOWN_COUNTRY else f"country: {country}"

    return why


def _system(wanted: Wanted, known: Known) -> Criterion:
    def why(relay: Relay) -> str:
        systems = known.systems.get(relay.address, ())
        if not systems:
            return "AS unknown"
        is_wanted = not wanted.systems or not wanted.systems.isdisjoint(systems)
        if is_wanted and wanted.not_systems.isdisjoint(systems):
            return ""
        return f"AS: {', '.join(map(str, sorted(systems)))}"

    return why


def _age(within_s: float, known: Known) -> Criterion:
    oldest, why = known.now - within_s, f"not first seen within {age(within_s)}"
    return lambda relay: why if known.first_seen.get(relay.fingerprint, known.now) < oldest else ""


def age(seconds: float) -> str:
    """`48h`, `7d`: a time as it is typed."""
    for unit, size, least in (("d", 86400, 3), ("h", 3600, 1), ("m", 60, 1)):
        if seconds % size == 0 and seconds >= least * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"


def _policy(wanted: Wanted) -> Criterion:
    def allows(relay: Relay, destination: Destination) -> bool:
        assert relay.policy is not None
        if wanted.with_ipv6 and literal(destination.host) is None:
            return relay.policy.allows_ipv6(destination.port)
        return relay.policy.allows(*destination)

    def why(relay: Relay) -> str:
        assert relay.policy is not None
        if wanted.with_ipv6 and 6 not in relay.policy.families:
            return "IPv6: refuses all of it"
        kind = "IPv6" if wanted.with_ipv6 else "policy"
        for destination in wanted.destinations:
            if not allows(relay, destination):
                return f"{kind}: refuses {_told(destination)}"
        if wanted.either and not any(allows(relay, destination) for destination in wanted.either):
            return f"{kind}: refuses {', '.join(dict.fromkeys(map(_told, wanted.either)))}"
        return ""

    return why


def _told(destination: Destination) -> str:
    """Of a name the port decides."""
    return str(destination.port) if literal(destination.host) is None else str(destination)


def _contact(fits: Callable[[str], bool | None]) -> Criterion:
    def why(relay: Relay) -> str:
        found = fits(relay.contact)
        return "contact: the pattern took too long" if found is None else "" if found else "contact"

    return why
