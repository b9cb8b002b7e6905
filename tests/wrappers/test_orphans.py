"""Orphans of launchers that were killed: who is one, who is not, and that they hold up nobody."""

import asyncio
import os
import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from exitpin.orchestrator.events import LauncherLost, ProcessStarted
from exitpin.shim import bindings
from exitpin.wrappers import orphans
from exitpin.wrappers.household import Household

from .apart import DEADLINE_S, apart
from .test_household import Launched, played


def test_children_that_were_there_before_are_spared() -> None:
    async def script() -> None:
        before = subprocess.Popen(["sleep", "60"], start_new_session=True)
        launched = Launched(Household(), "sleep", "60")
        await launched.heard(ProcessStarted)
        launched.process.kill()
        await launched.heard(LauncherLost)
        assert before.poll() is None
        before.kill()
        before.wait()

    apart(script)


def test_children_that_somebody_else_answers_for_are_spared_and_are_no_guests() -> None:
    async def script() -> None:
        others: set[int] = set()
        household = Household(others)
        other = subprocess.Popen(["sleep", "60"], start_new_session=True)
        others.add(other.pid)
        launched = Launched(household, "sleep", "60")
        await launched.heard(ProcessStarted)
        launched.process.kill()
        await launched.heard(LauncherLost)
        assert other.poll() is None and other.pid not in household.guests
        other.kill()
        other.wait()

    apart(script)


def test_when_nothing_may_be_opened_orphans_are_looked_for_again() -> None:
    looks: list[int] = []
    failures: list[object] = []

    async def script(household: Household) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        launched = Launched(household, "sleep", "60")
        started = await launched.heard(ProcessStarted)
        assert isinstance(started, ProcessStarted)
        sys.addaudithook(lambda event, _: looks.append(0) if event == "os.scandir" else None)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        launched.process.kill()
        while len(looks) < 2 and not failures:
            await asyncio.sleep(0.001)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert not failures and not any(isinstance(event, LauncherLost) for event in launched.events)
        await launched.heard(LauncherLost)
        assert not psutil.pid_exists(started.pid)

    played(script)


def test_where_proc_hides_the_processes_of_others_ours_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, look_at = os.getpid(), orphans.look_at

    def hidden(pid: int, proc: str = "/proc") -> tuple[orphans.Process, int]:
        if pid != ours:
            raise PermissionError(1, "Operation not permitted")
        return look_at(pid, proc)

    monkeypatch.setattr(orphans, "look_at", hidden)
    assert [process.pid for seen in orphans._slices() for process, _ in seen] == [ours]


def test_many_orphans_hold_the_loop_up_no_longer_than_one() -> None:
    """Counted: of how many processes it asks in one turn."""
    count = 300
    tool = f"for one in $(seq {count}); do setsid sleep 60 & done; wait"
    asked: list[int] = []

    async def script(household: Household) -> None:
        launched = Launched(household, "sh", "-c", tool)
        started = await launched.heard(ProcessStarted)
        assert isinstance(started, ProcessStarted) and launched.tree.launcher is not None
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
        while len(children.read_text().split()) < count:
            await asyncio.sleep(0.01)
        sys.addaudithook(lambda event, what: asked.append(0) if event == "open" and "stat" in str(what[0]) else None)
        turns = []
        launched.process.kill()
        while not any(isinstance(event, LauncherLost) for event in launched.events):
            turns.append(len(asked))
            asked.clear()
            await asyncio.sleep(0)
        assert max(turns) <= 2 * orphans.SLICE
        left = [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
        assert not left

    played(script)


def test_a_child_that_is_about_to_be_known_is_no_orphan() -> None:
    async def script() -> None:
        bindings.set_child_subreaper()
        guest = subprocess.Popen(["sleep", "60"])
        known = {-1}

        def swept() -> bool:
            killing = orphans.killing(known.copy)
            while True:
                try:
                    next(killing)
                except StopIteration as end:
                    return bool(end.value)

        assert swept() and guest.poll() is None, "nobody can say yet"
        known.update({guest.pid})
        assert not swept() and guest.poll() is None
        known.clear()
        assert swept()
        guest.wait(DEADLINE_S)
        assert not swept()

    apart(script)
