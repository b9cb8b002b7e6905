"""What a verdict may say by its runs, held against how verdicts are reached (`audit/conclusions.py`)."""

from itertools import combinations_with_replacement

import pytest

from exitpin.orchestrator.audit.conclusions import REACH_RUNS, Attempt, Role, conclude
from exitpin.orchestrator.audit.keeping import EVENTS_MAX
from exitpin.orchestrator.audit.verdict import Judgement, Observation
from exitpin.orchestrator.results import check
from exitpin.orchestrator.results.due import LIES, UNREACHED_MIN, is_unreached, objections
from exitpin.orchestrator.tool import Status

Kind = tuple[Status, str, int]  # status, layer, exit code
KINDS: list[Kind] = [
    (Status.OK, "", 0),
    (Status.SUSPECT, "", 0),
    (Status.TAMPERED, "", 0),
    (Status.BROKEN, "", 7),
    (Status.ERROR, "", 7),
    (Status.ERROR, "", 0),
    (Status.ERROR, "control", 7),
]


def attempt(number: int, kind: Kind) -> Attempt:
    status, layer, code = kind
    seen = Observation(code, None, False, "", {})
    return Attempt(f"s-{number}", Role.PROBE, 1.0, seen, None, Judgement(status, "", None, layer))


def run(kind: Kind) -> dict[str, object]:
    status, layer, code = kind
    return {"verdict": {"status": status.value, "layer": layer or None}, "process": {"rc": code, "timed_out": False}}


def test_the_numbers_are_those_of_the_audit() -> None:
    assert UNREACHED_MIN == REACH_RUNS
    assert check.EVENTS_MAX == EVENTS_MAX
    assert set(LIES) == {status.value for status in Status if status.is_lie}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_runs_got_no_answer(kind: Kind) -> None:
    assert is_unreached(run(kind)) is attempt(1, kind).is_unreached


CASES = [case for count in (0, 1, 2, 3) for case in combinations_with_replacement(KINDS, count)]
MANY = [[kind] * count for kind in KINDS for count in (7, 8, 9)]


@pytest.mark.parametrize("case", [*CASES, *MANY])
def test_a_conclusion_is_always_what_may_be_said_and_nothing_graver_is(case: list[Kind]) -> None:
    concluded = conclude([attempt(number, kind) for number, kind in enumerate(case)], is_out_of_reach=True)
    unreached = sum(is_unreached(run(kind)) for kind in case)
    statuses = [kind[0].value for kind in case]

    def objected(status: str, lied: int, heard: int) -> list[str]:
        told = {"status": status, "lied": lied, "of": heard, "interrupted": False}
        return list(objections(told, statuses, unreached))

    assert objected(concluded.status.value, concluded.lied, concluded.of) == []
    for other in set(Status) - {concluded.status, Status.ERROR, Status.SKIPPED}:
        assert objected(other.value, concluded.lied, concluded.of)
    assert objected(concluded.status.value, concluded.lied + 1, concluded.of + 1)


@pytest.mark.parametrize(
    ("changes", "is_fine"),
    [
        ({"interrupted": True}, True),
        ({"layer": "gone"}, True),
        ({"layer": "policy"}, True),
        ({"layer": "requirement"}, False),
        ({"layer": None}, False),
        ({"layer": "gone", "lied": 3}, False),
        ({"layer": "gone", "status": "tampered"}, True),
        ({"layer": "gone", "status": "broken"}, False),
    ],
)
def test_a_finding_that_nobody_could_confirm_any_more_may_say_less_and_never_more(
    changes: dict[str, object], is_fine: bool
) -> None:
    told = {"status": "suspect", "lied": 2, "of": 2, "interrupted": False, **changes}
    assert (list(objections(told, ["tampered", "tampered"], 0)) == []) is is_fine
