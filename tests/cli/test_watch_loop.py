"""What a watch makes of how its processes end, by what the store has then. The processes are played."""

import argparse
import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import watch_loop
from exitpin.orchestrator.cli.watch_child import Child
from exitpin.orchestrator.cli.watch_loop import WatchLoop
from exitpin.orchestrator.results.blobs import blobs_directory
from exitpin.orchestrator.results.scan_lock import held
from exitpin.orchestrator.results.store import Store
from exitpin.orchestrator.watch import agenda
from exitpin.orchestrator.watch.plan import PlannedScan, WatchPlan

from ..orchestrator.recorded import scan_record, verdict_record

DEADLINE_S = 20.0
NOW = 4e9  # no interval is over by then
PLAN = WatchPlan("nightly", (PlannedScan("certs", 3600.0, 0.0, ("tls-cert",)),))
WEB = PlannedScan("web", 3600.0, 0.0, ("http-body",))
Part = Callable[[], Awaitable[int]]


class Played(Child):
    """A process whose part a test plays."""

    def __init__(self, part: Part) -> None:
        super().__init__((), {})
        self._part = part
        self.signals: list[int] = []
        self.last_sentence = "it says so"

    async def run(self) -> int:
        return await self._part()

    def signal(self, signo: int) -> None:
        self.signals.append(signo)


