"""A record and its evidence agree, or a sentence says what does not."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from exitpin.orchestrator.results.check import Checked, check_run, check_verdict
from exitpin.orchestrator.results.exhibit import BlobError, exhibit, pack

from ..values import EXIT, OTHER_EXIT
from .proven import OUTPUT, events_of, finding, honest

Record = dict[str, Any]


class Shelf:
    """Pieces by their hash."""

    def __init__(self) -> None:
        self.records, blobs = finding()
        self.contents = {blob.sha256: blob for blob in blobs}
        self.verdict, self.run, self.control = copy.deepcopy(self.records)

    def read(self, sha256: str) -> bytes:
        contents = [events_of("s-0001"), events_of("s-0002"), OUTPUT, b"router evil 198.51.100.1 9001 0 0\n"]
        found = {pack(content).sha256: content for content in contents}
        if sha256 not in found:
            raise BlobError(f"evidence {sha256[:16]} is missing")
        return found[sha256]

    def find(self, run_id: str) -> Record | None:
        return {"s-0001": self.run, "s-0002": self.control}.get(run_id)

    def check(self) -> Checked:
        found = check_verdict(self.verdict, self.read, self.find)
        for run in (self.run, self.control):
            found.add(check_run(run, self.read))
        return found


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
    "more lies than runs": (lambda s: s.verdict.update(lied=2), "it says that 2 runs lied, and names 1"),
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
    assert check_run(shelf.run, lambda _: content).problems


@pytest.mark.parametrize("kept", [[], ["/somewhere/events.ndjson.gz"], [{"name": "events", "file": "/x"}]])
def test_a_run_of_which_no_events_were_kept_is_counted(kept: list[object], shelf: Shelf) -> None:
    shelf.run["evidence"] = kept
    found = check_run(shelf.run, shelf.read)
    assert (found.problems, found.bare, found.streams) == ((), 1, 0)


def test_runs_that_are_gone_are_no_problem_of_a_verdict_that_accuses_nobody(shelf: Shelf) -> None:
    found = check_verdict(honest(), shelf.read, shelf.find)
    assert (found.problems, found.gone) == ((), 1)


def test_what_is_nested_too_deeply_is_a_problem(shelf: Shelf) -> None:
    shelf.run["streams"] = json.loads("[" * 500 + "]" * 500)
    assert check_run(shelf.run, shelf.read).problems


SUMS: dict[str, tuple[dict[str, object], str]] = {
    "a finding without runs": ({"runs": []}, "do not come to tampered"),
    "an honest verdict on a run that lied": ({"status": "ok"}, "do not come to ok"),
    "broken, on a run that was answered": ({"status": "broken"}, "do not come to broken"),
    "more runs than there are": ({"of": 99}, "it says 1 of 99 lied, its runs say 1 of 1"),
    "a control from nowhere": ({"controls": [{"vantage": "moon", "facts": {}}]}, "was seen from nowhere"),
    "a control of no run": ({"controls": [{"vantage": "exit", "facts": {}}]}, "its control None is missing"),
    "more than anybody needs": ({"controls": [{"vantage": "direct"}] * 2000}, "names more than 1000"),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_verdict_is_what_its_runs_come_to(shelf: Shelf, name: str) -> None:
    changes, sentence = SUMS[name]
    shelf.verdict.update(copy.deepcopy(changes))
    assert any(sentence in problem for problem in shelf.check().problems)


def test_a_run_counts_once_and_only_if_it_counts(shelf: Shelf) -> None:
    told = shelf.verdict["runs"][0]
    shelf.verdict["runs"] = [told, told]
    assert any("names a run twice" in problem for problem in shelf.check().problems)
    shelf.verdict["runs"] = [{**told, "role": "superseded"}]
    assert any("counts for nothing" in problem for problem in shelf.check().problems)


def test_who_accuses_has_events_that_prove_whose_run_it_was(shelf: Shelf) -> None:
    shelf.run["evidence"] = [item for item in shelf.run["evidence"] if item["name"] != "events"]
    assert any("nothing proves whose it was" in problem for problem in shelf.check().problems)
