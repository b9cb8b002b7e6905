"""What a watch does while one of its processes runs, and what it is started with. The processes are played."""

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import watch_loop
from exitpin.orchestrator.watch import agenda

from .watch_stage import PLAN, Stage


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


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


def test_the_status_names_the_scan_of_its_iteration_and_no_other_and_is_paused_until_something_is_asked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_loop, "FOLLOW_S", 0.01)
    monkeypatch.setattr(agenda, "LATE_MIN_S", 0.0)
    status = path.with_name("status.json")
    (certs,) = PLAN.scans
    stage = Stage(path, replace(PLAN, scans=(replace(certs, interval_s=0.05),), status=str(status)))
    seen: list[tuple[str, int, str, bool, str]] = []

    def look() -> None:
        told = json.loads(status.read_text())
        seen.append((told["state"], told["iteration"], told["scan_id"], told["valid_after"] is None, told["paused"]))

    async def no_consensus() -> int:
        look()
        return 125

    async def scans() -> int:
        look()
        await stage.ends(0, "running", scan="s2", number=2)()
        while not seen[-1][2]:
            await asyncio.sleep(0)
            look()
        return await stage.ends(0, "done", scan="s2", number=2)()

    stage.plays(stage.ends(0, "done", "ok"), no_consensus, scans)
    assert stage.status(2) == 0
    assert list(dict.fromkeys(seen)) == [
        ("scanning", 2, "", True, ""),
        ("paused", 2, "", True, "it says so"),
        ("scanning", 2, "s2", False, ""),
    ]


def test_an_iteration_that_takes_too_long_is_interrupted_once_and_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agenda, "LATE_MIN_S", 0.1)
    monkeypatch.setattr(watch_loop, "LOOK_S", 0.01)
    stage = Stage(path, replace(PLAN, scans=(replace(PLAN.scans[0], interval_s=0.1),)))

    async def long() -> int:
        while not stage.played[-1].signals:
            await asyncio.sleep(0)
        monkeypatch.setattr(agenda, "LATE_MIN_S", 600.0)
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
