"""The records, SOCKS and text as C and Python see them: what is written is read back, what is odd is refused."""

import contextlib
import errno
import ipaddress
import os
import re
import socket
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.shim import bindings, records
from exitpin.shim._bindings import ffi, lib
from exitpin.shim.bindings import Endpoint, Flag, NoticeKind, Op, Reason

WIRE = Path(bindings.__file__).parent / "wire.h"
EXAMPLES = {"address": "198.51.100.7", "mapped": "::ffff:198.51.100.7"}

ipv4 = st.ip_addresses(v=4).map(lambda ip: Endpoint(socket.AF_INET, str(ip), 0))
ipv6 = st.ip_addresses(v=6).map(lambda ip: Endpoint(socket.AF_INET6, socket.inet_ntop(socket.AF_INET6, ip.packed), 0))
ports = st.integers(1, 65535)
endpoints = st.builds(lambda end, port: end._replace(port=port), ipv4 | ipv6, ports)
labels = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=63)
names = st.lists(labels, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= 253)
u32 = st.integers(0, 2**32 - 1)

packets = st.one_of(
    st.builds(lambda s, d: {"op": Op.CONNECT, "source": s, "destination": d}, endpoints, endpoints),
    st.builds(lambda s: {"op": Op.PEER, "source": s}, endpoints),
    st.builds(lambda n: {"op": Op.RESOLVE, "name": n.encode()}, names),
    st.builds(lambda d: {"op": Op.RESOLVE_PTR, "destination": d}, endpoints),
    st.builds(lambda r, d: {"op": Op.DENIED, "reason": r, "destination": d}, st.sampled_from(Reason), endpoints),
    st.just({"op": Op.HELLO}),
)


@given(packets, st.binary(min_size=16, max_size=16), u32, u32, st.integers(0, 7))
def test_a_report_is_read_as_it_was_written(fields, nonce, pid, tid, flags):
    packet = bindings.encode_report(nonce=nonce, pid=pid, tid=tid, flags=flags, **fields)
    report = bindings.decode_report(packet)
    assert (report.nonce, report.pid, report.tid, report.flags) == (nonce, pid, tid, Flag(flags))
    assert report.name == (fields["name"].decode() if "name" in fields else None)
    assert (report.source, report.destination) == (fields.get("source"), fields.get("destination"))
    assert (report.op, report.reason) == (fields["op"], fields.get("reason", Reason.NONE))


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_a_report_or_a_value_error(packet):
    with pytest.raises(ValueError):
        bindings.decode_report(packet)


@given(packets, st.integers(0, 79), st.integers(1, 255))
def test_a_report_with_one_byte_changed_is_a_report_or_a_value_error(fields, at, change):
    packet = bytearray(bindings.encode_report(nonce=bytes(16), **fields))
    packet[at] ^= change
    with contextlib.suppress(ValueError):
        assert isinstance(bindings.decode_report(bytes(packet)), bindings.Report)


@given(packets, st.data())
def test_a_report_cut_or_stretched_is_refused(fields, data):
    packet = bindings.encode_report(nonce=bytes(16), **fields)
    cut = data.draw(st.integers(0, len(packet) - 1))
    for odd in (packet[:cut], packet + b"x"):
        with pytest.raises(ValueError):
            bindings.decode_report(odd)


@pytest.mark.parametrize(
    "fields",
    [
        {"op": Op.CONNECT},
        {"op": Op.CONNECT, "source": Endpoint(2, "127.64.0.1", 0), "destination": Endpoint(2, "1.2.3.4", 1)},
        {"op": Op.PEER},
        {"op": Op.RESOLVE},
        {"op": Op.RESOLVE, "name": b"a b"},
        {"op": Op.RESOLVE, "name": b"\xff"},
        {"op": Op.RESOLVE, "name": b"a\n"},
        {"op": Op.RESOLVE_PTR},
        {"op": 7},
        {"op": 0},
        {"op": Op.HELLO, "flags": 8},
        {"op": Op.DENIED, "reason": 16},
    ],
)
def test_a_report_without_what_its_op_needs_is_refused(fields):
    with pytest.raises(ValueError):
        bindings.decode_report(bindings.encode_report(nonce=bytes(16), **fields))


def test_a_refused_path_may_hold_anything():
    packet = bindings.encode_report(Op.DENIED, bytes(16), reason=Reason.STATIC, name=b"/a\xff\nb")
    assert bindings.decode_report(packet).name == "/a\\xff\nb"


@pytest.mark.parametrize(
    ("name", "layout"), [("report", "_REPORT"), ("answer", "_ANSWER"), ("notice", "_NOTICE"), ("order", "_ORDER")]
)
def test_python_and_the_compiler_agree_on_sizes(name, layout):
    assert getattr(records, layout).size == ffi.sizeof(f"struct exitpin_{name}")


