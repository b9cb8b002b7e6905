"""Whatever is killed in the middle: nothing of a run is left, and no exit gets the blame.

Black box: the command line, a tool that tries to outlive it, and a mark in the environment by which all that descends
from the command is found again.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from exitpin.orchestrator.lab.state import base_directory
from exitpin.wrappers.runtime import DAEMONS, TOR

from ..ended import ended_by

pytestmark = [pytest.mark.torture, pytest.mark.timeout(120)]

PROGRAMS = Path(__file__).parent / "programs"
RUNS = 12
PORT = 9007
END_S = 30.0


@dataclass(slots=True)
class Command:
    """An `exitpin run` under way, with a runtime directory and a mark of its own."""

    process: "subprocess.Popen[str]"
    mark: str
    runtime: Path
    events: Path
    records: list[dict[str, Any]] = field(default_factory=list)
    complaints: str = ""

    def end(self) -> int:
        """Wait for the command and read its records; its exit status."""
        output, self.complaints = self.process.communicate(timeout=END_S)
        self.records = [json.loads(line) for line in output.splitlines()]
        return self.process.returncode

    def processes(self) -> list[psutil.Process]:
        """All that carry the mark in their environment, the command itself included."""
        found = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if self.mark.encode() in Path(f"/proc/{process.pid}/environ").read_bytes():
                    found.append(process)
        return found

    def named(self, name: str) -> list[psutil.Process]:
        """Those of that name."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):
                if process.name() == name:
                    found.append(process)
        return found

    def leftovers(self) -> list[str]:
        """What is in the runtime directory, but for locks: sockets, directories, files of runs. The folders that are
        closed to every run stay, whoever listens there (wrappers/closed_off.py)."""
        own = self.runtime / "exitpin"
        found = [str(path.relative_to(own)) for path in own.rglob("*") if not path.name.endswith(".lock")]
        return sorted(name for name in found if name not in (DAEMONS, TOR))


