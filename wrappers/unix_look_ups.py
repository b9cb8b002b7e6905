"""Looking up where names of Unix sockets lead, for one run, in a thread: whose folders they are in may keep us waiting.

A look-up waits for whoever is at work in the folder. That may be a thread of the tool which it starves (a hundred that
spin, beside one that reads a long folder), or a file system whose server is gone: it waits for a minute, or for ever,
and meanwhile nothing of this run is looked up, but all others go on. Decides nothing; called by `unix_sockets.py`.
"""

import asyncio
import contextlib
import errno
import queue
import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from .shares import max_calls


class Held(Protocol):
    """What is found, with what it holds open."""

    def close(self) -> None:
        """Let go of that."""


F = TypeVar("F", bound=Held)


class LookUps(Generic[F]):
    """Those of one run. `failed`: what is found where that raises an errno, too many wait (EAGAIN), or this
    machine has no room (EMFILE, ENFILE)."""

    def __init__(self, failed: Callable[[int], F]) -> None:
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[tuple[Callable[[], F], Callable[[F], None]] | None] = queue.SimpleQueue()
        self._max_waiting = max_calls()
        self._waiting = 0
        self._has_thread = False

    def make(self, find: Callable[[], F], then: Callable[[F], None]) -> None:
        """In its turn; `then` hears on the loop, once, what was found, and closes it."""
        if self._waiting >= self._max_waiting:
            then(self._failed(errno.EAGAIN))
            return
        if not self._is_begun():
            then(self._failed(errno.ENFILE))  # as where there is no room for a descriptor
            return
        self._waiting += 1
        self._queue.put((find, then))

    def close(self) -> None:
        """None is to come but those that wait already."""
        self._queue.put(None)

    def _is_begun(self) -> bool:
        if not self._has_thread:
            with contextlib.suppress(RuntimeError):  # no more threads
                threading.Thread(target=self._main, name="look-ups", daemon=True).start()
                self._has_thread = True
        return self._has_thread

    def _main(self) -> None:
        while (one := self._queue.get()) is not None:
            find, then = one
            problem: Exception | None = None
            try:
                found = find()
            except OSError as error:
                found = self._failed(error.errno or errno.EACCES)
            except Exception as error:
                found, problem = self._failed(errno.EACCES), error
            try:
                self._loop.call_soon_threadsafe(self._over, then, found, problem)
            except RuntimeError:  # the loop is closed
                found.close()
                return

    def _over(self, then: Callable[[F], None], found: F, problem: Exception | None) -> None:
        self._waiting -= 1
        then(found)
        if problem is not None:
            raise problem
