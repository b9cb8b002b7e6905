"""Connects that do not wait for the loop: tickets given out, and what was done by them, told in order.

A thread of C (`shim/tickets.py`) carries out the next connect of a run, over a control connection of its own, exactly
as the loop would: the loop writes down beforehand what it would decide, and takes that back before it takes any other
step about that run. What was done stands in notes, which are read before any later line of Tor's, so that to the core
nothing has changed: a report comes, is decided, claimed and written down, and only then Tor tells of its stream. That
what was done is what the core decides is compared; if it is not, the run has failed as `attribution`.

Where there is no such thread, nothing is lost but time. Called by `door.py`, one of which each run has, and `tor.py`.
"""

import asyncio
import contextlib
import math
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..orchestrator.model import Claim, Destination
from ..orchestrator.ports import Reply
from ..shim.tickets import Kind, Note, Thread, Ticket
from .closing import Closer
from .watching import watch

SUBSCRIBE_S = 10.0
HALVES_MAX = 1000
TOR_ENDED = "tor ended the control connection"  # so says the thread, too

T = TypeVar("T")


class Holder(Protocol):
    """Whose ticket it is."""

    def hear(self, note: Note) -> None:
        """What was done by its ticket, or left to it."""


@dataclass(eq=False, slots=True)
class Flight:
    """A connect that a ticket was used for. `on_reply`: gets Tor's SOCKS reply; `on_gone`: called when whoever waited
    has gone."""

    number: int
    ahead: "Ahead"
    tag: str
    circuit_id: int
    asked: Destination
    on_reply: Callable[[int], None] = lambda code: None
    on_gone: Callable[[], None] = lambda: None
    is_answered: bool = False
    is_attached: bool = False
    is_over: bool = False

    def end(self) -> bool:
        """Nothing more is done about it; whether whoever waited was told of success. From now on it is known, too,
        whether Tor was told to attach its stream."""
        if not self.is_over:
            self.is_over = True
            self.is_answered, self.is_attached = self.ahead.end(self.number)
        return self.is_answered

    def is_as_claimed(self, claim: Claim) -> bool:
        """Whether Tor was asked for what is claimed."""
        return (self.tag, self.circuit_id, self.asked) == (claim.tag, claim.circuit_id, claim.destination)

    def has_answer(self) -> bool:
        """Whether whoever waited has been told of success."""
        return self.is_answered if self.is_over else self.ahead.is_answered(self.number)