@pytest.fixture
def start(tmp_path: Path, eventually: Callable[..., None]) -> Iterator[Callable[..., Command]]:
    """Starts `exitpin run` with the lingering tool and returns when all its connections are there."""
    runtime = Path(tempfile.mkdtemp(prefix="xt", dir="/tmp"))
    commands: list[Command] = []

    def begin(lab: Any, *more: str, runs: int = RUNS, is_awaited: bool = True) -> Command:
        mark, address = secrets.token_hex(8), f"192.0.2.{100 + len(commands)}"
        tool = [str(PROGRAMS / "lingerer.sh"), address, str(PORT), *more]
        events = tmp_path / f"events-{len(commands)}.ndjson"
        words = ["-e", "exit01,exit02,exit04", "--repeat", str(runs // 3), "--json", "--events", str(events)]
        environment = os.environ | {
            "EXITPIN_TORTURE": mark,
            "XDG_RUNTIME_DIR": str(runtime),
            "EXITPIN_LAB_DIR": str(base_directory()),
        }
        since = lab.mark()
        process = subprocess.Popen(
            lab.run(*words, "--", *tool), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        command = Command(process, mark, runtime, events)
        commands.append(command)

        def all_are_there() -> None:
            assert sum(line["own"] == [address, PORT] for line in lab.seen_since(since)) == runs, process.poll()
            assert len(command.named("sleep")) == 2 * runs

        if is_awaited:
            eventually(all_are_there)
        return command

    yield begin
    for command in commands:
        for process in command.processes():
            with suppress(psutil.Error):
                process.kill()
        command.process.wait()
    shutil.rmtree(runtime)


def nothing_is_left(command: Command) -> None:
    """No process of it, and no file."""
    assert command.processes() == []
    assert command.leftovers() == []


def nobody_is_blamed(command: Command, kind: str, runs: int = RUNS) -> None:
    """Every run is an error of ours, of that kind."""
    assert len(command.records) == runs, command.complaints
    assert {(r["status"], r["failure"]["kind"], r["failure"]["blame"]) for r in command.records} == {
        ("error", kind, "local")
    }


def in_lab(lab: Any, script: str, *words: str) -> None:
    """A few lines of Python inside the lab."""
    subprocess.run(lab.inside(sys.executable, "-c", script, *words), check=True, timeout=END_S)


SETCONF = """
import sys
from pathlib import Path
from exitpin.wrappers.tor import authenticate
control = authenticate(Path(sys.argv[1]))
control.sendall(f"SETCONF {sys.argv[2]}\\r\\n".encode())
assert control.recv(100).startswith(b"250"), "tor refuses"
"""


def test_a_killed_tor_is_nobodys_fault_but_ours(
    doomed: Any, start: Callable[..., Command], eventually: Callable[..., None]
) -> None:
    command = start(doomed)
    in_lab(doomed, "import os, sys; os.kill(int(sys.argv[1]), 9)", str(doomed.state.client_pid))
    assert command.end() == 125
    nobody_is_blamed(command, "tor")
    eventually(lambda: nothing_is_left(command))


@pytest.mark.parametrize("option", ["__LeaveStreamsUnattached", "__DisablePredictedCircuits", "ConfluxEnabled"])
def test_a_pinning_option_that_another_controller_flips_ends_trust_at_once(
    theatre: Any, option: str, start: Callable[..., Command], eventually: Callable[..., None]
) -> None:
    good, bad = ("0", "1") if option == "ConfluxEnabled" else ("1", "0")
    command = start(theatre)
    try:
        in_lab(theatre, SETCONF, str(theatre.state.control_socket), f"{option}={bad}")
        assert command.end() == 125
        nobody_is_blamed(command, "tor")
        assert option in command.records[0]["failure"]["detail"]
        eventually(lambda: nothing_is_left(command))
        refused = start(theatre, is_awaited=False)
        assert refused.end() == 125
        assert refused.records == []
        assert option in refused.complaints
    finally:
        in_lab(theatre, SETCONF, str(theatre.state.control_socket), f"{option}={good}")
    accepted = start(theatre, "leave", is_awaited=False)
    assert accepted.end() == 0, accepted.complaints
    assert {record["status"] for record in accepted.records} == {"ok"}


@pytest.mark.parametrize("which", ["outside", "inside"])
def test_a_killed_orchestrator_takes_every_tree_with_it(
    theatre: Any, which: str, start: Callable[..., Command], eventually: Callable[..., None]
) -> None:
    command = start(theatre)
    [inside] = psutil.Process(command.process.pid).children()
    (command.process if which == "outside" else inside).kill()
    command.process.wait(END_S)

    def no_process_is_left() -> None:
        assert command.processes() == []

    eventually(no_process_is_left)
    after = start(theatre, "leave", is_awaited=False)
    assert after.end() == 0, after.complaints
    eventually(lambda: nothing_is_left(after))


def test_a_killed_launcher_takes_its_tree_with_it(
    theatre: Any, start: Callable[..., Command], eventually: Callable[..., None]
) -> None:
    command = start(theatre)
    launchers = command.named("exitpin-launch")
    assert len(launchers) == RUNS
    for launcher in launchers:
        launcher.kill()
    assert command.end() == 125
    nobody_is_blamed(command, "shim")
    eventually(lambda: nothing_is_left(command))


def test_what_a_tool_leaves_behind_is_swept(
    theatre: Any, start: Callable[..., Command], eventually: Callable[..., None]
) -> None:
    command = start(theatre, "leave", is_awaited=False)
    assert command.end() == 0, command.complaints
    assert {record["status"] for record in command.records} == {"ok"}
    assert all(record["process"]["swept"] >= 2 for record in command.records)
    eventually(lambda: nothing_is_left(command))


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("to", ["the command", "its process group"])
def test_an_interrupt_in_the_middle_leaves_nothing(
    theatre: Any, signo: signal.Signals, to: str, start: Callable[..., Command], eventually: Callable[..., None]
) -> None:
    command = start(theatre)
    (os.kill if to == "the command" else os.killpg)(command.process.pid, signo)
    assert command.end() == ended_by(signo)
    nobody_is_blamed(command, "interrupted")
    eventually(lambda: nothing_is_left(command))


def test_circuits_and_files_of_a_killed_orchestrator_are_gone_after_the_next_run(
    theatre: Any, start: Callable[..., Command], eventually: Callable[..., None]
) -> None:
    command = start(theatre)
    eventually(lambda: there_are(RUNS, status(theatre, "circuit-status", b" BUILT ")))  # one that was late may go first
    command.process.kill()
    command.process.wait(END_S)
    eventually(lambda: is_none(status(theatre, "stream-status", b" SUCCEEDED ")))
    assert command.leftovers() != []
    after = start(theatre, "leave", is_awaited=False)
    assert after.end() == 0, after.complaints
    assert after.leftovers() == []
    eventually(lambda: is_none(status(theatre, "circuit-status", b" BUILT ")))


def there_are(wanted: int, found: int) -> None:
    assert found == wanted


def is_none(count: int) -> None:
    assert count == 0


def status(lab: Any, question: str, word: bytes) -> int:
    """In how many lines of Tor's answer a word stands, but for those about circuits of its own."""
    argv = lab.inside(sys.executable, "-c", STATUS, str(lab.state.control_socket), question)
    lines = subprocess.run(argv, capture_output=True, timeout=END_S, check=True).stdout.splitlines()
    return len([line for line in lines if word in line and b" BUILD_FLAGS=" not in line])


STATUS = """
import sys
from pathlib import Path
from exitpin.wrappers.tor import authenticate
control = authenticate(Path(sys.argv[1]))
control.sendall(f"GETINFO {sys.argv[2]}\\r\\n".encode())
reply = b""
while b"250 OK\\r\\n" not in reply:
    reply += control.recv(4096)
sys.stdout.buffer.write(reply)
"""
