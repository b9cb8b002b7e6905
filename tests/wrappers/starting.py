"""Starts on a file, with a clock and a machine of their own."""

import select
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exitpin.orchestrator.allowance import Allowance, Window
from exitpin.orchestrator.model import Destination
from exitpin.wrappers.starts import SYNC_S, KeptStarts

WEB, SSH = Destination("web.test", 80), Destination("ssh.test", 22)
FIRST, SECOND = b"boot---1", b"boot---2"


@dataclass
class Machine:
    """Its clocks: seconds since its boot, and since the epoch."""

    up: float = 1000.0
    wall: float = 1.8e9
    boot: bytes = FIRST

    def clock(self) -> tuple[float, float]:
        return self.up, self.wall

    def passes(self, seconds: float) -> None:
        self.up += seconds
        self.wall += seconds

    def boots(self, off_s: float = 60.0, up: float = 20.0) -> None:
        """Everybody is killed, and the machine comes back."""
        self.up, self.wall, self.boot = up, self.wall + off_s, SECOND


def starts(path: Path, machine: Machine, *windows: Window, runs: Window | None = None) -> KeptStarts:
    return KeptStarts(path, Allowance(windows, runs), machine.clock, machine.boot)


def circuit(kept: KeptStarts) -> float:
    """Ask until the disk has done its work: 0, or how long to wait."""
    for _ in range(5000):
        wait_s = kept.take_circuit()
        if wait_s != SYNC_S:
            return wait_s
        select.select([], [], [], 0.001)
    raise AssertionError("the disk does not end its work")


def run(kept: KeptStarts, *places: Destination) -> float:
    """Start a run, and its tool: 0, or how long to wait."""
    waits = kept.take_run(places)
    if not waits:
        kept.began(places)
    return max(waits.values(), default=0.0)


def times_of(ask: Callable[[], float], machine: Machine, seconds: float) -> list[float]:
    """When somebody who asks as often as he is told to may start, for so long."""
    found, end = [], machine.up + seconds
    while machine.up < end:
        wait_s = ask()
        if wait_s == 0.0:
            found.append(machine.up)
        machine.passes(wait_s or 0.25)
    return found
