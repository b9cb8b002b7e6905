"""`exitpin results list`, as a user calls it."""

import argparse
import json
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.cli import results
from exitpin.orchestrator.cli.main import main
from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError
from exitpin.orchestrator.results.blobs import blobs_directory
from exitpin.orchestrator.results.scan_lock import held

from ..orchestrator.recorded import run_record, scan_record, verdict_record, write
from .recorded_audit import fill

Call = Callable[..., list[list[str]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "results.sqlite"
    fill(found)
    return found


def parse(*words: str) -> Any:
    whole = argparse.ArgumentParser()
    results.register(whole.add_subparsers(required=True))
    return whole.parse_args(["results", *words])


@pytest.fixture
def call(path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """List with these options: the cells of each line."""

    def run(*words: str) -> list[list[str]]:
        args = parse("list", "--store", str(path), *words)
        assert args.execute(args) == 0
        return [line.split("\t") for line in capsys.readouterr().out.splitlines()]

    return run


def ids(lines: list[list[str]]) -> list[str]:
    return [cells[-1] for cells in lines]


def test_the_latest_scan_is_listed_the_worst_first(call: Call) -> None:
    lines = call()
    assert ids(lines) == ["s1-v3", "s1-v2", "s1-v1"]
    assert lines[0][:5] == ["tampered", "critical", "tls-cert", "evil/00000000", "2/3"]
    assert lines[0][6] == "1970-01-01 00:17:40"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--scan", "last", "--status", "tampered,ok"], ["s1-v3", "s1-v1"]),
        (["--scan", "all", "--status", "findings"], ["s1-v3", "s0-v1"]),
        (["--scan", "s0"], ["s0-v1"]),
        (["--since", "1970-01-01T00:17"], ["s1-v3", "s1-v2", "s1-v1"]),
        (["--since", "1h"], []),
        (["-e", "EVIL", "-n", "1"], ["s1-v3"]),
        (["-e", "nobody"], []),
        (["--tool", "other"], []),
        (["--runs"], ["s1-0001"]),
    ],
)
def test_a_list_holds_what_was_asked_for(words: list[str], found: list[str], call: Call) -> None:
    assert ids(call(*words)) == found


def test_what_a_suspect_wrote_fills_one_cell_and_is_not_obeyed(call: Call) -> None:
    for lines in (call(), call("--runs")):
        assert {len(cells) for cells in lines} <= {7, 8}
        assert all(cell.isprintable() for cells in lines for cell in cells)
    assert "\\x1b]0;owned\\x07\\x9b31m\\ttab\\nTAMPERED \\u202efake" in call()[0][5]


@pytest.mark.parametrize("when", [1e300, -1e300, 1e999, True, "soon", None])
def test_a_time_that_no_calendar_has_is_no_time(when: object, path: Path, call: Call) -> None:
    write(path, [verdict_record(5, verdict_id="s9-v1", scan_id="s9", ended=5000.0)])
    with sqlite3.connect(path) as store:
        hostile = json.dumps(verdict_record(5, verdict_id="s9-v1", ended=when))
        store.execute("UPDATE runs SET record = ? WHERE record_id = 's9-v1'", [hostile])
    assert call("--scan", "s9")[0][6] == ""


def test_what_was_left_out_is_said(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["-n", "2"], "exitpin: 3 verdicts of scan s1; 2 shown, -n 0 shows all\n"),
        (["-n", "0"], "exitpin: 3 verdicts of scan s1\n"),
        (["--status", "broken"], "exitpin: 0 verdicts of scan s1 like that; --runs lists 1 run\n"),
    ):
        args = parse("list", "--store", str(path), *words)
        args.execute(args)
        assert capsys.readouterr().err == said


