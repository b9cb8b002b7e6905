"""What is said of a replay, and the exit status that it makes."""

import json
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.cli.replay_told import tell

from ..orchestrator.recorded import run_record, write

THEN = run_record(1, facts={"code": 200}, facts_exact=True, process={"rc": 0}, streams=[], failure=None)


def told(tmp_path: Path, *now: dict[str, Any], doubts: dict[str, str] | None = None, as_json: bool = False) -> int:
    path = tmp_path / "results.sqlite"
    write(path, [THEN, *now])
    return tell(path, THEN, now, doubts or {}, as_json=as_json)


def again(number: int, **changes: Any) -> dict[str, Any]:
    return {**THEN, "run_id": f"s2-{number:04d}", "scan_id": "s2", **changes}


OTHER = {"facts": {"code": 403}}
LOST = {"failure": {"kind": "circuit-lost", "blame": "circuit", "detail": "the circuit\x1b[31m was lost"}}


@pytest.mark.parametrize(
    ("now", "status"),
    [([{}], 0), ([OTHER], 1), ([{}, OTHER], 1), ([LOST], 125), ([{}, LOST], 125), ([], 125)],
)
def test_the_status_is_that_of_the_run_that_says_least(tmp_path: Path, now: list[dict[str, Any]], status: int) -> None:
    assert told(tmp_path, *(again(number, **changes) for number, changes in enumerate(now))) == status


def test_a_run_that_says_nothing_is_compared_with_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(tmp_path, again(1, **LOST)) == 125
    assert told(tmp_path, again(2), doubts={"s2-0002": "stream 9 was not claimed"}) == 125
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "exitpin: s2-0001 says nothing: the circuit\\x1b[31m was lost",
        "exitpin: s2-0002 says nothing: stream 9 was not claimed",
    ]


def test_each_is_told_beside_the_recorded_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(tmp_path, again(1), again(2, **OTHER))
    text = capsys.readouterr().out
    assert "THE SAME: tls-cert through Exit01/00000000\n  - then s1-0001" in text
    assert "DIFFERENT in fact code: tls-cert through Exit01/00000000" in text
    assert "  fact code\n    - 200\n    + 403\n" in text


def test_what_may_have_been_asked_otherwise_is_said_beside_what_came_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, now = tmp_path / "results.sqlite", again(1)
    write(path, [THEN, now])
    caveats = ("the parameters may differ from those of then",)
    assert tell(path, THEN, [now], {}, caveats, as_json=False) == 0
    text = capsys.readouterr().out
    assert "THE SAME: tls-cert through Exit01/00000000\n  but the parameters may differ from those of then\n" in text
    tell(path, THEN, [now], {}, caveats, as_json=True)
    assert json.loads(capsys.readouterr().out)["caveats"] == list(caveats)


def test_json_holds_both_records_and_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(tmp_path, again(1, **OTHER), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["then"]["run_id"], found["now"]["run_id"]) == ("s1-0001", "s2-0001")
    assert (found["is_same"], found["differs"]) == (False, ["fact code"])
