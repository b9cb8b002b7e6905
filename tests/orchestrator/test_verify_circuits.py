"""Circuits that a record names: Tor built them, or it did not, and what failed carried nothing."""

import json
from random import Random
from typing import Any

import pytest

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator.circuits import Pace, Pool
from exitpin.orchestrator.control_lines import parse_circ
from exitpin.orchestrator.verify import read_evidence, verify

from .proof import Entry, claimed, evidence, records, stream, tor
from .values import EXIT, GUARD, circ_line, claim


def problems_of(entries: list[Entry], told: list[Any]) -> list[str]:
    return verify(read_evidence(json.dumps(entry) for entry in entries), told).problems


def late() -> tuple[list[Entry], list[Any]]:
    """A session whose circuit 6 was given up by exitpin, and built by Tor before that heard of it."""
    pool = Pool(Pace(), lambda exit, tried, rng: [GUARD], Random(1))
    pool.want("s-0001", EXIT)
    pool.launch(0.0)
    pool.extended(1, 6)
    lines = [circ_line(6, "LAUNCHED", ()), circ_line(6, "EXTENDED", (GUARD,))]
    for line in lines:
        assert pool.step(parse_circ(line), 1.0) == []
    failed = [effect for effect in pool.expire(1000.0) if isinstance(effect, fx.CircuitFailed)]
    lines.append(circ_line(6, "BUILT", (GUARD, EXIT)))
    assert pool.step(parse_circ(lines[-1]), 1000.001) == [], "nobody is given it"
    entries, told = evidence(), records()
    entries[3:3] = [tor(line) for line in lines]
    told[0]["unbuilt"] = [
        {"id": one.circuit_id, "path": list(one.path), "reached": one.reached, "reason": one.reason} for one in failed
    ]
    return entries, told


def test_a_circuit_that_was_built_just_after_exitpin_gave_it_up_is_no_contradiction() -> None:
    entries, told = late()
    assert told[0]["unbuilt"] == [{"id": 6, "path": [GUARD, EXIT], "reached": 1, "reason": "TIMEOUT"}]
    assert problems_of(entries, told) == []


def test_one_that_was_built_and_failed_for_any_other_reason_is() -> None:
    entries, told = late()
    told[0]["unbuilt"][0]["reason"] = "DESTROYED"
    assert problems_of(entries, told) == [
        "s-0001: circuit 6 was built as the record wants it, and the record says that it failed"
    ]


STRAY = claim(3, tag="s-0001.3.x", circuit_id=6)


@pytest.mark.parametrize(
    "use",
    [[claimed(STRAY)], [stream(6, "NEW", STRAY), stream(6, "SENTCONNECT", STRAY, 6)]],
    ids=["claimed for", "sent on"],
)
def test_one_that_was_given_up_may_not_have_been_used(use: list[Entry]) -> None:
    entries, told = late()
    told[0]["unbuilt"][0]["reason"] = "TIMEOUT"
    assert "s-0001: circuit 6 failed, says the record, and it was used" in problems_of([*entries, *use], told)


def test_a_circuit_is_built_or_it_failed_and_does_so_once() -> None:
    entries, told = late()
    told[0]["circuits"].append({"id": 6, "path": [GUARD, EXIT], "reason": None})
    assert problems_of(entries, told) == ["s-0001: circuit 6 stands in two places"]
    entries, told = late()
    told[0]["unbuilt"] *= 2
    assert problems_of(entries, told) == ["s-0001: circuit 6 stands in two places"]


def test_a_circuit_that_tor_never_had_is_not_believed_whether_a_stream_was_on_it_or_not() -> None:
    entries, told = late()
    told[0]["circuits"].append({"id": 77, "path": [GUARD, EXIT], "reason": None})
    told[0]["unbuilt"].append({"id": 78, "path": [GUARD, EXIT], "reached": 1, "reason": "x", "blame": "first-hop"})
    assert problems_of(entries, told) == [
        "s-0001: circuit 77 was never BUILT",
        "s-0001: circuit 78 failed, says the record, and Tor never said anything of it",
    ]


def test_one_that_began_and_was_not_built_failed_and_was_not_had() -> None:
    entries, told = late()
    entries[3:3] = [tor(circ_line(9, "LAUNCHED", ()))]
    told[0]["unbuilt"].append({"id": 9, "path": [GUARD, EXIT], "reached": 0, "reason": "TIMEOUT"})
    told[0]["unbuilt"].append({"id": None, "path": [GUARD, EXIT], "reached": 0, "reason": "551 Couldn't start"})
    assert problems_of(entries, told) == []
    told[0]["circuits"].append(told[0]["unbuilt"].pop(1))
    assert problems_of(entries, told) == ["s-0001: circuit 9 was never BUILT"]


@pytest.mark.parametrize(("marks", "is_held"), [({}, False), ({"unbuilt": True}, True), ({"unbuilt": "no"}, False)])
def test_earlier_daemons_kept_no_line_of_a_circuit_that_failed(marks: Entry, is_held: bool) -> None:
    entries, told = evidence(), records()
    entries[0] = {**entries[0], "session": "daemon-0a1b2c", **marks}
    told[0]["unbuilt"] = [{"id": 78, "path": [GUARD, EXIT], "reached": 1, "reason": "TIMEOUT"}]
    assert bool(problems_of(entries, told)) is is_held
    told[0]["circuits"].append({"id": 77, "path": [GUARD, EXIT], "reason": None})
    assert "s-0001: circuit 77 was never BUILT" in problems_of(entries, told)
