"""How a fact is named and read: `name`, `name.N` (one item), `name.count` (how many), and its texts and numbers; and
what is left of a text where a protocol makes no difference between capitals and small letters.

Pure. The same for what a run showed and for what its controls showed. Facts are written by the suspect: nothing here
raises on any of them.
"""

import math
import re
import string

from ..tool import Facts, Value

INDEX_DIGITS_MAX = 6
NUMBER_LENGTH_MAX = 64
_BLANKS = re.compile(r"[ \t]+")
_BESIDE = re.compile(" ?([:;,]) ?")
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_NUMERIC = frozenset("0123456789+-.eE")


def fact_name(path: str, facts: Facts) -> str:
    """The fact that a subject speaks of."""
    return path if path in facts else path.partition(".")[0]


def look_up(facts: Facts, path: str) -> Value:
    """The fact, one item of it, or the number of its items; None: there is none. One value counts as a list of one."""
    if path in facts:
        return facts[path]
    name, _, part = path.partition(".")
    if not part:
        return None
    found = items(facts.get(name))
    if part == "count":
        return len(found)
    if not (part.isascii() and part.isdigit() and len(part) <= INDEX_DIGITS_MAX):
        return None
    index = int(part)
    return found[index] if index < len(found) else None


def items(value: Value) -> tuple[str | int | float | bool, ...]:
    """A list's items; of anything else a list of one, of None an empty one."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


def number(value: Value) -> int | float | None:
    """The number that a value is, or that its text spells; None when it is none (or not finite)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        if not value or len(value) > NUMBER_LENGTH_MAX or not _NUMERIC.issuperset(value):
            return None
        try:
            return int(value)
        except ValueError:
            pass
        try:
            value = float(value)
        except ValueError:
            return None
    return value if math.isfinite(value) else None


def text(value: Value) -> str:
    """A value as rules compare it and reasons show it: lists joined by `, `, None as `none`."""
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(text, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 4096:
        return hex(value)  # str() refuses integers of more than 4,300 digits
    return str(value)


def folded(given: str) -> str:
    """A text without what protocols do not look at where they are not told to: ASCII's capitals are small letters (RFC
    4343, RFC 9110 5.1), several blanks are one, and at its ends and beside `:`, `;` and `,` there are none."""
    return _BESIDE.sub(r"\1", _BLANKS.sub(" ", given)).strip(" ").translate(_SMALL)
