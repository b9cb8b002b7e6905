"""A record and its evidence agree, or a sentence says what does not."""

import hashlib
import json
import re
from collections.abc import Callable

import pytest

from exitpin.orchestrator.results.check import check_run, check_scan
from exitpin.orchestrator.results.check_verdict import check_verdict
from exitpin.orchestrator.results.exhibit import exhibit, pack
from exitpin.orchestrator.results.pieces import Pieces, TooMuch

from ..values import EXIT, OTHER_EXIT
from .proven import events_of, honest
from .shelf import Record, Shelf


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_what_agrees_is_counted(shelf: Shelf) -> None:
    found = shelf.check()
    assert found.problems == ()
    assert (found.runs, found.verdicts, found.streams, found.pieces) == (2, 1, 3, 4)
    assert found.size_bytes == sum(blob.size_bytes for blob in shelf.contents.values())


CHANGES: dict[str, tuple[Callable[[Shelf], object], str]] = {
    "a stream on another circuit": (lambda s: s.run["streams"][0].update(circuit_id=8), "s-0001: stream 1"),
    "another exit": (lambda s: s.run["exit"].update(fingerprint=OTHER_EXIT), "the record names"),
    "a stream left out": (lambda s: s.run["streams"].clear(), "stands in no record"),
    "a piece that is not there": (lambda s: s.run["evidence"][1].update(sha256="0" * 64), "s-0001: stdout: .*missing"),
    "events that are not there": (lambda s: s.run["evidence"][0].update(sha256="0" * 64), "s-0001: events: .*missing"),
    "events of another run": (lambda s: s.run.update(evidence=s.control["evidence"]), "knows no such run"),
    "another size": (lambda s: s.run["evidence"][0].update(size_bytes=1), "the record says 1"),
    "events that were cut": (lambda s: s.run["evidence"][0].update(is_cut=True), "it was cut"),
    "a descriptor that is not there": (lambda s: s.verdict["evidence"][0].update(sha256="1" * 64), "descriptor"),
    "a run that is not there": (lambda s: s.verdict["runs"][0].update(run_id="s-0009"), "its run s-0009 is missing"),
    "a control that is not there": (lambda s: s.verdict["controls"][0].update(run_id="x"), "its control x is missing"),
    "a run of another question": (lambda s: s.run.update(key="k9"), "has another key"),
    "a run of another scan": (lambda s: s.run.update(scan_id="s9"), "has another scan_id"),
    "a run that was judged otherwise": (lambda s: s.run["verdict"].update(status="ok"), "its record says ok"),
    "more lies than runs": (lambda s: s.verdict.update(lied=2), "it says that 2 runs of 1 lied, and names 1 of 1"),
    "a verdict on somebody else": (lambda s: s.verdict.update(exit={"fingerprint": "F" * 40}), "went through"),
    "a control that saw something else": (lambda s: s.control.update(facts={"chain": ["other"]}), "saw another chain"),
    "a control through another exit": (lambda s: s.verdict["controls"][0].update(exit=EXIT), "its control s-0002 went"),
    "runs that are none": (lambda s: s.verdict.update(runs=["x"]), "it can't be read"),
    "facts that are none": (lambda s: s.control.update(facts=["chain"]), "it can't be read"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_one_change_is_found_and_named(name: str, shelf: Shelf) -> None:
    change, sentence = CHANGES[name]
    change(shelf)
    problems = shelf.check().problems
    assert problems
    assert any(re.search(sentence, problem) for problem in problems), problems


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"schema": "exitpin.events/2"}'])
def test_events_that_are_none_are_a_problem_and_no_end(content: bytes, shelf: Shelf) -> None:
    shelf.run["evidence"] = [exhibit("events", pack(content))]
    assert check_run(shelf.run, Pieces(lambda _: content)).problems


@pytest.mark.parametrize("kept", [[], ["/somewhere/events.ndjson.gz"], [{"name": "events", "file": "/x"}]])
def test_a_run_of_which_no_events_were_kept_is_counted(kept: list[object], shelf: Shelf) -> None:
    shelf.run["evidence"] = kept
    found = check_run(shelf.run, shelf.pieces)
    assert (found.problems, found.bare, found.streams) == ((), 1, 0)


def test_runs_that_are_gone_are_no_problem_of_a_verdict_that_accuses_nobody(shelf: Shelf) -> None:
    found = check_verdict(honest(), shelf.pieces, shelf.find)
    assert (found.problems, found.gone) == ((), 1)


def test_what_is_nested_too_deeply_is_a_problem(shelf: Shelf) -> None:
    shelf.run["streams"] = json.loads("[" * 500 + "]" * 500)
    assert check_run(shelf.run, shelf.pieces).problems


OF_NOTHING = {"evidence": [], "streams": []}

SAID: dict[str, tuple[Callable[[Shelf], object], str]] = {
    "a finding without runs": (lambda s: s.verdict.update(runs=[], lied=0, of=0), "its 0 runs say error or skipped"),
    "an honest verdict on a run that lied": (lambda s: s.verdict.update(status="ok", lied=0), "its 1 runs say suspect"),
    "a finding on an honest run": (lambda s: s.judge("ok"), "it says suspect, its 1 runs say ok"),
    "one lie, told as proven": (lambda s: s.verdict.update(status="tampered"), "it says tampered, its 1 runs say susp"),
    "broken by a lie": (lambda s: s.verdict.update(status="broken"), "it says broken"),
    "broken by a failure": (
        lambda s: (s.judge("broken"), s.verdict.update(status="broken", lied=0, of=0)),
        "it says broken, its 1 runs say error",
    ),
    "more than were heard": (lambda s: s.verdict.update(of=99), "1 runs of 99 lied, and names 1 of 1"),
    "one run twice": (lambda s: s.verdict.update(runs=s.verdict["runs"] * 2, lied=2, of=2), "its run s-0001 twice"),
    "a run that was asked again": (lambda s: s.run.update(role="superseded"), "counts for nothing"),
    "a replay": (lambda s: s.run.update(role="replay"), "its record says replay"),
    "a control as a run": (
        lambda s: (s.run.update(role="control"), s.verdict["runs"][0].update(role="control")),
        "its record says control",
    ),
    "another role": (lambda s: s.verdict["runs"][0].update(role="confirm"), "is a confirm, its record says probe"),
    "an accuser without events": (lambda s: s.run["evidence"].pop(0), "of which no events were kept"),
    "an accuser of which nothing went out": (lambda s: s.run.update(streams=[]), "of which nothing went to the exit"),
    "an accuser in doubt": (lambda s: s.run.update(doubts=["x"]), "whose own attribution failed"),
    "an accuser that says so itself": (
        lambda s: s.run.update(failure={"kind": "attribution"}),
        "whose own attribution failed",
    ),
    "a control without events": (lambda s: s.control.update(evidence=[]), "by control s-0002, of which no events"),
    "a control from nowhere": (lambda s: s.verdict["controls"][0].update(vantage="moon"), "control of vantage 'moon'"),
    "a control of no run": (lambda s: s.verdict["controls"][0].update(run_id=None), "through an exit and no run of it"),
    "a control told as one without Tor": (
        lambda s: s.verdict["controls"][0].update(vantage="direct"),
        "its direct control s-0002 went through an exit",
    ),
    "a control whose exit is not told": (
        lambda s: s.verdict["controls"][0].update(vantage="pinned", exit=None),
        "its pinned control s-0002 went through an exit",
    ),
    "a control twice": (
        lambda s: s.verdict["controls"].append(s.verdict["controls"][0]),
        "its control s-0002 twice",
    ),
    "a run as a control": (lambda s: s.control.update(role="probe"), "its control s-0002 was none"),
    "a control that failed": (lambda s: s.control.update(unusable="it timed out"), "its control s-0002 was none"),
    "a control of another scan": (lambda s: s.control.update(scan_id="s9"), "of another question"),
    "a control of another tool": (lambda s: s.control.update(tool={"id": "x"}), "of another question"),
    "itself as a control": (
        lambda s: s.verdict["controls"][0].update(run_id="s-0001", exit=EXIT),
        "through the exit that it judges",
    ),
    "more than anybody needs": (
        lambda s: s.verdict.update(controls=[{"vantage": "pinned"}] * 2000),
        "more than 1000 runs or controls",
    ),
    "facts that are not those of the evidence": (
        lambda s: (s.run.update(facts_exact=True), s.add(s.run, "facts", b'{"chain": ["true"]}')),
        "s-0001: its chain is not the one of its evidence",
    ),
    "facts of which the evidence knows nothing": (
        lambda s: (s.run.update(facts_exact=True), s.add(s.run, "facts", b"{}")),
        "s-0001: its chain is not the one of its evidence",
    ),
    "facts that can't be read": (
        lambda s: (s.run.update(facts_exact=True), s.add(s.run, "facts", b"[1")),
        "s-0001: its facts can't be read",
    ),
    "more pieces than anybody needs": (
        lambda s: s.run.update(evidence=s.run["evidence"] * 200),
        "more than 200 pieces of evidence",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_a_verdict_is_what_its_runs_and_controls_come_to(shelf: Shelf, name: str) -> None:
    change, sentence = SAID[name]
    change(shelf)
    problems = shelf.check().problems
    assert any(sentence in problem for problem in problems), problems


def test_an_accuser_without_events_is_excused_where_an_earlier_version_recorded_it(shelf: Shelf) -> None:
    shelf.run.update(evidence=["/somewhere/events.ndjson.gz"], streams=[])
    shelf.control.update(evidence=["/somewhere/events.ndjson.gz"])
    del shelf.verdict["interrupted"]
    found = shelf.check()
    assert (found.problems, found.bare) == ((), 2)
    assert len(shelf.check(is_whole=True).problems) == 2


def test_many_runs_that_got_no_answer_make_an_exit_broken(shelf: Shelf) -> None:
    shelf.judge("broken", *["error"] * 7)
    shelf.run["failure"] = {"kind": "refused", "blame": "unknown"}
    shelf.run["verdict"]["severity"] = None
    shelf.verdict.update(status="error", severity=None, lied=0, of=0)
    assert shelf.check().problems == ()
    shelf.verdict.update(status="broken", failure={"kind": "refused", "blame": "exit"})
    assert not [problem for problem in shelf.check().problems if "is missing" not in problem]
    shelf.run["verdict"].update(layer="circuit", status="error")
    shelf.verdict["runs"][0].update(status="error")
    assert any("it says broken, its 8 runs say error" in problem for problem in shelf.check().problems)


CLOSED = {"status": "suspect", "interrupted": False, "layer": "gone"}
"""A finding that was left open, and that nobody could confirm later."""


def test_a_finding_that_was_closed_before_it_was_confirmed_may_name_a_run_that_was_to_be_asked_again(
    shelf: Shelf,
) -> None:
    shelf.run.update(role="superseded")
    shelf.verdict.update(CLOSED)
    assert shelf.check().problems == ()


def test_whatever_else_was_noted_the_reason_of_a_verdict_is_that_of_a_run(shelf: Shelf) -> None:
    shelf.verdict["runs"][0]["reason"] = shelf.run["verdict"]["reason"] = "192.0.2.7:80 is another"
    notes = "(intermittent) (interrupted before it was confirmed) (its exit has left the network)"
    shelf.verdict.update(CLOSED, reason=f"(vantage):80 is another {notes}")
    assert shelf.check().problems == ()


@pytest.mark.parametrize(("status", "told"), [("suspect", (1, 1)), ("error", (0, 0))])
def test_an_interrupted_verdict_may_say_less(status: str, told: tuple[int, int], shelf: Shelf) -> None:
    shelf.judge("tampered", "tampered")
    shelf.verdict.update(interrupted=True, status=status, lied=told[0], of=told[1])
    shelf.verdict["severity"] = "high" if status == "suspect" else None
    shelf.verdict["runs"][1]["run_id"] = "s-0001"
    assert [problem for problem in shelf.check().problems if "twice" not in problem] == []
    shelf.verdict.update(status="tampered")
    assert any("it says tampered" in problem for problem in shelf.check().problems)


def test_an_interrupted_verdict_may_name_a_run_that_is_asked_again(shelf: Shelf) -> None:
    shelf.run.update(role="superseded")
    shelf.verdict.update(interrupted=True)
    assert shelf.check().problems == ()


def test_facts_that_were_cut_or_hidden_are_those_of_the_evidence(shelf: Shelf) -> None:
    chain = [f"item {number}" for number in range(9)]
    exact = {"chain": chain, "size": float("inf"), "from": "192.0.2.7:80", "is_it": True, "none": None}
    digest = hashlib.sha256("\n".join(chain).encode()).hexdigest()
    shelf.add(shelf.run, "facts", json.dumps(exact).encode())
    shown: dict[str, object] = {**exact, "chain": [*chain[:3], f"... (9 in all, sha256 {digest})"]}
    shelf.run.update(facts_exact=True, facts={**shown, "size": "inf", "from": "(vantage):80"})
    assert shelf.check().problems == ()
    for name, value in (("size", "1"), ("from", "(vantage):81"), ("is_it", 1), ("chain", chain[:3])):
        told = {**shelf.run, "facts": {**shelf.run["facts"], name: value}}
        assert check_run(told, shelf.pieces).problems == (f"s-0001: its {name} is not the one of its evidence",)


def test_a_piece_is_read_once_however_often_it_is_named(shelf: Shelf) -> None:
    asked: list[str] = []
    shelf.run["evidence"] = [item for item in shelf.run["evidence"] if item["name"] == "stdout"] * 100
    pieces = Pieces(lambda sha256: asked.append(sha256) or shelf.read(sha256))  # type: ignore[func-returns-value]
    assert check_run(shelf.run, pieces).pieces == 100
    assert len(asked) == 1


def test_no_more_is_read_than_anybody_should_have_to(shelf: Shelf) -> None:
    with pytest.raises(TooMuch, match="its evidence has more than 100 bytes, unpacked"):
        check_run(shelf.run, Pieces(shelf.read, 100))


@pytest.mark.parametrize("circuit", [0, -1, "0", "\u00b2", None, 10**400, 2**64, True])
def test_a_claim_for_no_circuit_is_a_problem(circuit: object, shelf: Shelf) -> None:
    entries = [json.loads(line) for line in events_of("s-0001").splitlines()]
    for entry in entries:
        if "claim" in entry:
            entry["claim"]["circuit"] = circuit
    shelf.run["evidence"].clear()
    shelf.add(shelf.run, "events", "".join(json.dumps(entry) + "\n" for entry in entries).encode())
    assert check_run(shelf.run, shelf.pieces).problems


def test_a_scan_that_was_not_planned_so_is_a_problem() -> None:
    scan: Record = {"scan_id": "s1", "state": "done", "tools": [{}] * 2, "exits": ["A"] * 3, "planned": 6}
    assert check_scan(scan, None).problems == ()
    assert check_scan({**scan, "planned": 7}, None).problems
    assert check_scan({**scan, "state": "well"}, None).problems
    assert check_scan({**scan, "tools": 7}, None).problems
    replay = {**scan, "planned": 0, "replays": "s1-0001"}
    assert check_scan(replay, None).problems == () and check_scan({**replay, "planned": 6}, None).problems
