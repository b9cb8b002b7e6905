"""The alerts of a scan, carried out beside it: commands are real, verdicts are not."""

import argparse
import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.audit.alerts import ALERTS_MAX, Alerts
from exitpin.orchestrator.cli.audit_alerts import Alerting, untold
from exitpin.orchestrator.results.store import Store

from ..orchestrator.recorded import reader, scan_record, verdict_record, write

DEADLINE_S = 20.0


def lie(number: int, **changes: object) -> dict[str, Any]:
    return verdict_record(number, status="tampered", **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def carry_out(
    path: Path, script: str, play: Callable[[Store, Alerting], Awaitable[None]], told: dict[str, str] | None = None
) -> Alerts:
    """Play the scan whose alerts go to this shell script, with a store that tells what is recorded."""

    async def go() -> Alerts:
        store = Store(path)
        alerts = Alerts("s1", ["tampered"], told)
        args = argparse.Namespace(command=["sh", "-c", script, "sh", str(path.parent)], alert_timeout=60.0)
        guests: set[int] = set()
        alerting = Alerting(
            alerts, args, os.environ, guests,
            lambda: store.add_scan(scan_record(alerted=alerts.told)),
        )  # fmt: skip
        store.on_recorded, store.on_problem = alerting.recorded, lambda _: alerting.lost()
        await asyncio.wait_for(play(store, alerting), DEADLINE_S)
        await store.abandon()
        assert not guests
        return alerts

    return asyncio.run(go())


async def judge(store: Store, alerting: Alerting, *records: dict[str, Any]) -> None:
    """As a scan does with what it concluded."""
    for record in records:
        store.add(record)
        alerting.judged(record)


def lines(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(one.read_text()) for one in path.parent.glob("told.*")]
    return sorted(found, key=lambda record: str(record.get("verdict_id")))


KEEP = 'cat > "$1/told.$$"'


def test_each_verdict_goes_to_a_command_of_its_own_and_that_is_written_down(path: Path) -> None:
    async def play(store: Store, alerting: Alerting) -> None:
        await judge(store, alerting, lie(1), verdict_record(2), lie(3))
        await alerting.finish()

    alerts = carry_out(path, KEEP, play)
    assert lines(path) == [lie(1), lie(3)]
    assert alerts.told == {"s1-v0001": "tampered", "s1-v0003": "tampered"}
    with reader(path) as store:
        assert (store.scan("s1") or {})["alerted"] == alerts.told


def test_a_verdict_is_on_disk_when_somebody_is_told_of_it(path: Path) -> None:
    script = "python3 -c \"import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT status FROM runs')"
    script += '.fetchall())" "$1/results.sqlite" > "$1/seen"'

    async def play(store: Store, alerting: Alerting) -> None:
        await judge(store, alerting, lie(1))
        await alerting.finish()

    carry_out(path, script, play)
    assert (path.parent / "seen").read_text() == "[('tampered',)]\n"


def test_whoever_stops_ends_what_runs_and_the_rest_stays_untold(path: Path) -> None:
    async def play(store: Store, alerting: Alerting) -> None:
        await judge(store, alerting, *map(lie, range(5)))
        while sum(told.read_bytes().endswith(b"\n") for told in path.parent.glob("told.*")) < 2:
            await asyncio.sleep(0.01)
        alerting.stop()
        await alerting.finish()

    alerts = carry_out(path, f"{KEEP}; sleep 600", play)
    assert (alerts.told, alerts.untold, len(lines(path))) == ({}, 5, 2)


def test_a_disk_that_fails_leaves_nobody_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(store: Store, alerting: Alerting) -> None:
        monkeypatch.setattr(store, "_commit", lambda _: 1 / 0)
        await judge(store, alerting, lie(1))
        await alerting.finish()

    alerts = carry_out(path, KEEP, play)
    assert (alerts.told, lines(path)) == ({}, [])


def test_what_earlier_sessions_left_untold_is_told_when_the_scan_goes_on(path: Path) -> None:
    records = [lie(1), lie(2, interrupted=True), lie(3), verdict_record(4)]
    write(path, records)
    known = [{name: record.get(name) for name in ("schema", "verdict_id", "status", "interrupted", "tool")}
             for record in records]  # fmt: skip

    async def play(store: Store, alerting: Alerting) -> None:
        alerting.catch_up(await asyncio.to_thread(untold, alerting.alerts, known, path))
        await alerting.finish()

    carry_out(path, KEEP, play, told={"s1-v0003": "tampered"})
    assert lines(path) == [lie(1)]


def test_a_storm_of_them_ends_in_one_line_for_the_rest(path: Path) -> None:
    async def play(store: Store, alerting: Alerting) -> None:
        await judge(store, alerting, *map(lie, range(ALERTS_MAX + 3)))
        await alerting.finish()

    carry_out(path, KEEP, play)
    found = lines(path)
    assert len(found) == ALERTS_MAX + 1
    (rest,) = [record for record in found if record["schema"] == "exitpin.alerts/1"]
    assert rest["count"] == 3
