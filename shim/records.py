"""The shim's records in Python: what hooks, launcher and client send is decoded, what they wait for is encoded.

Decides nothing: ValueError says that a packet is not one whole record; what to do about it is the caller's. The formats
are those of wire.h (a test compares them with the compiler's view). Called through `bindings`.
"""

import os
import socket
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Final, NamedTuple

from ._bindings import lib

MAGIC: Final = 0x4E495058
WIRE_VERSION: Final = 1
NONCE_SIZE: Final = 16
NAME_MAX: Final = 255
ANSWERS_MAX: Final = 2

_AF_INET: Final = int(socket.AF_INET)
_AF_INET6: Final = int(socket.AF_INET6)

_ENDPOINT: Final = "HH16s"
_REPORT: Final = Struct("=IHH16sIIIHH" + _ENDPOINT * 2)
_ANSWER: Final = Struct("=IiiHH" + _ENDPOINT * 2)
_NOTICE: Final = Struct("=IHHiiiIQQ")
_ORDER: Final = Struct("=IHHI")
_LEASE: Final = Struct("=IHHiIII")

_NO_ENDPOINT: Final = (0, 0, b"")
_NO_ADDRESS: Final = bytes(16)
_NO_TAIL: Final = bytes(12)


class Op(IntEnum):
    HELLO = 1
    CONNECT = 2
    PEER = 3
    RESOLVE = 4
    RESOLVE_PTR = 5
    DENIED = 6
    UNIX = 7


class Reason(IntEnum):
    NONE = 0
    UDP = 1
    RAW = 2
    FAMILY = 3
    PROTOCOL = 4
    LISTEN = 5
    LOOPBACK = 6
    MULTICAST = 7
    DEVICE = 8
    RESOLVER = 9
    STATIC = 10
    SETUID = 11
    FOREIGN = 12
    NOT_FOUND = 13
    NOT_EXECUTABLE = 14
    INHERITED = 15
    CONTAINMENT = 16
    LIBC = 17
    UNIX = 18
    NO_ROOM = 19


class Flag(IntFlag):
    NONE = 0
    NONBLOCK = 1
    V6ONLY = 2
    BOUND = 4


class NoticeKind(IntEnum):
    STARTED = 1
    REFUSED = 2
    EXITED = 3
    ENDED = 4
    CROWDED = 5
    CALLS = 6


class OrderKind(IntEnum):
    SIGNAL = 1
    END = 2


class LeaseKind(IntEnum):
    ASK = 1
    COME = 2
    HERE = 3
    INTERRUPT = 4
    DECLINE = 5
    GRANT = 6
    END = 7
    BORROW = 8
    STATUS = 9
    STOP = 10
    SAY = 11


_OPS: Final = {int(op): op for op in Op}
_REASONS: Final = {int(reason): reason for reason in Reason}
_FLAGS: Final = [Flag(value) for value in range(8)]
_NOTICE_KINDS: Final = {int(kind): kind for kind in NoticeKind}
_LEASE_KINDS: Final = {int(kind): kind for kind in LeaseKind}


class Endpoint(NamedTuple):
    """An address as the kernel writes it, and a port; family is AF_INET or AF_INET6."""

    family: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a hook said. A RESOLVE's destination is None (either family) or the family wanted, its address all zeros."""

    op: Op
    nonce: bytes
    pid: int
    tid: int
    flags: Flag
    reason: Reason
    source: Endpoint | None
    destination: Endpoint | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """What the launcher said; status is wait(2)'s."""

    kind: NoticeKind
    reason: Reason
    pid: int
    status: int
    error: int
    swept: int
    cpu_us: int
    maxrss_kib: int


@dataclass(frozen=True, slots=True)
class Lease:
    """What client and daemon tell each other; the fields mean what wire.h says of each kind."""

    kind: LeaseKind
    number: int = 0
    arguments: int = 0
    variables: int = 0
    terminals: int = 0


def _read_endpoint(family: int, port: int, address: bytes) -> Endpoint | None:
    if family == _AF_INET:
        if address[4:] != _NO_TAIL:
            raise ValueError("bytes after an IPv4 address")
        return Endpoint(family, socket.inet_ntop(_AF_INET, address[:4]), port)
    if family == _AF_INET6:
        return Endpoint(family, socket.inet_ntop(_AF_INET6, address), port)
    if family != 0:
        raise ValueError(f"endpoint of family {family}")
    if port != 0 or address != _NO_ADDRESS:
        raise ValueError("an address without a family")
    return None


def _read_name(op: int, name: bytes) -> str | None:
    """A host name is one that hosts can have; what DENIED names is a path or a host, and may hold anything."""
    if not name:
        return None
    if op == Op.DENIED:
        return name.decode("utf-8", "backslashreplace")
    if op == Op.UNIX:
        return os.fsdecode(name)
    if not lib.exitpin_name_is_valid(name, len(name)):
        raise ValueError("a name that no host can have")
    return name.decode("ascii")


