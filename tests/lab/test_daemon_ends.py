"""Whoever of client, launcher and daemon is interrupted, stopped or killed: nothing of a lease is left."""

import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..ended import ended_by
from .conftest import Lab, eventually, is_alive
from .daemons import CLIENT, EXIT, Daemon, borrowing, eventually_idle, holds, serving, sleeping
from .running import SecondController, scratch_of, tree_of

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

GONE = "exitpin: the daemon has gone: nothing of this run is attributed.\n"


@pytest.fixture
def daemon(lab: Lab) -> Iterator[Daemon]:
    with serving(lab) as one:
        yield one


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_this_run_alone(daemon: Daemon, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with sleeping(daemon, tmp_path / "a") as one, sleeping(daemon, tmp_path / "b") as other:
        tree = tree_of(one.pid)
        one.send_signal(number)
        assert one.wait(20) == ended_by(number)
        assert [pid for pid in tree if is_alive(pid)] == []
        assert daemon.status["running"] == 1
        other.send_signal(number)
        assert other.wait(20) == ended_by(number)


@pytest.mark.parametrize("whom", ["outside", "inside", "launcher"])
def test_a_killed_client_or_launcher_leaves_nothing(daemon: Daemon, tmp_path: Path, whom: str) -> None:
    control = SecondController(daemon.lab.state)
    with sleeping(daemon, tmp_path) as running:
        tree = tree_of(running.pid)
        scratch = scratch_of(tree)
        victim = {"outside": tree[0], "inside": tree[1], "launcher": tree[2]}[whom]
        os.kill(victim, signal.SIGKILL)
        _, said = running.communicate(timeout=20)
        eventually(lambda: holds([pid for pid in tree if is_alive(pid)] == []))
        eventually_idle(daemon)
        eventually(lambda: holds([path.suffix for path in scratch.iterdir()] == [".so"]))
        if whom == "launcher":
            assert (running.returncode, said.startswith("exitpin: shim: the launcher of the client")) == (125, True)
    assert daemon.run("-e", EXIT, "--", "echo", "next").stdout == "next\n"
    assert control.streams() == []


def test_a_killed_daemon_ends_the_runs_and_the_next_call_does_without(lab: Lab, tmp_path: Path) -> None:
    daemon = Daemon(lab)
    assert daemon.verb("start").returncode == 0
    with sleeping(daemon, tmp_path) as running:
        tree = tree_of(running.pid)
        scratch = scratch_of(tree)
        os.kill(daemon.pid, signal.SIGKILL)
        _, said = running.communicate(timeout=20)
        assert (running.returncode, said) == (125, GONE)
        assert [pid for pid in tree if is_alive(pid)] == []
    assert daemon.run("-e", EXIT, "--", "echo", "next").stdout == "next\n"
    assert not scratch.exists()
    assert daemon.verb("start").returncode == 0
    assert daemon.run("-e", EXIT, "--", "echo", "again").stdout == "again\n"
    assert daemon.verb("stop").returncode == 0


def test_stopped_it_ends_the_runs_with_a_sentence(lab: Lab, tmp_path: Path) -> None:
    daemon = Daemon(lab)
    assert daemon.verb("start").returncode == 0
    with sleeping(daemon, tmp_path) as running:
        assert daemon.verb("stop").returncode == 0
        _, said = running.communicate(timeout=20)
    assert (running.returncode, said) == (125, "exitpin: interrupted: the daemon was ended\n")


def test_stopped_while_it_lends_it_ends_the_runs_too(lab: Lab, tmp_path: Path) -> None:
    daemon = Daemon(lab)
    assert daemon.verb("start").returncode == 0
    with sleeping(daemon, tmp_path) as running, borrowing(daemon) as borrower:
        assert daemon.status["running"] == 1
        assert daemon.verb("stop").returncode == 0
        assert running.wait(20) == 125
        assert len(borrower.communicate(timeout=40)[0].splitlines()) == 2


def test_one_that_waits_for_tor_ends_when_it_is_told_to(lab: Lab, tmp_path: Path) -> None:
    alone = {**os.environ, "EXITPIN_NO_DAEMON": "1"}
    with sleeping(Daemon(lab), tmp_path, env=alone) as running:
        argv = [CLIENT, "daemon", "run", "--lab", "--name", lab.state.name]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as waiting:
            assert waiting.stderr is not None
            assert "waiting for exitpin (pid " in waiting.stderr.readline()
            waiting.send_signal(signal.SIGTERM)
            assert waiting.wait(20) == 0
        running.send_signal(signal.SIGTERM)


def test_a_borrower_that_has_gone_holds_up_nobody(daemon: Daemon, tmp_path: Path) -> None:
    with sleeping(daemon, tmp_path) as running, borrowing(daemon) as borrower:
        waiting = subprocess.Popen(daemon.argv("-e", EXIT, "--", "echo", "served"), stdout=subprocess.PIPE, text=True)
        eventually(lambda: holds(daemon.status["waiting"] == 1))
        assert (daemon.status["state"], daemon.status["running"]) == ("lending", 1)
        borrower.send_signal(signal.SIGINT)
        assert waiting.communicate(timeout=20)[0] == "served\n"
        assert (daemon.status["state"], daemon.status["running"]) == ("serving", 1)
        borrower.communicate(timeout=20)
        running.send_signal(signal.SIGTERM)


def test_there_is_one_at_a_time(daemon: Daemon) -> None:
    second = daemon.verb("start")
    assert second.returncode == 125
    assert "a daemon is running already (pid " in second.stderr
    assert daemon.run("-e", EXIT, "--", "true").returncode == 0


def test_the_terminal_is_the_tools_and_comes_back(daemon: Daemon) -> None:
    ours, theirs = pty.openpty()
    inner = "trap 'echo caught' INT; test -t 0 && echo ready; read -r line; echo said $line"
    words = " ".join(f"'{word}'" for word in daemon.argv("-e", EXIT, "--", "bash", "-c"))
    script = f'{words} "$0"; echo status $?; read -r line; echo back $line'
    argv = ["setsid", "--ctty", "--wait", "bash", "-c", script, inner]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        try:
            _read_until(ours, b"ready")
            os.write(ours, b"\x03")
            _read_until(ours, b"caught")
            os.write(ours, b"one\n")
            _read_until(ours, b"said one")
            _read_until(ours, b"status 0")
            os.write(ours, b"two\n")
            _read_until(ours, b"back two")
            assert running.wait(20) == 0
        finally:
            running.kill()
            os.close(ours)


@dataclass(frozen=True, slots=True)
class Shell:
    """A bash that somebody types into."""

    terminal: int

    def types(self, text: str, until: str) -> bytes:
        """Type it, and read until this is shown; all that was read."""
        os.write(self.terminal, text.encode())
        return _read_until(self.terminal, until.encode())


@contextmanager
def shell() -> Iterator[Shell]:
    """One that ends well."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PS1": "", "TERM": "dumb", "HISTFILE": ""}
    argv = ["setsid", "--ctty", "--wait", "bash", "--norc", "-i"]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        try:
            yield Shell(ours)
            os.write(ours, b"exit\n")
            assert running.wait(20) == 0
        finally:
            running.kill()
            os.close(ours)


@pytest.fixture(params=["leased", "alone"])
def typed(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Callable[[str], str]]:
    """The command line of a script through an exit: with a daemon, and without. What the terminal shows of it is not
    what the script says, where that has a quote in its middle."""

    def words(script: str) -> str:
        return " ".join(Daemon(lab).argv("-e", EXIT, "--", "sh", "-c", f"'{script}'"))

    with serving(lab) if request.param == "leased" else nullcontext():
        yield words


def test_a_shell_stops_and_continues_it(typed: Callable[[str], str]) -> None:
    with shell() as bash:
        bash.types(typed("echo rea''dy; exec cat") + "\n", "ready")
        bash.types("\x1a", "Stopped")
        bash.types("fg; echo sta''tus $?\n", "cat'\r\n")
        bash.types("after\n", "after\r\nafter")
        bash.types("\x04", "status 0")


def test_in_the_background_it_leaves_the_terminal_to_the_shell(typed: Callable[[str], str]) -> None:
    with shell() as bash:
        bash.types(typed("echo rea''dy; exec sleep 60") + "\n", "ready")
        bash.types("\x1a", "Stopped")
        bash.types("bg\n", "&\r\n")
        bash.types("sleep 0.3; echo ali''ve\n", "alive")  # it has time to take it
        bash.types("kill -INT %1; wait %1; echo status $?\n", "status 130")


def test_what_stops_itself_stops_for_the_shell(typed: Callable[[str], str]) -> None:
    with shell() as bash:
        bash.types(typed("kill -STOP $$; echo ba''ck") + "\n", "Stopped")
        bash.types("fg\n", "back")


def test_a_ctrl_c_ends_the_loop_of_a_shell(typed: Callable[[str], str]) -> None:
    with shell() as bash:
        sleeps = typed("echo rea''dy; exec sleep 60")
        bash.types(f"for i in 1 2 3; do {sleeps}; echo go''es on; done\n", "ready")
        seen = bash.types("\x03echo en''ded\n", "ended")
        assert b"goes on" not in seen and b"ready" not in seen


def _read_until(terminal: int, wanted: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 30
    while wanted not in seen:
        assert select.select([terminal], [], [], deadline - time.monotonic())[0], seen
        seen += os.read(terminal, 4096)
    return seen
