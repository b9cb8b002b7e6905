"""The report socket of a run: hooks connect to it, report, and wait; here reports are read, checked and answered.

One SOCK_SEQPACKET connection carries one operation. What a report says is compared with what the kernel says: the
socket's own name against the reported source, the sender's pid (SO_PEERCRED) against the run's process tree. The
difference becomes the event's `problem`; deciding what follows is the core's business.

Each hook that waits costs two descriptors of ours. A run has a share of them (`Share`): what is over it is refused.
When there are none left all the same, this run is lost, and only this one.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from ..orchestrator import events
from ..orchestrator.effects import AnswerCall
from ..shim import bindings
from .ahead import Flight
from .closing import Closers
from .process import Tree
from .report_calls import Received, WaitingCall, packet_of, peer_of, receive, understand
from .report_events import event_of, unix_name
from .report_listener import ReportListener
from .shares import Kept, Share
from .unix_sockets import Found, UnixSockets
from .watching import watch

_CALLS = count(1)
LOOK_S = 0.1


class ReportSocket:
    """Listens for one run. `post(event)` gets typed events; `on_report(packet, pid)` each as it came."""

    def __init__(
        self, path: Path, nonce: bytes, tree: Tree, post: Callable[[object], None],
        on_report: Callable[[bytes, int], None], unix: UnixSockets,
    ) -> None:  # fmt: skip
        self.path = path
        self.calls: dict[int, WaitingCall] = {}
        self._silent: set[int] = set()
        self._nonce = nonce
        self._tree = tree
        self._post = post
        self._kept = Kept(on_report, post)
        self._unix = unix
        self._is_drained = self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._share = Share()
        self.closers = Closers(self._share.calls, tree.contains, lambda *lost: self._loop.call_soon(self._lose, *lost))
        self.listener = ReportListener(path, self.adopt, self._lose, self._guarded, self.closers.close)
        self._look: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Hang up on everybody, who may come later, too; a hook that waits gets ENETUNREACH."""
        self._is_closed = True
        self.listener.close()
        if self._look is not None:
            self._look.cancel()
        for number in list(self.calls):
            self.forget(number)

    def drain(self) -> None:
        """The tree has ended: read what was still under way. Of the dead, only refusals count."""
        self._is_drained = True
        while self._silent:  # whoever is read may end the run, and all others with it
            self._readable(self.calls[min(self._silent)])
        self.listener.accept_last()

    def has_room(self) -> bool:
        """Whether one more call may wait, and be kept."""
        return not self._is_drained and self._kept.has_room() and self._waiting() < self._share.calls

    def _waiting(self) -> int:
        return len(self.calls) - len(self._silent)

    def adopt(self, connection: socket.socket, pid: int = 0) -> None:
        """A hook's connection. `pid`: whose it is, where the connection itself does not say. One that has said nothing
        yet has a share of its own, and only if it is of the run: whoever knows our path may connect. A hook waits
        itself, so that nobody waits where who connected is gone."""
        call = WaitingCall(next(_CALLS), connection, pid=pid or peer_of(connection), closers=self.closers)
        if not self._has_come(call) or self._read(call):
            return
        is_member = self._is_member(call)
        if is_member and self._share.has_room(len(self._silent), call):
            self._silent.add(call.number)
            self._watch(call, self._readable)
            return
        self.forget(call.number)
        if is_member is not None:
            self._post(events.Denied(call.pid, "too-many-calls" if is_member else events.STRANGER, ""))

    def take(
        self, packet: bytes, pid: int, tool_socket: socket.socket | None, on_answer: Callable[[AnswerCall], None],
        found_unix: tuple[int, bool] | None = None, is_alive: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        """A report made here of what a process asked without hooks; `pid` 0: of what our own name server was asked.
        `on_answer` is called once; `found_unix`: of a Unix socket that was looked up already; `is_alive`: whether who
        asked still waits: nobody hangs up who is killed."""
        call = WaitingCall(next(_CALLS), None, tool_socket, pid, on_answer=on_answer, is_alive=is_alive)
        if self._has_come(call):
            self._dispatch(call, packet, bindings.decode_report(packet), found_unix)

    def went(
        self, packet: bytes, pid: int, tool_socket: socket.socket, flight: Flight, connection: socket.socket | None,
        on_answer: Callable[[AnswerCall], None] | None = None, is_alive: Callable[[], bool] | None = None,
    ) -> None:  # fmt: skip
        """A connect that a ticket was used for: `pid` was of the run when it reported, or asked (`connection` None)."""
        call = WaitingCall(next(_CALLS), connection, tool_socket, pid, on_answer, is_alive, flight, self.closers)
        flight.on_reply = lambda code: self._post(events.SocksAnswered(call.number, code))
        flight.on_gone = lambda: self._hung_up(call)
        if self._has_come(call):
            self._dispatch(call, packet, bindings.decode_report(packet))

    def _has_come(self, call: WaitingCall) -> bool:
        """Whether there is still somebody who judges it; if not, it is ended."""
        if self._is_closed or self.closers.is_crowded:
            call.end(None)
            return False
        self.calls[call.number] = call
        self._look_for_dead(call)
        return True

    def _guarded(self, react: Callable[..., None], *what: object) -> None:
        try:
            react(*what)
        except Exception as error:
            self._lose(f"internal error: {error!r}")
            raise

    def _lose(self, why: str, event: Callable[[str], object] = events.LauncherLost) -> None:
        """Reports are missing: nothing that this run does can be told for sure any more."""
        if not self._is_closed:
            self._post(event(why))
        self.listener.close()

    def _readable(self, call: WaitingCall) -> None:
        assert call.connection is not None
        self._loop.remove_reader(call.connection.fileno())
        self._silent.discard(call.number)
        if self.closers.is_crowded or not self._read(call):
            self.forget(call.number)

    def _read(self, call: WaitingCall) -> bool:
        """Read the report if it is there; False when it is not (yet)."""
        assert call.connection is not None
        try:
            found = receive(call.connection)
        except BlockingIOError:
            return False
        self._take(call, found)
        return True

    def received(self, connection: socket.socket, pid: int, found: Received) -> None:
        """A hook's connection, and what has been read from it."""
        call = WaitingCall(next(_CALLS), connection, pid=pid, closers=self.closers)
        if self._has_come(call):
            self._take(call, found)
        else:
            self.closers.of(pid)(*found[1])

    def _take(self, call: WaitingCall, found: Received) -> None:
        packet, _, is_cut = found
        understood = understand(found, self.closers.of(call.pid))
        if understood is not None:
            report, call.tool_socket = understood
            self._dispatch(call, packet, report)
            return
        self.forget(call.number)
        if is_cut:
            self._lose("the socket that came with a report could not be taken: too many open files")

    def _dispatch(
        self, call: WaitingCall, packet: bytes, report: bindings.Report, found_unix: tuple[int, bool] | None = None
    ) -> None:
        problem = None if report.nonce == self._nonce else f"a report with another run's nonce, from pid {call.pid}"
        is_known = call.flight is not None or (call.pid == 0 and call.connection is None)  # or our name server's
        is_member = True if is_known else self._is_member(call)
        is_kept = self._kept.keep(packet, call.pid, is_member=is_member is True)
        if is_member is False:  # who is not of this run can't make it fail
            self._refuse_stranger(call, report)
            return
        if not is_kept:  # nothing is claimed for what is not in the evidence
            self.forget(call.number)
            return
        if report.op == bindings.Op.UNIX and found_unix is None and is_member and problem is None:
            self._watch(call, self._hung_up)
            self._unix.look_up(unix_name(report), call.pid, partial(self._guarded, self._found, call, report))
            return
        self._tell(call, report, problem, found_unix or (0, False), is_member is None)

    def _is_member(self, call: WaitingCall) -> bool | None:
        try:
            return self._tree.contains(call.pid)
        except OSError as error:
            self._lose(f"nobody can say who made a report: {error.strerror}")
            return None

    def _found(self, call: WaitingCall, report: bindings.Report, found: Found) -> None:
        found.close()
        if found.error in (errno.EMFILE, errno.ENFILE):
            self.forget(call.number)
            self._lose(f"a Unix socket could not be looked up: {os.strerror(found.error)}")
        elif call.number in self.calls:
            self._tell(call, report, None, (found.error, found.is_allowed), False)

    def _tell(
        self, call: WaitingCall, report: bindings.Report, problem: str | None, unix: tuple[int, bool], is_gone: bool
    ) -> None:
        event = event_of(report, call, self._tree.executable, unix, problem)
        # killed since it reported: nobody waits, and nothing is claimed
        is_dead = (self._is_drained and call.flight is None) or is_gone
        is_doubtful_refusal = problem is not None and isinstance(event, events.Denied)
        if event is None or is_doubtful_refusal or (is_dead and not isinstance(event, events.Denied)):
            self.forget(call.number)
            return
        if call.flight is None and problem is None and self._is_over_share(call, event):
            return
        self._post(event)
        if isinstance(event, events.Denied):
            self.forget(call.number)
        elif call.number in self.calls and call.connection is not None and call.flight is None:
            self._watch(call, self._hung_up)  # most are answered at once, and of a flight we are told

    def _refuse_stranger(self, call: WaitingCall, report: bindings.Report) -> None:
        if report.op == bindings.Op.DENIED:
            self.forget(call.number)
            return
        self.answer(AnswerCall(call.number, errno.EACCES, socket.EAI_AGAIN))
        self._post(events.Denied(call.pid, events.STRANGER, report.op.name))

    def _is_over_share(self, call: WaitingCall, event: object) -> bool:
        """Refuse a call that would wait when too many wait already."""
        if not isinstance(event, events.ConnectReported | events.LookupReported):
            return False
        if not self._share.has_room(self._waiting() - 1, call):
            self._drop_dead()
        if call.number not in self.calls or self._share.has_room(self._waiting() - 1, call):
            return call.number not in self.calls
        what = str(event.destination) if isinstance(event, events.ConnectReported) else event.host
        self.answer(AnswerCall(call.number, errno.ENETUNREACH, socket.EAI_AGAIN))
        self._post(events.Denied(call.pid, "too-many-calls", what))
        return True

    def _watch(self, call: WaitingCall, react: Callable[[WaitingCall], None]) -> None:
        assert call.connection is not None
        try:
            watch(self._loop.add_reader, call.connection.fileno(), self._guarded, react, call)
        except OSError as error:
            self.forget(call.number)
            self._lose(f"a report could not be waited for: {error.strerror}")

    def _hung_up(self, call: WaitingCall) -> None:
        self._post(events.CallLost(call.number))
        self.forget(call.number)

    def _look_for_dead(self, call: WaitingCall) -> None:
        if call.is_alive is not None and self._look is None:
            self._look = self._loop.call_later(LOOK_S, self._drop_dead)

    def _drop_dead(self) -> None:
        """Whoever was killed while the kernel held its call for us. While there are such calls, this comes back."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        for call in list(self.calls.values()):
            if call.number in self.calls and call.is_alive is not None and not call.is_alive():
                self._hung_up(call)
        for call in self.calls.values():
            self._look_for_dead(call)

    def answer(self, answer: AnswerCall) -> None:
        """Send the answer and let the tool's socket go: from here on it is the tool's alone."""
        call = self.calls.get(answer.call)
        if call is None:
            return
        if call.flight is not None and call.flight.end():
            if answer.error:
                self._post(events.WentAstray("a connect was let through that should not have been"))
        elif call.connection is not None:
            with contextlib.suppress(OSError):  # the tool may be gone: then there is nobody to tell
                call.connection.send(packet_of(answer), socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
        self.forget(answer.call, answer)

    def forget(self, number: int, answer: AnswerCall | None = None) -> None:
        """Drop a call, and all that it came with."""
        call = self.calls.pop(number, None)
        self._silent.discard(number)
        if call is None:
            return
        if call.connection is not None:
            self._loop.remove_reader(call.connection.fileno())
        call.end(answer)
