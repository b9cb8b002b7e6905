"""A scan as a whole: every exit once, the gravest first, and never more complete than it is."""

from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.report.survey import Survey, network_words, survey_of
from exitpin.orchestrator.results.blobs import blobs_directory
from exitpin.orchestrator.results.scan_lock import held

from ..recorded import reader, run_record, scan_record, verdict_record, write


def told(number: int, exit: int, tool: str = "tls-cert", status: str = "ok", **more: Any) -> dict[str, Any]:
    named = {"fingerprint": f"{exit:040X}", "nickname": f"Exit{exit:02d}"}
    return verdict_record(number, exit=named, tool={"id": tool, "digest": "d"}, status=status, **more)


def survey(path: Path, *records: dict[str, Any], only: str = "") -> Survey:
    write(path, records)
    with reader(path) as store:
        return survey_of(store, "s1", only)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def test_exits_stand_the_gravest_first_each_once(path: Path) -> None:
    found = survey(
        path,
        *(told(1, 1), told(2, 2, status="suspect", severity="critical"), told(3, 3, status="tampered", severity="low")),
        *(told(4, 4, status="tampered", severity="high"), told(5, 4, "dns-exit"), told(6, 5, status="error")),
    )
    assert [row.nickname for row in found.exits] == ["Exit04", "Exit03", "Exit02", "Exit05", "Exit01"]
    assert (found.accused, found.verdicts, found.counts["ok"]) == (3, 6, 2)


def test_each_cell_has_the_gravest_verdict_of_its_tool(path: Path) -> None:
    found = survey(path, scan_record(), told(1, 1), told(2, 1, status="suspect"), told(3, 2, "dns-exit"))
    names = [tool.name for tool in found.tools]
    cells = {row.nickname: [cell.status if cell else None for cell in row.cells] for row in found.exits}
    assert names == ["tls-cert", "dns-exit"]
    assert cells == {"Exit01": ["suspect", None], "Exit02": [None, "ok"]}


def test_honest_is_who_was_asked_everything_and_honest_in_it(path: Path) -> None:
    found = survey(path, told(1, 1), told(2, 1, "dns-exit"), told(3, 2))
    assert found.honest == 1


@pytest.mark.parametrize(
    ("state", "word"),
    [("done", "complete"), ("interrupted", "interrupted"), ("failed", "failed"), ("running", "killed")],
)
def test_a_scan_says_how_it_ended_and_how_much_of_it_is_there(path: Path, state: str, word: str) -> None:
    found = survey(path, scan_record(state=state, planned=9), told(1, 1))
    assert (found.state, found.verdicts, found.planned) == (word, 1, 9)


def test_a_scan_whose_lock_is_held_is_under_way(path: Path) -> None:
    write(path, [scan_record(state="running"), told(1, 1)])
    with held(blobs_directory(path), "s1"), reader(path) as store:
        assert survey_of(store, "s1").state == "running"


def test_a_scan_that_no_record_tells_of_is_of_an_earlier_version(path: Path) -> None:
    found = survey(path, told(1, 1, started=1_767_322_000.0, ended=1_767_322_100.0))
    assert (found.state, found.started, found.ended) == ("earlier", "2026-01-02 02:46:40", "2026-01-02 02:48:20")


def test_only_one_tool_may_be_asked_for(path: Path) -> None:
    found = survey(path, scan_record(planned=9), told(1, 1), told(2, 1, "dns-exit"), run_record(3), only="dns-exit")
    assert ([tool.name for tool in found.tools], found.verdicts, found.planned, found.runs) == (["dns-exit"], 1, 1, 0)


def test_a_scan_without_verdicts_is_empty_and_whole(path: Path) -> None:
    found = survey(path, scan_record(), run_record(1))
    assert (found.exits, found.verdicts, found.runs) == ((), 0, 1)


def test_runs_that_were_asked_anew_are_not_counted(path: Path) -> None:
    found = survey(path, scan_record(), told(1, 1), run_record(1, role="superseded"), run_record(2))
    assert found.runs == 1


def test_records_of_another_shape_are_read_as_far_as_they_go(path: Path) -> None:
    odd: list[dict[str, Any]] = [
        {"exit": None},
        {"tool": []},
        {"reason": {"a": 1}},
        {"lied": "many"},
        {"status": "new"},
    ]
    found = survey(path, *(verdict_record(n, **change) for n, change in enumerate(odd)))
    assert found.verdicts == len(odd)


def test_no_vantage_tells_where_from() -> None:
    assert "10.0.0.1" not in network_words({"kind": "control", "name": "10.0.0.1:9051"})
    assert network_words({"kind": "lab", "name": "mine"}) == "a private lab network (mine)"
