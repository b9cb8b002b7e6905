"""Forged outcomes are found: what becomes of a stream, and whom a record blames, must follow from Tor's lines."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from exitpin.orchestrator.verify import Verdict, read_evidence, verify

from .proof import ONE, TWO, Entry, evidence, records, stream

Forge = Callable[[list[Any], Any, Any, Any], object]
ACCUSED = {"status": "failed", "reason": "END", "remote_reason": "EXITPOLICY"}
BLAMED = {"kind": "policy", "blame": "exit", "retryable": False, "detail": "x"}


def verdict_on(entries: list[Entry], told: list[dict[str, Any]]) -> Verdict:
    return verify(read_evidence(json.dumps(entry) for entry in entries), told)


def without(*texts: str) -> list[Entry]:
    return [entry for entry in evidence() if not any(text in json.dumps(entry) for text in texts)]


def accuse(told: list[Any], one: Any, lookup: Any, two: Any) -> None:
    """A connection that succeeded becomes a refusal by the exit."""
    one.update(ACCUSED)
    told[0].update(status="broken", failure=BLAMED)


RECORDS: dict[str, Forge] = {
    "an accusation over a success": accuse,
    "a success called a failure": lambda told, one, lookup, two: one.update(ACCUSED),
    "a success that Tor is said to have refused": lambda told, one, lookup, two: one.update(
        status="failed", reason="CANT_ATTACH"
    ),
    "a success called sent": lambda told, one, lookup, two: one.update(status="sent", reason=None),
    "a success called waiting": lambda told, one, lookup, two: one.update(status="waiting", reason=None),
    "an unheard-of status": lambda told, one, lookup, two: one.update(status="fine"),
    "a violation that is no failure": lambda told, one, lookup, two: one.update(status="violated"),
    "another end of a success": lambda told, one, lookup, two: one.update(reason="END", remote_reason="DONE"),
    "another remote reason": lambda told, one, lookup, two: two.update(remote_reason="EXITPOLICY"),
    "another reason": lambda told, one, lookup, two: two.update(reason="TIMEOUT", remote_reason=None),
    "a refusal called abandoned": lambda told, one, lookup, two: two.update(status="abandoned"),
    "an answer that the exit did not give": lambda told, one, lookup, two: lookup.update(resolved="198.51.100.1"),
    "no answer of a look-up that had one": lambda told, one, lookup, two: lookup.update(resolved=None),
    "a look-up that is said to have failed": lambda told, one, lookup, two: lookup.update(
        status="failed", reason="RESOLVEFAILED", resolved=None
    ),
    "another address of a connection": lambda told, one, lookup, two: one.update(resolved="198.51.100.1"),
    "an address that nobody told": lambda told, one, lookup, two: two.update(resolved="198.51.100.1"),
    "an end that is kept back": lambda told, one, lookup, two: one.update(closed=False),
    "a success without a stream": lambda told, one, lookup, two: told[1]["streams"][2].update(status="succeeded"),
    "an accusation without a stream": lambda told, one, lookup, two: told[1]["streams"][2].update(ACCUSED),
    "an end without a stream": lambda told, one, lookup, two: told[1]["streams"][2].update(closed=True),
    "a tag that left, without a stream": lambda told, one, lookup, two: told[1]["streams"][2].update(tag=ONE.tag),
    "the exit blamed for nothing": lambda told, one, lookup, two: told[0].update(status="broken", failure=BLAMED),
    "the exit blamed for another's refusal": lambda told, one, lookup, two: told[1].update(
        status="broken", failure=BLAMED
    ),
    "broken without blame": lambda told, one, lookup, two: told[0].update(status="broken"),
    "a failure called ok": lambda told, one, lookup, two: told[1].update(status="ok"),
    "another destination in claim and NEW": lambda told, one, lookup, two: one.update(destination="example.org:80"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_forged_outcome_is_found(name: str) -> None:
    told: list[Any] = records()
    RECORDS[name](told, told[0]["streams"][0], told[1]["streams"][0], told[1]["streams"][1])
    assert verdict_on(evidence(), told).problems


@pytest.mark.parametrize(
    "kept_back",
    [("STREAM 1 NEW",), ("STREAM 1 NEW", '"claim": {"source": "127.64.0.1'), ("STREAM 1 NEW", "SENTCONNECT 7")],
)
def test_a_stream_that_left_does_not_hide_with_its_new_line_and_its_record(kept_back: tuple[str, ...]) -> None:
    assert verdict_on(without(*kept_back), records()[1:]).problems


def test_a_success_without_an_id_is_found_even_with_all_its_lines_and_its_claim_gone() -> None:
    told: list[Any] = records()
    told[0]["streams"][0].update(stream_id=None)
    assert verdict_on(without("STREAM 1 ", '"claim": {"source": "127.64.0.1'), told).problems


def test_a_record_in_doubt_hides_no_stream_of_another() -> None:
    told: list[Any] = records()
    told[0].update(status="error", failure={"kind": "attribution", "blame": "local"})
    told[0]["streams"].append({**told[0]["streams"][0], "stream_id": 5})
    told[1]["streams"].pop(1)
    assert any("stream 5 left" in problem for problem in verdict_on(evidence(), told).problems)


def test_the_leftovers_of_an_earlier_session_are_none_of_ours() -> None:
    before = replace(ONE, tag="earlier-0001.1.a")
    entries = evidence()
    entries[3:3] = [stream(90, "SUCCEEDED", before, 70), stream(90, "CLOSED", before, 70, " REASON=DONE")]
    verdict = verdict_on(entries, records())
    assert (verdict.problems, verdict.refused) == ([], 1)


def changed(old: str, new: str, *, at: str) -> list[Entry]:
    texts = [json.dumps(entry) for entry in evidence()]
    (place,) = [place for place, text in enumerate(texts) if at in text and old in text]
    texts[place] = texts[place].replace(old, new)
    return [json.loads(text) for text in texts]


@pytest.mark.parametrize(
    "entries",
    [
        changed("SOURCE=EXIT", "SOURCE=CACHE", at="REMAP 7"),
        changed("STREAM 1 CONTROLLER_WAIT", "STREAM 1 XOFF_SENT", at="STREAM 1 "),
        changed("SUCCEEDED 7", "SENTCONNECT 7", at="STREAM 1 "),
        changed('"destination": "example.com:80"', '"destination": "example.org:80"', at='"claim"'),
        changed(f'"exit": "{ONE.exit}"', f'"exit": "{TWO.exit}"', at='"claim"'),
    ],
    ids=[
        "from Tor's cache",
        "a word out of turn",
        "sent twice",
        "a claim of another target",
        "a claim of another exit",
    ],
)
def test_the_live_rules_hold_offline(entries: list[Entry]) -> None:
    assert verdict_on(entries, records()).problems


# What honest sessions tell: lines of one stream after NEW, and what the record may say of them.

SENT = ("SENTCONNECT", 7, "")
OPEN = ("SUCCEEDED", 7, "")
DONE = ("CLOSED", 7, " REASON=DONE")
REFUSED = ("DETACHED", 7, " REASON=END REMOTE_REASON=EXITPOLICY")
GONE = ("CLOSED", 0, " REASON=DESTROY")
Told = tuple[str, str | None, str | None]

HONEST: list[tuple[tuple[tuple[str, int, str], ...], Told, bool]] = [
    ((), ("claimed", None, None), False),
    ((), ("abandoned", None, None), False),
    ((), ("failed", "TIMEOUT", None), False),
    ((), ("failed", "CANT_ATTACH", None), False),
    ((GONE,), ("failed", "CANT_ATTACH", None), True),
    ((GONE,), ("failed", "DESTROY", None), True),
    ((("FAILED", 0, " REASON=DESTROY"), GONE), ("failed", "CANT_ATTACH", None), True),
    ((SENT,), ("sent", None, None), False),
    ((SENT,), ("failed", "SOCKS 1", None), False),
    ((SENT, GONE), ("failed", "SOCKS -1", None), True),
    ((SENT, GONE), ("abandoned", "DESTROY", None), True),
    ((SENT, GONE), ("failed", "TIMEOUT", None), True),
    ((SENT, REFUSED, GONE), ("failed", "END", "EXITPOLICY"), True),
    ((SENT, OPEN), ("succeeded", None, None), False),
    ((SENT, OPEN, DONE), ("succeeded", "DONE", None), True),
    ((SENT, OPEN, DONE), ("abandoned", "DONE", None), True),
    ((SENT, OPEN, DONE), ("failed", "TIMEOUT", None), True),
]  # fmt: skip


def lived(lines: tuple[tuple[str, int, str], ...], told: Told, closed: bool) -> tuple[list[Entry], list[Any]]:
    """A session in which stream 1 went so."""
    entries = without("STREAM 1 S", "STREAM 1 R", "STREAM 1 C")
    entries[10:10] = [stream(1, word, ONE, circuit_id, words) for word, circuit_id, words in lines]
    recorded: list[Any] = records()
    status, reason, remote = told
    recorded[0]["streams"][0].update(status=status, reason=reason, remote_reason=remote, resolved=None, closed=closed)
    if status == "failed":
        recorded[0].update(status="error", failure={"kind": "tool", "blame": "tool"})
    return entries, recorded


@pytest.mark.parametrize(("lines", "told", "closed"), HONEST)
def test_what_an_honest_session_tells_is_consistent(
    lines: tuple[tuple[str, int, str], ...], told: Told, closed: bool
) -> None:
    entries, recorded = lived(lines, told, closed)
    assert verdict_on(entries, recorded).problems == []
    del recorded[0]["streams"][0]["closed"]
    assert verdict_on(entries, recorded).problems == []


def test_a_refusal_that_tor_told_may_be_blamed_on_the_exit() -> None:
    entries, recorded = lived((SENT, REFUSED, GONE), ("failed", "END", "EXITPOLICY"), True)
    recorded[0].update(status="broken", failure=BLAMED)
    assert verdict_on(entries, recorded).problems == []


def test_lines_that_came_after_the_end_of_a_run_need_not_be_in_its_record() -> None:
    entries, recorded = lived((SENT, OPEN, DONE), ("sent", None, None), False)
    assert verdict_on(entries, recorded).problems
    for entry in entries:
        if any(word in str(entry.get("tor")) for word in ("STREAM 1 SUCCEEDED", "STREAM 1 CLOSED")):
            entry["t"] = 9.0
    recorded[0]["t"] = {"end": 5.0}
    assert verdict_on(entries, recorded).problems == []
    recorded[0]["t"] = {"end": 10.0}
    assert verdict_on(entries, recorded).problems


def test_a_look_up_that_found_nothing_is_consistent() -> None:
    recorded: list[Any] = records()
    recorded[1]["streams"][0].update(status="failed", reason="RESOLVEFAILED", resolved=None)
    assert verdict_on(without("STREAM 2 REMAP"), recorded).problems == []
    recorded[1]["streams"][0].update(status="succeeded", reason=None, resolved="192.0.2.9")
    assert verdict_on(without("STREAM 2 REMAP"), recorded).problems


@pytest.mark.parametrize(
    ("told_by_tor", "heard", "is_same"),
    [("::1:0", "::0.1.0.0", True), ("::0.1.0.0", "::1:0", True), ("::1:0", "::0.1.0.1", False),
     ("::ffff:192.0.2.9", "192.0.2.9", False), ("fe80::1", "fe80::1%lo", False)],
)  # fmt: skip
def test_an_answer_that_libc_writes_otherwise_than_tor_is_the_same_address(
    told_by_tor: str, heard: str, is_same: bool
) -> None:
    recorded: list[Any] = records()
    recorded[1]["streams"][0].update(resolved=heard)
    entries = changed("192.0.2.9:0", f"[{told_by_tor}]:0", at="REMAP 8")
    assert (verdict_on(entries, recorded).problems == []) is is_same
    recorded[1]["streams"][0].update(resolved="192.0.2.9")
    recorded[0]["streams"][0].update(resolved=heard)
    entries = changed("192.0.2.10:80", f"[{told_by_tor}]:80", at="REMAP 7")
    assert (verdict_on(entries, recorded).problems == []) is is_same


@pytest.mark.parametrize(("asked", "is_same"), [("2001:DB8:0::9", True), ("2001:db8::8", False)])
@pytest.mark.parametrize("at", ["STREAM 5 NEW ", '"claim"'])
def test_a_destination_is_the_same_however_its_address_is_written(at: str, asked: str, is_same: bool) -> None:
    entries = changed("[2001:db8::9]:443", f"[{asked}]:443", at=at)
    assert (verdict_on(entries, records()).problems == []) is is_same


def test_a_run_that_could_not_be_prepared_needs_no_evidence() -> None:
    told: list[Any] = [*records(), records()[0]]
    told[2].update(run_id="s-0009", streams=[], start=None, status="error", failure={"kind": "shim", "blame": "local"})
    assert verdict_on(evidence(), told).problems == []
    told[2].update(streams=[{"stream_id": None, "tag": "x", "status": "waiting", "reason": None}])
    assert verdict_on(evidence(), told).problems


@pytest.mark.parametrize("value", [True, "x", [], {}, 1e999, -1, "\ud800"])
@pytest.mark.parametrize(
    "key", ["stream_id", "circuit_id", "source_port", "pid", "tag", "status", "reason", "resolved"]
)
def test_no_value_in_a_record_stops_the_verifier(key: str, value: object) -> None:
    told: list[Any] = records()
    told[0]["streams"][0][key] = value
    told[0]["t"] = {"end": 10**400}  # no float holds it
    assert verdict_on(evidence(), told).problems
