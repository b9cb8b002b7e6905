"""`exitpin report prom` and `report status`, as cron and a monitoring daemon call them."""

import os
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import main
from exitpin.orchestrator.report.watch_told import WatchTold, watch_json

from ..orchestrator.recorded import scan_record, verdict_record, write
from ..orchestrator.report.exposed import parsed

LAB = {"vantage": {"kind": "lab", "name": "mine"}}


def fill(path: Path, status: str = "ok", **changes: object) -> None:
    """A scan that has just ended."""
    now = time.time()
    scan = scan_record(started=now - 60, ended=now, **changes)
    write(path, [scan, verdict_record(1, status=status, ended=now)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


# status


@pytest.mark.parametrize(
    ("status", "words", "exit_status"),
    [
        ("ok", (), 0),
        ("suspect", (), 1),
        ("tampered", (), 2),
        ("tampered", ("--critical", "none", "--warning", "tampered"), 1),
        ("broken", ("--warning", "none"), 0),
        ("ok", ("--max-age", "0s"), 2),
        ("ok", ("--tool", "dns-exit"), 3),
        ("ok", ("--lab",), 3),
        ("ok", ("--max-age", "soon"), 3),
        ("ok", ("--warning", "some"), 3),
    ],
)
def test_the_exit_status_is_a_plugins(path: Path, status: str, words: tuple[str, ...], exit_status: int) -> None:
    fill(path, status)
    assert main(["report", "status", "--store", str(path), *words]) == exit_status


def test_scans_of_labs_count_only_where_they_are_asked_for(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path, "tampered", **LAB)
    assert main(["report", "status", "--store", str(path)]) == 3
    assert capsys.readouterr().out == "EXITPIN UNKNOWN - no scan of the Tor network has ended yet\n"
    assert main(["report", "status", "--store", str(path), "--lab"]) == 2


def test_what_a_watch_says_of_itself_counts_where_its_file_is_named(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(path)
    state = tmp_path / "watch.json"
    told = WatchTold("nightly", "paused", time.time(), 7, paused="the snapshot has expired")
    state.write_bytes(watch_json(told))
    assert main(["report", "status", "--store", str(path), "--watch-state", str(state)]) == 1
    assert "watch nightly is paused: the snapshot has expired" in capsys.readouterr().out
    assert main(["report", "prom", "--store", str(path), "--watch-state", str(state)]) == 0
    assert parsed(capsys.readouterr().out).value("exitpin_watch_iteration") == 7


def test_the_records_of_a_watch_are_where_it_says_unless_others_are_named(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.sqlite"
    fill(path, "tampered")
    fill(other)
    state = tmp_path / "watch.json"
    state.write_bytes(watch_json(WatchTold("nightly", "waiting", time.time(), store=str(path))))
    assert main(["report", "status", "--watch-state", str(state)]) == 2
    assert main(["report", "status", "--watch-state", str(state), "--store", str(other)]) == 0
    capsys.readouterr()
    assert main(["report", "prom", "--watch-state", str(state)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert any('status="tampered"' in line and line.endswith(" 1") for line in told)


def test_a_watch_that_has_stopped_before_anything_was_recorded_is_critical(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "watch.json"
    state.write_bytes(watch_json(WatchTold("nightly", "stopped", time.time(), store=str(path))))
    assert main(["report", "status", "--watch-state", str(state)]) == 2
    assert "watch nightly has stopped; no scan of the Tor network has ended yet" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"{", b"x" * 100_000])
def test_a_file_that_tells_nothing_of_a_watch_is_said(
    path: Path, tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(path)
    state = tmp_path / "watch.json"
    if content is not None:
        state.write_bytes(content)
    assert main(["report", "status", "--store", str(path), "--watch-state", str(state)]) == 3
    assert "UNKNOWN - " in (out := capsys.readouterr().out) and "tells nothing of a watch" in out
    assert main(["report", "prom", "--store", str(path), "--watch-state", str(state)]) == 2


@pytest.mark.parametrize(
    ("content", "words"), [(None, "nothing was recorded yet"), (b"no database at all" * 99, "no file of results")]
)
def test_a_store_that_says_nothing_is_unknown_and_still_one_line(
    path: Path, content: bytes | None, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        path.write_bytes(content)
    assert main(["report", "status", "--store", str(path)]) == 3
    out = capsys.readouterr().out
    assert out.startswith("EXITPIN UNKNOWN - ") and words in out and out.count("\n") == 1


def test_a_scan_that_can_t_be_read_is_unknown_and_no_traceback(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE scans SET scan = '{'")
        database.commit()
    assert main(["report", "status", "--store", str(path)]) == 3
    out = capsys.readouterr().out
    assert out.startswith("EXITPIN UNKNOWN - scan s1 can't be read: ") and out.count("\n") == 1


def test_it_starts_without_what_only_others_need(path: Path) -> None:
    fill(path)
    heavy = ("rich", "stem", "jinja2", "sh", "psutil", "pydantic", "cryptography")
    script = (
        "import sys; from exitpin.orchestrator.cli.main import main;"
        f"status = main(['report', 'status', '--store', {str(path)!r}]);"
        f"print(sorted({{name.split('.')[0] for name in sys.modules}} & set({heavy})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines()[1] == "[]", done.stdout


# prom


def test_the_metrics_go_to_stdout_or_into_a_file_that_everybody_can_read(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(path, "tampered")
    assert main(["report", "prom", "--store", str(path)]) == 0
    told = parsed(capsys.readouterr().out)
    assert told["exitpin_findings"][0][0]["status"] == "tampered"
    place = tmp_path / "metrics" / "exitpin.prom"
    place.parent.mkdir()
    place.write_text("old")
    before = os.umask(0o077)
    try:
        assert main(["report", "prom", "--store", str(path), "-o", str(place)]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o644
    assert parsed(place.read_text())["exitpin_scan_verdicts"] == told["exitpin_scan_verdicts"]
    assert [entry.name for entry in place.parent.iterdir()] == ["exitpin.prom"]


def test_a_place_that_can_t_be_written_keeps_what_it_had(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(path)
    place = tmp_path / "metrics"
    place.mkdir()
    assert main(["report", "prom", "--store", str(path), "-o", str(place)]) == 125
    assert "can't be written: Is a directory. Nothing was changed." in capsys.readouterr().err
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")) == []


def test_before_the_first_scan_the_metrics_say_that_there_is_none(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "prom", "--store", str(path)]) == 0
    told = parsed(capsys.readouterr().out)
    assert [labels["part"] for labels, _ in told["exitpin_store_bytes"]] == ["records", "evidence"]
    assert told["exitpin_scan_info"] == []


def test_jobs_that_nobody_runs_any_more_are_left_out(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path)
    assert main(["report", "prom", "--store", str(path), "--max-age", "30s"]) == 0
    assert parsed(capsys.readouterr().out)["exitpin_scan_info"] == []
    assert main(["report", "prom", "--store", str(path), "--max-age", "?"]) == 2
