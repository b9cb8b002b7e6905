"""What a watch makes of how its processes end, by what the store has then. The processes are played."""

import asyncio
import json
import os
import signal
import sqlite3
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import watch_loop
from exitpin.orchestrator.results.blobs import blobs_directory
from exitpin.orchestrator.results.scan_lock import held
from exitpin.orchestrator.watch import agenda
from exitpin.orchestrator.watch.plan import WatchPlan

from .watch_stage import PLAN, WEB, Stage


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


def test_with_once_no_scan_has_two_new_iterations_though_each_is_due_again_when_it_ends(path: Path) -> None:
    stage = Stage(path, WatchPlan("nightly", (*PLAN.scans, WEB)))
    asyncio.run(stage.ends(125, "failed")())
    stage.plays(
        stage.ends(3, "done", started=0.0),
        stage.ends(0, "done", scan="w1", of_scan="web", started=0.0),
        stage.ends(1, "done", "tampered", scan="s2", number=2, started=0.0),
    )
    assert stage.status(None) == 1
    assert stage.asked == ["certs/1 s1", "web/1 new", "certs/2 new"]


def test_with_once_nobody_is_waited_for_whose_iteration_is_older_than_its_interval(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "FIRST_WAIT_S", 0.0)
    (certs,) = PLAN.scans
    stage = Stage(path, WatchPlan("nightly", (replace(certs, interval_s=0.5), WEB)))
    with ExitStack() as somebody:

        async def web() -> int:
            somebody.enter_context(held(blobs_directory(path), "s1"))
            return await stage.ends(0, "done", scan="w1", of_scan="web")()

        stage.plays(stage.ends(125, "failed", started=time.time()), web)
        assert stage.status(None) == 125
    assert stage.asked == ["certs/1 new", "web/1 new"]


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
            if (paused := json.loads(status.read_text())["paused"]) == watch_loop.BUSY:
                told.append(paused)
                lock.__exit__(None, None, None)
            else:
                asyncio.get_running_loop().call_later(0.02, frees)

        asyncio.get_running_loop().call_later(0.3, frees)
        return await stage.ends(0, "done", scan="w1", of_scan="web")()

    asyncio.run(stage.ends(125, "failed")())
    lock.__enter__()
    stage.plays(web, stage.ends(0, "done", "ok"))
    assert stage.status(iterations) == 0
    assert stage.asked == ["web/1 new", "certs/1 s1"]
    assert told == [watch_loop.BUSY]
    assert capsys.readouterr().err.count(watch_loop.BUSY) == 1


def test_what_somebody_else_has_carried_out_to_its_end_is_done(path: Path) -> None:
    stage, lock = Stage(path), held(blobs_directory(path), "s1")

    async def cut_short() -> int:
        status = await stage.ends(125, "failed")()
        lock.__enter__()
        asyncio.get_running_loop().call_later(0.1, lambda: asyncio.ensure_future(ends()))
        return status

    async def ends() -> None:
        await stage.ends(0, "done", "tampered")()
        lock.__exit__(None, None, None)

    stage.plays(cut_short)
    assert stage.status() == 1
    assert stage.asked == ["certs/1 new"]


def test_a_refusal_is_a_failure_and_another_watch_asks_again(path: Path) -> None:
    stage = Stage(path)
    stage.plays(stage.ends(125, "failed"), stage.ends(2, "failed"), stage.ends(0, "done", "ok"))
    assert [stage.status(None), stage.status(None), stage.status(None)] == [125, 125, 0]
    assert stage.asked == ["certs/1 new", "certs/1 s1", "certs/1 s1"]


