"""Exit policies (dir-spec 2.1.1, `accept`/`reject` lines): would this exit let a stream out to a host and port?

Pure, and ours instead of stem's because a selection asks 2,000 exits at once: see docs/notes/0003. Rules are
interned, since most exits declare one of a few policies.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8", "192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12",
        "::/8", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "::/127",
    )
)  # fmt: skip

_OCTET = r"0{0,2}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}(?:/0*(3[0-2]|[12]?\d))?", re.ASCII)
_PATTERN = re.compile(r"[0-9A-Fa-f.:/*\[\]private-]+")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Rule:
    """One line. `networks` empty means any address of `families`; else `families` are those of the networks.
    `whole`: the families of which it means every address."""

    accept: bool
    networks: tuple[Network, ...]
    families: frozenset[int]
    low: int
    high: int
    whole: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        whole = frozenset(network.version for network in self.networks if network.prefixlen == 0)
        object.__setattr__(self, "whole", whole if self.networks else self.families)

    def covers(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        if not self.networks:
            return address.version in self.families
        return any(address.version == network.version and address in network for network in self.networks)

    def covers_all(self, family: int) -> bool:
        """Whether every address of family 4 or 6 is meant."""
        return family in self.whole


@dataclass(frozen=True, slots=True)
class ExitPolicy:
    """The rules of one relay, first match wins, no match accepts (dir-spec); `text` is what the relay declared.
    `families`: 4, 6, both or none, of which some address may be reached on some port."""

    rules: tuple[Rule, ...]
    text: str
    families: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "families", frozenset(family for family in (4, 6) if _lets_out(self.rules, family)))

    def allows(self, host: str, port: int) -> bool:
        """Whether a stream to `host` (an IP literal or a name) and `port` is allowed.

        For a name the address is the exit's to find: then the answer is whether *some* public address may be reached
        on that port, which is what Tor itself assumes (`ROUTER may exit to`).
        """
        address = literal(host)
        if address is None:
            return self.allows_port(port)
        return next((rule.accept for rule in self._on(port) if rule.covers(address)), True)

    def allows_port(self, port: int) -> bool:
        """Whether some address may be reached on `port`: an accept comes before the whole of IPv4 is rejected."""
        return next((rule.accept for rule in self._on(port) if rule.accept or rule.covers_all(4)), True)

    def allows_ipv6(self, port: int) -> bool:
        """Whether some IPv6 address may be reached on `port`."""
        on_ipv6 = (rule for rule in self._on(port) if 6 in rule.families)
        return next((rule.accept for rule in on_ipv6 if rule.accept or rule.covers_all(6)), True)

    @property
    def ipv6(self) -> str:
        """What the descriptor's `ipv6-policy` line says (`accept 80,443`); empty where there is none."""
        last = self.text.rpartition("\n")[2]
        return last.removeprefix("ipv6-policy ") if last.startswith("ipv6-policy ") else ""

    def refuses(self, host: str, port: int) -> bool | None:
        """Whether the relay has declared that it refuses this; None for a name whose address decides it."""
        if literal(host) is None:
            verdicts = {self._refuses_all(family, port) for family in (4, 6)}
            return verdicts.pop() if len(verdicts) == 1 else None
        return not self.allows(host, port)

    def _refuses_all(self, family: int, port: int) -> bool | None:
        """True, False, or None where it differs among the addresses of a family."""
        seen: set[bool] = set()
        for rule in self._on(port):
            if family in rule.families:
                seen.add(rule.accept)
                if rule.covers_all(family):
                    break
        else:
            seen.add(True)
        return not seen.pop() if len(seen) == 1 else None

    def _on(self, port: int) -> Iterator[Rule]:
        return (rule for rule in self.rules if rule.low <= port <= rule.high)

    def is_reject_all(self) -> bool:
        """Whether nothing at all is allowed: the relay is no exit."""
        return not self.families


@lru_cache(maxsize=1024)
def literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a destination's host is; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _lets_out(rules: Sequence[Rule], family: int) -> bool:
    closed = 0  # the ports on which all of the family is refused, a bit each: a hostile policy has a thousand odd rules
    for rule in rules:
        if family in rule.families:
            if rule.accept and (not closed or _ports(rule.low, rule.high) & ~closed):
                return True
            if not rule.accept and rule.covers_all(family):
                closed |= _ports(rule.low, rule.high)
                if closed == EVERY_PORT:
                    return False
    return True  # what no rule speaks of is allowed


