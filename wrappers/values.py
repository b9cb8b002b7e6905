"""From hostile bytes to values that can be compared, stored and shown: text, numbers, JSON, PEM.

Each function takes time linear in what it is given, which its caller has capped. Called by `extraction.py` and
`harvest.py`.
"""

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from ..orchestrator.tool import Scalar

VALUE_MAX: Final = 4096
JSON_BYTES: Final = 1 << 20
DIGITS_MAX: Final = 18
_TRUE: Final = frozenset(("true", "yes", "1", "on"))
_FALSE: Final = frozenset(("false", "no", "0", "off"))


class Unreadable(Exception):
    """Something that was declared is there, but is not what it should be; the text says why."""


def decoded(content: bytes) -> str:
    """Text that patterns can be run on. What is no UTF-8 stays as lone surrogates, so that no two contents become the
    same text; `storable` shows them."""
    return content.decode("utf-8", "surrogateescape")


def storable(text: str) -> str:
    """A decoded text as a value: valid Unicode, at most 4096 characters.

    A longer one ends in its digest: two that differ only behind the cut are still two.
    """
    if len(text) <= VALUE_MAX // 4:  # backslashes make four characters of one at most
        return _shown(text)
    value = _shown(text[:VALUE_MAX])
    if len(text) <= VALUE_MAX and len(value) <= VALUE_MAX:
        return value
    tail = f"... sha256:{digest(text.encode('utf-8', 'surrogatepass'))}"
    return value[: VALUE_MAX - len(tail)] + tail


def _shown(text: str) -> str:
    """Without lone surrogates: those of `decoded` are shown as \\xff, those of JSON, which are no bytes, as \\ud800."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def digest(content: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(content).hexdigest()


def typed(value: str, kind: str) -> Scalar:
    """The value as str, int, float or bool. Raises Unreadable when it is none, or too large to be one."""
    if kind == "str":
        return value
    text = value.strip()
    if kind == "bool" and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    if kind == "int" and text.lstrip("+-").isdecimal() and text.isascii():
        if len(text) <= DIGITS_MAX:
            return int(text)
        raise Unreadable(f"a number of {len(text)} digits")
    if kind == "float" and len(text) <= 64:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return number
    raise Unreadable(f"{value[:40]!r} is no {kind}")


def parsed_json(content: bytes) -> Any:
    """A JSON text. Raises Unreadable for what is none: too large, too deep, with numbers that nobody can mean."""
    if len(content) > JSON_BYTES:
        raise Unreadable(f"more than {JSON_BYTES >> 20} MiB of JSON")
    try:
        return json.loads(content, parse_int=_json_int, parse_float=_json_float, parse_constant=_no_number)
    except RecursionError:
        raise Unreadable("JSON that is nested too deeply") from None
    except (ValueError, UnicodeError) as error:
        raise Unreadable(f"no JSON: {str(error)[:80]}") from None


def _json_int(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise Unreadable(f"JSON with a number of {len(digits)} digits")
    return int(digits)


def _json_float(digits: str) -> float:
    number = float(digits) if len(digits) <= 64 else math.inf
    if not math.isfinite(number):
        _no_number(digits)
    return number


def _no_number(digits: str) -> NoReturn:
    raise Unreadable(f"JSON with {digits[:20]} for a number")


def pointed(document: Any, pointer: str) -> Any:
    """What an RFC 6901 pointer points to; None: nothing."""
    if pointer == "":
        return document
    for token in pointer.removeprefix("/").split("/"):
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isdecimal() and key.isascii() and len(key) <= DIGITS_MAX:
            document = document[int(key)] if int(key) < len(document) else None
        else:
            return None
    return document


def json_text(value: Any) -> str:
    """A JSON value as the text of a fact, which may be long: strings as they are, the rest as JSON in one form."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def pem_blocks(content: bytes, label: str) -> Iterator[bytes]:
    """Each block between BEGIN and END of that label, the two lines included."""
    begin, end = f"-----BEGIN {label}-----".encode(), f"-----END {label}-----".encode()
    at = 0
    while (start := content.find(begin, at)) >= 0 and (stop := content.find(end, start)) >= 0:
        at = stop + len(end)
        yield content[start:at]


def pem_digest(block: bytes) -> str:
    """SHA-256 of what the block encodes; of its text, so marked, when that is no base64."""
    _, _, body, *end = block.split(b"-----")
    try:
        if len(end) == 2:
            return digest(base64.b64decode(body.translate(None, b"\r\n\t "), validate=True))
    except (binascii.Error, ValueError):
        pass
    return f"unreadable:{digest(block)}"
