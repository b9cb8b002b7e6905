"""Frames from the wire, and whose they are: pure functions over bytes.

The wire carries all that leaves the lab's machine for 198.51.100.0/24, 2001:db8:1::/48 and what is nowhere else. An
exit leaves from an address of its own; any other source is the machine itself.
Sources: RFC 791, 8200, 1035 (names), 3376 and 3810 (group records).
"""

import ipaddress
import re
from dataclasses import dataclass, replace

EXITS = (ipaddress.ip_network("203.0.113.0/24"), ipaddress.ip_network("2001:db8:e::/64"))
TARGETS = ipaddress.ip_network("198.51.100.0/24")
TARGETS6 = ipaddress.ip_network("2001:db8:1::/120")

ETHERNET = 14
IPV4, IPV6 = 0x0800, 0x86DD
TCP, UDP, UDPLITE = 6, 17, 136
RST = 4
PORTS_OWN = 20000
NEIGHBOUR = ipaddress.ip_address("100.64.0.2")
"""The other end of the wire, which knocks; what it is told is no leak."""
NAME_SERVER = ipaddress.ip_address("198.51.100.53")

_MARK = re.compile(rb"leak:(\d{1,3});")
_NAME = re.compile(rb"198-51-100-(\d{1,3})\x02ip\x04test", re.IGNORECASE)
_REVERSE = re.compile(rb"[\x01-\x03](\d{1,3})\x03100\x0251\x03198\x07in-addr\x04arpa", re.IGNORECASE)
_NEIGHBOUR = re.compile(rb"^[\x87\x88].{7}\x20\x01\x0d\xb8\x00\x01\x00{9}(.)", re.DOTALL)
_DISCLOSED = b"own:100.64.0.1;"
_REPORTS = frozenset({"igmp", "icmp6"})
_GROUP = re.compile(rb"\xef\x4d(.)(.)", re.DOTALL)
_GROUP6 = re.compile(rb"\xff\x05\x00{11}\x4d(.)(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Packet:
    """What a frame tells.

    `number`: of the vector, None when it says nothing of one. `port`: where the vector was to go in this way; or the
    last byte of that, in a group's address; None when the frame does not tell. `source`, `destination`: empty when it
    is no IP. `discloses`: the machine's own address is in what it says.
    """

    number: int | None
    port: int | None
    source: str
    destination: str
    is_exit: bool
    kind: str
    discloses: bool = False


def read(frame: bytes) -> tuple[Packet, ...]:
    """Whose a frame is: of one vector, but of several where one report has the groups of several."""
    first = _read(frame)
    version = {IPV4: 4, IPV6: 6}.get(int.from_bytes(frame[12:14], "big"))
    if version is None or first.kind not in _REPORTS:
        return (first,)
    others = _groups(frame[ETHERNET:], version)
    return (first, *(replace(first, number=one, port=port) for one, port in others if one != first.number))


def _read(frame: bytes) -> Packet:
    ether_type = int.from_bytes(frame[12:14], "big")
    if ether_type == IPV4 and len(frame) >= ETHERNET + 20:
        return _read_ip(frame, 4)
    if ether_type == IPV6 and len(frame) >= ETHERNET + 40:
        return _read_ip(frame, 6)
    return Packet(_marked(frame[ETHERNET:]), None, "", "", False, f"ethernet {ether_type:#06x}")


def _read_ip(frame: bytes, version: int) -> Packet:
    if version == 4:
        start = ETHERNET + (frame[ETHERNET] & 15) * 4
        protocol, first = frame[ETHERNET + 9], ETHERNET + 12
        source = ipaddress.ip_address(frame[first : first + 4])
        destination = ipaddress.ip_address(frame[first + 4 : first + 8])
    else:
        start, protocol, first = ETHERNET + 40, frame[ETHERNET + 6], ETHERNET + 8
        source = ipaddress.ip_address(frame[first : first + 16])
        destination = ipaddress.ip_address(frame[first + 16 : first + 32])
    body = frame[start:]
    is_exit = any(source in network for network in EXITS if network.version == source.version)
    port = int.from_bytes(body[2:4], "big") if protocol in (TCP, UDP, UDPLITE) and len(body) >= 4 else None
    number = _marked(body)
    if number is None:
        number = _number_of(destination)
    if number is None and protocol == TCP and len(body) >= 14 and not body[13] & RST:
        number = _number_of_port(int.from_bytes(body[:2], "big"))
    if number is None or _number_of(destination) != number:
        port = None  # that of somebody else, who carries the mark
    if number is None and protocol in (0, 2, 58):
        number, port = _group(body, version)
        if number is None:
            number = _solicited(body)
    elif destination.is_multicast and (found := _group(destination.packed, version))[0] is not None:
        number, port = found
    return Packet(number, port, str(source), str(destination), is_exit, _kind(protocol, version), _DISCLOSED in body)


def _kind(protocol: int, version: int) -> str:
    names = {1: "icmp", 2: "igmp", TCP: "tcp", UDP: "udp", UDPLITE: "udplite", 58: "icmp6", 0: "icmp6"}
    return names.get(protocol, f"ip {protocol}") + ("6" if version == 6 and protocol in (TCP, UDP) else "")


def _number_of(destination: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int | None:
    if destination == NAME_SERVER:
        return None
    if destination in TARGETS if destination.version == 4 else destination in TARGETS6:
        return destination.packed[-1]
    return None


def _number_of_port(source: int) -> int | None:
    """Some vectors take a port of their own, 20000 + NUMBER. (A reset is what the kernel answers for nobody.)"""
    return source - PORTS_OWN if PORTS_OWN < source < PORTS_OWN + 256 else None


def _marked(body: bytes) -> int | None:
    for pattern in (_MARK, _NAME, _REVERSE):
        found = pattern.search(body)
        if found is not None:
            return int(found[1])
    return None


def _group(body: bytes, version: int) -> tuple[int | None, int | None]:
    return next(iter(_groups(body, version)), (None, None))


def _groups(body: bytes, version: int) -> list[tuple[int, int]]:
    """Number and last byte of the port of each group that is named."""
    return [(found[2][0], found[1][0]) for found in (_GROUP if version == 4 else _GROUP6).finditer(body)]


def _solicited(body: bytes) -> int | None:
    """The vector whose address is asked for, or announced, among neighbours (RFC 4861)."""
    found = _NEIGHBOUR.search(body)
    return found[1][0] if found is not None else None


def is_strange(packet: Packet) -> bool:
    """Whether it tells of no vector, and nobody knows why it was sent: no exit, no talk among neighbours."""
    is_explained = not packet.source or packet.is_exit or packet.kind in ("icmp6", "igmp")
    return packet.number is None and not is_explained and packet.destination != str(NEIGHBOUR)


def number_in_name(name: str) -> int | None:
    """The vector whose name, or whose address's name, this is."""
    found = re.fullmatch(r"198-51-100-(\d{1,3})\.ip\.test|(\d{1,3})\.100\.51\.198\.in-addr\.arpa", name.lower())
    return int(found[1] or found[2]) if found is not None else None
