"""`exitpin run --lab` and `exitpin audit --lab` as a user types them, for tests: the command, its records, and what the
targets saw of it."""

import ctypes
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from exitpin.orchestrator.lab.state import LabState

EXITPIN = (sys.executable, "-m", "exitpin")
COMMAND_S = 90.0
LOOK_UPS = "dns-udp"
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
        """Who connected since, to these services; none given: to any but the name server over UDP, which relays ask on
        their own account, too."""
        lines = self.lines()
        if not services:
            return [line["peer"][0] for line in lines if line["service"] != LOOK_UPS]
        return [line["peer"][0] for line in lines if line["service"] in services]

    def names(self) -> list[str]:
        """What was looked up since, by whomever."""
        return [line["name"] for line in self.lines() if line["service"] == LOOK_UPS]


def audit_command(lab: LabState, *words: str) -> list[str]:
    """The argv of `exitpin audit --lab --name NAME WORDS`."""
    return [*EXITPIN, "audit", "--lab", "--name", lab.name, *words]


def verb_of_lab(lab: LabState, word: str, *words: str) -> list[str]:
    """The argv of `exitpin lab WORD --name NAME WORDS`."""
    return [*EXITPIN, "lab", word, "--name", lab.name, *words]


@dataclass(frozen=True, slots=True)
class Audited:
    """What came of an audit. `store`: the file that its records went to."""

    status: int
    stdout: str
    stderr: str
    store: Path

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The records on stdout."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def stored(self, kind: str = "verdict") -> list[dict[str, Any]]:
        """The records in the store: `verdict` or `run`."""
        return stored(self.store, kind)

    @property
    def accused(self) -> dict[str, str]:
        """The status by nickname, of those against whom something was found."""
        findings = ("tampered", "suspect", "broken")
        return {v["exit"]["nickname"]: v["status"] for v in self.stored() if v["status"] in findings}

    @property
    def sentences(self) -> list[str]:
        """What was said on stderr."""
        assert "Traceback" not in self.stderr, self.stderr
        return self.stderr.splitlines()

    @property
    def counts(self) -> Counter[str]:
        """The statuses as the account at the end tells them."""
        found = re.search(r"(\d+) of (\d+) verdicts: (.*)", self.stderr)
        assert found is not None and found[1] == found[2], self.stderr
        return Counter({word: int(count) for count, word in re.findall(r"(\d+) (\w+)", found[3])})


def stored(store: Path, kind: str = "verdict") -> list[dict[str, Any]]:
    """The records of a kind in a store."""
    with closing(sqlite3.connect(store)) as database:
        rows = database.execute("SELECT record FROM runs WHERE kind = ? ORDER BY record_id", (kind,))
        return [json.loads(record) for (record,) in rows]


def audit(lab: LabState, directory: Path, *words: str, **options: Any) -> Audited:
    """Audit with a new store in `directory`, and wait for the end."""
    store = directory / f"{len(list(directory.glob('*.sqlite')))}.sqlite"
    options = {"capture_output": True, "text": True, "timeout": COMMAND_S, "stdin": subprocess.DEVNULL, **options}
    done = subprocess.run(audit_command(lab, "--store", str(store), *words), check=False, **options)
    return Audited(done.returncode, done.stdout, done.stderr, store)


def tree_of(pid: int) -> list[int]:
    """A process and all that came of it."""
    return [process.pid for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]


def scratch_of(tree: Sequence[int]) -> Path:
    """Where runs keep their sockets: the launcher was told to preload from there."""
    for pid in tree:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            continue  # it ended in between
        if "--preload" in words:
            return Path(words[words.index("--preload") + 1]).parent
    raise AssertionError("no launcher in the tree")


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

    def streams(self, address: str = "") -> list[tuple[int, int]]:
        """(stream, circuit) of each open stream, or of those to an address: the exit's word replaces a name."""
        words = [line.removeprefix("250-stream-status=").split() for line in self.ask("GETINFO stream-status")]
        words = [word for word in words if len(word) == 4 and word[1] == "SUCCEEDED"]
        return [(int(word[0]), int(word[2])) for word in words if address in ("", word[3].rpartition(":")[0])]

    def paths(self) -> dict[int, list[str]]:
        """The fingerprints on each open circuit, from its first hop on."""
        words = [line.removeprefix("250-circuit-status=").split() for line in self.ask("GETINFO circuit-status")]
        words = [word for word in words if len(word) > 2 and word[1] == "BUILT" and "PURPOSE=GENERAL" in word]
        return {int(word[0]): [hop[1:41] for hop in word[2].split(",")] for word in words}

    def circuits(self, fingerprint: str) -> list[int]:
        """The open circuits that end at an exit."""
        return [circuit for circuit, path in self.paths().items() if path[-1] == fingerprint]


def cut_connections(pid: int, peer: str, which: int | None = None) -> int:
    """Shut down the connections to a Unix socket that a process and its children hold, or one of them, by its place
    among the descriptors; how many."""
    libc, count = ctypes.CDLL(None, use_errno=True), 0
    seen: set[int] = set()
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        try:
            descriptor = os.pidfd_open(process.pid)
            numbers = os.listdir(f"/proc/{process.pid}/fd")
        except (ProcessLookupError, FileNotFoundError):
            continue  # it ended in between
        for number in sorted(numbers, key=int):
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
                    if which is None or which == len(seen) - 1:
                        connection.shutdown(socket.SHUT_RDWR)
                        count += 1
        os.close(descriptor)
    return count


def _peer(connection: socket.socket) -> object:
    try:
        return connection.getpeername()
    except OSError:
        return None
