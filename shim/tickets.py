"""The thread that makes a run's next connect by a ticket, without waiting for the loop (ahead/ahead.h).

Called by `wrappers/ahead.py` and by tests.
"""

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from ._bindings import ffi, lib
from .calls import Call

PLACES_MAX: Final[int] = lib.EXITPIN_AHEAD_PLACES_MAX
TAG_MAX: Final = lib.EXITPIN_AHEAD_TAG_SIZE - 1
HOST_MAX: Final = 255


class Kind(IntEnum):
    """What a note says."""

    ACCEPTED = lib.EXITPIN_AHEAD_ACCEPTED
    REPORTED = lib.EXITPIN_AHEAD_REPORTED
    WENT = lib.EXITPIN_AHEAD_WENT
    REPLIED = lib.EXITPIN_AHEAD_REPLIED
    HUNG_UP = lib.EXITPIN_AHEAD_HUNG_UP
    ATTACHED = lib.EXITPIN_AHEAD_ATTACHED
    LOST = lib.EXITPIN_AHEAD_LOST
    RETURNED = lib.EXITPIN_AHEAD_RETURNED


class Note(NamedTuple):
    """One thing that the thread has done, or leaves to us. `connection` and `descriptors` are ours now; -1: none."""

    kind: Kind
    ticket: int
    flight: int
    connection: int
    pid: int
    code: int
    is_cut: bool
    stream: int
    circuit: int
    call: Call
    descriptors: list[int]
    packet: bytes
    host: str

    def close(self) -> None:
        """Close what came with it: nobody else will."""
        for descriptor in (self.connection, *self.descriptors):
            if descriptor >= 0:
                os.close(descriptor)


class Ticket(NamedTuple):
    """What one connect of a run may do. `calls`: where those are answered, -1 if it has none; `places`: an address, its
    port (0: any), and the host that a connect to it leads to."""

    reports: int
    calls: int
    root: int
    nonce: bytes
    run_address: str
    circuit: int
    tag: str
    places: Sequence[tuple[str, int, str]]
    goes_anywhere: bool


class Thread:
    """The thread. `control`: a control connection of its own, `noted`: an eventfd that it writes to; both stay open
    until `stop`. Raises OSError."""

    def __init__(self, control: socket.socket, tor: tuple[str, int], noted: int) -> None:
        address = ffi.new("struct exitpin_endpoint *")
        _fill(address, *tor)
        self._ahead = lib.exitpin_ahead_start(control.fileno(), address, noted)
        if self._ahead == ffi.NULL:
            raise OSError(ffi.errno, os.strerror(ffi.errno))
        self._note = ffi.new("struct exitpin_ahead_note *")
        self._lock = threading.Lock()
        self._is_stopped = False

    def stop(self) -> None:
        """Once: all flights end, and what nobody has read is closed."""
        with self._lock:
            self._is_stopped = True
            lib.exitpin_ahead_stop(self._ahead)

    def connect(self, ticket: int, call: Call, pid: int, tool_socket: socket.socket, address: bytes) -> bool:
        """A call's connect, by this ticket, if that still stands and it is plain: then `tool_socket` is the note's. May
        be called by any thread, as `adopt`."""
        found = ffi.new("struct exitpin_call *", [call.id, call.tid, call.number, list(call.arguments)])
        with self._lock:
            if self._is_stopped:
                return False
            tool = tool_socket.fileno()
            if not lib.exitpin_ahead_connect(self._ahead, ticket, found, pid, tool, address, len(address)):
                return False
            tool_socket.detach()
            return True

    def adopt(self, ticket: int, connection: socket.socket, pid: int) -> bool:
        """A connection of a hook of this process, by this ticket, if that still stands: then it is the note's."""
        with self._lock:
            if self._is_stopped or not lib.exitpin_ahead_adopt(self._ahead, ticket, connection.fileno(), pid):
                return False
            connection.detach()
            return True

    def issue(self, ticket: Ticket) -> int:
        """Its number. Raises OSError; ValueError for what no ticket can hold."""
        tag = ticket.tag.encode("ascii")
        if len(tag) > TAG_MAX or len(ticket.places) > PLACES_MAX:
            raise ValueError("too much for a ticket")
        given = ffi.new("struct exitpin_ahead_ticket *")
        given.reports, given.calls, given.root = ticket.reports, ticket.calls, ticket.root
        given.goes_anywhere, given.circuit = ticket.goes_anywhere, ticket.circuit
        given.tag = tag
        given.nonce[0 : len(ticket.nonce)] = list(ticket.nonce)
        _fill(ffi.addressof(given, "run"), ticket.run_address, 0)
        given.places_count = len(ticket.places)
        for number, (address, port, host) in enumerate(ticket.places):
            if not 0 < len(host) <= HOST_MAX:
                raise ValueError("not a host")
            _fill(ffi.addressof(given.places[number], "endpoint"), address, port)
            given.places[number].host = host.encode("ascii")
        issued: int = lib.exitpin_ahead_issue(self._ahead, given)
        if issued < 0:
            raise OSError(-issued, os.strerror(-issued))
        return issued

    def recall(self, ticket: int) -> bool:
        """It is good for nothing any more. Whether there are no notes, of this or of others."""
        return bool(lib.exitpin_ahead_recall(self._ahead, ticket))

    def notes(self) -> Iterator[Note]:
        """What has not been read yet, the oldest first."""
        while lib.exitpin_ahead_next(self._ahead, self._note):
            found = self._note
            call = found.call
            yield Note(
                Kind(found.kind), found.ticket, found.flight, found.connection, found.pid, found.code, found.is_cut,
                found.stream, found.circuit, Call(call.id, call.tid, call.number, tuple(call.arguments)),
                list(found.fds[0 : found.fds_count]), bytes(ffi.buffer(found.packet, found.size)),
                ffi.string(found.host).decode("ascii"),
            )  # fmt: skip

    def is_hushed(self) -> bool:
        """Whether there are notes that will be announced in a moment: the only flight that there is goes well."""
        return bool(lib.exitpin_ahead_is_hushed(self._ahead))

    def end(self, flight: int) -> bool:
        """Nothing more is done about it; whether whoever waited has been told of success."""
        return bool(lib.exitpin_ahead_end(self._ahead, flight))

    def is_answered(self, flight: int) -> bool:
        """Whether whoever waited has been told of success, as long as it has not been ended."""
        return bool(lib.exitpin_ahead_is_answered(self._ahead, flight))


def _fill(endpoint: object, host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    raw = socket.inet_pton(family, host)
    endpoint.family, endpoint.port = family, port  # type: ignore[attr-defined]
    endpoint.address[0 : len(raw)] = list(raw)  # type: ignore[attr-defined]
