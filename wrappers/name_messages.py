"""DNS messages of a run's name server: questions read, answers written, and what comes through an exit checked.

Whoever wrote them is hostile, or may be: of a query only header, question and, right behind it, the payload size of
EDNS are looked at, of a reply only header and question, all at known places. By hand, for that takes a few microseconds
of the loop; dnspython takes 46 milliseconds of it to be imported, and hundreds of records 70 to be read.

Called by `name_server.py`. Formats: RFC 1035, 4.1 (messages) and 5.1 (names as text); RFC 3597, 5 (types as text);
RFC 6891, 6.1 (EDNS).
"""

import string
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import Final

NO_ERROR: Final = 0
SERVFAIL: Final = 2
IN: Final = 1
A: Final = 1
PTR: Final = 12
AAAA: Final = 28

PLAIN_MAX: Final = 512
"""Bytes of an answer to who does not say more."""
PAYLOAD_MAX: Final = 4096
"""Bytes of an answer to anybody."""

_HEADER: Final = Struct("!6H")
_KIND: Final = Struct("!HH")
_OPT: Final = Struct("!BHHIH")
_RECORD: Final = Struct("!HHHIH")
_OPT_TYPE, _NAME_MAX, _LABEL_MAX, _QUESTION_NAME = 41, 255, 63, 0xC00C
_QR, _OPCODE, _TC, _RD, _RA, _CD, _RCODE = 0x8000, 0x7800, 0x200, 0x100, 0x80, 0x10, 0xF
_FAILURES: Final = {1, SERVFAIL, 4, 5}  # may come without the question
_PLAIN: Final = frozenset((string.ascii_letters + string.digits + "-_").encode())
_CLASSES: Final = {IN: "IN", 3: "CH", 4: "HS", 255: "ANY"}
_TYPES: Final = {
    **{A: "A", 2: "NS", 5: "CNAME", 6: "SOA", PTR: "PTR", 15: "MX", 16: "TXT", AAAA: "AAAA", 33: "SRV", 35: "NAPTR"},
    **{43: "DS", 44: "SSHFP", 48: "DNSKEY", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 255: "ANY", 257: "CAA"},
}


@dataclass(frozen=True, slots=True)
class Query:
    """One question. `wire`: all of it, as it came; `name`: without the final dot, odd bytes as \\DDD; `payload_bytes`:
    how long an answer may be."""

    wire: bytes
    number: int
    flags: int
    question: bytes
    name: str
    kind: int
    group: int
    has_edns: bool
    payload_bytes: int

    def __str__(self) -> str:
        kind = _TYPES.get(self.kind, f"TYPE{self.kind}")
        return f"{self.name}. {_CLASSES.get(self.group, f'CLASS{self.group}')} {kind}"


def read_query(wire: bytes) -> Query:
    """The question that a datagram asks. Raises ValueError for whatever else it is."""
    if len(wire) < _HEADER.size:
        raise ValueError("no message")
    number, flags, questions, answers, authorities, additional = _HEADER.unpack_from(wire)
    if flags & (_QR | _OPCODE) or questions != 1:
        raise ValueError("no query, or not of one question")
    labels, end = _read_name(wire, _HEADER.size)
    if len(wire) < end + _KIND.size:
        raise ValueError("the question is cut off")
    kind, group = _KIND.unpack_from(wire, end)
    end += _KIND.size
    payload_bytes = _edns_payload(wire, end) if additional and not answers and not authorities else None
    return Query(
        wire, number, flags, wire[_HEADER.size : end], ".".join(map(_text, labels)), kind, group,
        payload_bytes is not None, min(max(payload_bytes or 0, PLAIN_MAX), PAYLOAD_MAX),
    )  # fmt: skip


def write_answer(query: Query, rcode: int, addresses: Iterable[str] = ()) -> bytes:
    """An answer of ours, with A records of these addresses, no longer than the query allows."""
    records = [_record(A, IPv4Address(address).packed) for address in addresses]
    wire = _answer(query, rcode, records)
    return wire if len(wire) <= query.payload_bytes else write_truncated(query)


def write_name(query: Query, name: str) -> bytes:
    """An answer of ours with one PTR record: a host name of ASCII letters, with labels as long as they may be."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
    content = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return _answer(query, NO_ERROR, [_record(PTR, content)])


def write_truncated(query: Query) -> bytes:
    """There is an answer, too long for a datagram: ask over TCP."""
    return _answer(query, _TC | NO_ERROR, [])


def is_answer(query: Query, reply: bytes) -> bool:
    """Whether the beginning of a reply is that of one to this query. The letters of its name may be other ones."""
    if len(reply) < _HEADER.size:
        return False
    number, flags, questions, *_ = _HEADER.unpack_from(reply)
    if number != query.number or not flags & _QR or flags & _OPCODE:
        return False
    if questions == 0:
        return flags & _RCODE in _FAILURES
    told, asked = reply[_HEADER.size : _HEADER.size + len(query.question)], query.question
    return questions == 1 and told[:-4].lower() == asked[:-4].lower() and told[-4:] == asked[-4:]


def address_of(name: str) -> str | None:
    """The address whose name this name asks for; None: it is that of no address, or of many. Source: RFC 1035, 3.5;
    RFC 3596, 2.5."""
    labels = name.lower().split(".")
    try:
        if labels[4:] == ["in-addr", "arpa"]:
            return str(IPv4Address(".".join(labels[3::-1])))
        if labels[32:] == ["ip6", "arpa"] and all(len(label) == 1 for label in labels[:32]):
            return str(IPv6Address(bytes.fromhex("".join(labels[31::-1]))))
    except ValueError:
        pass
    return None


def _record(kind: int, content: bytes) -> bytes:
    return _RECORD.pack(_QUESTION_NAME, kind, IN, 0, len(content)) + content


def _answer(query: Query, flags: int, records: list[bytes]) -> bytes:
    flags |= _QR | _RA | query.flags & (_RD | _CD)
    edns = _OPT.pack(0, _OPT_TYPE, PAYLOAD_MAX, 0, 0) if query.has_edns else b""
    header = _HEADER.pack(query.number, flags, 1, len(records), 0, int(query.has_edns))
    return b"".join((header, query.question, *records, edns))


def _read_name(wire: bytes, start: int) -> tuple[list[bytes], int]:
    """Its labels, and where it ends. Raises ValueError. In a question nothing is there yet that could be pointed to."""
    labels: list[bytes] = []
    at = start
    while at < len(wire):
        size, at = wire[at], at + 1
        if size == 0:
            return labels, at
        if size > _LABEL_MAX or at + size - start >= _NAME_MAX:
            raise ValueError("a name that is none")
        labels.append(wire[at : at + size])
        at += size
    raise ValueError("the name is cut off")


def _text(label: bytes) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03}" for byte in label)


def _edns_payload(wire: bytes, at: int) -> int | None:
    """What the first additional record says of datagrams, if it is that of EDNS."""
    if len(wire) < at + _OPT.size:
        return None
    owner, kind, payload_bytes, _, _ = _OPT.unpack_from(wire, at)
    return payload_bytes if owner == 0 and kind == _OPT_TYPE else None