class Ahead:
    """The thread of one control connection. `control`: authenticated, and nobody else's; `on_lost(why)` is called when
    it ends. Raises OSError."""

    def __init__(self, control: socket.socket, tor: tuple[str, int], on_lost: Callable[[str], None]) -> None:
        self._control = control
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._holders: dict[int, Holder] = {}
        self._flights: dict[int, Flight] = {}
        self._replies: dict[int, tuple[int, Reply]] = {}
        self._awaited: dict[int, tuple[int, Callable[[Reply], None]]] = {}
        self._unread: deque[Note] = deque()
        self._go_on: Callable[[], None] = _nothing
        self._is_waited_for = False
        self._is_closed = False
        with contextlib.ExitStack() as stack:
            stack.callback(control.close)
            _subscribe(control)
            self._noted = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            stack.callback(os.close, self._noted)
            watch(self._loop.add_reader, self._noted, self._woken)
            stack.callback(self._loop.remove_reader, self._noted)
            self.thread = Thread(control, tor, self._noted)
            stack.pop_all()

    def close(self) -> None:
        """No ticket is good any more."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._noted)
        self._unread += self.thread.notes()
        self.thread.stop()
        rest = Closer(math.inf, _nothing)
        for note in self._unread:
            note.close(rest.close)
        self._unread.clear()
        os.close(self._noted)
        self._control.close()

    def issue(self, ticket: Ticket, holder: Holder) -> int:
        """Its number. Raises OSError, ValueError: there is none."""
        if self._is_closed:
            raise OSError("closed")
        number = self.thread.issue(ticket)
        self._holders[number] = holder
        return number

    def recall(self, number: int) -> None:
        """It is good for nothing any more, and what was done by it has been told; of others, in its time."""
        if not self._is_closed and not self.thread.recall(number):
            self._unread += self.thread.notes()
        holder = self._holders.pop(number, None)
        found = [note for note in self._unread if note.ticket == number]
        if holder is not None and found:
            self._unread = deque(note for note in self._unread if note.ticket != number)
            for note in found:
                holder.hear(note)

    def end(self, number: int) -> tuple[bool, bool]:
        """Nothing more is done about this flight; whether whoever waited was told of success, and Tor to attach it."""
        self._flights.pop(number, None)
        return (False, False) if self._is_closed else self.thread.end(number)

    def is_answered(self, number: int) -> bool:
        """Whether whoever waits for this flight has been told of success."""
        return not self._is_closed and self.thread.is_answered(number)

    def begin(self, note: Note, ticket: Ticket) -> Flight:
        """The flight that a note is of."""
        asked = Destination(note.host, note.port)
        flight = self._flights[note.flight] = Flight(note.flight, self, ticket.tag, ticket.circuit, asked)
        return flight

    def wait_for(self, go_on: Callable[[], None]) -> bool:
        """Whether `go_on` will be called in a moment: the only connect under way goes well, and would wait for us.
        Never twice without a False in between."""
        self._is_waited_for = not (self._is_waited_for or self._is_closed) and self.thread.is_hushed()
        if self._is_waited_for:
            self._go_on = go_on
        return self._is_waited_for

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._noted)
        try:
            self.tell()
        finally:
            go_on, self._go_on = self._go_on, _nothing
            if not self._is_closed:
                go_on()

    def tell(self) -> None:
        """Whatever has been noted, to whom it is about."""
        if not self._is_closed:
            self._unread += self.thread.notes()
        while self._unread and not self._is_closed:
            self._tell(self._unread.popleft())

    def _tell(self, note: Note) -> None:
        if note.kind in (Kind.REPLIED, Kind.HUNG_UP):
            flight = self._flights.get(note.flight)
            if flight is not None:
                flight.on_reply(note.code) if note.kind == Kind.REPLIED else flight.on_gone()
        elif note.kind == Kind.ATTACHED:
            self._attached(note)
        elif note.kind == Kind.LOST:
            why = note.packet.decode("utf-8", "replace")
            self._on_lost(why if why == TOR_ENDED else f"the second control connection: {why}")
        elif (holder := self._holders.get(note.ticket)) is not None:
            holder.hear(note)
        else:
            raise AssertionError(f"BUG: nobody's note: {note!r}")

    def _attached(self, note: Note) -> None:
        reply = (note.code, [note.packet.decode("utf-8", "surrogateescape")])
        if (awaited := self._awaited.pop(note.stream, None)) is not None:
            circuit_id, on_reply = awaited
            _check(note.stream, note.circuit, circuit_id)
            on_reply(reply)
        else:
            _keep(self._replies, note.stream, (note.circuit, reply))

    def was_sent(self, stream_id: int, circuit_id: int, on_reply: Callable[[Reply], None]) -> None:
        """That stream was attached to that circuit by a ticket: `on_reply` gets Tor's reply, now or later."""
        if (found := self._replies.pop(stream_id, None)) is not None:
            attached_to, reply = found
            _check(stream_id, attached_to, circuit_id)
            on_reply(reply)
        else:
            _keep(self._awaited, stream_id, (circuit_id, on_reply))

    def longest_wait_s(self) -> float:
        """How long Tor has owed a reply to an attach."""
        return 0.0 if self._is_closed else self.thread.waits_s()


def _keep(known: dict[int, T], stream_id: int, what: T) -> None:
    """For its other half, which comes soon, or never: its maker may have gone before its stream came."""
    known[stream_id] = what
    while len(known) > HALVES_MAX:
        del known[next(iter(known))]


def _nothing() -> None:
    """Nobody waits."""


def _check(stream_id: int, attached_to: int, circuit_id: int) -> None:
    if attached_to != circuit_id:
        raise AssertionError(f"BUG: stream {stream_id} was attached to circuit {attached_to}, and not to {circuit_id}")


def _subscribe(control: socket.socket) -> None:
    """Hear of streams, and of nothing else, from now on. Raises OSError."""
    control.settimeout(SUBSCRIBE_S)
    control.sendall(b"SETEVENTS STREAM\r\n")
    reply = b""
    while not reply.endswith(b"\r\n"):
        part = control.recv(1)
        if not part:
            raise OSError(TOR_ENDED)
        reply += part
    control.setblocking(False)
    if reply != b"250 OK\r\n":
        raise OSError(f"tor refuses SETEVENTS: {reply.decode('ascii', 'replace').strip()}")
