"""What anybody may read: an address and a secret, planted wherever they could stand, are nowhere in it."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from exitpin.orchestrator.results.check import check_run
from exitpin.orchestrator.results.exhibit import exhibit, pack
from exitpin.orchestrator.results.pieces import Pieces
from exitpin.orchestrator.results.public import (
    EXIT_FIELDS,
    JUDGEMENT_FIELDS,
    RUN_FIELDS,
    VERDICT_FIELDS,
    public,
    public_scan,
)

from ..proof import evidence, records
from .planted import ADDRESS, HIDDEN, PID, SECRET, planted_run, planted_scan, planted_verdict


def texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
    else:
        yield str(value)


@pytest.mark.parametrize("with_proof", [False, True])
@pytest.mark.parametrize("make", [planted_run, planted_verdict])
def test_nothing_that_was_planted_is_public(make: Any, with_proof: bool) -> None:
    told = json.dumps(public(make(), with_proof=with_proof))
    assert not [word for word in (ADDRESS, SECRET, *HIDDEN) if word in told]
    assert with_proof or not [word for word in ("127.", str(PID), "AA" * 20) if word in told]


def test_nothing_that_was_planted_is_in_a_public_scan() -> None:
    told = json.dumps(public_scan(planted_scan()))
    assert not [word for word in (ADDRESS, SECRET, *HIDDEN) if word in told]


@pytest.mark.parametrize("make", [planted_run, planted_verdict])
def test_a_field_that_nobody_allowed_is_not_public(make: Any) -> None:
    """Whatever is added to a record, at any place that is an object, stays at home."""
    record = make()
    known = set(texts(public(record)))

    def plant(value: Any) -> None:
        if isinstance(value, dict):
            for each in list(value.values()):
                plant(each)
            value["brand_new"] = "brand new"
        elif isinstance(value, list):
            for each in value:
                plant(each)

    plant(record)
    del record["facts" if "facts" in record else "controls"]  # facts have names of their tool's choice
    for control in record.get("controls", []):
        control["facts"] = {}
    record["tool"]["params"].pop("brand_new")
    assert "brand new" not in set(texts(public(record))) - known


def test_exit_behaviour_and_proof_digest_are_public() -> None:
    record = planted_verdict()
    told = public(record)
    assert told is not None
    assert told["exit"] == {name: record["exit"][name] for name in EXIT_FIELDS}
    for name in ("status", "severity", "reason", "lied", "of", "when", "scan_id", "started", "ended"):
        assert told[name] == record[name]
    assert told["evidence"] == [item for item in record["evidence"] if isinstance(item, dict) and "sha256" in item]
    again = f"exitpin audit ./mail-check.toml -e {record['exit']['fingerprint']} -p host=www.example.org"
    assert told["reproduce"] == again, "whoever has the tool's file can type it"
    run = public(planted_run())
    assert run is not None
    assert run["facts"] == planted_run()["facts"]
    assert run["streams"][0]["destination"] == "www.example.org:443"
    assert {*RUN_FIELDS, "verdict"} <= run.keys() and set(JUDGEMENT_FIELDS) >= run["verdict"].keys()


def test_a_verdict_is_not_named_by_its_key_when_a_secret_went_into_that() -> None:
    record = planted_verdict()
    told = public(record)
    assert told is not None
    assert told["key"] is None and told["verdict_id"] != record["verdict_id"]
    assert told["verdict_id"] == public(copy.deepcopy(record))["verdict_id"]  # type: ignore[index]
    record["tool"]["params"] = {"host": "www.example.org"}
    told = public(record)
    assert told is not None
    assert (told["key"], told["verdict_id"]) == (record["key"], record["verdict_id"])
    assert set(VERDICT_FIELDS) <= told.keys()


def test_a_failure_of_our_own_is_told_by_its_kind_alone() -> None:
    failure = {"kind": "requirement", "blame": "local", "retryable": False, "detail": "/home/me/bin/curl is missing"}
    told = public({**planted_verdict(), "blame": "local", "failure": failure, "reason": "/home/me/bin/curl is missing"})
    assert told is not None
    assert (told["failure"], told["reason"]) == ({**failure, "detail": None}, None)


def test_an_address_is_hidden_and_not_a_part_of_another_one() -> None:
    record = planted_verdict()
    record["reason"] = f"saw {ADDRESS}, {ADDRESS}1 and {ADDRESS}:443, not 1{ADDRESS}."
    told = public(record)
    assert told is not None
    assert told["reason"] == f"saw (vantage), {ADDRESS}1 and (vantage):443, not 1{ADDRESS}."


def test_what_was_seen_without_an_exit_is_not_public_at_all() -> None:
    record = planted_run()
    record["exit"]["fingerprint"] = "0" * 40
    assert public(record) is None


def test_a_record_that_goes_with_its_proof_can_still_be_checked() -> None:
    record = {"schema": "exitpin.run/1", **records()[0], "verdict": None}
    events = pack("".join(json.dumps(entry) + "\n" for entry in _slice("s-0001")).encode())
    record["evidence"] = [exhibit("events", events)]
    told = public(record, with_proof=True)
    assert told is not None
    found = check_run(told, Pieces(lambda _: _content()))
    assert (found.problems, found.streams) == ((), 1)
    assert "source_address" not in (public(record) or {})


def _slice(run_id: str) -> list[dict[str, object]]:
    """The events of the first run alone."""
    header, *entries = evidence()
    own = [e for e in entries if e.get("run") == run_id or "STREAM 1 " in str(e.get("tor")) or "CIRC 7 " in str(e)]
    return [header, *own]


def _content() -> bytes:
    return "".join(json.dumps(entry) + "\n" for entry in _slice("s-0001")).encode()
