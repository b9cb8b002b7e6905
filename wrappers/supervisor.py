"""The supervisor of a run at the level notify: the kernel hands it every connect, and tells it what it refused.

What a tool asks is never let through as it stands in its memory, which another thread of it could change meanwhile: it
is read once, and carried out here on the tool's own socket (seccomp_unotify(2) says why); what the kernel does about
the tool's threads meanwhile is waited for in a thread (`call_thread.py`). A connect goes the way of a hook's report
(`reports.py`); one to the report socket becomes a connection to us; Unix sockets of others are refused unless the run
may have them. Answers come in any order. When we are gone, the kernel answers ENOSYS.
"""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable
from functools import partial

from ..orchestrator import events
from ..orchestrator.effects import AnswerCall
from ..shim import bindings, calls
from ..shim.nowhere import Nowhere
from ..shim.tickets import CallDoor
from .ahead import Flight
from .call_thread import Asked, CallThread, signed
from .name_server import NameServer
from .process import NO_ROOM, Tree
from .report_calls import is_of_our_network
from .report_events import denied, reason_name
from .reports import ReportSocket
from .unix_connects import UnixConnect, UnixConnects
from .unix_sockets import Found, UnixName, UnixSockets, has_other_credentials

UNIX_ADDRESS_MAX = 110
_FAMILY = struct.Struct("=H")
_NETLINK = struct.Struct("=4xII")
_DEFENCES = {"io_uring": "io-uring", "request_key": "keys", "unix-datagrams": "unix"}
_PASSING = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)


