"""Readers that stall, descriptors that run out, standard streams that are closed: bounded, and never deaf."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from exitpin.orchestrator.containment import LEVELS
from exitpin.orchestrator.lab.state import LabState

from ..ended import ended_by
from .conftest import Lab, eventually
from .running import command, records, run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

THREADS = """\
import socket, threading
def one():
    try:
        socket.create_connection(("192.0.2.10", 80)).close()
    except OSError:
        pass
threads = [threading.Thread(target=one) for _ in range(80)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@contextmanager
def stalled(lab: LabState, *words: str, is_stderr_too: bool) -> Iterator["subprocess.Popen[bytes]"]:
    """A command whose output nobody reads."""
    reading, writing = os.pipe()
    argv = command(lab, *words)
    stderr = writing if is_stderr_too else subprocess.DEVNULL
    running = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=writing, stderr=stderr)
    os.close(writing)
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        os.close(reading)


def _resident_bytes(pid: int) -> int:
    """Of the largest process; a child may have ended since it was seen."""
    found = [psutil.Process(pid).memory_info().rss]
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found.append(child.memory_info().rss)
    return max(found)


@pytest.mark.parametrize("is_stderr_too", [False, True])
@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_a_reader_that_stalls_costs_little_memory_and_a_signal_is_heard(
    lab: Lab, is_stderr_too: bool, signo: signal.Signals
) -> None:
    with stalled(lab.state, "-e", "exit01,exit02", "--", "yes", is_stderr_too=is_stderr_too) as running:
        eventually(lambda: _assert_tools_wait(running.pid), 30)
        assert _resident_bytes(running.pid) < 100 << 20
        running.send_signal(signo)
        assert running.wait(timeout=30) == ended_by(signo)


def _assert_tools_wait(pid: int) -> None:
    """Two tools, and neither writes any more."""
    try:
        tools = [one for one in psutil.Process(pid).children(recursive=True) if one.name() == "yes"]
        before = [one.cpu_times().user for one in tools]
        time.sleep(0.3)  # in which one that writes would use the processor
        assert len(tools) == 2 and [one.cpu_times().user for one in tools] == before
    except psutil.NoSuchProcess as gone:
        raise AssertionError("who was seen has ended") from gone


@pytest.mark.parametrize("level", LEVELS)
def test_few_descriptors_cost_refusals_and_no_run(lab: Lab, level: str) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    words = ("-e", "exit01,exit02,exit03", "--containment", level)
    found = records(lab.state, *words, "--", "python3", "-c", THREADS, preexec_fn=few)
    assert [record["failure"] for record in found] == [None] * 3
    assert {denied["reason"] for record in found for denied in record["denied"]} <= {"too-many-calls"}


def test_a_tool_has_its_callers_limit_of_open_files(lab: Lab) -> None:
    def low() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    done = run(lab.state, "-e", "exit01", "--", "sh", "-c", "ulimit -Sn", preexec_fn=low)
    assert done.stdout == "300\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_a_tool_gets_dev_null_where_its_caller_closed_a_stream(lab: Lab, tmp_path: Path, closed: str) -> None:
    told = tmp_path / "told"
    look = "import os, sys; links = [os.readlink(f'/proc/self/fd/{fd}') for fd in (0, 1)]"
    tool = ("python3", "-c", f"{look}; open(sys.argv[1], 'w').write('\\n'.join(links))", str(told))
    argv = command(lab.state, "-e", "exit01", "--", *tool)
    done = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *argv], stderr=subprocess.PIPE, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    links = told.read_text().splitlines()
    assert all(links[fd] == "/dev/null" for fd, word in enumerate(("<&-", ">&-")) if word in closed.split())


def test_settings_of_torsocks_that_are_not_followed_are_told(lab: Lab) -> None:
    done = run(lab.state, "-e", "exit01", "--", "true", env={"TORSOCKS_TOR_PORT": "9999"})
    assert (done.returncode, "TorPort is not followed" in done.stderr) == (0, True)
    done = run(lab.state, "-e", "exit01", "--", "true", env={"TORSOCKS_LOG_LEVEL": "3"})
    assert (done.returncode, done.stderr) == (0, "")


def test_a_tool_that_stops_its_launcher_does_not_hold_up_the_session(lab: Lab) -> None:
    tool = ("sh", "-c", "kill -STOP $PPID; exec sleep 1000")
    found = records(lab.state, "-e", "exit01,exit02", "--timeout", "1s", "--", *tool)
    assert [record["failure"]["kind"] for record in found] == ["timeout"] * 2
