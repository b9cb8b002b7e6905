"""The lab's name server: a pure answer to one message.

Names: every target and relay of the network, `*.any.test` (the web target: a fresh name for every run),
`*.evil.test`, and `192-0-2-77.ip.test` for any target address. Addresses answer PTR. Everything else is NXDOMAIN,
`*.nx.test` for good, whatever is declared; `servfail.test` is SERVFAIL. Needs dnspython (extra `lab`).
"""

import ipaddress
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from ..orchestrator.lab.network import SERVFAIL_NAME, TARGET_NETWORK6, TARGET_NETWORKS, Network

TTL_S = 60
ANY_SUFFIX = ".any.test"
EVIL_SUFFIX = ".evil.test"
NEVER_SUFFIX = ".nx.test"
ADDRESS_SUFFIX = ".ip.test"

_TARGETS = tuple(ipaddress.ip_network(prefix) for prefix in (*TARGET_NETWORKS, TARGET_NETWORK6))


@dataclass(frozen=True, slots=True)
class Zone:
    """Addresses by name, names by address; all in lower case, without the last dot."""

    addresses: dict[str, tuple[str, ...]]
    names: dict[str, str]

    def learn(self, other: "Zone") -> None:
        """Know the names of another one, too."""
        self.addresses.update(other.addresses)
        self.names.update(other.names)


def zone(network: Network) -> Zone:
    """The declared names of a network."""
    addresses = {target.name: target.addresses for target in network.targets}
    for relay in network.exits:
        addresses[f"{relay.nickname}.test"] = (relay.address, relay.address6)
    names: dict[str, str] = {}
    for name, owned in addresses.items():
        for address in owned:
            names.setdefault(address, name)
    return Zone(addresses, names)


def look_up(where: Zone, name: str) -> tuple[str, ...] | None:
    """The addresses of a name in lower case; None: there is no such name."""
    if name.endswith(NEVER_SUFFIX):
        return None
    if name in where.addresses:
        return where.addresses[name]
    if name.endswith(ANY_SUFFIX):
        return where.addresses["web.test"]
    if name.endswith(EVIL_SUFFIX):
        return where.addresses["evil.test"]
    if name.endswith(ADDRESS_SUFFIX):
        return _spelled(name.removesuffix(ADDRESS_SUFFIX))
    return None


def answer(where: Zone, wire: bytes) -> tuple[bytes, str] | None:
    """The reply to a query and the name that was asked for; None when it is no query worth a reply."""
    try:
        query = dns.message.from_wire(wire)
        if query.flags & dns.flags.QR or len(query.question) != 1:
            return None
        reply = dns.message.make_response(query, recursion_available=True)
    except dns.exception.DNSException:
        return None
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    reply.flags |= dns.flags.AA
    if name == SERVFAIL_NAME:
        reply.set_rcode(dns.rcode.SERVFAIL)
    else:
        records = _records(where, name, question)
        if records is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif records:
            kind = dns.rdatatype.to_text(question.rdtype)
            reply.answer.append(dns.rrset.from_text(question.name, TTL_S, "IN", kind, *records))
    return reply.to_wire(), name


def _records(where: Zone, name: str, question: dns.rrset.RRset) -> list[str] | None:
    """The values of the asked type; None when the name does not exist."""
    if name.endswith((".in-addr.arpa", ".ip6.arpa")):
        owner = _owner(where, question.name)
        return None if owner is None else [owner + "."] if question.rdtype == dns.rdatatype.PTR else []
    addresses = look_up(where, name)
    if addresses is None:
        return None
    wanted = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}.get(question.rdtype)
    return [address for address in addresses if ipaddress.ip_address(address).version == wanted]


def _owner(where: Zone, reverse: dns.name.Name) -> str | None:
    try:
        address = dns.reversename.to_address(reverse)
    except (dns.exception.DNSException, ValueError):
        return None
    address = str(ipaddress.ip_address(address))
    if address in where.names:
        return where.names[address]
    return address.replace(".", "-") + ADDRESS_SUFFIX if "." in address and _is_target(address) else None


def _spelled(label: str) -> tuple[str, ...] | None:
    address = label.replace("-", ".")
    return (address,) if _is_target(address) else None


def _is_target(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in prefix for prefix in _TARGETS if prefix.version == address.version)