def test_python_and_the_compiler_agree_on_every_field_of_a_report():
    source, destination = Endpoint(socket.AF_INET, "1.2.3.4", 5), Endpoint(socket.AF_INET6, "1::2", 6)
    packet = bindings.encode_report(
        Op.DENIED, bytes(range(16)), pid=7, tid=8, flags=3, reason=9, source=source, destination=destination, name=b"n"
    )
    record = ffi.from_buffer("struct exitpin_report *", packet[:80])
    assert (record.magic, record.version, record.op) == (
        lib.EXITPIN_MAGIC,
        lib.EXITPIN_WIRE_VERSION,
        lib.EXITPIN_DENIED,
    )
    assert (record.pid, record.tid, record.flags, record.reason, record.name_size) == (7, 8, 3, 9, 1)
    assert bytes(record.nonce) == bytes(range(16))
    assert (record.source.family, record.source.port, bytes(record.source.address)[:4]) == (2, 5, bytes((1, 2, 3, 4)))
    assert (record.destination.family, record.destination.port) == (10, 6)


@given(st.integers(0, 133), st.lists(endpoints, max_size=2), names)
def test_the_shim_accepts_the_answers_that_are_encoded(error, ends, name):
    packet = bindings.encode_answer(error=error, endpoints=tuple(ends), name=name.encode())
    answer = ffi.from_buffer("struct exitpin_answer *", packet)
    assert lib.exitpin_answer_is_valid(answer, len(packet), Op.CONNECT)
    assert (answer.error, answer.count) == (error, len(ends))
    assert [answer.endpoints[i].port for i in range(len(ends))] == [end.port for end in ends]
    assert not lib.exitpin_answer_is_valid(answer, len(packet) - 1, Op.CONNECT)


@given(st.binary(min_size=56, max_size=400))
def test_the_shim_refuses_arbitrary_answers(packet):
    assert not lib.exitpin_answer_is_valid(ffi.from_buffer("struct exitpin_answer *", packet), len(packet), Op.CONNECT)


def test_the_shim_wants_an_address_of_a_resolve_that_succeeded():
    for op, packet in ((Op.RESOLVE, bindings.encode_answer()), (Op.PEER, bindings.encode_answer(name=b"x"))):
        assert not lib.exitpin_answer_is_valid(ffi.from_buffer("struct exitpin_answer *", packet), len(packet), op)


@pytest.mark.parametrize("enum", [Op, Reason, Flag, NoticeKind, bindings.OrderKind])
def test_the_enumerations_are_those_of_the_header(enum):
    prefix = {Op: "", Reason: "REASON_", Flag: "FLAG_", NoticeKind: "NOTICE_"}.get(enum, "ORDER_")
    for member in enum:
        if not (enum is Flag and member == 0):
            assert getattr(lib, f"EXITPIN_{prefix}{member.name}") == member


def test_no_enumerator_of_the_header_is_missing_here():
    declared = set(re.findall(r"EXITPIN_((?:REASON|FLAG|NOTICE|ORDER)_\w+) =", WIRE.read_text()))
    known = {f"REASON_{r.name}" for r in Reason} | {f"NOTICE_{n.name}" for n in NoticeKind}
    known |= {f"FLAG_{f.name}" for f in Flag if f} | {f"ORDER_{o.name}" for o in bindings.OrderKind}
    assert declared == known


def test_a_notice_is_read_and_an_order_written():
    notice = ffi.new("struct exitpin_notice *", [lib.EXITPIN_MAGIC, 3, 0, 42, 256, -1, 2, 10, 20])
    decoded = bindings.decode_notice(bytes(ffi.buffer(notice)))
    assert decoded == bindings.Notice(NoticeKind.EXITED, Reason.NONE, 42, 256, -1, 2, 10, 20)
    order = ffi.from_buffer("struct exitpin_order *", bindings.encode_order(bindings.OrderKind.SIGNAL, 15, 7))
    assert (order.magic, order.kind, order.signo, order.grace_ms) == (lib.EXITPIN_MAGIC, 1, 15, 7)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_no_notice(packet):
    with pytest.raises(ValueError):
        bindings.decode_notice(packet)


@given(st.binary(min_size=16, max_size=16), st.ip_addresses(v=4), st.text(string.ascii_letters + "/:", max_size=60))
def test_a_configuration_is_read_as_it_was_written(nonce, address, path):
    text = bindings.shim_config(nonce, str(address), "/" + path).encode()
    config = ffi.new("struct exitpin_config *")
    assert lib.exitpin_config_parse(text, len(text), config)
    assert (bytes(config.nonce), ffi.string(config.socket_path).decode()) == (nonce, "/" + path)
    assert bytes(config.source.address)[:4] == address.packed


