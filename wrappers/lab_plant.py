"""The lab's daemons as processes: started by name, listened to, stopped, found dead."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .namespaces import wait_status

Child = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a daemon is started."""

    command: Sequence[str]
    environment: Mapping[str, str]


@dataclass
class Plant:
    """The lab's daemons by name: how each is started, and its pid while it lives."""

    directory: Path
    pids: dict[str, int] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)
    recipes: dict[str, Recipe] = field(default_factory=dict)

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], stdout: int | None = None
    ) -> Child:
        """Start a daemon; its complaints go to `logs/NAME.log`."""
        with open(self.directory / "logs" / f"{name}.log", "ab") as log:
            out = log.fileno() if stdout is None else stdout
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=dict(environment))
        self.children[name] = child
        self.recipes[name] = Recipe(command, environment)
        self.pids[name] = child.pid
        return child

    def again(self, name: str) -> Child:
        """Start one as it was started last; what it prints is lost."""
        return self.start(name, self.recipes[name].command, self.recipes[name].environment, subprocess.DEVNULL)

    def ended(self, pid: int, status: int) -> str | None:
        """Note that a child is gone that somebody has waited for; its name, if it was a daemon."""
        name = next((name for name, one in self.pids.items() if one == pid), None)
        if name is not None:
            del self.pids[name]
            self.children[name].returncode = os.waitstatus_to_exitcode(status)
        return name

    def stop(self, name: str, *, patience_s: float = 0.0) -> None:
        """Kill a daemon and wait for its end; it has some time to end by itself first."""
        pid = self.pids.pop(name)
        if patience_s:
            os.kill(pid, signal.SIGTERM)
            descriptor = os.pidfd_open(pid)
            select.select([descriptor], [], [], patience_s)
            os.close(descriptor)
        os.kill(pid, signal.SIGKILL)  # until it is waited for, its pid is nobody else's
        self.children[name].returncode = -signal.SIGKILL
        wait_status(pid)

    def first_dead(self) -> str | None:
        """The name of a daemon that has ended by itself, if there is one."""
        for name, pid in self.pids.items():
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return name
        return None

    def last_words(self, name: str) -> str:
        """What a dead daemon said last."""
        for path in (self.directory / "tor" / name / "notice.log", self.directory / "logs" / f"{name}.log"):
            if path.exists() and (lines := path.read_text(errors="replace").strip().splitlines()):
                return lines[-1]
        return "it left no message"


def lines_of(child: Child, deadline: float) -> Iterator[bytes | None]:
    """The child's lines, with None every 0.2 s without one, to the end of its output or to the deadline."""
    assert child.stdout is not None
    descriptor, rest = child.stdout.fileno(), b""
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 0.2)[0]:
            yield None
            continue
        found = os.read(descriptor, 65536)
        if not found:
            return
        *lines, rest = (rest + found).split(b"\n")
        yield from lines
    child.kill()
