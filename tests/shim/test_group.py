"""Signals for the process group of our caller: whoever sends one means exitpin, and the launcher has its own group."""

import os
import signal
import subprocess
import time

import psutil
import pytest

from exitpin.shim.bindings import NoticeKind, OrderKind

from .conftest import DEADLINE_S, Run, Shim

FOREGROUND = pytest.mark.parametrize("flags", [(), ("--foreground",)])
CALLER = ("sh", "-c", '"$@"; :', "sh")


def ready(run: Run) -> list[psutil.Process]:
    """All that the caller has started, when the tool says so."""
    assert run.process.stdout
    assert run.process.stdout.readline() == "ready\n"
    return psutil.Process(run.process.pid).children(recursive=True)


@FOREGROUND
def test_nothing_is_left_when_the_whole_group_of_our_caller_is_killed(shim: Shim, flags: tuple[str, ...]) -> None:
    """kill -9 %1, timeout -k: caller and orchestrator are gone at once, and can't look after anybody."""
    script = "sleep 60 & (setsid sleep 60 &) ; echo ready; wait"
    run = shim.start("sh", "-c", script, flags=flags, under=CALLER, process_group=0)
    started = ready(run)
    assert len(started) >= 4
    os.killpg(run.process.pid, signal.SIGKILL)
    run.control.close()
    assert psutil.wait_procs(started, timeout=DEADLINE_S)[1] == []


@FOREGROUND
def test_a_terminal_that_goes_ends_nothing_of_who_ignores_that(shim: Shim, flags: tuple[str, ...]) -> None:
    """nohup: the shell tells all of its jobs."""
    script = 'echo ready; read line; echo "$line"; grep SigIgn /proc/self/status'
    nohup = ("sh", "-c", f"trap '' HUP; {CALLER[2]}", "sh")
    run = shim.start("sh", "-c", script, flags=flags, under=nohup, process_group=0, stdin=subprocess.PIPE)
    ready(run)
    os.killpg(run.process.pid, signal.SIGHUP)
    output, _ = run.process.communicate("whole\n", timeout=DEADLINE_S)
    said, ignored = output.splitlines()
    assert (said, int(ignored.split()[1], 16) & 1 << signal.SIGHUP - 1) == ("whole", 1)


def test_who_is_in_front_is_asked_to_end_and_the_tree_ends_first(shim: Shim) -> None:
    run = shim.start("sh", "-c", "echo ready; exec sleep 60", flags=("--foreground",))
    started = ready(run)
    run.process.terminate()
    assert psutil.wait_procs(started, timeout=DEADLINE_S)[1] == []
    assert run.process.wait(DEADLINE_S) == 0


def test_when_who_is_in_front_is_killed_the_tree_ends_and_nobody_is_told_that_the_tool_did(shim: Shim) -> None:
    run = shim.start("sh", "-c", "echo ready; exec sleep 60", flags=("--foreground",))
    started = ready(run)
    run.process.kill()
    assert psutil.wait_procs(started, timeout=DEADLINE_S)[1] == []
    assert [notice.kind for notice in run.wait().notices] == [NoticeKind.STARTED]


def test_a_launcher_that_is_killed_behind_who_is_in_front_is_told_as_killed(shim: Shim) -> None:
    run = shim.start("sh", "-c", "echo ready; exec sleep 60", flags=("--foreground",))
    launcher, tool = ready(run)
    launcher.kill()
    tool.wait(DEADLINE_S)
    assert run.process.wait(DEADLINE_S) == -signal.SIGKILL


@pytest.mark.parametrize("under", [CALLER, (*CALLER, "timeout", "60")])
def test_where_no_shell_could_continue_them_a_tool_that_stops_itself_stops_nobody_else(
    shim: Shim, under: tuple[str, ...]
) -> None:
    script = 'echo ready; trap "echo ended; exit" TERM; kill -STOP $$; read line'
    run = shim.start("sh", "-c", script, flags=("--foreground",), under=("setsid", "--wait", *under))
    started = ready(run)
    tool = started[-1]
    deadline = time.monotonic() + DEADLINE_S
    while tool.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline
    run.order(OrderKind.END, grace_ms=2000)
    assert "ended" in run.wait().stdout
    assert run.process.returncode == 0
