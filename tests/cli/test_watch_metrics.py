"""The metrics of a watch: what they are made of is looked up beside the loop, and only when something has changed."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import report_prom
from exitpin.orchestrator.cli.watch_told import Telling
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.watch.agenda import Due, Iteration
from exitpin.orchestrator.watch.plan import PlannedScan, WatchPlan

CERTS = PlannedScan("certs", 3600.0, 0.0, ("tls-cert",))
DUE, DONE = Due(CERTS, 1, 0.0), Iteration(1, 0.0, "s1", True)
LATER = Due(CERTS, 2, 4e9)
DEADLINE_S = 10.0


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The thread of each time that the store was asked."""
    threads: list[int] = []
    real = report_prom.facts

    def facts(store: Path, max_age: str = report_prom.MAX_AGE) -> report_prom.Facts:
        threads.append(threading.get_ident())
        return real(store, max_age)

    monkeypatch.setattr(report_prom, "facts", facts)
    return threads


def tell(folder: Path, part: Callable[[Telling], Awaitable[None]]) -> str:
    """The metrics in the end."""
    file = folder / "exitpin.prom"

    async def whole() -> None:
        telling = Telling(WatchPlan("nightly", (CERTS,), prometheus=str(file)), folder / "r.sqlite", {})
        await part(telling)
        await telling.stops()

    asyncio.run(whole())
    return file.read_text()


def test_the_store_is_asked_beside_the_loop(tmp_path: Path, looked_up: list[int]) -> None:
    async def part(telling: Telling) -> None:
        telling.waits(DUE)

    assert 'state="stopped"' in tell(tmp_path, part)
    assert looked_up and threading.get_ident() not in looked_up


def test_the_store_is_asked_when_something_has_changed_and_not_at_each_look(
    tmp_path: Path, looked_up: list[int]
) -> None:
    async def part(telling: Telling) -> None:
        for _ in range(9):
            telling.waits(LATER)
            telling.lives()
            await telling.settled()
        assert len(looked_up) == 1
        telling.scans(DUE, None)
        await telling.settled()
        assert len(looked_up) == 2
        telling.ended(DUE, DONE, "")
        telling.waits(LATER)
        await telling.settled()
        assert len(looked_up) == 3

    assert "exitpin_watch_iteration" in tell(tmp_path, part)


def test_what_could_not_be_looked_up_is_looked_up_again_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def locked(store: Path, max_age: str = "") -> report_prom.Facts:
        raise OperatorError("it is locked.", "")

    real = report_prom.facts

    async def part(telling: Telling) -> None:
        monkeypatch.setattr(report_prom, "facts", locked)
        for _ in range(3):
            telling.waits(LATER)
            await telling.settled()
        monkeypatch.setattr(report_prom, "facts", real)
        telling.lives()
        await telling.settled()
        assert 'state="waiting"' in (tmp_path / "exitpin.prom").read_text()

    tell(tmp_path, part)
    assert capsys.readouterr().err.count("it is locked") == 1


def test_a_pipe_that_nobody_reads_holds_nothing_up_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "status.json"
    os.mkfifo(pipe)

    async def whole() -> None:
        telling = Telling(WatchPlan("nightly", (CERTS,), status=str(pipe)), tmp_path / "r.sqlite", {})
        telling.waits(DUE)
        telling.lives()
        await telling.stops()

    watching = threading.Thread(target=asyncio.run, args=(whole(),), daemon=True)
    watching.start()
    watching.join(DEADLINE_S)
    assert not watching.is_alive()
    assert capsys.readouterr().err.count("is a pipe") == 1
