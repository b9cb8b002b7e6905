"""Single values of a tool's file, as pydantic reads them: times, sizes, counts, texts and operands, each with what to
write instead when it is none. Called by `tool_forms.py`.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import PlainValidator

from ..orchestrator.duration import duration_s

_SIZE = re.compile(r"(\d{1,12}) ?(B|KiB|MiB|GiB|kB|MB|GB)?")
_SIZES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1000, "MB": 10**6, "GB": 10**9}
UNLIMITED = "unlimited"
KEPT_MAX = 64 << 20  # bytes: no piece of evidence is larger (results/blobs.py)


def _duration(given: Any) -> float:
    if not isinstance(given, bool) and isinstance(given, str | int | float):
        try:
            return duration_s(str(given))
        except ValueError:
            pass
    raise ValueError('must be a time such as "45s", "500ms" or 2.5 (seconds)')


def positive(given: Any) -> float:
    if (seconds := _duration(given)) > 0:
        return seconds
    raise ValueError("must be more than nothing")


def size(given: Any) -> int:
    match = None if isinstance(given, bool) else _SIZE.fullmatch(str(given))
    if match is None or not isinstance(given, str | int):
        raise ValueError('must be a size such as "256KiB", "2MiB" or 65536 (bytes)')
    return int(match[1]) * _SIZES[match[2] or ""]


def _kept_size(given: Any) -> int:
    if (size_bytes := size(given)) <= KEPT_MAX:
        return size_bytes
    raise ValueError(f"must be at most {KEPT_MAX >> 20}MiB, as large as a piece of evidence can be")


def or_unlimited(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def parse_limit(given: Any) -> Any:
        if given == UNLIMITED:
            return None
        try:
            return parse(given)
        except ValueError as error:
            raise ValueError(f'{error}, or "{UNLIMITED}"') from None

    return parse_limit


def count(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= 100_000:
        raise ValueError("must be a whole number from 1 to 100000")
    return given


def as_text(given: object) -> str:
    """A scalar as a run sees it: `true`, `443`, the text."""
    return str(given).lower() if isinstance(given, bool) else str(given)


def _fold(given: Any) -> str | bool:
    if isinstance(given, str | bool):
        return given
    raise ValueError("must be true, or a pattern of what to fold")


def _scalar_text(given: Any) -> str:
    if not isinstance(given, str | int | float):
        raise ValueError("must be a text, a number, true or false")
    return as_text(given)


def _default(given: Any) -> str:
    if isinstance(given, list):
        return ",".join(map(_scalar_text, given))
    return _scalar_text(given)


def _operand(given: Any) -> Any:
    """A scalar as it is, a list as texts."""
    if isinstance(given, list):
        if not given:
            raise ValueError("the list is empty, so it could match nothing; name at least one value")
        return tuple(map(_scalar_text, given))
    if not isinstance(given, str | int | float):
        raise ValueError("must be a text, a number, true, false, or a list of these")
    return given


def _list_operand(given: Any) -> Any:
    if not isinstance(given, list):
        text = f'"{given}"' if isinstance(given, str) else as_text(given)
        raise ValueError(f"must be a list; write [{text}]" if len(text) <= 40 else "must be a list")
    return _operand(given)


def _number(given: Any) -> Any:
    if isinstance(given, bool) or not (isinstance(given, int | float) or (isinstance(given, str) and "{{" in given)):
        raise ValueError("must be a number (or a text with the placeholder of one)")
    return given


Duration = Annotated[Any, PlainValidator(_duration)]
Positive = Annotated[Any, PlainValidator(positive)]
KeptSize = Annotated[Any, PlainValidator(_kept_size)]
Fold = Annotated[Any, PlainValidator(_fold)]
Text = Annotated[Any, PlainValidator(_scalar_text)]
Default = Annotated[Any, PlainValidator(_default)]
Operand = Annotated[Any, PlainValidator(_operand)]
ListOperand = Annotated[Any, PlainValidator(_list_operand)]
Number = Annotated[Any, PlainValidator(_number)]
