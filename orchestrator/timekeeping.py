"""Looks at the clocks while a session lasts: at every event, and when nothing happens every second."""

import asyncio
from collections.abc import Callable

from .clocks import LOOK_S, ClockWatch, Jump
from .surroundings import ReadClocks


class Timekeeper:
    """`read` None: no clock is looked at. `on_jump` is called before anything else is made of what happened."""

    def __init__(self, read: ReadClocks | None, on_jump: Callable[[Jump], None]) -> None:
        self._read = read
        self._on_jump = on_jump
        self._watch = None if read is None else ClockWatch(read())
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._tick()

    def check(self) -> None:
        """Look at the clocks."""
        if self._read is not None and self._watch is not None:
            jump = self._watch.look(self._read())
            if jump is not None:
                self._on_jump(jump)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._read = None

    def _tick(self) -> None:
        self.check()
        if self._read is not None:
            self._timer = self._loop.call_later(LOOK_S, self._tick)
