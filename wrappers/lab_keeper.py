"""Keeps the daemons of a lab that lives: what ends unasked is started again, a little later each time it ends at once.

Lives in the event loop of pid 1 of the lab, so it reaps whoever ends in the lab, too. Says by `on_change` that a daemon
has come or gone.
"""

import asyncio
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from .lab_plant import Plant

PAUSE_LEAST_S, PAUSE_MOST_S = 0.1, 5.0
WELL_S = 10.0
GOODBYE_S = 2.0


@dataclass
class Keeper:
    """Who is to live. `pauses`: for how long a daemon was not started again when it ended last."""

    plant: Plant
    on_change: Callable[[], None] = lambda: None
    pauses: dict[str, float] = field(default_factory=dict)
    began: dict[str, float] = field(default_factory=dict)
    waiting: dict[str, asyncio.TimerHandle] = field(default_factory=dict)

    def reap(self) -> None:
        """Take leave of all that have ended."""
        has_changed = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            name = self.plant.ended(pid, status)
            if name is not None:
                self._later(name)
                has_changed = True
        if has_changed:
            self.on_change()

    def stop(self, name: str) -> None:
        """End a daemon, for good unless it is started; nothing when it does not run.

        It may say goodbye: a tor whose connection to another was reset does not try that one again for a minute
        (OR_CONNECT_FAILURE_LIFETIME).
        """
        if name in self.waiting:
            self.waiting.pop(name).cancel()
        if name in self.plant.pids:
            self.plant.stop(name, patience_s=GOODBYE_S)

    def started(self, name: str) -> None:
        """Somebody has started it."""
        if name in self.waiting:
            self.waiting.pop(name).cancel()
        self.pauses.pop(name, None)
        self.began[name] = time.monotonic()

    def _later(self, name: str) -> None:
        lived_s = time.monotonic() - self.began.get(name, 0.0)
        pause_s = PAUSE_LEAST_S if lived_s > WELL_S else min(2 * self.pauses.get(name, 0.05), PAUSE_MOST_S)
        self.pauses[name] = pause_s
        self.waiting[name] = asyncio.get_running_loop().call_later(pause_s, self._again, name)

    def _again(self, name: str) -> None:
        del self.waiting[name]
        self.began[name] = time.monotonic()
        try:
            self.plant.again(name)
        except OSError:  # no room, no memory, no process: perhaps in a while
            traceback.print_exc()
            self._later(name)
        self.on_change()
