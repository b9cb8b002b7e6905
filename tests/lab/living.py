"""A lab whose network changes, and what tests do with it."""

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exitpin.orchestrator.lab.residents import Residents, read_residents
from exitpin.orchestrator.lab.state import LabState, RelayState, load

from .conftest import COMMAND_S, verb

VOTED_S = 120.0


@dataclass(frozen=True, slots=True)
class LivingLab:
    """A running lab that lives. What is known of it is read anew each time."""

    name: str

    @property
    def state(self) -> LabState:
        return load(self.name)

    def relay(self, nickname: str) -> RelayState:
        return self.state.relay(nickname)

    def exits(self) -> list[RelayState]:
        """Those that are not removed."""
        return [relay for relay in self.state.relays if relay.role == "exit" and not relay.is_removed]

    def residents(self) -> Residents:
        return read_residents(self.state.residents_file.read_text().splitlines())

    def change(self, *words: str, wait: bool = True) -> list[dict[str, Any]]:
        """`exitpin lab change WORDS`, and --wait; the relays concerned."""
        seen = ["--wait", "--timeout", f"{VOTED_S:g}s"] if wait else []
        argv = verb("change", words[0], "--json", "--name", self.name, *seen, *words[1:])
        done = subprocess.run(argv, capture_output=True, text=True, timeout=VOTED_S + COMMAND_S, check=False)
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout)["relays"])

    def exitpin(self, command: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """`exitpin COMMAND --lab WORDS`."""
        argv = [sys.executable, "-m", "exitpin", command, "--lab", "--name", self.name, *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=2 * COMMAND_S, check=False)

    def exec(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """`exitpin lab exec ARGV`."""
        command = verb("exec", "--name", self.name, "--", *argv)
        return subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_S, check=False)

    def seen_through(self, exit_: str) -> str:
        """The address that a target sees of a run through an exit; what stderr tells, when there is none."""
        done = self.exitpin("run", "-e", exit_, "--", "curl", "-sS", "http://web.test/ip")
        return done.stdout.strip() if done.returncode == 0 else done.stderr

    def status(self) -> dict[str, Any]:
        done = subprocess.run(
            verb("status", "--json", "--name", self.name), capture_output=True, text=True, timeout=COMMAND_S, check=True
        )
        return dict(json.loads(done.stdout))

    def kill(self, pid: int) -> None:
        """SIGKILL a process by its pid inside."""
        self.exec("kill", "-KILL", str(pid)).check_returncode()


def until(is_so: Callable[[], bool], timeout_s: float, what: str = "") -> None:
    """Ask until it is so; the assertion fails when time is up."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, what or "it did not come to pass in time"
        select.select([], [], [], 0.05)
