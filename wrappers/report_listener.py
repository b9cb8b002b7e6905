"""A run's report socket: hooks connect to it. Either the loop accepts them, or somebody else does for a while.

Called by `reports.py`.
"""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from .closing import Close, stop_listening
from .watching import watch

AT_ONCE = 64
BACKLOG = 512


class ReportListener:
    """Listens at `path`, once it is opened. `adopt(connection)` gets each connection; `lose(why)`: one could not be
    taken, or none will be; `guarded` calls what it is given, and sees to what that raises."""

    def __init__(
        self,
        path: Path,
        adopt: Callable[[socket.socket], None],
        lose: Callable[[str], None],
        guarded: Callable[[Callable[[], None]], None],
        close: Close,
    ) -> None:
        self.path = path
        self._adopt = adopt
        self._lose = lose
        self._guarded = guarded
        self._close = close
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Listen. Raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        self._socket.bind(str(self.path))
        self._socket.listen(BACKLOG)
        self._watch()

    def close(self) -> None:
        """Listen no more."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            stop_listening(self._socket, self._close)
            self._socket = None
            self.path.unlink(missing_ok=True)

    def stand_back(self) -> int | None:
        """Somebody else accepts until `come_back`, of this descriptor; None: there is none any more."""
        if self._socket is None:
            return None
        self._loop.remove_reader(self._socket.fileno())
        return self._socket.fileno()

    def come_back(self) -> None:
        """The loop accepts again."""
        if self._socket is None:
            return
        try:
            self._watch()
        except OSError as error:  # told when what came meanwhile has been
            self._loop.call_soon(self._lose, f"no more reports could be taken: {error.strerror}")

    def accept_last(self) -> None:
        """Take all who had connected when nobody was left who could."""
        self.accept(BACKLOG + 1)

    def _watch(self) -> None:
        assert self._socket is not None
        watch(self._loop.add_reader, self._socket.fileno(), self._guarded, self.accept)

    def accept(self, at_most: int = AT_ONCE) -> None:
        """Take who has connected, as many as one turn of the loop may."""
        for _ in range(at_most):
            if self._socket is None:  # a report may end the run
                return
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._lose(f"a report could not be taken: {error.strerror}")
                return
            self._adopt(connection)