class Supervisor:
    """Listens to one run. `is_apart`: the tool is in a network of its own; `dns_server`: as `NameServer` takes it."""

    def __init__(
        self,
        listener: int,
        run_address: str,
        nonce: bytes,
        reports: ReportSocket,
        tree: Tree,
        post: Callable[[object], None],
        unix: UnixSockets,
        door: CallDoor,
        *,
        may_listen: bool = False,
        is_apart: bool = False,
        dns_server: str | None = None,
    ) -> None:
        self.listener = listener
        self._run_address = run_address
        self._nonce = nonce
        self._reports = reports
        self._tree = tree
        self._known: set[int] = set()
        self._dns_server = dns_server
        self._names: NameServer | None = None
        self._has_names = True
        self._post = post
        self._unix = unix
        self._unix_connects = UnixConnects(self._no_room)
        self._may_listen = may_listen
        self._is_apart = is_apart
        self._thread = CallThread(
            listener, self._judge, self._over, reports.adopt, door, reports.closers.close,
            is_apart=is_apart, may_listen=may_listen,
        )  # fmt: skip

    def hear_out(self, heard: Callable[[], None]) -> None:
        """Nobody is left who asks: `heard` is called when all that was asked has come, unless we are closed before."""
        self._thread.hear_out(heard)

    def close(self) -> None:
        """Whoever waits, or asks from now on, gets ENOSYS, once the thread has done with the tool's memory."""
        if self.listener >= 0:
            self._thread.close()
            self._end_flights()
            os.close(self.listener)
            self.listener = -1
        self._unix_connects.close()
        if self._names is not None:
            self._names.close()
            self._names = None

    def _end_flights(self) -> None:
        """Connects under way by tickets, whose answers go by our descriptor."""
        for call in self._reports.calls.values():
            if call.flight is not None and call.connection is None:
                call.flight.end()

    def _over(self, problem: Exception | None) -> None:
        """Nobody is left who could ask; or it is we who can't go on."""
        if isinstance(problem, OSError):
            self._no_room(problem)
        elif problem is not None:
            self._lose(f"internal error: {problem!r}")
            raise problem
        self.close()

    def _lose(self, why: str) -> None:
        """What the tool asks is not answered any more: the run has failed, and it is our doing."""
        self._post(events.LauncherLost(why))
        self.close()

    def _judge(self, asked: Asked) -> None:
        if self.listener < 0:
            asked.close()
            return
        try:
            outcome = self._carry_out(asked)
        except OSError as problem:
            self._refuse(asked.call, problem)
            return
        except Exception as error:
            self._lose(f"internal error: {error!r}")
            raise
        if outcome is not None:
            self._answer(asked.call, outcome)

    def _no_room(self, problem: OSError) -> None:
        self._lose(f"a call of the tool could not be taken: {problem.strerror}")

    def _refuse(self, call: calls.Call, problem: OSError) -> None:
        """We can't take it: who called hears that, unless it is our doing: what is given to the tool raises nothing."""
        if problem.errno in NO_ROOM:
            self._no_room(problem)
        self._answer(call, problem.errno or errno.EACCES)

    def _carry_out(self, asked: Asked) -> int | None:
        """The errno to answer with; None: it is answered already, or comes later. Raises OSError: we can't take it."""
        call, pid, tool_socket = asked.call, asked.pid, asked.tool_socket
        if asked.problem is not None:
            if isinstance(asked.problem, PermissionError):
                self._post(events.Denied(pid, events.UNTRACEABLE, self._tree.executable(pid)))
            raise asked.problem
        if asked.defence == "apart":  # a TCP socket of our own network: the tool's leads nowhere
            self._give(call, socket.socket(signed(call.arguments[0]), socket.SOCK_STREAM))
            return None
        if tool_socket is not None:
            return self._listen(call, pid, tool_socket) if asked.error else self._connect(asked, tool_socket)
        if asked.defence == "sockets":
            datagrams = self._datagrams(call)
            if datagrams is not None:
                self._give(call, datagrams)
                return None
        self._note(pid, call, asked.defence)
        return asked.error

    def _listen(self, call: calls.Call, pid: int, tool_socket: socket.socket) -> int:
        """listen(2) on a Unix socket, which is made here: meanwhile the tool could have put another one in its place.
        Whoever connects is told that it is ours (SO_PEERCRED), which has to be true of the user. Raises OSError."""
        with tool_socket:
            if tool_socket.family != socket.AF_UNIX or has_other_credentials(call.tid):
                self._note(pid, call, "listen")
                return errno.EACCES
            self._unix.listens(tool_socket)
            tool_socket.listen(signed(call.arguments[1]))
        return 0

    def _give(self, call: calls.Call, ours: socket.socket) -> None:
        """The call returns this socket, if the tool may have one more."""
        kind = signed(call.arguments[1])
        ours.setblocking(not kind & socket.SOCK_NONBLOCK)
        is_cloexec = bool(kind & socket.SOCK_CLOEXEC)
        self._thread.give(call, ours, lambda listener: calls.give(listener, call, ours, is_cloexec=is_cloexec))

    def _datagrams(self, call: calls.Call) -> socket.socket | None:
        """A UDP socket of a network that leads nowhere but to our name server. None: no such socket is to be had."""
        domain, kind, protocol = (signed(argument) for argument in call.arguments[:3])
        if calls.kind_reason(domain, kind, protocol) is not bindings.Reason.UDP:
            return None
        names = self._name_server()
        return None if names is None else names.datagrams(domain)

    def _name_server(self) -> NameServer | None:
        """Made when it is first asked for: most runs need none."""
        if self._names is None and self._has_names:
            try:
                nowhere = Nowhere()
            except OSError as error:
                if error.errno in _PASSING:
                    self._no_room(error)
                self._has_names = False  # no user namespaces here, or nobody to ask any more
                return None
            self._names = NameServer(
                nowhere, self._reports, self._run_address, self._nonce, self._post, self._dns_server
            )
        return self._names

    def _note(self, pid: int, call: calls.Call, defence: str) -> None:
        """What the kernel refused, in the words of the hooks. A program that is refused fast open connects instead."""
        if defence == "sockets":
            domain, kind, protocol = (signed(argument) for argument in call.arguments[:3])
            defence = reason_name(calls.kind_reason(domain, kind, protocol))
        if defence != "fast-open":
            self._post(events.Denied(pid, _DEFENCES.get(defence, defence), ""))

    def _connect(self, asked: Asked, tool_socket: socket.socket) -> int | None:
        """As `_carry_out`. Our copy of the socket goes on with what comes later, and is closed else."""
        call, pid, address, size = asked.call, asked.pid, asked.address, len(asked.address)
        with contextlib.ExitStack() as stack:
            stack.enter_context(tool_socket)
            if size < _FAMILY.size:
                return errno.EINVAL
            (family,) = _FAMILY.unpack_from(address)
            if family == socket.AF_UNSPEC:
                return calls.connect_at_once(tool_socket, address)
            if tool_socket.type == socket.SOCK_DGRAM and self._names is not None and self._names.has(tool_socket):
                return calls.connect_at_once(tool_socket, address)
            if tool_socket.family == socket.AF_UNIX:
                if family != socket.AF_UNIX or not _FAMILY.size < size <= UNIX_ADDRESS_MAX:
                    return errno.EINVAL
                stack.pop_all()
                self._look_up(asked, tool_socket)
                return None
            if tool_socket.family == socket.AF_NETLINK:
                if size >= _NETLINK.size and any(_NETLINK.unpack_from(address)):
                    return errno.EPERM  # from us the kernel might take it; no tool has NET_ADMIN
                return calls.connect_at_once(tool_socket, address)
            if not is_of_our_network(tool_socket):
                self._post(events.Denied(pid, "network", ""))
                return errno.ENETUNREACH
            error, packet = self._report_of(asked, tool_socket)
            if error:
                return error
            stack.pop_all()
        self._reports.take(packet, pid, tool_socket, self._answerer(call), is_alive=self._liveness(call))
        return None

    def _report_of(self, asked: Asked, tool_socket: socket.socket) -> tuple[int, bytes]:
        """The errno of a connect that is refused, and the report that a hook would send of it."""
        error, reason, packet = calls.connect_report(
            tool_socket, asked.address, self._run_address, self._nonce, asked.pid, asked.call.tid
        )
        if reason is not bindings.Reason.NONE:
            self._post(denied(bindings.decode_report(packet), asked.pid))
        self._meet(asked.pid)
        return error, packet

    def went(self, call: calls.Call, pid: int, tool_socket: socket.socket, packet: bytes, flight: Flight) -> None:
        """A call that a ticket was used for, with the report that was made of it."""
        self._meet(pid)
        is_alive = self._liveness(call)
        self._reports.went(
            packet, pid, tool_socket, flight, None, self._answerer(call),
            lambda: flight.has_answer() or is_alive() or flight.has_answer(),  # it may be answered in between
        )  # fmt: skip

    def _meet(self, pid: int) -> None:
        if pid not in self._known:
            self._known.add(pid)
            self._post(events.Unhooked(pid, self._tree.executable(pid)))

    def _liveness(self, call: calls.Call) -> Callable[[], bool]:
        return lambda: self.listener >= 0 and calls.is_alive(self.listener, call)

    def _answerer(self, call: calls.Call) -> Callable[[AnswerCall], None]:
        return lambda answer: self._answer(call, answer.error)

    def _answer(self, call: calls.Call, error: int) -> None:
        if self.listener >= 0:
            calls.answer(self.listener, call, error)

    def _look_up(self, asked: Asked, tool_socket: socket.socket) -> None:
        """Where this Unix socket would be connected to."""
        name = UnixName.from_address(asked.address[_FAMILY.size :])
        is_elsewhere = self._is_apart and not is_of_our_network(tool_socket)
        hears = partial(self._ask_for_unix, asked.call, asked.pid, tool_socket, name)
        self._unix.look_up(name, asked.call.tid, hears, is_ours=True, is_elsewhere=is_elsewhere)

    def _ask_for_unix(
        self, call: calls.Call, pid: int, tool_socket: socket.socket, name: UnixName, found: Found
    ) -> None:
        if not self._liveness(call)() or found.error in (errno.EMFILE, errno.ENFILE):
            tool_socket.close()  # it may have been looked up for a stranger
            found.close()
            if found.error:
                self._refuse(call, OSError(found.error, os.strerror(found.error)))
            return
        report = bindings.encode_report(bindings.Op.UNIX, self._nonce, pid=pid, tid=call.tid, name=name.reported)

        def answered(answer: AnswerCall) -> None:
            if answer.error:
                self._answer(call, answer.error)
                tool_socket.close()
                found.close()
                return
            hears = partial(self._answer, call)
            self._unix_connects.make(UnixConnect(tool_socket, name.raw, found, self._liveness(call), hears))

        self._reports.take(report, pid, None, answered, (found.error, found.is_allowed))