def decode_report(packet: bytes) -> Report:
    """One packet from a hook. Raises ValueError for anything short, long or odd."""
    if len(packet) < _REPORT.size:
        raise ValueError("short report")
    magic, version, op, nonce, pid, tid, flags, reason, name_size, *ends = _REPORT.unpack_from(packet)
    if magic != MAGIC or version != WIRE_VERSION:
        raise ValueError("not a report, or of another version")
    if len(packet) != _REPORT.size + name_size or name_size > NAME_MAX:
        raise ValueError("report and name differ in size")
    if op not in _OPS or reason not in _REASONS or flags >= len(_FLAGS):
        raise ValueError("unknown op, reason or flag")
    source, destination = _read_endpoint(*ends[:3]), _read_endpoint(*ends[3:])
    name = _read_name(op, packet[_REPORT.size :])
    _require_parts(op, source, destination, name)
    return Report(_OPS[op], nonce, pid, tid, _FLAGS[flags], _REASONS[reason], source, destination, name)


def _require_parts(op: int, source: Endpoint | None, destination: Endpoint | None, name: str | None) -> None:
    """What each op can't do without."""
    if op == Op.CONNECT and (source is None or source.port == 0 or destination is None or name is not None):
        raise ValueError("CONNECT without source or destination")
    if op == Op.PEER and (source is None or source.port == 0):
        raise ValueError("PEER without source")
    if op == Op.UNIX and name is None:
        raise ValueError("UNIX without name")
    if op == Op.RESOLVE and name is None:
        raise ValueError("RESOLVE without name")
    if op == Op.RESOLVE_PTR and destination is None:
        raise ValueError("RESOLVE_PTR without destination")


def _write_endpoint(endpoint: Endpoint | None) -> tuple[int, int, bytes]:
    if endpoint is None:
        return _NO_ENDPOINT
    family, host, port = endpoint
    return family, port, socket.inet_pton(family, host)


def encode_report(
    op: int,
    nonce: bytes,
    *,
    pid: int = 0,
    tid: int = 0,
    flags: int = 0,
    reason: int = 0,
    source: Endpoint | None = None,
    destination: Endpoint | None = None,
    name: bytes = b"",
) -> bytes:
    """A hook's packet, for tests and chaos tools; encodes what it is told, right or wrong."""
    source_parts, destination_parts = _write_endpoint(source), _write_endpoint(destination)
    head = (MAGIC, WIRE_VERSION, op, nonce, pid, tid, flags, reason, len(name))
    return _REPORT.pack(*head, *source_parts, *destination_parts) + name


def encode_answer(error: int = 0, eai: int = 0, endpoints: tuple[Endpoint, ...] = (), name: bytes = b"") -> bytes:
    """An answer: error is an errno of the hooked call, eai an EAI_ code (negative). At most two endpoints."""
    if len(endpoints) > ANSWERS_MAX or len(name) > NAME_MAX:
        raise ValueError("an answer holds two endpoints and 255 bytes of name")
    parts = [_write_endpoint(endpoint) for endpoint in endpoints] + [_NO_ENDPOINT] * (ANSWERS_MAX - len(endpoints))
    return _ANSWER.pack(MAGIC, error, eai, len(endpoints), len(name), *parts[0], *parts[1]) + name


def decode_notice(packet: bytes) -> Notice:
    """One packet from the launcher. Raises ValueError for anything short, long or odd."""
    if len(packet) != _NOTICE.size:
        raise ValueError("notice of another size")
    magic, kind, reason, pid, status, error, swept, cpu_us, maxrss_kib = _NOTICE.unpack(packet)
    if magic != MAGIC or kind not in _NOTICE_KINDS or reason not in _REASONS:
        raise ValueError("not a notice")
    return Notice(_NOTICE_KINDS[kind], _REASONS[reason], pid, status, error, swept, cpu_us, maxrss_kib)


def encode_order(kind: int, signo: int = 0, grace_ms: int = 0) -> bytes:
    """An order to the launcher: SIGNAL with signo, or END with grace_ms (0: KILL at once)."""
    return _ORDER.pack(MAGIC, kind, signo, grace_ms)


def decode_lease(packet: bytes) -> Lease:
    """One packet of client or daemon. Raises ValueError for anything short, long or odd, or of another version."""
    if len(packet) != _LEASE.size:
        raise ValueError("lease of another size")
    magic, version, kind, *rest = _LEASE.unpack(packet)
    if magic != MAGIC or version != WIRE_VERSION or kind not in _LEASE_KINDS:
        raise ValueError("not a lease, or of another version")
    return Lease(_LEASE_KINDS[kind], *rest)


def encode_lease(lease: Lease) -> bytes:
    """A packet between client and daemon."""
    numbers = (lease.number, lease.arguments, lease.variables, lease.terminals)
    return _LEASE.pack(MAGIC, WIRE_VERSION, lease.kind, *numbers)
