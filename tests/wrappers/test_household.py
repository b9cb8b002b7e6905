"""Launchers that do not end by themselves, what is theirs alone, and what the loop must not wait for."""

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from exitpin.orchestrator.events import LauncherLost, ProcessExited, ProcessStarted, TreeEnded
from exitpin.shim import bindings
from exitpin.shim._bindings import ffi, lib
from exitpin.shim.bindings import NoticeKind, Reason
from exitpin.wrappers.household import PATIENCE_S, Household
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


def test_the_end_of_a_tree_is_heard_although_its_launcher_has_not_read_every_order() -> None:
    async def script(household: Household) -> None:
        events: list[object] = []
        tree = Tree(household)
        tree.launcher = subprocess.Popen("true").pid
        process = LaunchedProcess(tree, events.append)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process._listen(ours)
        process.end(0)
        for kind in (NoticeKind.EXITED, NoticeKind.ENDED):
            theirs.send(ffi.buffer(ffi.new("struct exitpin_notice *", [lib.EXITPIN_MAGIC, kind]))[:])
        theirs.close()
        while len(events) < 2:
            await asyncio.sleep(0)
        assert [type(event) for event in events] == [ProcessExited, TreeEnded]

    played(script)


def test_a_stopped_launcher_is_killed_with_its_tree_and_the_loop_goes_on() -> None:
    async def script(household: Household) -> None:
        launched = Launched(household, "sleep", "60")
        pid = await stopped(launched)
        before = time.monotonic()
        launched.process.kill()
        assert time.monotonic() - before < PATIENCE_S
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
