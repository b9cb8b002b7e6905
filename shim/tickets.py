"""The thread that makes a run's next connect by a ticket, without waiting for the loop (ahead/ahead.h).

Called by `wrappers/ahead.py` and by tests.
"""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from ._bindings import ffi, lib
from .calls import APART, ASKS, Call

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
    port: int

    def close(self, close: Callable[[int], None] = os.close) -> None:
        """Close what came with it: nobody else will."""
        for descriptor in (self.connection, *self.descriptors):
            if descriptor >= 0:
                close(descriptor)


class Ticket(NamedTuple):
    """What one connect of a run may do. `calls`: where those are answered, -1 if it has none; `places`: an address, its
    port (0: any), and the host that a connect to it leads to; `patience_ms`: after that the loop answers it."""

    reports: int
    calls: int
    root: int
    nonce: bytes
    run_address: str
    circuit: int
    tag: str
    places: Sequence[tuple[str, int, str]]
    goes_anywhere: bool
    patience_ms: int


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

    def stop(self) -> None:
        """Once: all flights end, and what nobody has read is closed."""
        lib.exitpin_ahead_stop(self._ahead)

    def show(self, door: object, ticket: int) -> None:
        """A ticket that is out, to who waits at a door."""
        lib.exitpin_door_open(door, self._ahead, ticket)

    def issue(self, ticket: Ticket) -> int:
        """Its number. Raises OSError; ValueError for what no ticket can hold."""
        tag = ticket.tag.encode("ascii")
        if len(tag) > TAG_MAX or len(ticket.places) > PLACES_MAX:
            raise ValueError("too much for a ticket")
        given = ffi.new("struct exitpin_ahead_ticket *")
        given.reports, given.calls, given.root = ticket.reports, ticket.calls, ticket.root
        given.goes_anywhere, given.circuit = ticket.goes_anywhere, ticket.circuit
        given.patience_ms = ticket.patience_ms
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
                ffi.string(found.host).decode("ascii"), found.port,
            )  # fmt: skip

    def waits_s(self) -> float:
        """How long Tor has owed a reply to an attach; 0: it owes none."""
        return float(lib.exitpin_ahead_waits_s(self._ahead))

    def is_hushed(self) -> bool:
        """Whether there are notes that will be announced in a moment: the only flight that there is goes well."""
        return bool(lib.exitpin_ahead_is_hushed(self._ahead))

    def end(self, flight: int) -> tuple[bool, bool]:
        """Nothing more is done about it; whether whoever waited has been told of success, and Tor to attach it."""
        came_to: int = lib.exitpin_ahead_end(self._ahead, flight)
        return bool(came_to & lib.EXITPIN_AHEAD_ANSWERED), bool(came_to & lib.EXITPIN_AHEAD_IS_ATTACHED)

    def is_answered(self, flight: int) -> bool:
        """Whether whoever waited has been told of success, as long as it has not been ended."""
        return bool(lib.exitpin_ahead_is_answered(self._ahead, flight))


class Taken(NamedTuple):
    """A call that is left to the loop: refused with `error` by a `defence`, or to be made by us. `problem`: an errno,
    why it can't be made; `tool`: a copy of the socket that it is about, or -1; `connection`: -1, or that of a hook,
    which has connected to the report socket: then it is no call any more."""

    call: Call
    error: int
    defence: str
    pid: int
    problem: int
    tool: int
    address: bytes
    connection: int


class CallDoor:
    """Where the calls of a supervised run come in. `hooks`: path of its report socket."""

    def __init__(self, hooks: bytes) -> None:
        self._door = ffi.gc(ffi.new("struct exitpin_door *"), lib.exitpin_door_leave)
        self._door.hooks = hooks

    def wait(self, listener: int, wake: int, *, is_apart: bool, may_listen: bool) -> Taken | None:
        """The next call that is left to the loop; None: `wake` can be read. For the run's own thread: the kernel may
        wait for the tool. Raises OSError; EPIPE: nobody is left who could call."""
        found = ffi.new("struct exitpin_taken *")
        what = ASKS | (APART if is_apart else 0)
        result = lib.exitpin_door_wait(self._door, listener, wake, what, may_listen, found)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        if result == 0:
            return None
        call = found.call
        return Taken(
            Call(call.id, call.tid, call.number, tuple(call.arguments)), found.error,
            ffi.string(found.defence).decode("ascii"), found.pid, found.problem, found.tool,
            bytes(ffi.buffer(found.address, found.size)), found.connection,
        )  # fmt: skip

    def open(self, thread: Thread, ticket: int) -> None:
        """This ticket is out."""
        thread.show(self._door, ticket)

    def shut(self) -> None:
        """There is none any more."""
        lib.exitpin_door_shut(self._door)


def _fill(endpoint: object, host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    raw = socket.inet_pton(family, host)
    endpoint.family, endpoint.port = family, port  # type: ignore[attr-defined]
    endpoint.address[0 : len(raw)] = list(raw)  # type: ignore[attr-defined]
