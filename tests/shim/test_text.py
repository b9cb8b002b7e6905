"""Addresses, names, hosts(5) and services(5): read as libc reads them, and never upset."""

import ipaddress
import re
import socket
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.shim._bindings import ffi, lib
from exitpin.shim.bindings import Endpoint, Reason

ipv4 = st.ip_addresses(v=4).map(lambda ip: Endpoint(socket.AF_INET, str(ip), 0))
ipv6 = st.ip_addresses(v=6).map(lambda ip: Endpoint(socket.AF_INET6, socket.inet_ntop(socket.AF_INET6, ip.packed), 0))
labels = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=63)
names = st.lists(labels, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= 253)


def parse(function, text, size):
    out = ffi.new(f"uint8_t[{size}]")
    return bytes(out) if function(text, len(text), out) else None


def expected(convert, text):
    try:
        return convert(text)
    except (OSError, ValueError):
        return None


numbers = st.text("0123456789abcdefxX.", max_size=24)


@given(numbers)
def test_ipv4_is_read_as_inet_aton_reads_it(text):
    assert parse(lib.exitpin_parse_ipv4, text.encode(), 4) == expected(socket.inet_aton, text)


@given(numbers | st.ip_addresses(v=4).map(str))
def test_a_quad_is_read_as_inet_pton_reads_it(text):
    assert parse(lib.exitpin_parse_quad, text.encode(), 4) == expected(
        lambda t: socket.inet_pton(socket.AF_INET, t), text
    )


groups = st.lists(st.sampled_from(["", "0", "1", "ab", "ffff", "12345", "1.2.3.4", "g"]), max_size=10).map(":".join)
ipv6_text = groups | st.ip_addresses(v=6).map(str) | st.text("0123456789abcdef:.", max_size=45)


@given(ipv6_text)
def test_ipv6_is_read_as_inet_pton_reads_it(text):
    assert parse(lib.exitpin_parse_ipv6, text.encode(), 16) == expected(
        lambda t: socket.inet_pton(socket.AF_INET6, t), text
    )


sparse = st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF, 0x0102]), min_size=8, max_size=8)


@given(sparse)
def test_addresses_are_written_as_inet_ntop_writes_them(parts):
    packed = b"".join(part.to_bytes(2, "big") for part in parts)
    for family, raw in ((socket.AF_INET6, packed), (socket.AF_INET, packed[:4])):
        end = ffi.new("struct exitpin_endpoint *", {"family": family})
        ffi.memmove(end.address, raw, len(raw))
        text = ffi.new("char[46]")
        assert lib.exitpin_format_address(end, text) == len(ffi.string(text))
        assert ffi.string(text).decode() == socket.inet_ntop(family, raw)


@given(st.ip_addresses())
def test_loopback_and_groups_are_told_from_elsewhere(address):
    end = ffi.new("struct exitpin_endpoint *", {"family": socket.AF_INET if address.version == 4 else socket.AF_INET6})
    ffi.memmove(end.address, address.packed, len(address.packed))
    here = address.is_loopback or address in ipaddress.ip_network("0.0.0.0/8") or address == ipaddress.ip_address("::")
    group = address.is_multicast or address == ipaddress.ip_address("255.255.255.255")
    assert lib.exitpin_endpoint_scope(end) == (Reason.LOOPBACK if here else Reason.MULTICAST if group else Reason.NONE)


@given(st.binary(max_size=40))
def test_a_sockaddr_that_is_read_is_written_the_same(raw):
    end = ffi.new("struct exitpin_endpoint *")
    known = lib.exitpin_endpoint_from_sockaddr(raw, len(raw), end)
    family = int.from_bytes(raw[:2], "little")
    assert known == ((family == 2 and len(raw) >= 16) or (family == 10 and len(raw) >= 24))
    if known:
        out = ffi.new("char[28]")
        size = lib.exitpin_endpoint_to_sockaddr(end, family, out)
        again = ffi.new("struct exitpin_endpoint *")
        assert lib.exitpin_endpoint_from_sockaddr(out, size, again)
        assert bytes(ffi.buffer(again)) == bytes(ffi.buffer(end))


@given(st.text(max_size=260))
def test_a_name_is_valid_by_the_rule_of_dns(text):
    rule = re.compile(r"(?=.{1,253}\.?\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)
    raw = text.encode("utf-8", "surrogatepass")
    assert lib.exitpin_name_is_valid(raw, len(raw)) == bool(rule.fullmatch(text))


@given(names)
def test_names_of_letters_and_digits_are_valid(name):
    assert lib.exitpin_name_is_valid(name.encode(), len(name))


blanks = st.sampled_from([" ", "\t", " \t "])


@given(ipv4 | ipv6, st.lists(names, min_size=1, max_size=4), blanks, st.data())
def test_a_hosts_line_knows_each_of_its_names(end, hosts, blank, data):
    line = (blank.join([end.host, *hosts]) + " # comment").encode()
    wanted = data.draw(st.sampled_from(hosts)).swapcase().encode()
    found = ffi.new("struct exitpin_endpoint *")
    assert lib.exitpin_hosts_find_name(line, len(line), wanted, found)
    assert found.family == end.family
    name = ffi.new("char[256]")
    assert lib.exitpin_hosts_find_address(line, len(line), found, name)
    assert ffi.string(name).decode() == hosts[0]
    assert not lib.exitpin_hosts_find_name(line, len(line), b"comment", found) or "comment" in map(str.lower, hosts)


@given(st.binary(max_size=200).filter(lambda raw: b"\0" not in raw))
def test_no_line_upsets_the_parsers(line):
    end, name, port = ffi.new("struct exitpin_endpoint *"), ffi.new("char[256]"), ffi.new("uint16_t *")
    lib.exitpin_hosts_find_name(line, len(line), b"a", end)
    lib.exitpin_hosts_find_address(line, len(line), end, name)
    lib.exitpin_services_find_name(line, len(line), b"a", b"tcp", port)
    lib.exitpin_services_find_port(line, len(line), 80, ffi.NULL, name)


@pytest.mark.parametrize(
    ("name", "protocol", "port"),
    [
        (b"http", b"tcp", 80),
        (b"www", b"tcp", 80),
        (b"www", None, 80),
        (b"http", b"udp", None),
        (b"comment", None, None),
    ],
)
def test_a_services_line_knows_name_alias_and_protocol(name, protocol, port):
    line = b"http\t\t80/tcp\twww web  # comment"
    found = ffi.new("uint16_t *")
    known = lib.exitpin_services_find_name(line, len(line), name, protocol or ffi.NULL, found)
    assert (found[0] if known else None) == port
