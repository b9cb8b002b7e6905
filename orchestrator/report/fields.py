"""Records read without trust in their shape: an older version wrote other fields, and a file may be anybody's. Pure.

Each function gives what is asked for, or what stands for "not there"; none raises.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..results.rows import RUN

Record = Mapping[str, Any]

NOT_JUDGED = "not judged"
_OF_A_PROCESS = ("ok", "broken")
"""What a run's `status` may be before anybody judged it. Beside verdicts `ok` would be read as honest."""


def table(value: object, *names: str) -> Record:
    """The object that these names lead to; an empty one, if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def tables(value: object, name: str) -> list[Record]:
    """The objects in a list of that name."""
    return [item for item in items(value, name) if isinstance(item, Mapping)]


def items(value: object, name: str) -> list[Any]:
    """A list of that name."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, list) else []


def text(value: object, name: str) -> str:
    """What stands there, as text; empty for null."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return "" if found is None else str(found)


def status_word(record: Record) -> str:
    """What a record says of its exit, in a word. A run that nobody judged (a control, a replay, one whose verdict is
    not known yet) says nothing: its `status` is how its process and its connections ended."""
    status = text(record, "status")
    if text(record, "schema") == RUN and status in _OF_A_PROCESS and not table(record, "verdict"):
        return NOT_JUDGED
    return status or NOT_JUDGED


def number(value: object, name: str) -> float | None:
    """A number of that name; a finite one."""
    found = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int | float) or not abs(found) < 1e300:
        return None
    return float(found)


def whole(value: object, name: str) -> int:
    """A count of that name; 0, if there is none."""
    return int(number(value, name) or 0)


def moment(seconds: object) -> str:
    """A time as people read it, UTC; empty for what is no number, and for what no calendar has."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return ""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):
        return ""


def clipped(words: str, length: int) -> str:
    """At most so many characters, and how many there were."""
    return words if len(words) <= length else f"{words[:length]}... ({len(words):,} characters)"


def in_one_line(words: str) -> str:
    """What a fact of several lines brought into a sentence."""
    return ", ".join(filter(None, (line.strip() for line in words.split("\n"))))
