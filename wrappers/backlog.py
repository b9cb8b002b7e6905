"""What the loop has for a thread of its own to write: a queue that never holds up the loop, and says when it is long.

Called by whoever writes from a thread: lines to a reader (`output.py`), records to a disk (`results/store.py`).
What is written, and what becomes of it when that fails, is theirs.
"""

import asyncio
import contextlib
import queue
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Backlog(Generic[T]):
    """Made on the loop. `max_queued`: of what items cost (bytes, say), so much may wait before it is full. `ended` is
    done once the thread has said that it is `over`."""

    def __init__(self, max_queued: int) -> None:
        self._max_queued = max_queued
        self._queued = 0
        self._waiting: list[Callable[[], None]] = []
        self._items: queue.SimpleQueue[tuple[T, int] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()

    # On the loop.

    @property
    def is_full(self) -> bool:
        """Whether so much waits that no more should come. Nobody waits for a thread that has ended."""
        return self._queued > self._max_queued and not self.ended.done()

    def call_when_drained(self, resume: Callable[[], None]) -> None:
        """Call `resume` once, on the loop, when half of what may wait does."""
        self._waiting.append(resume)

    def put(self, item: T, cost: int) -> None:
        """Queue an item; never waits."""
        self._queued += cost
        self._items.put((item, cost))

    def finish(self) -> None:
        """Nothing more will come."""
        self._items.put(None)

    # In the thread.

    def take(self, most: int) -> tuple[list[T], int]:
        """What waits, until it costs `most`, and what it costs. Waits for the first; none: that was all."""
        items: list[T] = []
        costs = 0
        while not items or (costs < most and not self._items.empty()):
            found = self._items.get()
            if found is None:
                self._items.put(None)  # whoever asks again is told again
                break
            items.append(found[0])
            costs += found[1]
        return items, costs

    def written(self, cost: int) -> None:
        """So much of it waits no more."""
        self.tell(self._written, cost)

    def over(self) -> None:
        """The thread ends."""
        self.tell(self._over)

    def tell(self, what: Callable[..., None], *given: object) -> None:
        """Call something on the loop; nothing, once that has ended: then nobody waits."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *given)

    # On the loop again.

    def _written(self, cost: int) -> None:
        self._queued -= cost
        if self._queued <= self._max_queued // 2:
            self._resume_all()

    def _over(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        self._resume_all()

    def _resume_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for resume in waiting:
            resume()
