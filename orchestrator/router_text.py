"""Server descriptors taken apart as tor does it (dir-spec 1.2, 2.1.1): where each ends, its lines, its objects. Pure.

Relays write them. tor checks the signatures, and that a `fingerprint` line is true, and hands the text on as it came:
who sees a line where tor sees none believes what nobody has checked. tor takes an object (`-----BEGIN X-----`) under
any keyword that it does not know, and reads its body as far as the first `=`: behind that may stand `fingerprint` and
another relay's, or that one's `signing-key`. And a line that tor reads is easily overlooked: blanks, tabs and `opt` may
stand before its keyword. Called by `wrappers/descriptors.py` and `results/changed_exits.py`.
"""

import binascii
import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from .model import Fingerprint

SIGNATURE, SIGNATURE_END = b"\nrouter-signature", b"\n-----END SIGNATURE-----\n"
KEY, FAMILY_CERT = b"\nsigning-key", b"\nfamily-cert"

_OBJECT = re.compile(
    rb"\n[ \t\r]*-----BEGIN [^\n]*\n"
    rb"([^-]*(?:-(?!----END )[^-]*)*)-----END [^\n]*"
    # Right behind an object the next beginning is a line like any other.
    rb"(?:(?=\n[ \t\r\n#-])(?:\n[ \t\r]*(?:#[^\n]*)?)*\n[ \t\r]*-----BEGIN [^\n]*)?"
)
_ODD = re.compile(rb"\n(?:[ \n#]|opt )")
_COMMENT = re.compile(rb"\n[ \t\r]*#[^\n]*")
_LINE = re.compile(rb"\n[ \t\r\n]*(?:opt[ \t\r]+)?([^ \t\r\n]+)[ \t\r]*")


class Parts(NamedTuple):
    """Of one descriptor. `lines`: without objects and comments, each but the first behind a newline, and with a blank
    behind its keyword; `keys`, `certificates`: bodies of the objects of `signing-key` and `family-cert`, base64."""

    lines: bytes
    keys: tuple[bytes, ...]
    certificates: tuple[bytes, ...]


def places(text: bytes) -> Iterator[tuple[int, int]]:
    """Where each descriptor begins and ends: behind its signature, as tor has it; what has no signature is none."""
    at = 0 if text.startswith(b"router ") else text.find(b"\nrouter ") + 1 or len(text)
    while (signature := text.find(SIGNATURE, at)) >= 0 and (end := text.find(SIGNATURE_END, signature)) >= 0:
        yield at, end + len(SIGNATURE_END)
        at = text.find(b"\nrouter ", end + len(SIGNATURE_END) - 1) + 1 or len(text)


def parts(one: bytes) -> Parts:
    """What a descriptor consists of."""
    pieces = _OBJECT.split(one)
    lines = pieces[::2]
    text = b"".join(lines)
    if b"\t" in text or b"\r" in text or _ODD.search(text):
        lines = [_tidied(some) for some in lines]
        text = b"".join(lines) + b"\n"
    keys: list[bytes] = []
    certificates: list[bytes] = []
    for before, body in zip(lines, pieces[1::2], strict=False):
        keyword = before.rstrip()
        if keyword.endswith((KEY, FAMILY_CERT)):
            (keys if keyword.endswith(KEY) else certificates).append(body)
    return Parts(text, tuple(keys), tuple(certificates))


def _tidied(lines: bytes) -> bytes:
    """The lines as if tor had written them."""
    return _LINE.sub(rb"\n\1 ", _COMMENT.sub(b"", lines).rstrip()).rstrip()


def fingerprint(keys: tuple[bytes, ...]) -> Fingerprint | None:
    """Whose descriptor it is: the digest of the key that it is signed with, which tor has checked. None: it has no key,
    or it is not written as tor writes one."""
    try:
        key = decoded(keys[0])
    except (binascii.Error, IndexError):
        return None
    if key[:2] == b"\x30\x81" and len(key) > 2:  # it says how long it is; what stands behind that is none of it
        key = key[: 3 + key[2]]
    return Fingerprint(hashlib.sha1(key, usedforsecurity=False).hexdigest().upper())


def decoded(body: bytes) -> bytes:
    """The bytes of an object. Raises binascii.Error."""
    return binascii.a2b_base64(body.partition(b"=")[0] + b"==")


def digest(one: bytes) -> bytes:
    """What a consensus calls a descriptor (dir-spec 3.4.1, `r`): SHA-1 of all that is signed, as base64."""
    end = one.find(b"\n", one.find(SIGNATURE) + 1) + 1
    raw = hashlib.sha1(one[:end], usedforsecurity=False).digest()
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=")
