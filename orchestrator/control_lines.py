"""Asynchronous control-port lines, parsed strictly (control-spec 4.1.1 CIRC, 4.1.2 STREAM).

Pure: the live attacher and the offline verifier read Tor's words through this one file. What does not parse raises
`ControlLineError`: to an attacher an unreadable line is a reason to stop, never something to skip.
"""

import re
from dataclasses import dataclass

from .model import Endpoint, Fingerprint, Hop

_KEYWORD = re.compile(r' ([A-Z][A-Z0-9_]*)=("(?:[^"\\]|\\.)*"|[^ "]*)')
_STREAM = re.compile(r"STREAM ([0-9]{1,20}) ([A-Z_]+) ([0-9]{1,20}) ([^ ]+)((?: .*)?)", re.DOTALL)
_CIRC = re.compile(r"CIRC ([0-9]{1,20}) ([A-Z_]+)(?: (\$[^ ]+))?((?: .*)?)", re.DOTALL)
_HOP = re.compile(r"\$([0-9A-F]{40})(?:[~=]([A-Za-z0-9]{1,19}))?")
_PORT = re.compile(r"[0-9]{1,5}")
_ESCAPE = re.compile(r"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTER = {"n": "\n", "t": "\t", "r": "\r"}


class ControlLineError(ValueError):
    """A line that control-spec does not describe."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """`650 STREAM`. `circuit_id` 0: none. `source_addr` and `purpose` stand on NEW and NEWRESOLVE only."""

    stream_id: int
    status: str
    circuit_id: int
    target: str
    reason: str | None = None
    remote_reason: str | None = None
    source: str | None = None
    source_addr: Endpoint | None = None
    purpose: str | None = None
    socks_username: str | None = None


@dataclass(frozen=True, slots=True)
class CircEvent:
    """`650 CIRC`. `conflux`: the line carries a CONFLUX_ word, so the circuit is not one of a controller."""

    circuit_id: int
    status: str
    path: tuple[Hop, ...]
    purpose: str | None = None
    reason: str | None = None
    remote_reason: str | None = None
    conflux: bool = False


def parse_stream(line: str) -> StreamEvent:
    """`line` begins with STREAM. Raises ControlLineError."""
    match = _STREAM.fullmatch(line)
    if match is None:
        raise ControlLineError(f"not a STREAM line: {line!r}")
    stream_id, status, circuit_id, target, tail = match.groups()
    words = _keywords(tail, line)
    address = words.get("SOURCE_ADDR")
    return StreamEvent(
        int(stream_id),
        status,
        int(circuit_id),
        target,
        words.get("REASON"),
        words.get("REMOTE_REASON"),
        words.get("SOURCE"),
        parse_endpoint(address) if address else None,
        words.get("PURPOSE"),
        words.get("SOCKS_USERNAME"),
    )


def parse_circ(line: str) -> CircEvent:
    """`line` begins with CIRC. Raises ControlLineError."""
    match = _CIRC.fullmatch(line)
    if match is None:
        raise ControlLineError(f"not a CIRC line: {line!r}")
    circuit_id, status, path, tail = match.groups()
    words = _keywords(tail, line)
    return CircEvent(
        int(circuit_id),
        status,
        parse_path(path) if path else (),
        words.get("PURPOSE"),
        words.get("REASON"),
        words.get("REMOTE_REASON"),
        "CONFLUX_" in line,
    )


def parse_path(text: str) -> tuple[Hop, ...]:
    """`$FP~nick,$FP~nick`. Raises ControlLineError."""
    hops = []
    for part in text.split(","):
        match = _HOP.fullmatch(part)
        if match is None:
            raise ControlLineError(f"not a path: {text!r}")
        hops.append(Hop(Fingerprint(match[1]), match[2] or ""))
    return tuple(hops)


def parse_endpoint(text: str) -> Endpoint | None:
    """`127.0.0.1:80` or `[::1]:80`; None for what is no TCP endpoint (a Unix listener's path)."""
    host, _, port = text.rpartition(":")
    if _PORT.fullmatch(port) is None or int(port) > 0xFFFF or not host or host.startswith("/"):
        return None
    return Endpoint(host.strip("[]"), int(port))


def _keywords(tail: str, line: str) -> dict[str, str]:
    words: dict[str, str] = {}
    end = 0
    for match in _KEYWORD.finditer(tail):
        if match.start() != end or match[1] in words:
            raise ControlLineError(f"stray words in {line!r}")
        end = match.end()
        value = match[2]
        words[match[1]] = unquote(value) if value.startswith('"') else value
    if tail[end:].strip():
        raise ControlLineError(f"stray words in {line!r}")
    return words


def unquote(text: str) -> str:
    """A QuotedString of control-spec, without its quotes and escapes."""
    body = text[1:-1]
    if "\\" not in body:
        return body
    return _ESCAPE.sub(lambda m: chr(int(m[1], 8)) if m[1][0] in "01234567" else _LETTER.get(m[1], m[1]), body)
