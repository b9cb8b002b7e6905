"""Launchers that do not end by themselves, orphans, and what the loop must not wait for."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from exitpin.orchestrator.events import LauncherLost, ProcessStarted, TreeEnded
from exitpin.shim import bindings
from exitpin.shim.bindings import NoticeKind, Reason
from exitpin.wrappers import orphans
from exitpin.wrappers.household import Household
from exitpin.wrappers.process import LaunchedProcess, Tree

from .apart import apart

DEADLINE_S = 10.0
CONFIG = bindings.shim_config(b"\x07" * 16, "127.64.0.1", "/nowhere")


def played(script: Callable[[Household], Awaitable[None]]) -> None:
    """The same, with a household."""

    async def play() -> None:
        await script(Household())

    apart(play)


class Launched:
    """A tool under its launcher, without the shim: nobody would answer its hello. ld.so ignores what is no library."""

    def __init__(self, household: Household, *argv: str) -> None:
        self.events: list[object] = []
        self.tree = Tree(household)
        self.process = LaunchedProcess(self.tree, self.events.append)
        nothing = os.open(os.devnull, os.O_RDWR)
        self.process.start(
            argv,
            preload=Path(__file__),
            shim_config=CONFIG,
            environment={"PATH": os.defpath},
            stdio=(nothing, nothing, nothing),
        )
        os.close(nothing)

    async def heard(self, kind: type) -> object:
        while not (found := [event for event in self.events if isinstance(event, kind)]):
            await asyncio.sleep(0.005)
        return found[0]


async def stopped(launched: Launched) -> int:
    """The tool's pid, once it has started and its launcher is stopped."""
    started = await launched.heard(ProcessStarted)
    assert isinstance(started, ProcessStarted) and launched.tree.launcher is not None
    os.kill(launched.tree.launcher, signal.SIGSTOP)
    return started.pid


def test_a_stopped_launcher_is_killed_with_its_tree_and_the_loop_goes_on() -> None:
    async def script(household: Household) -> None:
        launched = Launched(household, "sleep", "60")
        pid = await stopped(launched)
        before = time.monotonic()
        launched.process.kill()
        assert time.monotonic() - before < DEADLINE_S / 2
        assert isinstance(await launched.heard(LauncherLost), LauncherLost)
        assert not psutil.pid_exists(pid) and not household.launchers
        launched.process.kill()
        launched.process.close()
        assert len([event for event in launched.events if isinstance(event, LauncherLost)]) == 1

    played(script)


def test_a_launcher_that_was_hung_up_on_and_does_not_end_is_killed() -> None:
    async def script(household: Household) -> None:
        launched = Launched(household, "sleep", "60")
        pid = await stopped(launched)
        launched.process.close()
        await household.settle()
        assert not psutil.pid_exists(pid) and not household.launchers
        assert not any(isinstance(event, LauncherLost) for event in launched.events)

    played(script)


def test_a_launcher_that_ends_after_it_hung_up_leaves_no_zombie() -> None:
    """Though nobody else leaves who would look for it."""

    async def script(household: Household) -> None:
        read, write = os.pipe()
        launcher = subprocess.Popen(["cat"], stdin=read, start_new_session=True)
        os.close(read)
        household.launchers.add(launcher.pid)
        household.leave(launcher.pid)
        assert household.launchers == {launcher.pid}
        os.close(write)
        while household.launchers:
            await asyncio.sleep(0.005)
        assert not psutil.pid_exists(launcher.pid)

    played(script)


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
        while len(psutil.Process(started.pid).children()) < count:
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


def test_our_limit_of_open_files_is_raised_once_and_a_tool_gets_its_callers(tmp_path: Path) -> None:
    """A limit that is lowered for the start of a tool is lowered for our other threads, too."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    told = tmp_path / "told"

    async def script() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        household = Household()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
        changes = []
        sys.addaudithook(lambda event, _: changes.append(event) if event == "resource.setrlimit" else None)
        launched = Launched(household, "sh", "-c", f"{{ ulimit -Sn; ulimit -Hn; }} > {told}")
        await launched.heard(TreeEnded)
        assert told.read_text().split() == ["300", str(hard)] and not changes

    apart(script)


def test_what_is_the_runs_alone_stands_in_nothing_that_other_users_may_read() -> None:
    async def script(household: Household) -> None:
        launched = Launched(household, "sleep", "60")
        started = await launched.heard(ProcessStarted)
        assert isinstance(started, ProcessStarted)
        for pid in (launched.tree.launcher, started.pid):
            environment = Path(f"/proc/{pid}/environ")
            while not (variables := environment.read_text()):  # exec has closed descriptors, and is not done
                await asyncio.sleep(0.005)
            assert f"EXITPIN_SHIM={CONFIG}" in variables.split("\0")
            arguments = Path(f"/proc/{pid}/cmdline").read_text()
            assert not [word for word in CONFIG.split(":") if len(word) > 1 and word in arguments]
            assert environment.stat().st_mode & 0o077 == 0
        launched.process.kill()
        await launched.heard(LauncherLost)

    played(script)


def test_nobody_is_of_a_tree_that_has_no_launcher_yet() -> None:
    async def script(household: Household) -> None:
        assert Tree(household).contains(os.getpid()) is False
        assert Tree(household).contains(1) is False

    played(script)


def test_a_start_without_descriptors_leaves_none_behind() -> None:
    async def script(household: Household) -> None:
        before = os.listdir("/proc/self/fd")
        process = LaunchedProcess(Tree(household), lambda event: None)
        for stdio in ((0, 1, 999), (0, 999, 2)):
            try:
                process.start(("true",), preload=bindings.PRELOAD, shim_config=CONFIG, environment={}, stdio=stdio)
            except OSError:
                continue
            raise AssertionError("999 is no descriptor")
        assert os.listdir("/proc/self/fd") == before

    played(script)


def test_a_size_that_the_kernel_has_not_counted_is_not_known() -> None:
    """Of a few pages it counts nothing: no process has none."""

    async def script(household: Household) -> None:
        events: list[object] = []
        process = LaunchedProcess(Tree(household), events.append)
        for size in (0, 548):
            process._notice(bindings.Notice(NoticeKind.ENDED, Reason.NONE, 0, 0, 0, 0, 1000, size), [])
        assert events == [TreeEnded(0.001, None, 0), TreeEnded(0.001, 548, 0)]

    played(script)


def test_a_tool_whose_calls_could_not_be_taken_is_lost() -> None:
    async def script() -> None:
        events: list[object] = []
        process = LaunchedProcess(Tree(Household()), events.append)
        process._notice(bindings.Notice(bindings.NoticeKind.CALLS, bindings.Reason.NONE, 1, 0, 0, 0, 0, 0), [])
        (lost,) = events
        assert isinstance(lost, LauncherLost) and "too many open files" in lost.detail

    apart(script)
