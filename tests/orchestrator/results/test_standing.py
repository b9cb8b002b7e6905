"""Verdicts by their columns: those of a scan, of an exit, and why they say what they say."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from exitpin.orchestrator.audit.need import Past, by_need
from exitpin.orchestrator.model import Fingerprint
from exitpin.orchestrator.results import standing
from exitpin.orchestrator.results.standing import AT_ONCE, LATEST_MAX, pasts_of
from exitpin.orchestrator.results.stored import Reader

from ..recorded import reader, run_record, scan_record, verdict_record, write
from ..values import relay

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


# When exits were asked.


def on_exit(scan: str, at: float, status: str, tool: str = "tls-cert", **changes: object) -> dict[str, Any]:
    """A verdict on the first exit."""
    name = f"{scan}-{tool}"
    return verdict_record(1, verdict_id=name, scan_id=scan, status=status, ended=at, tool={"id": tool}, **changes)


def refused(scan: str, at: float, tool: str = "tls-cert") -> dict[str, Any]:
    """One that was skipped since the exit's own policy forbids it."""
    return on_exit(scan, at, "skipped", tool, failure={"kind": "policy"})


LEFT_OPEN = {"status": "error", "interrupted": True}
OK, FOUND = on_exit("s1", 10.0, "ok"), on_exit("s1", 10.0, "tampered")
DRAINED = on_exit("s2", 20.0, "error", interrupted=True)
NO_PROGRAM = on_exit("s2", 20.0, "skipped", failure={"kind": "requirement"})


@pytest.mark.parametrize(
    ("verdicts", "past"),
    [
        ([OK], (10.0, False)),
        ([OK, on_exit("s2", 20.0, "error", interrupted=False)], (20.0, False)),
        ([OK, DRAINED], (10.0, False)),
        ([OK, NO_PROGRAM], (10.0, False)),
        ([FOUND, DRAINED], (10.0, True)),
        ([FOUND, NO_PROGRAM], (10.0, True)),
        ([FOUND, DRAINED, refused("s2", 21.0, "dns-exit")], (10.0, True)),
        ([FOUND, on_exit("s2", 20.0, "ok")], (20.0, False)),
        ([FOUND, on_exit("s2", 20.0, "ok"), on_exit("s2", 30.0, "skipped", "dns-exit")], (20.0, False)),
        ([on_exit("s1", 10.0, "broken"), on_exit("s1", 20.0, "ok", "dns-exit")], (20.0, True)),
        ([on_exit("s1", 10.0, "suspect", interrupted=True)], (10.0, True)),
        ([DRAINED, refused("s2", 10.0, "dns-exit")], None),
        ([NO_PROGRAM], None),
    ],
)
def test_a_scan_that_did_not_come_to_an_exit_is_no_past(
    verdicts: list[dict[str, Any]], past: tuple[float, bool] | None, tmp_path: Path
) -> None:
    write(tmp_path / "results.sqlite", verdicts)
    with reader(tmp_path / "results.sqlite") as found:
        assert pasts_of(found, [FIRST, SECOND]) == ({} if past is None else {FIRST: past})


def test_who_refused_all_that_there_was_to_ask_has_had_its_turn(tmp_path: Path) -> None:
    write(tmp_path / "results.sqlite", [FOUND, refused("s2", 20.0), on_exit("s2", 30.0, "skipped", "dns-exit")])
    with reader(tmp_path / "results.sqlite") as found:
        assert pasts_of(found, [FIRST]) == {FIRST: (30.0, False)}


def test_an_error_that_cannot_be_read_has_asked(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    write(path, [on_exit("s1", 10.0, "error", interrupted=True)])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE runs SET record = '{'")
    with reader(path) as found:
        assert pasts_of(found, [FIRST]) == {FIRST: (10.0, False)}


def test_who_was_not_asked_for_very_long_counts_as_never_asked(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    *drained, last = [on_exit(f"s{n}", 20.0 + n, "error", interrupted=True) for n in range(LATEST_MAX)]
    write(path, [on_exit("s", 10.0, "ok"), *drained])
    with reader(path) as found:
        assert pasts_of(found, [FIRST]) == {FIRST: (10.0, False)}
    write(path, [last])
    with reader(path) as found:
        assert pasts_of(found, [FIRST]) == {}


def test_iterations_that_are_given_up_come_to_everybody_in_turn(tmp_path: Path) -> None:
    """Each of six asks 8 of 20 exits, and is drained."""
    path, asked = tmp_path / "results.sqlite", Counter[str]()
    exits = [relay(number) for number in range(1, 21)]
    old = {one.fingerprint: 0.0 for one in exits}
    write(path, [scan_record()])
    for iteration in range(6):
        with reader(path) as store:
            told = pasts_of(store, [one.fingerprint for one in exits])
        pasts = {Fingerprint(name): Past(*past) for name, past in told.items()}
        order = by_need(exits, old, pasts, newcomers_since=1.0, rng=Random(iteration))
        asked.update(one.fingerprint for one in order[:8])
        write(path, [
            verdict_record(
                verdict_id=f"s{iteration}-{one.fingerprint}", scan_id=f"s{iteration}",
                exit={"fingerprint": one.fingerprint}, ended=100.0 * iteration + place,
                **({} if place < 8 else LEFT_OPEN),
            )
            for place, one in enumerate(order)
        ])  # fmt: skip
    assert set(asked.values()) == {2, 3} and len(asked) == len(exits)
