"""`exitpin run --lab` as a user types it, for tests: the command, its records, and what the targets saw of it."""

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from exitpin.orchestrator.lab.state import LabState

EXITPIN = (sys.executable, "-m", "exitpin")
COMMAND_S = 90.0
SYS_PIDFD_GETFD = 438


def command(lab: LabState, *words: str) -> list[str]:
    """The argv of `exitpin run --lab --name NAME WORDS`."""
    return [*EXITPIN, "run", "--lab", "--name", lab.name, *words]


def run(
    lab: LabState, *words: str, env: Mapping[str, str] | None = None, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """Run it and wait for its end; `env` is added to the environment."""
    environment = {**os.environ, **(env or {})}
    options = {
        "capture_output": True,
        "text": True,
        "timeout": COMMAND_S,
        "check": False,
        "env": environment,
        **options,
    }
    if "input" not in options and "stdin" not in options:
        options["stdin"] = subprocess.DEVNULL
    return subprocess.run(command(lab, *words), **options)


def records(lab: LabState, *words: str, **options: Any) -> list[dict[str, Any]]:
    """The records of `run --json`."""
    done = run(lab, "--json", *words, **options)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found, done.stderr
    return found


@dataclass(frozen=True, slots=True)
class Log:
    """The targets' log, from here on."""

    lab: LabState
    offset: int

    @staticmethod
    def of(lab: LabState) -> "Log":
        return Log(lab, lab.log_file.stat().st_size)

    def lines(self) -> list[dict[str, Any]]:
        with open(self.lab.log_file, encoding="utf-8") as log:
            log.seek(self.offset)
            return [json.loads(line) for line in log]

    def peers(self, *services: str) -> list[str]:
        """Who connected since, to these services (none given: to any)."""
        return [line["peer"][0] for line in self.lines() if not services or line["service"] in services]


def nickname(lab: LabState, behaviour: str) -> str:
    """The first exit that behaves so."""
    return next(one.nickname for one in lab.relays if one.role == "exit" and one.behaviour == behaviour)


@dataclass(frozen=True, slots=True)
class SecondController:
    """Another control connection to the lab's client, as an intruder or an operator would open it."""

    lab: LabState

    def ask(self, request: str) -> list[str]:
        """The lines of the reply; AssertionError when tor says no."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(20)
            control.connect(str(self.lab.control_socket))
            control.sendall(f"AUTHENTICATE {self.lab.cookie_file.read_bytes().hex()}\r\n{request}\r\nQUIT\r\n".encode())
            reply = control.makefile("rb").read().decode().split("\r\n")[1:-2]
        assert reply and reply[-1].startswith("250"), reply
        return reply

    def streams(self, host: str) -> list[tuple[int, int]]:
        """(stream, circuit) of each open stream to a host."""
        words = [line.removeprefix("250-stream-status=").split() for line in self.ask("GETINFO stream-status")]
        words = [word for word in words if len(word) == 4 and word[1] == "SUCCEEDED" and word[3].startswith(f"{host}:")]
        return [(int(word[0]), int(word[2])) for word in words]

    def circuits(self, fingerprint: str) -> list[int]:
        """The open circuits that end at an exit."""
        words = [line.removeprefix("250-circuit-status=").split() for line in self.ask("GETINFO circuit-status")]
        words = [word for word in words if len(word) > 2 and word[1] == "BUILT" and "PURPOSE=GENERAL" in word]
        return [int(word[0]) for word in words if word[2].rpartition("$")[2].startswith(fingerprint)]


def cut_connections(pid: int, peer: str) -> int:
    """Shut down the connections to a Unix socket that a process and its children hold; how many there were."""
    libc, count = ctypes.CDLL(None, use_errno=True), 0
    seen: set[int] = set()
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue  # it ended in between
        for number in os.listdir(f"/proc/{process.pid}/fd"):
            copy = libc.syscall(SYS_PIDFD_GETFD, descriptor, int(number), 0)
            if copy < 0:
                continue
            inode = os.fstat(copy).st_ino
            try:
                connection = socket.socket(fileno=copy)
            except OSError:
                os.close(copy)
                continue
            with connection:
                if connection.family == socket.AF_UNIX and _peer(connection) == peer and inode not in seen:
                    seen.add(inode)
                    connection.shutdown(socket.SHUT_RDWR)
                    count += 1
        os.close(descriptor)
    return count


def _peer(connection: socket.socket) -> object:
    try:
        return connection.getpeername()
    except OSError:
        return None