@lru_cache(maxsize=256)
def _ports(low: int, high: int) -> int:
    """A bit for each port of a range; 0 is none."""
    return (1 << high + 1) - (1 << max(low, 1)) if high else 0


EVERY_PORT = _ports(1, 65535)


@lru_cache(maxsize=8192)
def parse_rule(line: str) -> Rule:
    """`accept 1.2.3.0/24:80-443` and the like, with `accept6`, `*`, `*4`, `*6` and `private`, which alone needs ports.

    Raises ValueError for anything else.
    """
    action, _, pattern = line.replace("\t", " ").strip().partition(" ")
    pattern = pattern.lstrip(" ")
    if not _PATTERN.fullmatch(pattern):  # the libraries take more: scopes with any letters in them, 8_0
        raise ValueError(f"no exit policy rule: {line!r}")
    if action not in ("accept", "reject", "accept6", "reject6"):
        raise ValueError(f"no exit policy rule: {line!r}")
    host, colon, ports = pattern.rpartition(":")
    if (not colon or "]" in ports) and pattern != "private":  # the last colon is one of an address
        host, ports = pattern, "*"
    low, high = (1, 65535) if ports == "*" else _port_range(ports)
    networks, families = _networks(host.strip("[]") if "/" not in host else host.replace("[", "").replace("]", ""))
    if action.endswith("6"):
        if 6 not in families:
            raise ValueError(f"an IPv4 address in an IPv6 rule: {line!r}")
        families, networks = frozenset({6}), tuple(network for network in networks if network.version == 6)
    return Rule(action.startswith("accept"), networks, families, low, high)


def _port_range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    low, high = int(first), int(last if dash else first)
    if not 0 <= low <= high <= 65535:
        raise ValueError(f"no port range: {text!r}")
    return low, high


def _networks(host: str) -> tuple[tuple[Network, ...], frozenset[int]]:
    if host in ("*", "*4", "*6"):
        return (), frozenset({"*": (4, 6), "*4": (4,), "*6": (6,)}[host])
    if host == "private":
        return PRIVATE, frozenset({4, 6})
    plain = _IPV4.fullmatch(host)
    if plain is not None:  # most are so, and the library's own reading of a text takes five times as long
        a, b, c, d = map(int, plain.group(1, 2, 3, 4))
        length = 32 if plain[5] is None else int(plain[5])
        value = (a << 24 | b << 16 | c << 8 | d) >> 32 - length << 32 - length
        return (ipaddress.IPv4Network((value, length)),), frozenset({4})
    network = ipaddress.ip_network(host, strict=False)
    return (network,), frozenset({network.version})


@lru_cache(maxsize=4096)
def parse_policy(text: str) -> ExitPolicy:
    """The policy of `accept`/`reject` lines, one a line, as a torrc has them. Raises ValueError."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ExitPolicy(tuple(parse_rule(line) for line in lines), "\n".join(lines))


@lru_cache(maxsize=4096)
def parse_descriptor_policy(text: str, ipv6: str = "") -> ExitPolicy:
    """The policy of a server descriptor. Raises ValueError.

    There `accept` and `reject` speak of IPv4 alone; IPv6 is the `ipv6-policy` line's (`accept 80,443`: these ports;
    `reject 25`: all but these), and without that line nothing is allowed (dir-spec 2.1.1). Of that line tor passes over
    what begins with no digit.
    """
    lines = [line for some in text.replace("\t", " ").splitlines() if (line := some.strip())]
    declared = "\n".join(lines)
    of_ipv4 = declared.replace(" *:", " *4:")
    if " *\n" in of_ipv4 or of_ipv4.endswith(" *"):
        of_ipv4 = "\n".join(f"{line}4" if line.endswith(" *") else line for line in of_ipv4.split("\n"))
    rules = [parse_rule(line) for line in of_ipv4.split("\n") if line]
    action, _, ports = ipv6.partition(" ")
    rules += [parse_rule(f"{action}6 *6:{part}") for part in ports.split(",") if part[:1].isdigit()]
    rules.append(parse_rule("accept6 *6:*" if action == "reject" else "reject6 *6:*"))
    return ExitPolicy(tuple(rules), "\n".join([*lines, f"ipv6-policy {ipv6}"]) if ipv6 else declared)
