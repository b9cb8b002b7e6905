"""A call that waits for its answer, and what came with its report. Called by `reports.py`, and by `supervisor.py`."""

import array
import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from ..orchestrator.effects import AnswerCall
from ..shim import bindings
from ..shim.nowhere import network_of
from .ahead import Flight
from .closing import Close, Closers, ToolSocket, hang_up
from .packets import despite_reset

_PEER = struct.Struct("3i")
Received = tuple[bytes, list[int], bool]
"""A packet (empty: hung up), the descriptors that came with it, and whether some were lost, for we have no room."""

REPORT_MAX = 1024
DESCRIPTORS_MAX = 253
"""As many as one packet can bring (SCM_MAX_FD): for which there is no room here, the kernel closes them at once."""


@dataclass(slots=True)
class WaitingCall:
    """A hook that waits, with its report connection; or whoever asks on behalf of a process that has none, with how it
    hears the answer, and whether it waits still. And the tool's socket that it is about. `pid`: by the kernel's word;
    0: not asked yet, or, without a connection, nobody in particular. `flight`: where a ticket was used for it.
    `closers`: of its connection."""

    number: int
    connection: socket.socket | None = None
    tool_socket: socket.socket | None = None
    pid: int = 0
    on_answer: Callable[[AnswerCall], None] | None = None
    is_alive: Callable[[], bool] | None = None
    flight: Flight | None = None
    closers: Closers | None = None

    def end(self, answer: AnswerCall | None) -> None:
        """Let go of all that it came with. Whoever waits and gets no answer goes on without a stream, on a socket as
        new; as after a failure."""
        if self.flight is not None:
            self.flight.end()
        if self.connection is not None:
            assert self.closers is not None
            hang_up(self.connection, self.closers.of(self.pid))
        if self.on_answer is not None:
            answer = answer or AnswerCall(self.number, errno.ENETUNREACH, socket.EAI_AGAIN)
            if self.tool_socket is not None and answer.error not in (0, errno.EISCONN, errno.EALREADY):
                with contextlib.suppress(OSError):
                    bindings.disconnect(self.tool_socket.fileno())
            self.on_answer(answer)
        if self.tool_socket is not None:
            self.tool_socket.close()


def understand(found: Received, close: Close) -> tuple[bindings.Report, socket.socket | None] | None:
    """What came: the report, and the tool's socket that it is about; None: no report, or not all that came with it.
    What else came is closed."""
    packet, received, is_cut = found
    try:
        report = bindings.decode_report(packet) if packet and not is_cut else None
    except ValueError:
        report = None
    tool_socket = None
    if report is not None and len(received) == 1 and report.op == bindings.Op.CONNECT:
        tool_socket = tcp_socket(received.pop(), close)
    close(*received)
    return None if report is None else (report, tool_socket)


def receive(connection: socket.socket) -> Received:
    """Raises BlockingIOError."""
    how = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    try:
        packet, ancillary, flags, _ = despite_reset(
            connection.recvmsg, REPORT_MAX, socket.CMSG_SPACE(DESCRIPTORS_MAX * 4), how
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


def tcp_socket(descriptor: int, close: Close) -> socket.socket | None:
    """What came with a report, when it is what a hook sends; anything else is closed."""
    try:
        received = ToolSocket(descriptor, close)
    except OSError:  # no socket at all
        close(descriptor)
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
