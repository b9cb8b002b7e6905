"""What differs, as lines: what decided comes first, and what few others gave stands for nothing."""

from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.report.bodies import body_difference
from exitpin.orchestrator.report.details import Detail, Details
from exitpin.orchestrator.report.differences_told import body_lines, difference_lines
from exitpin.orchestrator.report.nicknames import nicknames
from exitpin.orchestrator.report.survey import verdict_row
from exitpin.orchestrator.report.told import BOTH, HEAD, HERE, NOTE, THERE, Told

from ..recorded import reader, run_record, write


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def detail(store: Path, here: list[dict[str, Any]], there: list[dict[str, Any]], status: str = "tampered") -> Detail:
    """Of a verdict whose runs and controls have these facts."""
    write(store, [run_record(number, facts=facts, status=status) for number, facts in enumerate(here)])
    runs = [{"run_id": f"s1-{number:04d}", "status": status} for number in range(len(here))]
    controls = [{"vantage": "exit", "exit": f"{n:040X}", "facts": facts} for n, facts in enumerate(there, 100)]
    record = {"verdict_id": "s1-v1", "status": status, "runs": runs, "controls": controls}
    with reader(store) as found:
        return Details(found, lambda: 0.0).laid_out(verdict_row(record), record)


def told(lines: list[Told]) -> list[tuple[str, str]]:
    return [(line.mark, line.text) for line in lines]


def test_of_a_set_what_came_what_went_and_what_is_on_both_sides(store: Path) -> None:
    found = detail(store, [{"names": ["a", "new"]}] * 3, [{"names": ["a", "gone"]}] * 4)
    lines = difference_lines(found, "names has what the controls lack")
    assert told(lines) == [(HEAD, "names"), (THERE, "gone"), (HERE, "new"), (BOTH, "a")]
    assert [line.seen for line in lines] == ["", "4 of 4", "3 of 3", "3 of 3 here, 4 of 4 there"]


def test_a_lie_that_is_told_at_times_stands_beside_the_truth(store: Path) -> None:
    found = detail(store, [{"body": "x"}, {"body": "y"}], [{"body": "y"}] * 4)
    assert told(difference_lines(found, "body differs")) == [(HEAD, "body"), (HERE, "x"), (BOTH, "y")]


def test_where_a_target_has_several_answers_each_that_many_got_is_told(store: Path) -> None:
    found = detail(store, [{"chain": "x"}], [{"chain": "a"}] * 9 + [{"chain": "b"}] * 10 + [{"chain": "liar"}])
    lines = difference_lines(found, "chain differs")
    assert sorted(line.text for line in lines if line.mark == THERE) == ["a", "b"]


def test_the_facts_that_decided_come_first_and_others_by_name_where_that_is_enough(store: Path) -> None:
    found = detail(store, [{"code": 200, "body": "x"}], [{"code": 403, "body": "y"}] * 4)
    assert [line.text for line in difference_lines(found, "body differs") if line.mark == HEAD] == ["body", "code"]
    brief = difference_lines(found, "body differs", is_brief=True)
    assert [line.text for line in brief if line.mark == HEAD] == ["body"]
    assert brief[-1] == Told(NOTE, "also different: code")


def test_that_all_facts_of_an_answer_that_never_came_are_missing_is_not_told_one_by_one(store: Path) -> None:
    found = detail(store, [{"code": None, "body": None}], [{"code": 200, "body": "y"}] * 4, "broken")
    assert difference_lines(found, "exit_code is not 0", is_brief=True) == []
    assert difference_lines(found, "code is absent", is_brief=True)[0] == Told(HEAD, "code")


def test_long_stretches_of_a_body_are_cut() -> None:
    here, there = "\n".join(f"new {n}" for n in range(50)), "\n".join(f"old {n}" for n in range(50))
    lines = list(body_lines(body_difference(here.encode(), there.encode(), lambda: 0.0), 5))
    assert [line.mark for line in lines].count(THERE) <= 5 * 2
    assert any(line.text.endswith("more such lines") for line in lines)


def test_nicknames_are_those_of_the_consensus() -> None:
    consensus = (
        b"r alice q6urq6urq6urq6urq6urq6urq6s x 1\nr bob " + b"A" * 27 + b" x 1\nrx carol " + b"B" * 27 + b" y\n"
    )
    assert nicknames(consensus, ["AB" * 20, "0" * 40, "none", "FF" * 20]) == {"AB" * 20: "alice", "0" * 40: "bob"}