@pytest.mark.parametrize("path", ["relative", "", "/" + "x" * 107, "/a\0b"])
def test_a_configuration_that_the_shim_would_refuse_is_not_written(path):
    with pytest.raises(ValueError):
        bindings.shim_config(bytes(16), "127.0.0.1", path)


@given(st.text(string.hexdigits + ":x.", max_size=60))
def test_arbitrary_text_is_no_configuration(text):
    assert not lib.exitpin_config_parse(text.encode(), len(text), ffi.new("struct exitpin_config *"))


# SOCKS


@given(st.binary(min_size=1, max_size=255), st.binary(min_size=1, max_size=255))
def test_socks_user_and_password_stand_behind_their_lengths(user, password):
    assert bindings.socks_auth(user, password) == b"\1" + bytes([len(user)]) + user + bytes([len(password)]) + password


@pytest.mark.parametrize(("user", "password"), [(b"", b"x"), (b"x", b""), (b"x" * 256, b"x"), (b"x", b"x" * 256)])
def test_socks_refuses_what_has_no_length(user, password):
    with pytest.raises(ValueError):
        bindings.socks_auth(user, password)


@given(st.ip_addresses(), ports)
def test_socks_sends_literals_as_addresses(address, port):
    atyp = b"\1" if address.version == 4 else b"\4"
    expected = b"\5\1\0" + atyp + address.packed + port.to_bytes(2, "big")
    assert bindings.socks_request(bindings.SOCKS_CONNECT, address, port) == expected
    assert bindings.socks_request(bindings.SOCKS_CONNECT, str(address), port) == expected


@given(names.filter(lambda name: not re.fullmatch(r"[\d.]+", name)), ports)
def test_socks_sends_names_as_names(name, port):
    expected = b"\5\xf0\0\3" + bytes([len(name)]) + name.encode() + port.to_bytes(2, "big")
    assert bindings.socks_request(bindings.SOCKS_RESOLVE, name, port) == expected


def test_socks_needs_a_host():
    for host in ("", "x" * 256):
        with pytest.raises(ValueError):
            bindings.socks_request(1, host, 80)


@given(st.sampled_from([b"\1" + bytes(4), b"\4" + bytes(16), b"\3\5hello", b"\3\0"]), st.integers(0, 255))
def test_socks_replies_tell_their_size_in_five_bytes(address, code):
    reply = b"\5" + bytes([code]) + b"\0" + address + b"\0\x50"
    assert bindings.socks_reply_size(reply[:5]) == len(reply)
    assert bindings.socks_reply_size(reply[:3]) is None
    assert bindings.socks_reply_size(b"") is None


@pytest.mark.parametrize("reply", [b"\4\0\0\1", b"\5\0\1\1", b"\5\0\0\2", b"HTTP/1.1"])
def test_what_is_not_a_socks_reply_is_refused(reply):
    with pytest.raises(ValueError):
        bindings.socks_reply_size(reply)


def test_socks_codes_become_errors_of_connect():
    codes = {0: 0, 1: errno.ECONNREFUSED, 2: errno.ECONNREFUSED, 3: errno.ENETUNREACH, 4: errno.EHOSTUNREACH}
    codes |= {5: errno.ECONNREFUSED, 6: errno.ETIMEDOUT, 7: errno.ECONNREFUSED, 8: errno.ECONNREFUSED}
    assert {code: bindings.socks_errno(code) for code in codes} == codes
    assert all(bindings.socks_errno(code) > 0 for code in range(1, 256))


# addresses


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


# hosts(5), services(5), names


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


# kernel calls


def test_a_disconnected_socket_is_as_new():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        for _ in range(2):
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            bindings.disconnect(client.fileno())
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            with pytest.raises(OSError, match="not connected"):
                client.getpeername()
            accepted.close()


def test_kernel_calls_raise_what_the_kernel_says():
    with pytest.raises(OSError) as raised:
        bindings.setns(-1)
    assert raised.value.errno == errno.EBADF
    with pytest.raises(OSError):
        bindings.unshare(-1)


def test_a_subreaper_inherits_orphans():
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        bindings.set_child_subreaper()
        if os.fork() == 0:
            if os.fork() == 0:
                os.read(reading, 1)
                os._exit(0)
            os._exit(0)
        os.wait()
        os.write(writing, b"x")
        os._exit(0 if os.wait()[0] > 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    os.close(reading)
    os.close(writing)
