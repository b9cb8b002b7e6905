"""`exitpin results verify`: what it says of good files, of forged ones, and of files that are none."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.cli import results
from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError

from ..orchestrator.proof import evidence, records

DEEP = "[" * 100_000
Files = tuple[str, str]
Call = Callable[..., int]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Verify what is given: evidence and records, as text."""

    def verify(events: str, told: str, *words: str) -> int:
        (tmp_path / "events").write_text(events)
        (tmp_path / "records").write_text(told)
        whole = argparse.ArgumentParser()
        results.register(whole.add_subparsers(required=True))
        args = whole.parse_args(["results", "verify", str(tmp_path / "events"), str(tmp_path / "records"), *words])
        status: int = args.execute(args)
        return status

    return verify


def session() -> tuple[list[Any], list[Any]]:
    return list(evidence()), [{"schema": "exitpin.run/1", **record} for record in records()]


def lines(entries: list[Any]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def test_what_agrees_is_said_to_be_consistent(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*map(lines, session())) == 0
    summary = "consistent: 3 of 3 streams in 2 records, 1 streams that nobody claimed were refused\n"
    assert capsys.readouterr().out == summary


def test_json_holds_the_same(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(*map(lines, session()), "--json") == 0
    told = {"records": 2, "streams": 3, "consistent": 3, "refused": 1, "problems": []}
    assert json.loads(capsys.readouterr().out) == told


@pytest.mark.parametrize("text", ["\033]0;owned\007", "\x9b31m", "\ud800", "a\nINCONSISTENT b"])
def test_a_terminal_is_never_told_what_to_do(text: str, call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    entries, told = session()
    told[0]["run_id"] = f"s-{text}"
    told[1]["streams"][0].update(destination=text, status=text)
    entries.append({"t": 1.0, "tor": f"STREAM {text}"})
    assert call(lines(entries), lines(told)) == 1
    shown = capsys.readouterr().out
    assert all(line.isprintable() for line in shown.splitlines())
    assert all(line.startswith(("INCONSISTENT ", "inconsistent: ")) for line in shown.splitlines())
    assert "\nINCONSISTENT b" not in shown


def test_no_more_than_fifty_problems_are_shown(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    entries, told = session()
    told += [{**told[0], "run_id": f"x-{number}"} for number in range(70)]
    assert call(lines(entries), lines(told)) == 1
    *shown, more, summary = capsys.readouterr().out.splitlines()
    assert (len(shown), more) == (50, "and 20 more (--json has all)")
    assert summary.startswith("inconsistent: 3 of 3 streams in 72 records")
    call(lines(entries), lines(told), "--json")
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 70


def test_a_line_of_evidence_that_is_nested_too_deeply_is_a_problem(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    entries, told = session()
    assert call(lines(entries) + DEEP + "\n", lines(told)) == 1
    assert capsys.readouterr().out.splitlines()[0].endswith("can't be read: it is nested too deeply")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ((DEEP, ""), "it is nested too deeply"),
        ((lines(session()[0]), DEEP), "it is nested too deeply"),
        (("", ""), "it is empty"),
        ((lines(session()[0]), "{}"), "not all of it is records"),
        ((lines(session()[0]), '{"schema": "other"}'), "not all of it is records"),
        ((lines(session()[1]), ""), "not evidence of exitpin"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_gets_one_sentence(files: Files, sentence: str, call: Call) -> None:
    with pytest.raises(OperatorError, match=sentence) as caught:
        call(*files)
    assert caught.value.exit_status == EXIT_USAGE
    assert "Traceback" not in str(caught.value)
