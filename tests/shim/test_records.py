"""The records as C and Python see them: what is written is read back, what is odd is refused."""

import contextlib
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
        {"op": Op.DENIED, "reason": 20},
    ],
)
def test_a_report_without_what_its_op_needs_is_refused(fields):
    with pytest.raises(ValueError):
        bindings.decode_report(bindings.encode_report(nonce=bytes(16), **fields))


def test_a_refused_path_may_hold_anything():
    packet = bindings.encode_report(Op.DENIED, bytes(16), reason=Reason.STATIC, name=b"/a\xff\nb")
    assert bindings.decode_report(packet).name == "/a\\xff\nb"


@pytest.mark.parametrize(
    ("name", "layout"),
    [("report", "_REPORT"), ("answer", "_ANSWER"), ("notice", "_NOTICE"), ("order", "_ORDER"), ("lease", "_LEASE")],
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


@pytest.mark.parametrize("enum", [Op, Reason, Flag, NoticeKind, bindings.OrderKind, bindings.LeaseKind])
def test_the_enumerations_are_those_of_the_header(enum):
    prefixes = {Op: "", Reason: "REASON_", Flag: "FLAG_", NoticeKind: "NOTICE_", bindings.LeaseKind: "LEASE_"}
    prefix = prefixes.get(enum, "ORDER_")
    for member in enum:
        if not (enum is Flag and member == 0):
            assert getattr(lib, f"EXITPIN_{prefix}{member.name}") == member


def test_no_enumerator_of_the_header_is_missing_here():
    declared = set(re.findall(r"EXITPIN_((?:REASON|FLAG|NOTICE|ORDER|LEASE)_\w+) =", WIRE.read_text()))
    known = {f"REASON_{r.name}" for r in Reason} | {f"NOTICE_{n.name}" for n in NoticeKind}
    known |= {f"FLAG_{f.name}" for f in Flag if f} | {f"ORDER_{o.name}" for o in bindings.OrderKind}
    known |= {f"LEASE_{kind.name}" for kind in bindings.LeaseKind}
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
