"""Which two scans are compared: the last two of a job that have ended, iterations of a watch, those that are named."""

from pathlib import Path

import pytest

from exitpin.orchestrator.cli.results_pair import iteration_words, two_scans
from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError
from exitpin.orchestrator.results.blobs import blobs_directory
from exitpin.orchestrator.results.scan_lock import held

from ..orchestrator.recorded import reader, scan_record, verdict_record, write

LAB = {"kind": "lab", "name": "mine"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def asks(*words: str) -> dict[str, object]:
    """Tools by `ID` or `ID HOST`."""
    tools = [{"id": word.split()[0], "params": {"host": word.split()[-1]}} for word in words]
    return {"tools": tools}


def fill(path: Path, *scans: dict[str, object]) -> None:
    """Each with a verdict, the oldest first: s1, s2, ..."""
    for number, changes in enumerate(scans, 1):
        scan = scan_record(f"s{number}", started=1000.0 * number, **changes)
        write(path, [scan, verdict_record(number, scan_id=f"s{number}", verdict_id=f"s{number}-v")])


def pair(path: Path, *names: str, tool: str | None = None, watch: str | None = None) -> tuple[str, str]:
    with reader(path) as store:
        return two_scans(store, names, tool, watch)


def iteration(number: int, scan: str = "all", watch: str = "nightly") -> dict[str, object]:
    return {"iteration": {"watch": watch, "scan": scan, "number": number}}


def test_the_last_two_of_one_job_are_compared(path: Path) -> None:
    a, b = asks("tls-cert a"), asks("tls-cert b")
    fill(path, a, b, {**a, "vantage": LAB}, a, {**b, "exits": ["A" * 40]}, asks("tls-cert a", "dns-exit x"))
    assert pair(path) == ("s1", "s4"), "another host, a lab, one exit alone, and other tools are other jobs"


def test_a_tool_makes_a_job_of_what_it_asks_alone(path: Path) -> None:
    fill(path, asks("tls-cert a", "dns-exit x"), asks("tls-cert b"), asks("tls-cert a"))
    assert pair(path, tool="tls-cert") == ("s1", "s3")


def test_what_is_under_way_has_not_ended_and_what_was_killed_has(path: Path) -> None:
    fill(path, {}, {}, {"state": "running", "ended": None})
    with held(blobs_directory(path), "s3"):
        assert pair(path) == ("s1", "s2")
    assert pair(path) == ("s2", "s3")


def test_a_replay_and_a_scan_without_a_verdict_are_none(path: Path) -> None:
    fill(path, {}, {}, {"replays": "s1-0001", "planned": 0})
    write(path, [scan_record("s9", started=9000.0)])
    assert pair(path) == ("s1", "s2")


def test_scans_of_a_watch_are_a_job_whatever_they_ask(path: Path) -> None:
    fill(path, iteration(1), {**iteration(2), **asks("dns-exit x")}, iteration(3, "new"), {})
    assert pair(path) == pair(path, watch="nightly") == pair(path, watch="nightly/all") == ("s1", "s2")
    assert pair(path, "1", "2", watch="nightly/all") == ("s1", "s2")
    with reader(path) as store:
        assert iteration_words(store, ("s1", "s2")) == ", iterations 1 and 2 of nightly"
        assert iteration_words(store, ("s1", "s4")) == ""


def test_last_counts_back_within_the_job_of_the_last(path: Path) -> None:
    other = asks("dns-exit x")
    fill(path, {}, {}, other, {}, iteration(1), other, {})
    assert pair(path, "last~1", "last") == ("s4", "s7")
    assert pair(path, "last~3", "s2") == ("s1", "s2")
    assert pair(path, "last", "last", watch="nightly") == ("s5", "s5")


@pytest.mark.parametrize(
    ("names", "watch", "sentence"),
    [
        (("last~2", "last"), None, "there is no scan last~2"),
        (("last",), None, "say two scans"),
        ((), "other", "no two iterations of a watch other"),
        ((), "nightly/new", "no two iterations"),
        (("1", "7"), "nightly", "no iteration 7 of nightly"),
        (("1", "2"), None, "there is no scan 1"),
    ],
)
def test_what_is_not_there_is_said(path: Path, names: tuple[str, ...], watch: str | None, sentence: str) -> None:
    fill(path, iteration(1), iteration(1, "new"), iteration(2), {})
    with pytest.raises(OperatorError, match=sentence) as caught:
        pair(path, *names, watch=watch)
    assert caught.value.exit_status == EXIT_USAGE


def test_a_scan_whose_record_is_damaged_is_no_obstacle(path: Path) -> None:
    import sqlite3

    fill(path, {}, {}, {})
    connection = sqlite3.connect(path)
    connection.execute("UPDATE scans SET scan = '{' WHERE scan_id = 's3'")
    connection.commit()
    connection.close()
    assert pair(path) == ("s1", "s2")
