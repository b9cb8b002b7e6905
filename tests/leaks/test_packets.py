"""Whose a frame is."""

import socket
import struct

import pytest

from .packets import is_strange, number_in_name, read

MACHINE, EXIT = "100.64.0.1", "203.0.113.11"
MACHINE6, EXIT6 = "fd64::1", "2001:db8:e::11"


def ipv4(source: str, destination: str, protocol: int, body: bytes) -> bytes:
    """A frame with an IPv4 packet."""
    header = struct.pack(">BBHIBBH", 0x45, 0, 20 + len(body), 0, 64, protocol, 0)
    return bytes(12) + b"\x08\x00" + header + socket.inet_aton(source) + socket.inet_aton(destination) + body


def ipv6(source: str, destination: str, protocol: int, body: bytes) -> bytes:
    """A frame with an IPv6 packet."""
    header = struct.pack(">IHBB", 6 << 28, len(body), protocol, 64)
    ends = b"".join(socket.inet_pton(socket.AF_INET6, one) for one in (source, destination))
    return bytes(12) + b"\x86\xdd" + header + ends + body


def ports(destination: int, body: bytes = b"", source: int = 40000) -> bytes:
    """The beginning of TCP and UDP."""
    return struct.pack(">HH", source, destination) + bytes(4) + body


def question(name: str) -> bytes:
    """A DNS query."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return bytes(12) + labels + b"\0\0\1\0\1"


@pytest.mark.parametrize(
    ("frame", "number", "port"),
    [
        (ipv4(MACHINE, "198.51.100.17", 6, ports(9001)), 17, 9001),
        (ipv4(MACHINE, "198.51.100.17", 17, ports(9001, b"leak:17;")), 17, 9001),
        (ipv4(MACHINE, "198.51.100.17", 1, b"\x08\x00leak:17;"), 17, None),
        (ipv4(MACHINE, "198.51.100.252", 6, ports(9099, b"leak:41;")), 41, None),
        (ipv4(MACHINE, "198.51.100.53", 17, ports(53, question("198-51-100-9.ip.test"))), 9, None),
        (ipv4(MACHINE, "198.51.100.53", 17, ports(53, question("9.100.51.198.in-addr.arpa"))), 9, None),
        (ipv4(MACHINE, "198.51.100.53", 17, ports(53, question("web.test"))), None, None),
        (ipv4(MACHINE, "239.77.41.12", 17, ports(9001, b"leak:12;")), 12, 41),
        (ipv4(MACHINE, "224.0.0.22", 2, b"\x22\0\0\0\0\0\0\1\4\0\0\0\xef\x4d\x29\x0c"), 12, 41),
        (ipv4(MACHINE, "100.64.0.2", 6, ports(33000)), None, None),
        (ipv4(MACHINE, "127.0.0.1", 6, ports(9050, b"\0\0\0\0\x50\x02", 20014)), 14, None),
        (ipv4(MACHINE, "100.64.0.2", 6, ports(33000, b"\0\0\0\0\x50\x14", 20018)), None, None),
        (ipv6(MACHINE6, "2001:db8:1::11", 6, ports(9001)), 17, 9001),
        (ipv6(MACHINE6, "ff02::16", 0, b"\x8f" + bytes(7) + b"\xff\x05" + bytes(11) + b"\x4d\x29\x0c"), 12, 41),
        (
            ipv6("::", "ff02::1:ff00:11", 58, b"\x87" + bytes(7) + socket.inet_pton(socket.AF_INET6, "2001:db8:1::11")),
            17,
            None,
        ),
        (bytes(12) + b"\x88\xb5leak:33;", 33, None),
        (bytes(12) + b"\x08\x06" + bytes(28), None, None),
        (b"", None, None),
        (bytes(12) + b"\x08\x00\x45", None, None),
    ],
)
def test_a_frame_tells_whose_it_is(frame: bytes, number: int | None, port: int | None) -> None:
    (packet,) = read(frame)
    assert (packet.number, packet.port) == (number, port)


@pytest.mark.parametrize(
    ("frame", "is_exit"),
    [
        (ipv4(EXIT, "198.51.100.17", 6, ports(9001)), True),
        (ipv6(EXIT6, "2001:db8:1::11", 6, ports(9001)), True),
        (ipv4(MACHINE, "198.51.100.17", 6, ports(9001)), False),
        (ipv6(MACHINE6, "2001:db8:1::11", 6, ports(9001)), False),
        (bytes(12) + b"\x88\xb5leak:33;", False),
    ],
)
def test_an_exit_is_known_by_its_source(frame: bytes, is_exit: bool) -> None:
    assert [packet.is_exit for packet in read(frame)] == [is_exit]


def test_the_machines_own_address_in_a_stream_is_seen() -> None:
    for said, discloses in ((b"own:100.64.0.1;", True), (b"leak:17;", False)):
        (packet,) = read(ipv4(EXIT, "198.51.100.17", 6, ports(9001, said)))
        assert packet.discloses is discloses


def test_a_report_of_several_groups_is_of_several_vectors() -> None:
    records = [b"\4\0\0\0\xef\x4d\x29" + bytes([number]) for number in (12, 99, 12)]
    told = read(ipv4(MACHINE, "224.0.0.22", 2, b"\x22\0\0\0\0\0\0\3" + b"".join(records)))
    assert [(packet.number, packet.port) for packet in told] == [(12, 41), (99, 41)]
    records6 = [b"\4\0\0\0\xff\x05" + bytes(11) + b"\x4d\x29" + bytes([number]) for number in (12, 99)]
    told = read(ipv6(MACHINE6, "ff02::16", 0, b"\x8f" + bytes(7) + b"".join(records6)))
    assert [packet.number for packet in told] == [12, 99]


@pytest.mark.parametrize(
    ("frame", "strange"),
    [
        (ipv4(MACHINE, "127.0.0.1", 6, ports(9050)), True),
        (ipv4(MACHINE, "8.8.8.8", 17, ports(53)), True),
        (ipv4(MACHINE, "100.64.0.2", 6, ports(33000)), False),
        (ipv4(EXIT, "192.0.2.10", 6, ports(80)), False),
        (ipv4(MACHINE, "198.51.100.17", 6, ports(9001)), False),
        (bytes(12) + b"\x08\x06" + bytes(28), False),
    ],
)
def test_what_nobody_can_explain_is_strange(frame: bytes, strange: bool) -> None:
    (packet,) = read(frame)
    assert is_strange(packet) is strange


@pytest.mark.parametrize(
    ("name", "number"),
    [("198-51-100-9.ip.test", 9), ("198-51-100-9.IP.test", 9), ("9.100.51.198.in-addr.arpa", 9), ("web.test", None)],
)
def test_a_name_tells_whose_it_is(name: str, number: int | None) -> None:
    assert number_in_name(name) == number
