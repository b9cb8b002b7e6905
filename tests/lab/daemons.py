"""A daemon of the lab, as its user has it, for tests."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .conftest import Lab, eventually, is_alive
from .running import SecondController

CLIENT = str(Path(sys.executable).with_name("exitpin"))
EXIT = "exit01"


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon of the session's lab."""

    lab: Lab

    def verb(self, *words: str) -> "subprocess.CompletedProcess[str]":
        argv = [CLIENT, "daemon", words[0], "--lab", "--name", self.lab.state.name, *words[1:]]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    @property
    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.verb("status", "--json").stdout)
        return told

    @property
    def pid(self) -> int:
        """As it is seen from outside of the lab."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(str(self.lab.state.directory.parent.parent / "daemons" / f"lab-{self.lab.state.name}"))
            return int.from_bytes(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)

    def argv(self, *words: str, verb: str = "run") -> list[str]:
        return [CLIENT, verb, "--lab", "--name", self.lab.state.name, *words]

    def run(self, *words: str, verb: str = "run", **options: Any) -> "subprocess.CompletedProcess[str]":
        given = {"capture_output": True, "text": True, "timeout": 60, "check": False, **options}
        if "input" not in given:
            given.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(self.argv(*words, verb=verb), **given)


def holds(condition: object) -> None:
    assert condition


def without_waiting(said: str) -> str:
    """What was said, but for what is waited for: tor takes its time on a busy machine, and so does the end of who
    had it in a test before, and was killed there."""
    waits = ("exitpin: waiting for tor", "exitpin: waiting for exitpin (pid ")
    return "".join(line for line in said.splitlines(True) if not line.startswith(waits))


def eventually_idle(daemon: Daemon) -> None:
    eventually(lambda: holds(daemon.status["running"] == 0), 20)


@contextmanager
def sleeping(daemon: Daemon, directory: Path, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """A leased run whose tool has started a child that would never end, in a session of its own."""
    # It is there when the child itself says so: what begins later would miss a daemon that is killed.
    script = """setsid sh -c ': > "$0"; read -r never <> "$1"' "$0" "$1" & wait"""
    there, never = directory / "there", directory / "never"
    os.mkfifo(never)
    argv = daemon.argv("-e", EXIT, "--", "sh", "-c", script, str(there), str(never))
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options) as running:
        try:
            eventually(lambda: holds(there.exists()), 30)
            yield running
        finally:
            running.kill()


@contextmanager
def serving(lab: Lab) -> Iterator[Daemon]:
    """One that serves; afterwards nothing of it is there."""
    one = Daemon(lab)
    started = one.verb("start")
    assert (started.returncode, without_waiting(started.stderr)) == (0, "")
    pid = one.pid
    yield one
    assert one.verb("stop").returncode == 0
    eventually(lambda: holds(not is_alive(pid)))
    control = SecondController(lab.state)
    for relay in lab.state.relays:
        if relay.role == "exit":
            eventually(lambda: holds(control.circuits(relay.fingerprint) == []))  # noqa: B023 - called at once
    assert one.verb("status").returncode == 3


@contextmanager
def borrowing(daemon: Daemon) -> Iterator["subprocess.Popen[str]"]:
    """Somebody who wants tor to itself, and waits for it."""
    words = daemon.argv("-e", "exit01,exit02", "--json", "--", "true")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as borrower:
        assert borrower.stderr is not None
        assert "waiting for exitpin (pid " in borrower.stderr.readline()
        yield borrower
