"""What was found last, looked for in a thread: a second old at most, older where a look takes long.

A look reads folders that a tool may write to. Who is at work in one lets others wait, and may be starved by the tool
meanwhile, or the server of a file system be gone: then who asks waits, and the loop does not. Decides nothing; what is
looked for say `hidden.py` and `named_pipes.py`.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

FRESH_S = 1.0
FRESH_PER_LOOK = 20

T = TypeVar("T")


class Recent(Generic[T]):
    """What `look` finds. `last`: None before the first look has ended."""

    def __init__(self, look: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._fresh_until = float("-inf")
        self._waiting: list[Callable[[T | None], None]] = []
        self.last: T | None = None

    def ask(self, then: Callable[[T | None], None]) -> None:
        """Look, if it was long ago: `then` hears on the loop, and at once if it was not. None: that failed."""
        began = self._clock()
        if began < self._fresh_until:
            then(self.last)
            return
        self._waiting.append(then)
        if len(self._waiting) == 1:
            thread = threading.Thread(
                target=self._main, args=(began, asyncio.get_running_loop()), name="look", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # no more threads
                self._over(None, None)

    def _main(self, began: float, loop: asyncio.AbstractEventLoop) -> None:
        found, problem = None, None
        try:
            found = self._look()
            ended = self._clock()
            self.last, self._fresh_until = found, ended + max(FRESH_S, FRESH_PER_LOOK * (ended - began))
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._over, found, problem)

    def _over(self, found: T | None, problem: Exception | None) -> None:
        self._waiting, waiting = [], self._waiting
        for then in waiting:
            then(found)
        if problem is not None and not isinstance(problem, OSError):
            raise problem