def test_json_is_the_whole_record_and_only_ascii(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = parse("list", "--store", str(path), "--json", "-n", "1")
    args.execute(args)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.isascii() and line.isprintable()
    record = json.loads(line)
    assert (record["schema"], record["verdict_id"]) == ("exitpin.verdict/1", "s1-v3")


def test_scans_are_counted(call: Call, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest, oldest = call("--scans")
    assert (newest[0], newest[3:12]) == ("s1", ["tls-cert", "1", "1", "1", "0", "0", "1", "0", "1"])
    assert (oldest[0], oldest[3:12]) == ("s0", ["tls-cert", "1", "0", "0", "0", "1", "0", "0", "0"])
    args = parse("list", "--store", str(path), "--scans", "--json", "-n", "1")
    args.execute(args)
    assert json.loads(capsys.readouterr().out)["counts"] == {"tampered": 1, "error": 1, "ok": 1}


def test_a_replay_is_listed_as_one(path: Path, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    again = run_record(7, run_id="s9-0001", scan_id="s9", role="replay", start=5000.0, t={"end": 5001.0})
    write(path, [scan_record("s9", started=5000.0, planned=0, replays="s1-0001"), again])
    assert [(cells[0], cells[12]) for cells in call("--scans")] == [
        ("s9", "replay"),
        ("s1", "earlier"),
        ("s0", "earlier"),
    ]
    args = parse("list", "--store", str(path), "--scans", "--json", "-n", "1")
    args.execute(args)
    assert json.loads(capsys.readouterr().out)["replays"] == "s1-0001"
    assert ids(call()) == ["s1-v3", "s1-v2", "s1-v1"], "the latest scan is none that judged nobody"


LIE = {"status": "tampered", "reason": "changed"}
REFUSED = {"kind": "refused", "blame": "exit", "retryable": False, "detail": "refused by policy"}


@pytest.mark.parametrize(
    ("run", "word"),
    [
        ({"role": "replay", "replays": "s1-0001", "status": "ok", "verdict": None}, "not judged"),
        ({"role": "control", "status": "ok", "verdict": None}, "not judged"),
        ({"role": "control", "status": "broken", "verdict": None, "failure": REFUSED}, "not judged"),
        ({"role": "probe", "status": "ok", "verdict": None}, "not judged"),
        ({"role": "replay", "status": "error", "verdict": None}, "error"),
        ({"role": "probe", "status": "ok", "verdict": {"status": "ok"}}, "ok"),
        ({"role": "probe", "status": "tampered", "verdict": LIE}, "tampered"),
    ],
)
def test_a_run_that_nobody_judged_is_not_listed_as_honest(
    run: dict[str, Any], word: str, path: Path, call: Call
) -> None:
    write(path, [run_record(7, run_id="s9-0001", scan_id="s9", **run)])
    assert call("--runs", "--scan", "s9")[0][0] == word


def test_a_scan_that_says_it_runs_does_so_only_while_somebody_holds_its_lock(path: Path, call: Call) -> None:
    write(path, [scan_record("s1", state="running", planned=9), scan_record("s0", planned=1, started=10.0)])
    assert [cells[12:] for cells in call("--scans")] == [["killed", "3/9"], ["done", "1/1"]]
    with held(blobs_directory(path), "s1"):
        assert [cells[12] for cells in call("--scans")] == ["running", "done"]


def test_an_unfinished_scan_is_not_taken_for_a_whole_one(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(path, [scan_record("s1", state="interrupted", planned=9)])
    args = parse("list", "--store", str(path))
    args.execute(args)
    assert capsys.readouterr().err == "exitpin: 3 verdicts of scan s1; it is interrupted, with 3 of 9 verdicts\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["--scan", "zz"], "there is no scan zz"), (["--scan", "s"], "several scans.* Say one of s0, s1")],
)
def test_a_scan_that_is_not_just_one_is_refused(words: list[str], sentence: str, call: Call) -> None:
    with pytest.raises(OperatorError, match=sentence) as caught:
        call(*words)
    assert caught.value.exit_status == EXIT_USAGE


def test_the_ids_that_a_store_names_are_not_obeyed(path: Path, call: Call) -> None:
    for scan_id in ("s\x1b]0;owned\x07", "s\n\u202e"):
        write(path, [run_record(7, run_id=f"{scan_id}-1", scan_id=scan_id)])
    with pytest.raises(OperatorError, match="several scans") as caught:
        call("--scan", "s")
    assert str(caught.value).isprintable() and "\\x1b]0;owned" in str(caught.value)


@pytest.mark.parametrize("words", [["--status", "bad"], ["--since", "soon"], ["-n", "-1"], ["--runs", "--scans"]])
def test_a_wrong_option_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("list", *words)
    assert "error: argument" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["list"], ["list", "--scans"], ["show", "x"]])
def test_before_the_first_audit_the_user_is_told_how_to_begin(words: list[str], tmp_path: Path) -> None:
    args = parse(*words, "--store", str(tmp_path / "results.sqlite"))
    with pytest.raises(OperatorError, match=r"nothing was recorded yet .*`exitpin audit") as caught:
        args.execute(args)
    assert caught.value.exit_status == EXIT_USAGE


def test_a_store_without_a_verdict_is_an_empty_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.sqlite"
    write(path, [run_record(1)])
    args = parse("list", "--store", str(path))
    assert args.execute(args) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "exitpin: 0 verdicts of scan s1 like that; --runs lists 1 run\n")


def on_a_terminal(path: Path, **environment: str) -> str:
    """What a terminal of 80 columns is sent."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "exitpin", "results", "list", "--store", str(path)]
    env = {**os.environ, "COLUMNS": "80", "TERM": "xterm", **environment}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=env) as process:
        os.close(theirs)
        sent = b""
        while True:
            try:
                chunk = os.read(ours, 1 << 16)
            except OSError:  # EIO: the last one to hold the other end has gone
                break
            if not chunk:
                break
            sent += chunk
        assert process.wait(60) == 0
    os.close(ours)
    return sent.decode()


def test_a_terminal_gets_a_table_and_obeys_nothing_of_a_suspects(path: Path) -> None:
    sent = on_a_terminal(path)
    assert "STATUS" in sent and "s1-v3" in sent and "\033[1;31mtampered" in sent
    assert "\033]" not in sent and "\x07" not in sent and "\x9b" not in sent and "\u202e" not in sent
    assert "[bold]x[/bold]" in sent.replace("\r\n  ", "")


def test_no_color_is_respected(path: Path) -> None:
    sent = on_a_terminal(path, NO_COLOR="1")
    assert "31m" not in sent.replace("x9b31m", "")
    assert all(len(line) <= 80 for line in on_a_terminal(path, TERM="dumb").splitlines())


def test_whoever_made_runs_alone_is_told_that_they_are_not_kept(
    tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["results", "list", "--store", str(tmp_path / "none.sqlite")]) == 2
    assert "`exitpin run` keeps nothing here: its records are what --json prints." in capsys.readouterr().err
    assert main(["results", "show", "--store", str(path), "20261122T173557-00cbea-0001"]) == 2
    assert "the records of `exitpin run` are not kept here" in capsys.readouterr().err
