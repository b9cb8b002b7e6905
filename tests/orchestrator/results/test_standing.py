"""Verdicts by their columns: those of a scan, of an exit, and why they say what they say."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.results import standing
from exitpin.orchestrator.results.standing import AT_ONCE
from exitpin.orchestrator.results.stored import Reader

from ..recorded import reader, run_record, scan_record, verdict_record, write

FIRST, SECOND = f"{1:040X}", "ABCD" + "0" * 36


def elsewhere(nickname: str = "other") -> dict[str, str]:
    return {"fingerprint": SECOND, "nickname": nickname}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Reader]:
    path = tmp_path / "results.sqlite"
    write(
        path,
        [
            scan_record("s1", exits=[FIRST, SECOND], consensus="2026-05-01 00:00:00"),
            run_record(1),
            verdict_record(1, reason="well"),
            verdict_record(2, exit=elsewhere(), status="tampered", severity="high", reason="a lie"),
            verdict_record(3, exit=elsewhere(), tool={"id": "dns-exit", "digest": "d2"}),
            verdict_record(4, scan_id="s2", exit=elsewhere("renamed"), status="broken", reason=None),
        ],
    )
    with reader(path) as found:
        yield found


def test_the_verdicts_of_a_scan_are_told_by_their_columns(store: Reader) -> None:
    one, two, three = sorted(standing.in_scan(store, "s1"))
    assert (one.record_id, one.scan_id, one.question[0], one.digest) == ("s1-v0001", "s1", "tls-cert", "d1")
    assert (two.exit, two.nickname, two.status, two.severity, two.at) == (SECOND, "other", "tampered", "high", 1004.0)
    assert one.question == two.question != three.question
    assert standing.in_scan(store, "s1", "dns-exit") == [three]
    assert standing.in_scan(store, "none") == []


def test_the_verdicts_on_an_exit_are_told_the_oldest_first(store: Reader) -> None:
    assert [s.record_id for s in standing.of_exit(store, SECOND)] == ["s1-v0002", "s1-v0003", "s1-v0004"]
    assert [s.record_id for s in standing.of_exit(store, SECOND, "dns-exit")] == ["s1-v0003"]


@pytest.mark.parametrize("name", ["ABCD", "abcd00", "$ABCD0", SECOND, "OTHER", "renamed"])
def test_an_exit_is_found_by_its_name_of_any_time_or_by_how_its_fingerprint_begins(name: str, store: Reader) -> None:
    ((fingerprint, _),) = standing.exits_named(store, name)
    assert fingerprint == SECOND


def test_a_name_of_nobody_finds_nobody(store: Reader) -> None:
    assert standing.exits_named(store, "AB") == standing.exits_named(store, "' OR 1 --") == []


def test_reasons_are_found_by_id_however_many_there_are(store: Reader) -> None:
    unknown = [f"x{number}" for number in range(2 * AT_ONCE)]
    found = standing.reasons(store, [*unknown, "s1-v0002", "s1-v0004"])
    assert found == {"s1-v0002": "a lie", "s1-v0004": ""}


def test_a_plan_is_told_where_it_was_written_down(store: Reader) -> None:
    assert standing.planned_exits(store, "s1") == {FIRST, SECOND}
    assert standing.planned_exits(store, "s2") is None


def test_scans_are_told_as_far_as_they_are_known(store: Reader) -> None:
    assert standing.scans_told(store, ["s1", "s2"]) == {
        "s1": standing.ScanTold("s1", 1000.0, "2026-05-01 00:00:00", "own")
    }
