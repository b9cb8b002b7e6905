"""Names of one run: every name that the tool asks for gets a mapped address, valid for the whole run and all its
processes.

The tool connects to the mapped address, the orchestrator turns it back into the name and lets the *exit* resolve it
(CONNECT by name). 198.18.0.0/15 is never routed (RFC 2544), so a mapped address that escapes a run leads nowhere;
IPv6 answers come from a unique local prefix (RFC 4193).
"""

import ipaddress
from dataclasses import dataclass, field

MAPPED_V4 = ipaddress.ip_network("198.18.0.0/15")
MAPPED_V6 = ipaddress.ip_network("fd65:7869:7470:696e::/64")
CAPACITY = 2**17 - 2


@dataclass(slots=True)
class Names:
    """The names of one run, in the order in which they were asked for."""

    _numbers: dict[str, int] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)

    def mapped(self, name: str, family: int) -> tuple[str, ...]:
        """The mapped addresses of `name` for family 0 (IPv4 only: one attempt is enough), 4 or 6; () when full."""
        key = name.lower().rstrip(".")
        number = self._numbers.get(key)
        if number is None:
            if len(self._names) >= CAPACITY:
                return ()
            self._names.append(key)
            number = self._numbers[key] = len(self._names)
        network = MAPPED_V6 if family == 6 else MAPPED_V4
        return (str(network.network_address + number),)

    def latest(self, count: int) -> list[str]:
        """The last names that were asked for."""
        return self._names[-count:]

    def count(self) -> int:
        """How many there are."""
        return len(self._names)

    def original(self, address: str) -> str | None:
        """The name behind a mapped address; None for an address that is none."""
        parsed = ipaddress.ip_address(address)
        network = MAPPED_V4 if parsed.version == 4 else MAPPED_V6
        if parsed not in network:
            return None
        number = int(parsed) - int(network.network_address)
        return self._names[number - 1] if 1 <= number <= len(self._names) else None


def is_mapped(address: str) -> bool:
    """Whether `address` lies in a range of mapped names."""
    parsed = ipaddress.ip_address(address)
    return parsed in (MAPPED_V4 if parsed.version == 4 else MAPPED_V6)


def is_address(host: str) -> bool:
    """Whether `host` is an IP address, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_ipv4(host: str) -> bool:
    """Whether `host` is an IPv4 address."""
    return is_address(host) and ":" not in host


def canonical_address(text: str) -> str:
    """An address in the one way in which Python writes it: libc and Tor write ::1:0 and its like differently. What is
    no address stays as it is; IPv4 in IPv6 stays IPv6, and a scope stays."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def canonical_target(text: str) -> str:
    """`host:port` or `[host]:port` with its address so written; brackets stay, or stay away."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        return f"[{canonical_address(host[1:-1])}]:{port}"
    return f"{canonical_address(host)}{colon}{port}"


_PRIVATE = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"),
        *("::/127", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "ff00::/8"),
    )
]


def is_private(address: str) -> bool:
    """Whether no exit can reach it, or somebody else's machine of that address would be."""
    parsed = ipaddress.ip_address(address)
    return any(parsed in network for network in _PRIVATE if network.version == parsed.version)


def can_exit_reach(host: str) -> bool:
    """Whether `host` means something to an exit: .onion and .exit are Tor's own names, and never leave through one."""
    return not host.lower().rstrip(".").endswith((".onion", ".exit"))
