"""One table from the matchers that a rule may use to what they ask. Pure.

Three answers: True, False, and None for a comparison with controls that do not agree among themselves. What can't be
compared does not match. A list matches when one of its items does; only `is` and `not` look at it as a whole, in any
order. Called by `verdict.py`.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..tool import CONTROL_MATCHERS, RUN_SUBJECTS, Condition, Scalar, Value
from .facts import items, number, text
from .templates import fill

Search = Callable[[str, str], bool]
"""(pattern, text): whether the pattern is found. The text may be hostile: whoever implements it limits the time, and
what it raises (say, because that was not enough) reaches the caller of `judge`."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Comparable(Protocol):
    """What `differs`, `adds` and `missing` ask (`Controls`). None: the controls do not agree."""

    def differs(self, field: str, value: Value) -> bool | None: ...
    def adds(self, field: str, value: Value) -> bool | None: ...
    def missing(self, field: str, value: Value) -> bool | None: ...


@dataclass(frozen=True, slots=True)
class Question:
    """One condition about one value. `operand` holds no placeholders; `controls`: None where none are compared."""

    subject: str
    value: Value
    operand: Value
    search: Search
    controls: Comparable | None = None


def needs_controls(condition: Condition) -> bool:
    """Whether it compares with what other vantages saw."""
    return condition.matcher in CONTROL_MATCHERS


def ask(matcher: str, question: Question) -> bool | None:
    """Whether the condition holds; None: the controls do not agree. Raises KeyError for an unknown matcher."""
    return MATCH[matcher](question)


def operand_of(condition: Condition, values: Mapping[str, str]) -> Value:
    """The operand without placeholders. In a pattern a value stands for itself: it is no pattern of its own.

    Raises KeyError with the name of a placeholder that has no value.
    """
    operand = condition.operand
    if condition.matcher == "matches":
        values = {name: re.escape(value) for name, value in values.items()}
    if isinstance(operand, str):
        return fill(operand, values)
    if isinstance(operand, tuple):
        return tuple(fill(item, values) if isinstance(item, str) else item for item in operand)
    return operand


# Facts.


def same(one: Scalar, other: Scalar) -> bool:
    """Whether two single values are equal: as numbers when one of them is a number, else as texts."""
    if one is None or other is None:
        return one is other
    if _is_number(one) or _is_number(other):
        first, second = number(one), number(other)
        return first is not None and second is not None and first == second
    return text(one) == text(other)


def _is_number(value: Scalar) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is(question: Question) -> bool:
    """Of the run's own subjects a list means: any of these. A list of a fact's is the same items in any order."""
    value, operand = question.value, question.operand
    if question.subject in RUN_SUBJECTS:
        return any(same(None if isinstance(value, tuple) else value, wanted) for wanted in items(operand))
    seen, wanted = items(value), items(operand)
    if value is None or len(seen) != len(wanted):
        return False
    if len(seen) == 1:
        return same(seen[0], wanted[0])
    return sorted(map(text, seen)) == sorted(map(text, wanted))


def _not(question: Question) -> bool:
    """A fact that is not there is not compared; a run without an exit code or a signal is one with another."""
    if question.subject not in RUN_SUBJECTS and not items(question.value):
        return False
    return not _is(question)


def _in(question: Question) -> bool:
    return any(same(item, wanted) for item in items(question.value) for wanted in items(question.operand))


def _matches(question: Question) -> bool:
    pattern = text(question.operand)
    return any(question.search(pattern, text(item)) for item in items(question.value))


def _absent(question: Question) -> bool:
    """A list in which nothing was found is as absent as a text that was not found."""
    return (not items(question.value)) is bool(question.operand)


def _empty(question: Question) -> bool:
    return all(item == "" for item in items(question.value)) is bool(question.operand)


def _gt(question: Question) -> bool:
    return _any_number(question, lambda seen, limit: seen > limit)


def _lt(question: Question) -> bool:
    return _any_number(question, lambda seen, limit: seen < limit)


def _any_number(question: Question, holds: Callable[[float, float], bool]) -> bool:
    limit = number(question.operand)
    numbers = map(number, items(question.value))
    return limit is not None and any(seen is not None and holds(seen, limit) for seen in numbers)


def _in_cidr(question: Question) -> bool:
    networks = [network for item in items(question.operand) if (network := _network(text(item))) is not None]
    addresses = [_address(text(item)) for item in items(question.value)]
    return any(address is not None and address in network for address in addresses for network in networks)


def _network(given: str) -> Network | None:
    try:
        return ipaddress.ip_network(given, strict=False)
    except ValueError:
        return None


def _address(given: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text spells; ::ffff:a.b.c.d is a.b.c.d by another name."""
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if address.version == 6 else address


# Controls. `{ adds = false }` holds when it is known that nothing was added.


def _against(compare: Callable[[Comparable, str, Value], bool | None]) -> Callable[[Question], bool | None]:
    def answer(question: Question) -> bool | None:
        if question.controls is None:
            return None
        found = compare(question.controls, question.subject, question.value)
        return None if found is None else found is bool(question.operand)

    return answer


MATCH: Mapping[str, Callable[[Question], bool | None]] = {
    "is": _is,
    "not": _not,
    "in": _in,
    "matches": _matches,
    "absent": _absent,
    "empty": _empty,
    "gt": _gt,
    "lt": _lt,
    "in_cidr": _in_cidr,
    "differs": _against(lambda controls, field, value: controls.differs(field, value)),
    "adds": _against(lambda controls, field, value: controls.adds(field, value)),
    "missing": _against(lambda controls, field, value: controls.missing(field, value)),
}
