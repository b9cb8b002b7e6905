"""The connects to Unix sockets that we make for a supervised tool, on its own sockets, and the time that they take.

Where the listener takes nobody for now, connect(2) waits, for as long as the socket says; and the socket is the tool's,
too, which may change that at any time (O_NONBLOCK, SO_SNDTIMEO). So none of them is made on the loop: each is made in a
thread of its own, and broken off after CONNECT_S. A run has AT_ONCE of them at a time, so that what stalls is its own.

Called by `supervisor.py`. Source: unix(7); net/unix/af_unix.c.
"""

import asyncio
import errno
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..shim import calls
from .report_calls import max_calls
from .unix_sockets import Found

AT_ONCE = 8
CONNECT_S = 5.0
LOOK_S = 0.1


@dataclass(slots=True, eq=False)
class UnixConnect:
    """One of them. `found` is what was looked up for it; `is_alive`: whether the tool waits for it still; `answered`
    hears its errno, once, unless all are closed. `ends`: when it is broken off."""

    tool_socket: socket.socket
    address: bytes
    found: Found
    is_alive: Callable[[], bool]
    answered: Callable[[int], None]
    aside: calls.ConnectAside | None = None
    timer: asyncio.TimerHandle | None = None
    ends: float = 0.0


class UnixConnects:
    """Those of one run."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[UnixConnect] = deque()
        self._running: set[UnixConnect] = set()
        self._max_waiting = max_calls()

    def make(self, one: UnixConnect) -> None:
        """As soon as it is its turn. The socket and what was found are ours to close from now on."""
        self._waiting.append(one)
        if len(self._waiting) > self._max_waiting:
            self._drop(self._waiting.pop())
            one.answered(errno.EAGAIN)
        self._next()

    def close(self) -> None:
        """Break all off; nobody hears of it."""
        self._waiting, waiting = deque(), self._waiting
        for one in (*self._running, *waiting):
            self._drop(one)

    def _next(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            one = self._waiting.popleft()
            if not one.is_alive():
                self._drop(one)
                continue
            try:
                one.aside = calls.ConnectAside(one.tool_socket, one.address)
            except OSError:
                self._drop(one)
                one.answered(errno.EAGAIN)
                continue
            self._running.add(one)
            self._loop.add_reader(one.aside.done, self._over, one)
            one.ends = self._loop.time() + CONNECT_S
            self._look(one)

    def _look(self, one: UnixConnect) -> None:
        now = self._loop.time()
        if now >= one.ends or not one.is_alive():
            self._over(one)
        else:
            one.timer = self._loop.call_later(min(LOOK_S, one.ends - now), self._look, one)

    def _over(self, one: UnixConnect) -> None:
        error = self._drop(one)
        one.answered(errno.EAGAIN if error == errno.ECANCELED else error)
        self._next()

    def _drop(self, one: UnixConnect) -> int:
        """Its errno, if it was begun."""
        self._running.discard(one)
        error = errno.ECANCELED
        if one.timer is not None:
            one.timer.cancel()
        if one.aside is not None:
            self._loop.remove_reader(one.aside.done)
            error = one.aside.end()
        one.tool_socket.close()
        one.found.close()
        return error
