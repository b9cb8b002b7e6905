"""The relays of a consensus (dir-spec, 3.4.1), read from its bytes.

Of each entry its `r`, `s` and `w` lines; keywords that are not known here are passed over, as dir-spec demands. An
entry that breaks the rules ends the reading: authorities signed it and tor took it, so it is we who misread. stem's
parser takes six times as long (docs/notes/0024).
"""

import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

from ..orchestrator.model import Fingerprint

_ENTRY = re.compile(
    rb"r ([A-Za-z0-9]{1,19}) ([A-Za-z0-9+/]{27}) ([A-Za-z0-9+/]{27}) \S+ \S+ ([0-9.]{7,15}) (\d{1,5}) \d{1,5}(?: .*)?"
)
_BANDWIDTH = re.compile(rb"w Bandwidth=(\d{1,10})((?: [A-Za-z0-9_-]+=\S*)*)")
_VALID_AFTER = re.compile(rb"^valid-after (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)$", re.MULTILINE)
HEAD_MAX = 1 << 16


class Entry(NamedTuple):
    """One relay. `digest`: of the descriptor that the authorities go by, as base64; `bandwidth`: kilobytes a second
    (`w`), 0 without one; `is_measured`: by three authorities or more."""

    fingerprint: Fingerprint
    digest: bytes
    nickname: str
    address: str
    or_port: int
    flags: frozenset[str]
    bandwidth: int
    is_measured: bool


def valid_after(consensus: bytes) -> str:
    """`2026-05-01 12:00:00`; empty for a text that has none."""
    found = _VALID_AFTER.search(consensus, 0, HEAD_MAX)
    return found[1].decode() if found else ""


def entries(text: bytes) -> Iterator[Entry]:
    """The relays, in their order. `text`: a consensus, or what `GETINFO ns/all` says. Raises ValueError."""
    flags_of: dict[bytes, frozenset[str]] = {}
    end = text.find(b"\ndirectory-footer")
    body = text[: end if end >= 0 else len(text)].lstrip(b"\n")
    for part in body.split(b"\nr ") if body else ():
        if part.startswith(b"network-status-version"):
            continue
        head, *lines = part.removeprefix(b"r ").split(b"\n")
        relay = _ENTRY.fullmatch(b"r " + head)
        if relay is None:
            raise ValueError(f"an entry that is none of dir-spec: {head[:100]!r}")
        flags: frozenset[str] = frozenset()
        bandwidth, is_measured = 0, False
        for line in lines:
            if line.startswith(b"s "):
                if line not in flags_of:
                    flags_of[line] = frozenset(line[2:].decode("ascii").split())
                flags = flags_of[line]
            elif line.startswith(b"w ") and (weight := _BANDWIDTH.fullmatch(line)) is not None:
                bandwidth, is_measured = int(weight[1]), b" Unmeasured=1" not in weight[2]
        identity = binascii.a2b_base64(relay[2] + b"=").hex().upper()
        yield Entry(
            Fingerprint(identity), relay[3], relay[1].decode(), relay[4].decode(), int(relay[5]),
            flags, bandwidth, is_measured,
        )  # fmt: skip


def digests(text: bytes) -> dict[Fingerprint, bytes]:
    """The descriptor of each relay that the authorities go by. Raises ValueError."""
    return {entry.fingerprint: entry.digest for entry in entries(text)}