class Stage:
    """A watch of a plan. `asked`: how each of its processes was started; `words`: with which; `played`: they."""

    def __init__(self, path: Path, plan: WatchPlan = PLAN) -> None:
        self.path = path
        self.plan = plan
        self.asked: list[str] = []
        self.words: list[Sequence[str]] = []
        self.played: list[Played] = []
        self._parts: Iterator[Part] = iter(())

    def plays(self, *parts: Part) -> None:
        """What its processes do, one after the other."""
        self._parts = iter(parts)

    def _start(self, words: Sequence[str], _: Mapping[str, str]) -> Child:
        (resumed,) = [word for word in words if word.startswith("--resume=")] or ["new"]
        (tag,) = [word for word in words if word.startswith("--iteration=")]
        self.asked.append(f"{tag.removeprefix('--iteration=nightly/')} {resumed.removeprefix('--resume=')}")
        self.words.append(words)
        self.played.append(Played(next(self._parts)))
        return self.played[-1]

    def status(self, iterations: int | None = 1) -> int:
        """How a watch of so many iterations ends; None: `--once`."""
        args = argparse.Namespace(
            store=str(self.path), lab=False, name=None, control=None, dry_run=False, once=iterations is None,
            iterations=iterations,
        )  # fmt: skip

        async def watch() -> int:
            async with asyncio.timeout(DEADLINE_S):
                return await WatchLoop(self.plan, args, {}, self._start).execute()

        return asyncio.run(watch())

    def ends(
        self, status: int, state: str, *statuses: str, scan: str = "s1", of_scan: str = "certs", number: int = 1
    ) -> Part:
        """A part: the store has the scan in this state, and its verdicts; then the process ends so."""

        async def part() -> int:
            store = Store(self.path)
            of = {"watch": "nightly", "scan": of_scan, "number": number}
            store.add_scan(scan_record(scan, state=state, started=NOW, iteration=of, consensus="2026-01-31 13:00:00"))
            for place, status_of_it in enumerate(statuses):
                store.add(verdict_record(place, scan_id=scan, status=status_of_it))
            await store.close()
            return status

        return part


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(agenda, "BUSY_S", 0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


@pytest.mark.parametrize(
    ("verdicts", "status"), [(("ok", "ok"), 0), (("ok", "error"), 3), (("error", "tampered"), 1), (("suspect",), 0)]
)
def test_one_that_is_killed_after_its_last_verdict_has_made_its_iteration(
    path: Path, verdicts: tuple[str, ...], status: int
) -> None:
    stage = Stage(path)
    stage.plays(stage.ends(-9, "done", *verdicts))
    assert stage.status() == status
    assert stage.asked == ["certs/1 new"]


def test_what_was_cut_short_is_gone_on_with_and_forgotten_when_it_is_done(path: Path) -> None:
    stage = Stage(path)
    stage.plays(stage.ends(-9, "running"), stage.ends(125, "failed"), stage.ends(0, "done", "ok"))
    assert stage.status() == 0
    assert stage.asked == ["certs/1 new", "certs/1 s1", "certs/1 s1"]


def test_with_once_what_was_cut_short_is_a_failure(path: Path) -> None:
    stage = Stage(path)
    stage.plays(stage.ends(125, "failed"))
    assert stage.status(None) == 125


def test_what_is_still_ending_is_gone_on_with(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(path)
    stage.plays(stage.ends(-9, "running"), stage.ends(125, "running"), stage.ends(0, "done"))
    assert stage.status() == 0
    assert stage.asked == ["certs/1 new", "certs/1 s1", "certs/1 s1"]
    assert capsys.readouterr().err.count("ended before its time") == 2


def test_while_somebody_carries_it_out_nobody_else_is_started(path: Path) -> None:
    stage, lock = Stage(path), held(blobs_directory(path), "s1")

    async def killed() -> int:
        status = await stage.ends(-9, "running")()
        lock.__enter__()
        asyncio.get_running_loop().call_later(0.3, lock.__exit__, None, None, None)
        return status

    async def free() -> int:
        with held(blobs_directory(path), "s1", patience_s=0.0):
            return await stage.ends(0, "done", "ok")()

    stage.plays(killed, free)
    assert stage.status() == 0


@pytest.mark.parametrize("iterations", [2, None])
def test_what_somebody_else_carries_out_holds_up_no_other_scan_and_is_told_once(
    path: Path, capsys: pytest.CaptureFixture[str], iterations: int | None
) -> None:
    status = path.with_name("status.json")
    stage = Stage(path, WatchPlan("nightly", (*PLAN.scans, WEB), status=str(status)))
    lock = held(blobs_directory(path), "s1")
    told: list[str] = []

    async def web() -> int:
        def frees() -> None:
            told.append(json.loads(status.read_text())["paused"])
            lock.__exit__(None, None, None)

        asyncio.get_running_loop().call_later(0.3, frees)
        return await stage.ends(0, "done", scan="w1", of_scan="web")()

    asyncio.run(stage.ends(125, "failed")())
    lock.__enter__()
    stage.plays(web, stage.ends(0, "done", "ok"))
    assert stage.status(iterations) == 0
    assert stage.asked == ["web/1 new", "certs/1 s1"]
    assert told == [watch_loop.BUSY]
    assert capsys.readouterr().err.count(watch_loop.BUSY) == 1


def test_a_refusal_is_a_failure_and_another_watch_asks_again(path: Path) -> None:
    stage = Stage(path)
    stage.plays(stage.ends(125, "failed"), stage.ends(2, "failed"), stage.ends(0, "done", "ok"))
    assert [stage.status(None), stage.status(None), stage.status(None)] == [125, 125, 0]
    assert stage.asked == ["certs/1 new", "certs/1 s1", "certs/1 s1"]


def test_what_began_while_the_store_could_not_be_read_is_not_begun_again(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody has put a file in its place meanwhile, and takes it away again."""
    stage, away = Stage(path), path.with_name("away")

    async def hidden() -> int:
        status = await stage.ends(125, "failed")()
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.rename(path, away)
        path.write_text("no database" * 100)
        asyncio.get_running_loop().call_later(0.3, os.rename, away, path)
        return status

    stage.plays(hidden, stage.ends(0, "done", "ok"))
    assert stage.status() == 0
    assert stage.asked == ["certs/1 new", "certs/1 s1"]
    said = capsys.readouterr().err
    assert "could not be carried out; it is tried again at" in said and "it is no file of results" in said


def test_what_can_not_be_started_is_tried_again(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(path)

    async def no_descriptors() -> int:
        raise OSError(24, "Too many open files")

    stage.plays(no_descriptors, stage.ends(0, "done", "ok"))
    assert stage.status() == 0
    assert stage.asked == ["certs/1 new", "certs/1 new"]


def test_the_status_file_is_written_again_and_again_while_an_iteration_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_loop, "LOOK_S", 0.02)
    status = path.with_name("status.json")
    stage = Stage(path, replace(PLAN, status=str(status)))

    async def long() -> int:
        written: set[float] = set()
        while len(written) < 3:
            told = json.loads(status.read_text())
            assert told["state"] == "scanning"
            written.add(told["written"])
            await asyncio.sleep(0)
        return await stage.ends(0, "done", "ok")()

    stage.plays(long)
    assert stage.status() == 0


def test_an_iteration_that_takes_too_long_is_interrupted_once_and_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agenda, "LATE_MIN_S", 0.1)
    monkeypatch.setattr(watch_loop, "LOOK_S", 0.01)
    stage = Stage(path, replace(PLAN, scans=(replace(PLAN.scans[0], interval_s=0.1),)))

    async def long() -> int:
        while not stage.played[-1].signals:
            await asyncio.sleep(0)
        return await stage.ends(130, "interrupted")()

    stage.plays(long, stage.ends(0, "done", "ok", scan="s2", number=2))
    assert stage.status() == 0
    assert stage.asked == ["certs/1 new", "certs/2 new"]
    assert [one.signals for one in stage.played] == [[signal.SIGINT], []]
    assert capsys.readouterr().err.count("certs: iteration 1 takes longer than its interval (0.1 s)") == 1


def test_with_once_an_iteration_takes_as_long_as_it_takes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda.Agenda, "is_late", lambda *_: True)
    stage = Stage(path)

    async def long() -> int:
        for _ in range(9):
            await asyncio.sleep(0)
        return await stage.ends(0, "done", "ok")()

    stage.plays(long)
    assert stage.status(None) == 0
    assert stage.played[0].signals == []


def test_parameters_are_given_again_when_a_scan_goes_on_for_secrets_are_kept_nowhere(path: Path) -> None:
    words = ("tls-cert", "--repeat=2", "--param=token=abc", "--param=port=443")
    stage = Stage(path, replace(PLAN, scans=(replace(PLAN.scans[0], arguments=words),)))
    stage.plays(stage.ends(125, "failed"), stage.ends(0, "done", "ok"))
    assert stage.status() == 0
    new, resumed = stage.words
    assert new[1:5] == list(words)
    assert [word for word in resumed if word.startswith("--param=")] == ["--param=token=abc", "--param=port=443"]
    assert "tls-cert" not in resumed and "--repeat=2" not in resumed
