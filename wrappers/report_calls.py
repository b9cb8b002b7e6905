"""A call that waits for its answer, and what came with its report. Called by `reports.py`."""

import array
import contextlib
import errno
import math
import os
import resource
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from ..orchestrator.effects import AnswerCall
from ..orchestrator.events import ReportsCrowded
from ..orchestrator.runs import REPORTS_MAX
from ..shim import bindings
from ..shim.nowhere import network_of
from .ahead import Flight

_PEER = struct.Struct("3i")
Received = tuple[bytes, list[int], bool]
"""A packet (empty: hung up), the descriptors that came with it, and whether some were lost, for we have no room."""

REPORT_MAX = 1024
ROOM = 64
"""So many more there has to be room for, where a ticket is out: others may come before its report."""
DESCRIPTORS_MAX = 16
CALLS_MAX = 1000
LIMIT_SHARE = 8
SCARCE_FROM = 0.75
"""Of the descriptors that we may open: the rest is for runs that have few calls."""
FEW_CALLS = 4
DOUBTFUL_MAX = 10_000
"""As many reports are kept of whom may not be of the run: other runs may have such a flood, each of them."""


@dataclass(slots=True)
class WaitingCall:
    """A hook that waits, with its report connection; or whoever asks on behalf of a process that has none, with how it
    hears the answer, and whether it waits still. And the tool's socket that it is about. `pid`: by the kernel's word;
    0: not asked yet, or, without a connection, nobody in particular. `flight`: where a ticket was used for it."""

    number: int
    connection: socket.socket | None = None
    tool_socket: socket.socket | None = None
    pid: int = 0
    on_answer: Callable[[AnswerCall], None] | None = None
    is_alive: Callable[[], bool] | None = None
    flight: Flight | None = None

    def end(self, answer: AnswerCall | None) -> None:
        """Let go of all that it came with. Whoever waits and gets no answer goes on without a stream, on a socket as
        new; as after a failure."""
        if self.flight is not None:
            self.flight.end()
        if self.connection is not None:
            self.connection.close()
        if self.on_answer is not None:
            answer = answer or AnswerCall(self.number, errno.ENETUNREACH, socket.EAI_AGAIN)
            if self.tool_socket is not None and answer.error not in (0, errno.EISCONN, errno.EALREADY):
                with contextlib.suppress(OSError):
                    bindings.disconnect(self.tool_socket.fileno())
            self.on_answer(answer)
        if self.tool_socket is not None:
            self.tool_socket.close()


class Kept:
    """What the evidence is given of a run's reports: REPORTS_MAX of its processes, over which it is told once that they
    are too many, and DOUBTFUL_MAX of strangers and of whom nobody can name any more, who can't make a run fail."""

    def __init__(self, on_report: Callable[[bytes, int], None], post: Callable[[object], None]) -> None:
        self._on_report = on_report
        self._post = post
        self._is_told = False
        self._left = {True: REPORTS_MAX, False: DOUBTFUL_MAX}

    def has_room(self) -> bool:
        """Whether there is room for some more of the run's processes."""
        return self._left[True] > ROOM

    def keep(self, packet: bytes, pid: int, *, is_member: bool) -> bool:
        """Whether there was room for it."""
        if self._left[is_member]:
            self._left[is_member] -= 1
            self._on_report(packet, pid)
            return True
        if is_member and not self._is_told:
            self._is_told = True
            self._post(ReportsCrowded())
        return False


def max_calls() -> int:
    """How many calls of one run may wait at a time: CALLS_MAX, or a share of the descriptors that we may open."""
    return int(min(CALLS_MAX, max(1, _max_descriptors() // LIMIT_SHARE)))


def _max_descriptors() -> float:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


class Share:
    """Of a run: how many calls of it may wait at a time; no more than FEW_CALLS once descriptors become scarce by what
    all runs hold together."""

    def __init__(self) -> None:
        self.calls = max_calls()
        self._scarce_from = _max_descriptors() * SCARCE_FROM

    def has_room(self, waiting: int, call: WaitingCall) -> bool:
        """For this call beside so many that wait. The kernel gives out the lowest number that is free."""
        came_with = (one.fileno() for one in (call.connection, call.tool_socket) if one is not None)
        return waiting < min(self.calls, FEW_CALLS) or (
            waiting < self.calls and max(came_with, default=0) < self._scarce_from
        )


def understand(packet: bytes, received: list[int]) -> tuple[bindings.Report, socket.socket | None] | None:
    """What came: the report, and the tool's socket that it is about; None: no report. What else came is closed."""
    try:
        report = bindings.decode_report(packet) if packet else None
    except ValueError:
        report = None
    tool_socket = None
    if report is not None and len(received) == 1 and report.op == bindings.Op.CONNECT:
        tool_socket = tcp_socket(received.pop())
    for descriptor in received:
        os.close(descriptor)
    return None if report is None else (report, tool_socket)


def receive(connection: socket.socket) -> Received:
    """Raises BlockingIOError."""
    try:
        packet, ancillary, flags, _ = connection.recvmsg(
            REPORT_MAX, socket.CMSG_SPACE(DESCRIPTORS_MAX * 4), socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
        )
    except BlockingIOError:
        raise
    except OSError:
        return b"", [], False
    found = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(payload[: len(payload) - len(payload) % found.itemsize])
    return packet, list(found), bool(flags & socket.MSG_CTRUNC) and len(found) < DESCRIPTORS_MAX


def tcp_socket(descriptor: int) -> socket.socket | None:
    """What came with a report, when it is what a hook sends; anything else is closed."""
    try:
        received = socket.socket(fileno=descriptor)
    except OSError:  # no socket at all
        os.close(descriptor)
        return None
    is_tcp = received.family in (socket.AF_INET, socket.AF_INET6) and received.proto == socket.IPPROTO_TCP
    if is_tcp and is_of_our_network(received):
        return received
    received.close()
    return None


def is_of_our_network(one: socket.socket) -> bool:
    """Whether a socket is of our own network namespace: in another one Tor is somebody else, or nobody."""
    try:
        return network_of(one) == _our_network()
    except OSError:  # before Linux 5.14 nobody could ask
        return True


@cache
def _our_network() -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        return network_of(one)


def peer_of(connection: socket.socket) -> int:
    """The process at the other end, by the kernel's word."""
    pid: int = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[0]
    return pid


def packet_of(answer: AnswerCall) -> bytes:
    """What a hook reads."""
    endpoints = tuple(
        bindings.Endpoint(socket.AF_INET6 if ":" in host else socket.AF_INET, host, port)
        for host, port in answer.endpoints
    )
    return bindings.encode_answer(answer.error, answer.eai, endpoints, answer.name.encode())
