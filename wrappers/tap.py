"""The Test Anything Protocol, as a suspect may have written it: which tests failed, how many passed, and whether that
is all.

Looks at each line by itself, and at those alone that begin where a line of TAP begins: no comment, no indented block
and nothing else that somebody gets into the output can hide the lines after it. One `not ok` outweighs all that is
wrong beside it. Without one the document has to be whole: one plan, each test of it once. Directives count for what
passed only (`ok 2 # SKIP`: nothing was tested). Takes time linear in what it is given, which its caller has capped.
Called by `extraction.py`. https://testanything.org/tap-version-14-specification.html
"""

import re
from dataclasses import dataclass
from typing import Final

from .values import decoded, storable

LINES_MAX: Final = 100_000
TESTS_MAX: Final = 10_000
NOT_OK_MAX: Final = 100
_TEST: Final = re.compile(rb"(not )?ok(?:[ \t]+([0-9]{1,9}))?(?:[ \t]+(.*))?", re.DOTALL)
_PLAN: Final = re.compile(rb"1\.\.([0-9]{1,9})(?:[ \t]*#.*|[ \t]*)", re.DOTALL)
_UNTESTED: Final = re.compile(rb"#[ \t]*(?:skip|todo)", re.IGNORECASE)
_SHOWN_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Tap:
    """`not_ok`: the descriptions of the first hundred tests that failed; `passed`: how many were made and did not;
    `problem`: why nobody knows whether that is all, empty otherwise."""

    not_ok: tuple[str, ...]
    passed: int
    problem: str = ""


def read_tap(content: bytes, *, is_cut: bool = False) -> Tap:
    """What the lines say. `is_cut`: there were more."""
    not_ok: list[str] = []
    plans: list[int] = []
    numbers: set[int] = set()
    passed = tests = 0
    problem = "it was cut" if is_cut else ""
    lines = content.split(b"\n", LINES_MAX)
    if len(lines) > LINES_MAX:
        problem = f"there are more than {LINES_MAX} lines"
    for line in lines[:LINES_MAX]:
        line = line.rstrip(b"\r")
        if line.startswith(b"Bail out!"):
            problem = problem or f"it gave up: {storable(decoded(line[9 : 9 + _SHOWN_MAX].strip())) or 'Bail out!'}"
        elif plan := _PLAN.fullmatch(line):
            plans.append(int(plan[1]))
        elif test := _TEST.fullmatch(line):
            tests += 1
            number = int(test[2]) if test[2] else tests
            if number in numbers:
                problem = problem or f"test {number} stands there twice"
            numbers.add(number)
            what = (test[3] or b"").strip()
            if test[1] and len(not_ok) < NOT_OK_MAX:
                not_ok.append(storable(decoded(what[:_SHOWN_MAX].removeprefix(b"- "))) or f"test {number}")
            elif not test[1]:
                passed += not _UNTESTED.search(what)
            if tests > TESTS_MAX:
                return Tap(tuple(not_ok), passed, f"there are more than {TESTS_MAX} tests")
    return Tap(tuple(not_ok), passed, problem or _incomplete(plans, numbers))


def _incomplete(plans: list[int], numbers: set[int]) -> str:
    if len(plans) != 1:
        return "there are two plans" if plans else "there is no plan (1..N)"
    if plans[0] != len(numbers) or (numbers and max(numbers) > plans[0]):
        return f"of {plans[0]} planned tests there are {len(numbers)}"
    return ""
