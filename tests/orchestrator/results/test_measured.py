"""What runs of a tool took, as the store has it."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.results.measured import ENOUGH, Measured, measured

from ..recorded import reader, run_record, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def run(number: int, *streams: Any, tool: str = "tls-cert") -> dict[str, Any]:
    return run_record(number, tool={"id": tool}, streams=list(streams))


def took(path: Path, tool: str = "tls-cert") -> Measured | None:
    with reader(path) as store:
        return measured(store, tool)


def test_it_is_the_mean_of_a_run_with_all_its_streams(path: Path) -> None:
    one, other = {"bytes_up": 100, "bytes_down": 1000}, {"bytes_up": 300, "bytes_down": 5000}
    write(path, [run(1, one, other), run(2), run(3, one, tool="http-body")])
    assert took(path) == Measured(2, 1.0, 200.0, 3000.0)


def test_of_a_tool_that_never_ran_nothing_is_known(path: Path) -> None:
    write(path, [run(1)])
    assert took(path, "other") is None


def test_the_latest_runs_count(path: Path) -> None:
    write(path, [run(number, {"bytes_up": number > 9, "bytes_down": 7}) for number in range(10)])
    write(path, [run(number, {"bytes_up": 50, "bytes_down": 7}) for number in range(10, 10 + ENOUGH)])
    assert took(path) == Measured(ENOUGH, 1.0, 50.0, 7.0)


def test_what_no_version_of_ours_wrote_counts_as_nothing(path: Path) -> None:
    write(path, [run(1, {"bytes_up": "9", "bytes_down": None}, "text", 7), run(2, {"bytes_up": 4, "bytes_down": 6})])
    write(path, [run(3), run(4)])
    connection = sqlite3.connect(path)
    connection.execute("UPDATE runs SET record = '{' WHERE record_id = 's1-0003'")
    connection.execute("UPDATE runs SET record = '{\"streams\": {\"a\": 1}}' WHERE record_id = 's1-0004'")
    connection.commit()
    connection.close()
    assert took(path) == Measured(4, 0.5, 1.0, 1.5)
