"""Interrupts, kills and the terminal: whatever ends a run, nothing of it is left."""

import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from exitpin.orchestrator.lab.state import LabState

from ..ended import ended_by
from .conftest import Lab, eventually, is_alive
from .running import SecondController, command, scratch_of, tree_of, verb_of_lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

EXIT = "exit01"
STOPS = str(Path(__file__).parents[1] / "shim" / "programs" / "stops.py")


@contextmanager
def sleeping(lab: LabState, directory: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A run whose tools have started children that would never end."""
    marker, script = directory / "there", 'tail -f /dev/null & : > "$0.$EXITPIN_EXIT_NICK"; wait'
    argv = command(lab, *words, "--", "sh", "-c", script, str(marker))
    environment = {**os.environ, "TMPDIR": str(directory)}
    running = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        count = len(words[words.index("-e") + 1].split(","))
        eventually(lambda: _assert_count(directory, count), 30)
        yield running
    finally:
        running.kill()
        running.wait()


def _assert_count(directory: Path, count: int) -> None:
    assert len(list(directory.glob("there.*"))) == count


@pytest.mark.parametrize(
    ("number", "exits"),
    [(signal.SIGINT, "exit01"), (signal.SIGINT, "exit01,exit02,exit03"), (signal.SIGTERM, "exit01,exit02")],
)
def test_an_interrupt_leaves_nothing_behind(lab: Lab, tmp_path: Path, number: signal.Signals, exits: str) -> None:
    control = SecondController(lab.state)
    before = {one: control.circuits(lab.state.relay(one).fingerprint) for one in exits.split(",")}
    with sleeping(lab.state, tmp_path, "-e", exits) as running:
        tree = tree_of(running.pid)
        assert len(tree) >= 2 + 3 * len(before)
        directory = scratch_of(tree)
        assert directory.is_dir()
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
    assert running.returncode == ended_by(number)
    assert "Traceback" not in said
    assert [pid for pid in tree if is_alive(pid)] == []
    assert not directory.exists()
    eventually(
        lambda: _assert_same(before, {one: control.circuits(lab.state.relay(one).fingerprint) for one in before})
    )


def test_a_hang_up_that_somebody_had_ignored_ends_nothing(lab: Lab, tmp_path: Path) -> None:
    go, script = tmp_path / "go", ': > "$0"; read -r word < "$1"; echo "$word"'
    os.mkfifo(go)
    argv = command(lab.state, "-e", EXIT, "--", "sh", "-c", script, str(tmp_path / "there"), str(go))

    def begun() -> None:
        assert (tmp_path / "there").exists()

    with subprocess.Popen(["nohup", *argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as running:
        try:
            eventually(begun, 30)
        except AssertionError:
            running.kill()
            raise
        for pid in tree_of(running.pid)[:2]:
            os.kill(pid, signal.SIGHUP)
        go.write_text("survived\n")
        assert running.communicate(timeout=30)[0] == "survived\n"
    assert running.returncode == 0


def _assert_same(one: object, other: object) -> None:
    assert one == other


def test_a_kill_of_exitpin_takes_the_tools_along(lab: Lab, tmp_path: Path) -> None:
    with sleeping(lab.state, tmp_path, "-e", "exit01,exit02") as running:
        tree = tree_of(running.pid)
        running.kill()
        running.wait()
        eventually(lambda: _assert_same([pid for pid in tree[1:] if is_alive(pid)], []))


def test_a_kill_of_exitpin_inside_the_lab_is_said(lab: Lab, tmp_path: Path) -> None:
    with sleeping(lab.state, tmp_path, "-e", "exit01,exit02") as running:
        (inside,) = psutil.Process(running.pid).children()
        inside.kill()
        _, said = running.communicate(timeout=20)
    assert running.returncode == 128 + signal.SIGKILL
    assert said.endswith("exitpin: killed: the lab has ended, or somebody ended this process inside it.\n")


def test_who_comes_second_waits_and_says_for_whom(lab: Lab, tmp_path: Path) -> None:
    with sleeping(lab.state, tmp_path, "-e", EXIT) as first:
        second = subprocess.Popen(
            command(lab.state, "-e", EXIT, "--", "true"), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        assert second.stderr is not None
        assert "waiting for exitpin (pid " in second.stderr.readline()
        first.send_signal(signal.SIGINT)
        assert second.wait(30) == 0
        second.stderr.close()


def test_the_terminal_belongs_to_the_tool(lab: Lab) -> None:
    """Ctrl-C on a terminal reaches the tool, which may say no; its own end is then ours."""
    ours, theirs = pty.openpty()
    script = "trap 'echo caught; trap - INT; kill -INT $$' INT; test -t 0 && echo ready; while :; do read -r line; done"
    argv = ["setsid", "--ctty", "--wait", *command(lab.state, "-e", EXIT, "--", "bash", "-c", script)]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        try:
            _read_until(ours, b"ready")
            os.write(ours, b"\x03")
            _read_until(ours, b"caught")
            assert running.wait(20) == -signal.SIGINT
        finally:
            running.kill()
            os.close(ours)


def test_after_a_run_the_terminal_belongs_to_who_had_it(lab: Lab) -> None:
    """To what is inside the lab the groups outside have no numbers: it can't give the terminal back."""
    ours, theirs = pty.openpty()
    script = f"{shlex.join(command(lab.state, '-e', EXIT, '--', 'true'))}; echo ready; read -r _"
    argv = ["setsid", "--ctty", "--wait", "sh", "-c", script]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        try:
            _read_until(ours, b"ready")
            os.write(ours, b"\x03")
            assert running.wait(20) == -signal.SIGINT
        finally:
            running.kill()
            os.close(ours)


@pytest.mark.parametrize("level", ["guard", "notify"])
def test_a_tool_stops_nobody_who_has_started_it(lab: Lab, level: str) -> None:
    """By the group that the kernel stops: of the launcher, of exitpin, of the shell. Seen from outside the lab those
    inside have no numbers, so all are inside."""
    ours, theirs = pty.openpty()
    run = command(lab.state, "-e", EXIT, "--containment", level, "--timeout", "8s", "--", sys.executable, STOPS, "4")
    script = f"set -m; {shlex.join(run)}; echo status $?"
    argv = [*verb_of_lab(lab.state, "exec", "--"), "setsid", "--ctty", "--wait", "bash", "-c", script]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as running:
        os.close(theirs)
        try:
            _read_until(ours, b"77\r\n" * 4)
            _read_until(ours, b"status 124\r\n", 40.0)
        finally:
            running.kill()
            os.close(ours)


def _read_until(descriptor: int, word: bytes, timeout_s: float = 20.0) -> None:
    seen, deadline = b"", time.monotonic() + timeout_s
    while word not in seen:
        assert select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0], seen
        seen += os.read(descriptor, 4096)