def test_alerts_that_failed_are_tried_again_and_the_iteration_counts_once(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (certs,) = PLAN.scans
    alert = ("--on=tampered", "--", "page-me")
    stage = Stage(path, WatchPlan("nightly", (replace(certs, alert=alert, alert_on=("tampered",)),)))

    async def told() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        return await stage.ends(1, "done", "ok", "tampered", is_told=True)()

    untold = stage.ends(1, "done", "ok", "tampered")
    stage.plays(untold, untold, told)
    assert stage.status(2) == 0
    assert stage.asked == ["certs/1 new", "certs/1 s1", "certs/1 s1"]
    assert all(words[-3:] == list(alert) for words in stage.words)
    said = capsys.readouterr().err
    assert said.count("certs: not all alerts of iteration 1 were told; they are tried again at ") == 2
    assert said.count("certs: the alerts of iteration 1 are tried again\n") == 2


def test_an_iteration_whose_alerts_somebody_else_tells_counts_once(path: Path) -> None:
    (certs,) = PLAN.scans
    certs = replace(certs, alert=("--on=tampered", "--", "page-me"), alert_on=("tampered",))
    stage = Stage(path, WatchPlan("nightly", (certs, replace(WEB, interval_s=0.05))))

    async def told_by_hand() -> int:
        await stage.ends(1, "done", "tampered", is_told=True)()
        return await stage.ends(0, "done", scan="w1", of_scan="web")()

    stage.plays(
        stage.ends(1, "done", "tampered"), told_by_hand, stage.ends(0, "done", scan="w2", of_scan="web", number=2)
    )
    assert stage.status(3) == 1
    assert stage.asked == ["certs/1 new", "web/1 new", "web/2 new"]


@pytest.mark.parametrize("busy_s", [0.01, 0.0])
def test_while_somebody_else_tells_the_alerts_of_an_iteration_a_watch_hears_signals(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], busy_s: float
) -> None:
    monkeypatch.setattr(agenda, "BUSY_S", busy_s)
    monkeypatch.setattr(agenda, "FIRST_WAIT_S", 0.0)
    (certs,) = PLAN.scans
    certs = replace(certs, alert=("--on=tampered", "--", "page-me"), alert_on=("tampered",))
    stage = Stage(path, WatchPlan("nightly", (certs,)))
    tasks: list[asyncio.Task[None]] = []

    async def end_it() -> None:
        said = ""
        while watch_loop.BUSY not in said:
            await asyncio.sleep(0)
            said += capsys.readouterr().err
        os.kill(os.getpid(), signal.SIGTERM)

    with ExitStack() as somebody:

        async def untold() -> int:
            status = await stage.ends(1, "done", "tampered")()
            somebody.enter_context(held(blobs_directory(path), "s1"))
            tasks.append(asyncio.create_task(end_it()))
            return status

        stage.plays(untold)
        assert stage.status(2) == 0
    assert stage.asked == ["certs/1 new"]


def test_with_once_a_plan_that_the_scan_refuses_is_misuse(path: Path) -> None:
    async def refused() -> int:
        return 2

    stage = Stage(path)
    stage.plays(refused)
    assert stage.status(None) == 2


def test_of_an_iteration_that_will_be_too_old_it_is_said_that_the_next_one_begins(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = Stage(path)
    stage.plays(stage.ends(-9, "running", started=0.0), stage.ends(0, "done", scan="s2", number=2))
    assert stage.status() == 0
    said = capsys.readouterr().err
    assert (
        "iteration 1 ended before its time (exit status -9); it is older than its interval, and stays as it is\n"
        in said
    )
    assert "tried again" not in said


def test_alerts_of_a_scan_that_is_refused_are_not_tried_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda, "FIRST_WAIT_S", 0.0)
    (certs,) = PLAN.scans
    certs = replace(certs, alert=("--on=tampered", "--", "page-me"), alert_on=("tampered",))
    stage = Stage(path, WatchPlan("nightly", (certs,)))
    stage.plays(stage.ends(1, "done", "tampered"), stage.ends(2, "done", "tampered"))
    assert stage.status(None) == 1
    assert stage.asked == ["certs/1 new", "certs/1 s1"]


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
