"""Whether time went on as it should: a machine that slept, a process that was stopped, a clock that was set.

Theory. Three clocks are looked at together (clock_gettime(2)), at least every LOOK_S. CLOCK_MONOTONIC stands still
while the machine is suspended, and CLOCK_BOOTTIME does not: what the latter gains is how long it slept. CLOCK_REALTIME
can be set; what it gains on CLOCK_BOOTTIME, or loses, is by how much. And a look that comes much too late by the
monotonic clock itself means that we were stopped. What ran meanwhile was kept from its timers, or from its peers.

Pure: `Clocks` come in; `wrappers/clocks.py` reads them. Called by `timekeeping.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple

LOOK_S = 1.0
SLEPT_S = 2.0
STOPPED_S = 10.0
SET_S = 10.0


class Clocks(NamedTuple):
    """CLOCK_REALTIME, CLOCK_MONOTONIC and CLOCK_BOOTTIME, in seconds."""

    wall: float
    monotonic: float
    boottime: float


@dataclass(frozen=True, slots=True)
class Jump:
    """What happened between two looks, in seconds, 0 for nothing: the machine slept, we were stopped, the clock was set
    (back: less than 0)."""

    slept_s: float = 0.0
    stopped_s: float = 0.0
    set_s: float = 0.0

    def __str__(self) -> str:
        said = []
        if self.slept_s:
            said.append(f"the machine was suspended for {self.slept_s:.0f} s")
        if self.stopped_s:
            said.append(f"exitpin was stopped for {self.stopped_s:.0f} s")
        if self.set_s:
            said.append(f"the clock was set {'forward' if self.set_s > 0 else 'back'} by {abs(self.set_s):.0f} s")
        return ", and ".join(said)


class ClockWatch:
    """Remembers the last look."""

    def __init__(self, first: Clocks) -> None:
        self._last = first

    def look(self, now: Clocks) -> Jump | None:
        """What happened since the last look; None: nothing."""
        last, self._last = self._last, now
        passed_s = now.boottime - last.boottime
        slept_s = passed_s - (now.monotonic - last.monotonic)
        stopped_s = now.monotonic - last.monotonic
        set_s = (now.wall - last.wall) - passed_s
        jump = Jump(
            slept_s if slept_s > SLEPT_S else 0.0,
            stopped_s if stopped_s > STOPPED_S else 0.0,
            set_s if abs(set_s) > SET_S else 0.0,
        )
        return None if jump == Jump() else jump
