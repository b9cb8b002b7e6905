"""The connects to Unix sockets that we make for a supervised tool, on its own sockets, and the time that they take.

Where the listener takes nobody for now, connect(2) waits, for as long as the socket says; and the socket is the tool's,
too, which may change that at any time (O_NONBLOCK, SO_SNDTIMEO). So none of them is made on the loop: each is made in a
thread of its own, and broken off after CONNECT_S. Nobody waits for that thread's end: one that goes on all the same
is looked at until it is over, and keeps its place. A run has AT_ONCE of them at a time: what stalls is its own.

Called by `supervisor.py`. Source: unix(7); net/unix/af_unix.c.
"""

import asyncio
import contextlib
import errno
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..shim import calls
from .shares import max_calls
from .unix_sockets import Found

AT_ONCE = 8
CONNECT_S = 5.0
LOOK_S = 0.1


@dataclass(slots=True, eq=False)
class UnixConnect:
    """One of them. `found` is what was looked up for it, under that `name`; `is_alive`: whether the tool waits for it
    still; `answered` hears its errno, once, unless all are closed or nobody waits. `ends`: when it is broken off."""

    tool_socket: socket.socket
    name: bytes
    found: Found
    is_alive: Callable[[], bool]
    answered: Callable[[int], None]
    aside: calls.ConnectAside | None = None
    timer: asyncio.TimerHandle | None = None
    ends: float = 0.0
    is_answered: bool = False

    def answer(self, error: int) -> None:
        """Let the tool go on."""
        if not self.is_answered:
            self.is_answered = True
            self.answered(error)

    def let_go(self) -> None:
        """Close what it came with."""
        self.tool_socket.close()
        self.found.close()


class UnixConnects:
    """Those of one run. `on_no_room` hears why one could not be begun: that is our doing, and not the tool's."""

    def __init__(self, on_no_room: Callable[[OSError], None]) -> None:
        self._on_no_room = on_no_room
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[UnixConnect] = deque()
        self._running: set[UnixConnect] = set()
        self._max_waiting = max_calls()

    def make(self, one: UnixConnect) -> None:
        """As soon as it is its turn. The socket and what was found are ours to close from now on."""
        self._waiting.append(one)
        if len(self._waiting) > self._max_waiting:
            self._waiting.pop().let_go()
            one.answer(errno.EAGAIN)
        self._next()

    def close(self) -> None:
        """Break all off; nobody hears of it."""
        self._waiting, waiting = deque(), self._waiting
        for one in waiting:
            one.let_go()
        for one in list(self._running):
            self._end(one)

    def _next(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            one = self._waiting.popleft()
            if not one.is_alive():
                one.let_go()
                continue
            try:
                one.aside = calls.ConnectAside(one.tool_socket, one.found.handle, one.name)
            except OSError as problem:
                one.let_go()
                self._on_no_room(problem)
                one.answer(errno.EAGAIN)
                continue
            self._running.add(one)
            with contextlib.suppress(OSError):  # where no more can be watched, it is looked at now and then
                self._loop.add_reader(one.aside.done, self._over, one)
            one.ends = self._loop.time() + CONNECT_S
            self._look(one)

    def _look(self, one: UnixConnect) -> None:
        assert one.aside is not None
        if one.aside.is_over():
            self._over(one)
            return
        now = self._loop.time()
        if now >= one.ends or not one.is_alive():
            one.aside.break_off()
        if now >= one.ends + LOOK_S:  # it is not to be broken off: what it holds is its own
            one.let_go()
            one.answer(errno.EAGAIN)
        left = one.ends - now
        one.timer = self._loop.call_later(min(LOOK_S, left) if left > 0 else LOOK_S, self._look, one)

    def _over(self, one: UnixConnect) -> None:
        error = self._end(one)
        one.answer(errno.EAGAIN if error == errno.ECANCELED else error)
        self._next()

    def _end(self, one: UnixConnect) -> int:
        """Its errno."""
        assert one.aside is not None
        self._running.discard(one)
        if one.timer is not None:
            one.timer.cancel()
        self._loop.remove_reader(one.aside.done)
        error = one.aside.end()
        one.let_go()
        return error
