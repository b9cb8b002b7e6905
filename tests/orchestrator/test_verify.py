"""Evidence and records that agree are consistent; one thing changed anywhere, and it is found."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from exitpin.orchestrator.control_lines import parse_stream
from exitpin.orchestrator.verify import Verdict, read_evidence, verify

from .proof import ONE, TWO, Entry, claimed, evidence, records, report, stream, tor
from .values import EXIT, GUARD, OTHER_EXIT, circ_line, claim, fingerprint


def verdict_on(entries: list[Entry], told: list[dict[str, Any]]) -> Verdict:
    return verify(read_evidence(json.dumps(entry) for entry in entries), told)


def place(entries: list[Entry], text: str) -> int:
    """Where the one entry with this text stands."""
    (found,) = [at for at, entry in enumerate(entries) if text in json.dumps(entry)]
    return found


def test_what_agrees_is_consistent() -> None:
    verdict = verdict_on(evidence(), records())
    assert verdict == Verdict(records=2, streams=3, consistent=3, refused=1, problems=[])


# Each changes one thing in the evidence.


def replaced(text: str, by: str, at: str = "") -> Callable[[list[Entry]], None]:
    """`text` becomes `by`, in the one entry that has it (and `at`)."""

    def change(entries: list[Entry]) -> None:
        (found,) = [n for n, entry in enumerate(entries) if text in json.dumps(entry) and at in json.dumps(entry)]
        entries[found] = json.loads(json.dumps(entries[found]).replace(text, by))

    return change


def dropped(text: str) -> Callable[[list[Entry]], None]:
    return lambda entries: entries.pop(place(entries, text)) and None  # type: ignore[func-returns-value]


def moved(text: str, behind: str) -> Callable[[list[Entry]], None]:
    def change(entries: list[Entry]) -> None:
        entry = entries.pop(place(entries, text))
        entries.insert(place(entries, behind) + 1, entry)

    return change


def added(entry: Entry, behind: str = "STREAM 5 NEW ") -> Callable[[list[Entry]], None]:
    return lambda entries: entries.insert(place(entries, behind) + 1, entry)


REPORT_OF_ONE = str(report(ONE)["report"])
STOLEN = claim(8, tag=ONE.tag)

EVIDENCE = {
    "another circuit at SENTCONNECT": replaced("SENTCONNECT 7", "SENTCONNECT 8", "STREAM 1 "),
    "another circuit at REMAP": replaced("REMAP 7", "REMAP 8"),
    "another circuit at SUCCEEDED": replaced("SUCCEEDED 7", "SUCCEEDED 8"),
    "another circuit at CLOSED": replaced("STREAM 1 CLOSED 7", "STREAM 1 CLOSED 8"),
    "another circuit at DETACHED": replaced("DETACHED 8", "DETACHED 7"),
    "another tag at NEW": replaced(ONE.tag, "x", "STREAM 1 NEW"),
    "another tag at SUCCEEDED": replaced(ONE.tag, "x", "SUCCEEDED"),
    "another tag at CLOSED": replaced(ONE.tag, "x", "STREAM 1 CLOSED"),
    "another source at NEW": replaced("127.64.0.1:40001", "127.64.0.1:40002", "STREAM 1 NEW"),
    "another run's address at NEW": replaced("127.64.0.1:40001", "127.64.0.2:40001", "STREAM 1 NEW"),
    "another destination at NEW": replaced("example.com:80", "example.org:80", "STREAM 1 NEW"),
    "another command": replaced("NEWRESOLVE", "NEW"),
    "no NEW": dropped("STREAM 1 NEW"),
    "two NEWs": added(stream(1, "NEW", ONE)),
    "a NEW that came late": moved("STREAM 1 NEW", behind="STREAM 1 CONTROLLER_WAIT"),
    "never sent": dropped("SENTCONNECT 7"),
    "a look-up that was never sent": dropped("SENTRESOLVE"),
    "never succeeded": dropped("STREAM 1 SUCCEEDED"),
    "no claim": dropped('"circuit": 7'),
    "no claim of a look-up": dropped('"destination": "web.test:0"'),
    "a late claim": moved('"circuit": 7', behind="STREAM 1 NEW"),
    "a claim for another circuit": replaced('"circuit": 7', '"circuit": 8'),
    "a claim from another source": replaced("127.64.0.1:40001", "127.64.0.1:40002", '"claim"'),
    "a claim of another run": replaced('"run": "s-0001"', '"run": "s-0002"', '"claim"'),
    "a claim with another tag": replaced(ONE.tag, "x", '"claim"'),
    "no report": dropped(REPORT_OF_ONE),
    "no report of an IPv6 socket": dropped(str(report(TWO)["report"])),
    "a late report": moved(REPORT_OF_ONE, behind='"circuit": 7'),
    "another run's nonce": replaced("01" * 16, "03" * 16, '"report"'),
    "another run's report": replaced('"run": "s-0001"', '"run": "s-0002"', '"report"'),
    "another pid": replaced('"pid": 101', '"pid": 102'),
    "a circuit that was never built": dropped("CIRC 7 BUILT"),
    "a circuit that was built late": moved("CIRC 7 BUILT", behind="SENTCONNECT 7"),
    "a circuit through another guard": replaced(GUARD, fingerprint(0xBB), "CIRC 7 BUILT"),
    "a circuit to another exit": replaced(EXIT, OTHER_EXIT, "CIRC 7 BUILT"),
    "a circuit of a linked set": replaced("PURPOSE=GENERAL", "PURPOSE=CONFLUX_LINKED", "CIRC 7 BUILT"),
    "a circuit that was built twice": added(tor(circ_line(7, "BUILT", (GUARD, EXIT, OTHER_EXIT)))),
    "a circuit that had ended before": moved("CIRC 7 CLOSED", behind="CIRC 8 BUILT"),
    "a circuit that ended before success": moved("CIRC 7 CLOSED", behind="STREAM 1 REMAP"),
    "no beginning": dropped("127.64.0.1\", \"nonce"),
    "a beginning for another exit": replaced(EXIT, OTHER_EXIT, "begin"),
    "a beginning from another address": replaced('"address": "127.64.0.1"', '"address": "127.64.0.3"'),
    "a stream that nobody recorded": added(stream(6, "SENTCONNECT", claim(6), 7), behind="SENTCONNECT 7"),
    "a second stream that left with the tag": added(stream(6, "SENTCONNECT", STOLEN, 8)),
    "a foreign stream that was let out": added(stream(3, "SENTCONNECT", claim(9, tag="nobody"), 7), "STREAM 3 NEW"),
    "a line that is none": replaced("STREAM 1 CONTROLLER_WAIT", "STREAM one CONTROLLER_WAIT"),
    "an entry that is none": added(["tor"]),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("name", EVIDENCE)
def test_one_change_in_the_evidence_is_found(name: str) -> None:
    entries = evidence()
    if name == "a stream that nobody recorded":
        entries.insert(10, stream(6, "NEW", claim(6)))
    EVIDENCE[name](entries)
    assert verdict_on(entries, records()).problems


# Each changes one thing in the records: of run 1, its stream, the look-up of run 2.
RECORDS: dict[str, Callable[[list[Any], Any, Any], object]] = {
    "another circuit": lambda told, one, lookup: one.update(circuit_id=8),
    "no circuit": lambda told, one, lookup: one.update(circuit_id=None),
    "another tag": lambda told, one, lookup: one.update(tag=TWO.tag),
    "another port": lambda told, one, lookup: one.update(source_port=40002),
    "no port": lambda told, one, lookup: one.update(source_port=None),
    "another address": lambda told, one, lookup: one.update(source_address="127.64.0.2"),
    "another run address": lambda told, one, lookup: told[0].update(source_address="127.64.0.2"),
    "another destination": lambda told, one, lookup: one.update(destination="example.org:80"),
    "another look-up": lambda told, one, lookup: lookup.update(destination="web2.test"),
    "a connect called a look-up": lambda told, one, lookup: one.update(is_lookup=True),
    "a look-up called a connect": lambda told, one, lookup: lookup.update(is_lookup=False),
    "another stream": lambda told, one, lookup: one.update(stream_id=3),
    "an unheard-of stream": lambda told, one, lookup: one.update(stream_id=77),
    "a stream without an id": lambda told, one, lookup: one.update(stream_id=None),
    "a stream with an odd id": lambda told, one, lookup: one.update(stream_id=["1"]),
    "another pid": lambda told, one, lookup: one.update(pid=202),
    "another pid of a look-up": lambda told, one, lookup: lookup.update(pid=203),
    "another command": lambda told, one, lookup: told[0].update(tool={"argv": ["wget", "web.test"]}),
    "another exit": lambda told, one, lookup: told[0]["exit"].update(fingerprint=OTHER_EXIT),
    "no exit": lambda told, one, lookup: told[0].update(exit=None),
    "another path": lambda told, one, lookup: told[0]["circuits"][0].update(path=[fingerprint(0xBB), EXIT]),
    "a circuit that failed and was built": lambda told, one, lookup: told[0].update(
        unbuilt=[{"id": 7, "path": list(told[0]["circuits"][0]["path"])}]
    ),
    "a circuit too many": lambda told, one, lookup: told[0]["circuits"].append({"id": 77, "path": [GUARD, EXIT]}),
    "a failed circuit too many": lambda told, one, lookup: told[0].update(
        unbuilt=[{"id": 78, "path": [GUARD, EXIT], "reached": 1, "reason": "TIMEOUT"}]
    ),
    "a circuit that was given up and carried a stream": lambda told, one, lookup: told[0].update(
        unbuilt=[{**told[0]["circuits"].pop(0), "reason": "TIMEOUT"}]
    ),
    "a circuit of another run that was given up": lambda told, one, lookup: told[0].update(
        unbuilt=[{**told[1]["circuits"][0], "reason": "TIMEOUT"}]
    ),
    "a failed circuit that is none": lambda told, one, lookup: told[0].update(unbuilt=["x"]),
    "a turned path": lambda told, one, lookup: told[0]["circuits"][0]["path"].reverse(),
    "another circuit listed": lambda told, one, lookup: told[0]["circuits"][0].update(id=8),
    "no circuit listed": lambda told, one, lookup: told[0].update(circuits=[]),
    "a stream too many": lambda told, one, lookup: told[0]["streams"].append({**one, "stream_id": 78}),
    "a stream in two places": lambda told, one, lookup: told[1]["streams"].append(copy.deepcopy(one)),
    "a stream twice": lambda told, one, lookup: told[0]["streams"].append(copy.deepcopy(one)),
    "a stream missing": lambda told, one, lookup: told[0]["streams"].clear(),
    "a stream that is none": lambda told, one, lookup: told[0]["streams"].append("stream"),
    "no streams at all": lambda told, one, lookup: told[0].pop("streams"),
    "swapped streams": lambda told, one, lookup: told[0].update(streams=told[1]["streams"]),
    "swapped runs": lambda told, one, lookup: (told[0].update(run_id="s-0002"), told[1].update(run_id="s-0001")),
    "an unheard-of run": lambda told, one, lookup: told[0].update(run_id="s-0003"),
    "a record twice": lambda told, one, lookup: told.append(copy.deepcopy(told[0])),
    "a record missing": lambda told, one, lookup: told.pop(0),
    "a failure called success": lambda told, one, lookup: told[1]["streams"][1].update(status="succeeded"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_one_change_in_the_records_is_found(name: str) -> None:
    told: list[Any] = records()
    RECORDS[name](told, told[0]["streams"][0], told[1]["streams"][0])
    assert verdict_on(evidence(), told).problems


def test_a_thief_of_a_tag_who_was_refused_takes_nothing_from_its_owner() -> None:
    entries = evidence()
    refused = verdict_on(entries, records()).refused
    added(stream(6, "CLOSED", STOLEN))(entries)
    added(stream(6, "NEW", STOLEN))(entries)
    verdict = verdict_on(entries, records())
    assert (verdict.problems, verdict.refused) == ([], refused + 1)


def test_a_record_that_says_itself_that_its_attribution_failed_accuses_nobody() -> None:
    entries, told = evidence(), records()
    replaced("SENTCONNECT 7", "SENTCONNECT 8", "STREAM 1 ")(entries)
    told[0].update(status="error", failure={"kind": "attribution", "blame": "local"})
    verdict = verdict_on(entries, told)
    assert (verdict.problems, verdict.streams, verdict.consistent) == ([], 3, 2)


def test_a_socket_that_the_tool_bound_itself_need_not_come_from_the_runs_address() -> None:
    entries, told = evidence(), records()
    weak = claim(source=ONE.source._replace(host="127.0.0.1"))
    for old, new in (
        (report(ONE), report(weak)),
        (claimed(ONE), claimed(weak)),
        (stream(1, "NEW", ONE), stream(1, "NEW", weak)),
    ):
        entries[entries.index(old)] = new
    told[0]["streams"][0].update(source_address="127.0.0.1", witnesses=["source-port", "socks-username"])  # type: ignore[index]
    assert verdict_on(entries, told).problems == []
    told[0]["streams"][0].update(witnesses=["source-address"])  # type: ignore[index]
    assert verdict_on(entries, told).problems


@pytest.mark.parametrize("first", ["", "{", "[]", '{"schema": "other"}', '{"t": 1, "tor": "CIRC 7 BUILT"}', "null"])
def test_what_is_no_evidence_is_said_to_be_none(first: str) -> None:
    with pytest.raises(ValueError):
        read_evidence([first])
    with pytest.raises(ValueError, match="empty"):
        read_evidence([])


def test_tors_own_streams_are_none_of_ours() -> None:
    assert parse_stream(str(evidence()[16]["tor"])).purpose == "DIR_FETCH"


@pytest.mark.parametrize("circuit", [0, -7, 2**64, "²"])
def test_a_claim_for_no_circuit_is_a_problem_and_no_end(circuit: object) -> None:
    entries, told = evidence(), records()
    for entry in entries:
        if "claim" in entry:
            entry["claim"]["circuit"] = circuit  # type: ignore[index]
    assert any("can't be read" in problem for problem in verdict_on(entries, told).problems)


def test_a_claim_for_no_port_is_a_problem() -> None:
    entries, told = evidence(), records()
    for entry in entries:
        if "claim" in entry:
            entry["claim"]["destination"] = "192.0.2.10:70000"  # type: ignore[index]
    assert any("'70000' is no port" in problem for problem in verdict_on(entries, told).problems)


def test_evidence_of_which_hardly_anything_can_be_read_is_given_up() -> None:
    first = json.dumps(evidence()[0])
    assert len(read_evidence([first, *["x"] * 900]).problems) == 900
    with pytest.raises(ValueError, match="1000 lines of it can't be read"):
        read_evidence([first, *["x"] * 100_000])
