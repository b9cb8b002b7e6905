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
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..shim import calls
from ..shim.tickets import CallDoor, Taken
from .closing import Close, ToolSocket

AT_ONCE = 16
"""So many calls are on their way to the loop; the next waits, and costs no descriptor."""

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


class CallThread:
    """Of one run: what its door leaves to the loop. There, `judge` hears of each call, `hooked` of each connection of a
    hook, with its process, and `over` once that nobody is left who could ask, or what went wrong with us. Begins at
    once, on a copy of `listener`. Raises OSError."""

    def __init__(
        self,
        listener: int,
        judge: Callable[[Asked], None],
        over: Callable[[Exception | None], None],
        hooked: Callable[[socket.socket, int], None],
        door: CallDoor,
        close: Close,
        *,
        is_apart: bool,
        may_listen: bool,
    ) -> None:
        self._judge = judge
        self._over = over
        self._hooked = hooked
        self._door = door
        self._close_tool_socket = close
        self._is_apart = is_apart
        self._may_listen = may_listen
        self._loop = asyncio.get_running_loop()
        self._heard: Callable[[], None] | None = None
        self._has_told_all = False
        self._gifts: deque[Gift] = deque()
        self._room = threading.Semaphore(AT_ONCE)
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        with contextlib.ExitStack() as stack:
            stack.callback(self._ours.close)
            stack.callback(theirs.close)
            copy = os.dup(listener)
            stack.callback(os.close, copy)
            try:
                threading.Thread(target=self._main, args=(copy, theirs), name="calls", daemon=True).start()
            except RuntimeError as error:
                raise OSError(errno.EAGAIN, "no thread for the calls of the tool") from error
            stack.pop_all()

    def close(self) -> None:
        """It ends as soon as it waits for nothing."""
        self._heard = None
        self._ours.close()
        self._room.release()

    def hear_out(self, heard: Callable[[], None]) -> None:
        """Call `heard` on the loop once all that was taken has been told there, unless we are closed, or fail."""
        if self._has_told_all:
            heard()
        else:
            self._heard = heard

    def give(self, call: calls.Call, ours: socket.socket, way: Callable[[int], None]) -> None:
        """Hand this socket to who made the call, in this way, in turn; where that raises OSError, it is the answer."""
        self._gifts.append((call, ours, way))
        with contextlib.suppress(OSError):  # it has more than enough to wake up for, or it has ended
            self._ours.send(b"!")

    def _main(self, listener: int, theirs: socket.socket) -> None:
        problem: Exception | None = None
        try:
            with theirs:
                while self._goes_on(listener, theirs):
                    continue
        except Exception as error:
            problem = error
        finally:
            os.close(listener)
            while self._gifts:
                self._gifts.popleft()[1].close()
            self._post(self._ended, problem)

    def _ended(self, problem: Exception | None) -> None:
        heard, self._has_told_all = self._heard, problem is None
        self._over(problem)
        if heard is not None and problem is None:
            heard()

    def _goes_on(self, listener: int, theirs: socket.socket) -> bool:
        """Whether the next call can be waited for."""
        self._room.acquire()
        try:
            taken = self._door.wait(listener, theirs.fileno(), is_apart=self._is_apart, may_listen=self._may_listen)
        except BrokenPipeError:
            return False
        if taken is None:
            self._room.release()
            if not theirs.recv(1024):
                return False
            while self._gifts:
                _give(listener, *self._gifts.popleft())
        elif taken.connection >= 0:
            self._post(self._adopt, (socket.socket(fileno=taken.connection), taken.pid))
        else:
            self._post(self._hand_over, _asked(taken, self._close_tool_socket))
        return True

    def _adopt(self, hook: tuple[socket.socket, int]) -> None:
        self._room.release()
        self._hooked(*hook)

    def _hand_over(self, asked: Asked) -> None:
        self._room.release()
        self._judge(asked)

    def _post(self, hears: Callable[..., None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(hears, what)


def _asked(taken: Taken, close: Close) -> Asked:
    """As the loop hears of it."""
    told = taken.call, taken.error, taken.defence, taken.pid
    if taken.problem:
        return Asked(*told, OSError(taken.problem, os.strerror(taken.problem)))
    if taken.tool < 0:
        return Asked(*told)
    try:
        return Asked(*told, None, ToolSocket(taken.tool, close), taken.address)
    except OSError as problem:
        os.close(taken.tool)
        return Asked(*told, problem)


def _give(listener: int, call: calls.Call, ours: socket.socket, way: Callable[[int], None]) -> None:
    with ours:
        try:
            way(listener)
        except OSError as error:
            calls.answer(listener, call, error.errno or errno.EACCES)


def signed(argument: int) -> int:
    """An int, as the kernel takes it from a register."""
    return int.from_bytes((argument & 0xFFFFFFFF).to_bytes(4, "little"), "little", signed=True)
