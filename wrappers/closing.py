"""Descriptors that a tool has sent, closed where that may take long: in a thread, and never on the loop.

Whoever closes a file for the last time does what is left to be done about it. Of one that has no name any more the
kernel gives back each extent (150,000 of them: 100 s); of one in memory each page; with a Unix socket, and one that
listens there, all descriptors are closed that were sent to it and not received; TCP waits as long as SO_LINGER says.
And a tool can see to it that we are the last. So only what is known to be quick is closed at once.

A run has one such thread, and only while there is something to close: what is slow is its own. Nobody waits for it,
and it keeps no process from ending; but the kernel does, until it has closed what is being closed. What comes from
whom may not be of the run has another thread, and is not the tool's doing. Called by `reports.py`, and by whoever has
a tool's socket. Sources: close(2), unix(7), socket(7); net/unix/af_unix.c.
"""

import asyncio
import contextlib
import errno
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from ..orchestrator import events
from .packets import despite_reset

Close = Callable[..., None]
"""Takes descriptors, which are closed soon."""

CROWDED = "more was sent with reports than can be closed meanwhile"
AGAIN_S = 1.0
"""After that another thread is tried, where there could be none."""
_LINGER = struct.Struct("=ii")
_CREDENTIALS_SPACE = socket.CMSG_SPACE(struct.calcsize("=iII"))
_QUICK = (socket.IPPROTO_TCP, socket.IPPROTO_UDP)


class Closers:
    """Those of one run. `room`: how many descriptors may wait, of its own and of others; `is_member`: whether a
    process is of it; `lose(why, event)`: where they are more, that event has to be told of the run."""

    def __init__(
        self,
        room: int,
        is_member: Callable[[int], bool | None],
        lose: Callable[[str, Callable[[str], object]], object],
    ) -> None:
        self._is_member = is_member
        self._own = Closer(room, lambda: lose(CROWDED, events.ReportsCrowded))
        self._strangers = Closer(room, lambda: lose(f"{CROWDED}, by others", events.LauncherLost))
        self.close: Close = self._own.close

    @property
    def is_crowded(self) -> bool:
        """Whether nothing more may be received."""
        return self._own.is_crowded or self._strangers.is_crowded

    def of(self, pid: int) -> Close:
        """For what a process has sent: whose that is, is asked when something is to be closed."""
        return partial(self._close, pid)

    def _close(self, pid: int, *descriptors: int) -> None:
        if not descriptors:  # as of nearly all reports
            return
        is_member: bool | None = None
        with contextlib.suppress(OSError):  # no room to look
            is_member = self._is_member(pid)
        (self._own if is_member else self._strangers).close(*descriptors)


class Closer:
    """A thread. `room`: how many may wait to be closed; `on_crowded` hears, once, that they are more. Then, as later,
    all are taken: they are ours already."""

    def __init__(self, room: float, on_crowded: Callable[[], object]) -> None:
        self.is_crowded = False
        self._room = room
        self._on_crowded = on_crowded
        self._backlog: deque[int] = deque()
        self._busy = threading.Lock()  # nobody waits for it: whoever has it closes all that there is

    def close(self, *descriptors: int) -> None:
        """Soon, and each once."""
        self._backlog.extend(descriptors)
        self._begin()
        if len(self._backlog) > self._room and not self.is_crowded:
            self.is_crowded = True
            self._on_crowded()

    def _begin(self) -> None:
        if self._backlog and self._busy.acquire(blocking=False):
            try:
                threading.Thread(target=self._main, name="closing", daemon=True).start()
            except RuntimeError:  # no more threads
                self._busy.release()
                _later(self._begin)

    def _main(self) -> None:
        while True:
            while self._backlog:
                with contextlib.suppress(OSError):  # it is closed all the same
                    os.close(self._backlog.popleft())
            self._busy.release()
            if not self._backlog or not self._busy.acquire(blocking=False):  # it came in between
                return


class ToolSocket(socket.socket):
    """A copy of a tool's socket. Raises OSError for what is none."""

    def __init__(self, descriptor: int, close: Close) -> None:
        super().__init__(fileno=descriptor)
        self._close = close

    def close(self) -> None:
        """At once, if that is quick."""
        if self.fileno() < 0 or self._is_quick():
            super().close()
        else:
            self._close(self.detach())

    def _is_quick(self) -> bool:
        if self.family not in (socket.AF_INET, socket.AF_INET6) or self.proto not in _QUICK:
            return False
        is_on, seconds = _LINGER.unpack(self.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.size))
        return not (is_on and seconds)


def hang_up(connection: socket.socket, close: Close) -> None:
    """Close a SOCK_SEQPACKET connection; at once, if nothing is left in it. It is shut first, so that nothing comes
    in between; who asks for credentials can tell a packet of no bytes from the end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        how = socket.MSG_PEEK | socket.MSG_DONTWAIT
        packet, ancillary, flags, _ = despite_reset(connection.recvmsg, 1, _CREDENTIALS_SPACE, how)
        if not packet and not ancillary and not flags & socket.MSG_CTRUNC:
            connection.close()
            return
    close(connection.detach())


def stop_listening(listener: socket.socket, close: Close) -> None:
    """Close a Unix socket that listens, and does not block; at once, if nobody has connected whom nobody took."""
    try:
        listener.shutdown(socket.SHUT_RD)  # nobody can connect any more
        hang_up(listener.accept()[0], close)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EINVAL):
            listener.close()
            return
    close(listener.detach())


def _later(begin: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # no loop: the process is about to end
        asyncio.get_running_loop().call_later(AGAIN_S, begin)
