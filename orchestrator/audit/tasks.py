"""Work that nobody waits for, on the loop: whatever fails in it is a failure of the whole."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Tasks under way. An exception goes to the loop's handler: it may not leave anything open for ever."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Begin it."""
        task = self._loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(_report)

    def cancel(self) -> None:
        """Nobody wants to hear of them any more."""
        for task in self._running:
            task.cancel()


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler({"message": "an audit's task failed", "exception": error})
