"""Exit policies (dir-spec 2.1.1, `accept`/`reject` lines): would this exit let a stream out to a host and port?

Pure, and ours instead of stem's because a selection asks 2,000 exits at once: see docs/notes/0003. Rules are
interned, since most exits declare one of a few policies.
"""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8", "192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12",
        "::/8", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "::/127",
    )
)  # fmt: skip

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Rule:
    """One line. `networks` empty means any address of `families`."""

    accept: bool
    networks: tuple[Network, ...]
    families: frozenset[int]
    low: int
    high: int

    def covers(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        if not self.networks:
            return address.version in self.families
        return any(address.version == network.version and address in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class ExitPolicy:
    """The rules of one relay, first match wins, no match accepts (dir-spec); `text` is what the relay declared."""

    rules: tuple[Rule, ...]
    text: str

    def allows(self, host: str, port: int) -> bool:
        """Whether a stream to `host` (an IP literal or a name) and `port` is allowed.

        For a name the address is the exit's to find: then the answer is whether *some* public address may be reached
        on that port, which is what Tor itself assumes (`ROUTER may exit to`).
        """
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return self.allows_port(port)
        for rule in self.rules:
            if rule.low <= port <= rule.high and rule.covers(address):
                return rule.accept
        return True

    def allows_port(self, port: int) -> bool:
        """Whether some address may be reached on `port`: an accept comes before the whole of IPv4 is rejected."""
        for rule in self.rules:
            if not rule.low <= port <= rule.high:
                continue
            if rule.accept:
                return True
            if 4 in rule.families and all(n.prefixlen == 0 for n in rule.networks):
                return False
        return True

    def is_reject_all(self) -> bool:
        """Whether nothing at all is allowed: the relay is no exit."""
        return not any(rule.accept for rule in self.rules) and bool(self.rules)


@lru_cache(maxsize=8192)
def parse_rule(line: str) -> Rule:
    """`accept 1.2.3.0/24:80-443` and the like, with `accept6`, `*`, `*4`, `*6` and `private`.

    Raises ValueError for anything else.
    """
    action, _, pattern = line.strip().partition(" ")
    if action not in ("accept", "reject", "accept6", "reject6"):
        raise ValueError(f"no exit policy rule: {line!r}")
    host, _, ports = pattern.strip().rpartition(":")
    low, high = (1, 65535) if ports == "*" else _port_range(ports)
    networks, families = _networks(host.strip("[]") if "/" not in host else host.replace("[", "").replace("]", ""))
    if action.endswith("6") and not networks:
        families = frozenset({6})
    return Rule(action.startswith("accept"), networks, families, low, high)


def _port_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _networks(host: str) -> tuple[tuple[Network, ...], frozenset[int]]:
    if host in ("*", "*4", "*6"):
        return (), frozenset({"*": (4, 6), "*4": (4,), "*6": (6,)}[host])
    if host == "private":
        return PRIVATE, frozenset({4, 6})
    network = ipaddress.ip_network(host, strict=False)
    return (network,), frozenset({network.version})


@lru_cache(maxsize=4096)
def parse_policy(text: str) -> ExitPolicy:
    """The policy of `accept`/`reject` lines, one a line, as a server descriptor has them."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return ExitPolicy(tuple(parse_rule(line) for line in lines), "\n".join(lines))
