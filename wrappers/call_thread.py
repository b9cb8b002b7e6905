"""The thread in which the calls of one supervised run are taken and looked at: all that may wait for the tool itself.

The kernel reads a process's memory, and gives a descriptor to a thread of it, when that lets it. A tool that starves
its own threads (a hundred that spin, beside the one that is asked for or holds the lock) makes whoever asks wait for a
minute: here that is the run's own thread, and never the loop. It posts to the loop and decides nothing; called by
`supervisor.py`. Sources: seccomp_unotify(2), process_vm_readv(2).
"""

import asyncio
import contextlib
import errno
import os
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..shim import calls

AT_ONCE = 16
"""So many calls are on their way to the loop; the next waits, and costs no descriptor."""

UNIX_ADDRESS_MAX = 110
_FAMILY = struct.Struct("=H")

Gift = tuple[calls.Call, socket.socket, Callable[[int], None]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A call, as it was when its maker waited for it: by which rule (`defence`) it is refused with `error`, or made by
    us; its process; and why it can't be made. `tool_socket`: of connect and listen; `address`: of connect."""

    call: calls.Call
    error: int
    defence: str
    pid: int = 0
    problem: OSError | None = None
    tool_socket: socket.socket | None = None
    address: bytes = b""

    def close(self) -> None:
        """Let go of what it holds."""
        if self.tool_socket is not None:
            self.tool_socket.close()


class Hasty(Protocol):
    """Who may be faster than the loop: asked in this thread."""

    def go(self, asked: Asked) -> bool:
        """Whether this connect is under way; what was asked is then somebody else's."""

    def greet(self, connection: socket.socket, pid: int) -> bool:
        """Whether somebody hears this connection of a hook; it is then theirs."""


class Reports(Protocol):
    """The run's report socket."""

    path: Path

    def adopt(self, connection: socket.socket, pid: int) -> None:
        """A hook's connection."""


class CallThread:
    """Of one run. A hook that connects to the `reports` gets a connection to us, which `hasty` may hear, and a connect
    may go by it; of all else, on the loop, `judge` hears, and `over` once that nobody is left who could ask, or what
    went wrong with us. Begins at once, on a copy of `listener`. Raises OSError."""

    def __init__(
        self,
        listener: int,
        judge: Callable[[Asked], None],
        over: Callable[[Exception | None], None],
        hasty: Hasty,
        reports: Reports,
        *,
        is_apart: bool,
        may_listen: bool,
    ) -> None:
        self._judge = judge
        self._over = over
        self._hasty = hasty
        self._reports = reports
        self._path = os.fsencode(reports.path)
        self._is_apart = is_apart
        self._may_listen = may_listen
        self._loop = asyncio.get_running_loop()
        self._gifts: deque[Gift] = deque()
        self._room = threading.Semaphore(AT_ONCE)
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        try:
            copy = os.dup(listener)
        except OSError:
            self._ours.close()
            theirs.close()
            raise
        thread = threading.Thread(target=self._main, args=(copy, theirs), name="calls", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            os.close(copy)
            theirs.close()
            raise OSError(errno.EAGAIN, "no thread for the calls of the tool") from error

    def close(self) -> None:
        """It ends as soon as it waits for nothing."""
        self._ours.close()
        self._room.release()

    def give(self, call: calls.Call, ours: socket.socket, way: Callable[[int], None]) -> None:
        """Hand this socket to who made the call, in this way, in turn; where that raises OSError, it is the answer."""
        self._gifts.append((call, ours, way))
        with contextlib.suppress(OSError):  # it has more than enough to wake up for, or it has ended
            self._ours.send(b"!")

    def _main(self, listener: int, theirs: socket.socket) -> None:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(theirs, select.POLLIN)
        problem: Exception | None = None
        try:
            with theirs:
                while self._goes_on(listener, theirs, dict(poll.poll())):
                    continue
        except Exception as error:
            problem = error
        finally:
            os.close(listener)
            for _, ours, _ in self._gifts:
                ours.close()
            self._post(self._over, problem)

    def _goes_on(self, listener: int, theirs: socket.socket, ready: dict[int, int]) -> bool:
        if theirs.fileno() in ready and not theirs.recv(1024):
            return False
        while self._gifts:
            _give(listener, *self._gifts.popleft())
        if listener in ready:
            if not ready[listener] & select.POLLIN:
                return False
            self._room.acquire()
            call = calls.receive(listener)
            if call is None:
                self._room.release()
            else:
                asked = self._look(listener, call)
                if self._is_carried_out(listener, asked):
                    self._room.release()
                else:
                    self._post(self._hand_over, asked)
        return True

    def _is_carried_out(self, listener: int, asked: Asked) -> bool:
        if asked.error or asked.problem is not None or asked.tool_socket is None:
            return False
        if asked.tool_socket.family != socket.AF_UNIX:
            return self._hasty.go(asked)
        if not _leads_to(asked.address, self._path):
            return False
        with asked.tool_socket:
            try:
                self._connect_to_us(listener, asked)
            except OSError as error:  # it has gone, or may have no more descriptors
                calls.answer(listener, asked.call, error.errno or errno.EACCES)
        return True

    def _connect_to_us(self, listener: int, asked: Asked) -> None:
        """A hook's report is on its way: its socket becomes one end of a pair. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                calls.replace(listener, asked.call, signed(asked.call.arguments[0]), theirs.fileno())
            except OSError:
                ours.close()
                raise
        if not self._hasty.greet(ours, asked.pid):
            self._post(self._adopt, (ours, asked.pid))

    def _adopt(self, hook: tuple[socket.socket, int]) -> None:
        self._reports.adopt(*hook)

    def _look(self, listener: int, call: calls.Call) -> Asked:
        error, defence = calls.refusal(call.number, call.arguments, is_apart=self._is_apart)
        pid, tool_socket, address = 0, None, b""
        try:
            pid = calls.process_of(call.tid)
            if (not error and defence != "apart") or (defence == "listen" and self._may_listen):
                fd, size = signed(call.arguments[0]), signed(call.arguments[2])
                if not error and not 0 <= size <= calls.ADDRESS_MAX:
                    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
                tool_socket = calls.socket_of(call, pid, fd)
                if not error:
                    address = calls.read_memory(call, call.arguments[1], size)
                if not calls.is_alive(listener, call):  # what was read may be a stranger's
                    raise OSError(errno.EINTR, os.strerror(errno.EINTR))
        except OSError as problem:
            if tool_socket is not None:
                tool_socket.close()
            return Asked(call, error, defence, pid, problem)
        return Asked(call, error, defence, pid, None, tool_socket, address)

    def _hand_over(self, asked: Asked) -> None:
        self._room.release()
        self._judge(asked)

    def _post(self, hears: Callable[..., None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(hears, what)


def _leads_to(address: bytes, path: bytes) -> bool:
    """Whether this address of a Unix socket is that path."""
    if not _FAMILY.size < len(address) <= UNIX_ADDRESS_MAX:
        return False
    family, name = _FAMILY.unpack_from(address)[0], address[_FAMILY.size :]
    return bool(family == socket.AF_UNIX and name.partition(b"\0")[0] == path)


def _give(listener: int, call: calls.Call, ours: socket.socket, way: Callable[[int], None]) -> None:
    with ours:
        try:
            way(listener)
        except OSError as error:
            calls.answer(listener, call, error.errno or errno.EACCES)


def signed(argument: int) -> int:
    """An int, as the kernel takes it from a register."""
    return int.from_bytes((argument & 0xFFFFFFFF).to_bytes(4, "little"), "little", signed=True)
