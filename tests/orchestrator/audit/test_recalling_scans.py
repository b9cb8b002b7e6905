"""Whole scans that are killed or interrupted and go on: nothing lost, nothing twice, the same verdicts."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from ..scans import DEAD, LIE, Record, Scan, by_exit, honest, tool

pytestmark = pytest.mark.timeout(90)

LIARS, DEAD_ONES, EXITS = (3, 7), (5,), 12
PLAYS = {f"e{number}": [LIE] for number in LIARS} | {f"e{number}": [DEAD] for number in DEAD_ONES}
EXPECTED = Counter(ok=9, tampered=2, broken=1)


def whole(seed: int = 1, **more: Any) -> Scan:
    return Scan(by_exit(**PLAYS), exits=EXITS, repeat=2, jobs=4, seed=seed, **more).carry_out()


def killed_after(records: Sequence[Record], count: int) -> list[Record]:
    """What a store would hold, had the session been killed after so many records: the last of each id."""
    return list({record.get("run_id") or record["verdict_id"]: record for record in records[:count]}.values())


def content(records: Sequence[Record]) -> tuple[Counter[str], Counter[tuple[str, int]]]:
    """The keys of verdicts, and of probes with their repetition."""
    verdicts = Counter(record["key"] for record in records if record["schema"] == "exitpin.verdict/1")
    probes = Counter((record["key"], record["repetition"]) for record in records if record.get("role") == "probe")
    return verdicts, probes


def statuses(records: Sequence[Record]) -> Counter[str]:
    return Counter(record["status"] for record in records if record["schema"] == "exitpin.verdict/1")


@pytest.mark.parametrize("seed", range(8))
def test_a_scan_killed_anywhere_and_gone_on_with_holds_what_an_undisturbed_one_holds(seed: int) -> None:
    undisturbed = whole(seed)
    assert statuses(undisturbed.stored) == EXPECTED
    cut = Random(seed).randrange(len(undisturbed.records))
    resumed = whole(seed + 100, earlier=killed_after(undisturbed.records, cut))
    assert content(resumed.stored) == content(undisturbed.stored)
    assert set(content(resumed.stored)[0].values()) == set(content(resumed.stored)[1].values()) == {1}
    assert statuses(resumed.stored) == EXPECTED


@pytest.mark.parametrize("seed", range(4))
def test_a_scan_killed_again_and_again_comes_to_the_same_end(seed: int) -> None:
    rng, records = Random(seed), list[Record]()
    for leg in range(5):
        scan = whole(seed + leg, earlier=records)
        records = killed_after([*records, *scan.records], len(records) + rng.randrange(len(scan.records) + 1))
    end = whole(seed + 50, earlier=records)
    assert statuses(end.stored) == EXPECTED
    assert set(content(end.stored)[0].values()) == set(content(end.stored)[1].values()) == {1}


@pytest.mark.parametrize("count", [5, 20, 40])
def test_a_drained_scan_is_gone_on_with_where_it_was_left(count: int) -> None:
    seen: list[Record] = []

    def note(record: Record) -> None:
        seen.append(record)
        if len(seen) == count:
            first.auditor._loop.call_soon(first.auditor.drain)

    first = Scan(by_exit(**PLAYS), exits=EXITS, repeat=2, jobs=4, note=note)
    first.carry_out()
    assert any(verdict["interrupted"] for verdict in first.verdicts)
    resumed = whole(2, earlier=first.stored)
    assert statuses(resumed.stored) == EXPECTED
    assert not any(record.get("interrupted") for record in resumed.stored)
    assert set(content(resumed.stored)[1].values()) == {1}


def test_a_drained_scan_waits_for_no_circuit() -> None:
    def drain_soon(scan: Scan) -> None:
        asyncio.get_running_loop().call_later(0.05, scan.auditor.drain)

    scan = Scan(honest, exits=6, jobs=6, circuit_s=1000.0, before=drain_soon).carry_out()
    assert scan.began == []
    assert [verdict["interrupted"] for verdict in scan.verdicts] == [True] * 6
    resumed = Scan(honest, exits=6, jobs=6, earlier=scan.stored).carry_out()
    assert statuses(resumed.stored) == Counter(ok=6)


def test_what_is_answered_is_not_asked_again() -> None:
    first = whole()
    again = whole(2, earlier=first.stored)
    assert again.began == [] and again.records == []


def test_runs_that_had_ended_are_judged_and_not_made_again() -> None:
    first = whole()
    runs = [record for record in first.stored if record["schema"] == "exitpin.run/1"]
    again = whole(2, earlier=[{**record, "verdict": None} for record in runs])
    known = {run["run_id"] for run in runs}
    made = Counter(run["role"] for run in again.runs if run["run_id"] not in known)
    assert made.keys() <= {"control", "confirm"}
    assert made["confirm"] == 1, "whoever is called broken has failed after controls of today were well"
    assert statuses(again.stored) == EXPECTED


def test_run_numbers_go_on_where_they_ended() -> None:
    first = whole()
    half = killed_after(first.records, len(first.records) // 3)
    last = max(record["run_id"] for record in half if "run_id" in record)
    resumed = whole(2, earlier=half)
    fresh = {run["run_id"] for run in resumed.runs} - {record.get("run_id") for record in half}
    assert fresh and min(fresh) > last


def test_an_error_is_asked_again_on_demand_and_nothing_else_is() -> None:
    first = Scan(by_exit(e5=[DEAD]), exits=6, jobs=4, tools=(tool(confirm=replace(tool().confirm, statuses=())),))
    first.carry_out()
    assert first.statuses == Counter(ok=5, error=1)
    again = Scan(honest, exits=6, jobs=4, tools=first.tools, earlier=first.stored, retry_failed=True)
    again.carry_out()
    assert statuses(again.stored) == Counter(ok=6)
    assert len(again.verdicts) == 1
    roles = Counter(record["role"] for record in again.stored if record.get("run_id"))
    assert roles["superseded"] == len([run for run in first.runs if run["exit"]["nickname"] == again_nick(again)])
    assert set(content(again.stored)[1].values()) == {1}


def test_what_a_retry_could_not_write_down_is_asked_by_another_retry_and_not_by_going_on() -> None:
    first = Scan(by_exit(e5=[DEAD]), exits=6, jobs=4, tools=(tool(confirm=replace(tool().confirm, statuses=())),))
    first.carry_out()
    given: dict[str, Any] = {"exits": 6, "jobs": 4, "tools": first.tools}
    lost = Scan(honest, **given, earlier=first.stored, retry_failed=True, before=lambda scan: scan.auditor.drain())
    assert [verdict["interrupted"] for verdict in lost.carry_out().verdicts] == [True]
    gone_on = Scan(honest, **given, earlier=first.stored).carry_out()
    assert gone_on.records == []
    again = Scan(honest, **given, earlier=first.stored, retry_failed=True).carry_out()
    assert statuses(again.stored) == Counter(ok=6)


def again_nick(scan: Scan) -> str:
    (verdict,) = scan.verdicts
    return str(verdict["exit"]["nickname"])
