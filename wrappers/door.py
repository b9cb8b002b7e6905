"""Where one run's connects come in: its report socket and, where it is supervised, its calls. Either the loop reads
them, or a ticket is out, and the thread that has it does (`ahead.py`).

Called by `launch.py`.
"""

import os
import socket
from collections.abc import Callable

from ..orchestrator import ports
from ..orchestrator.model import Run
from ..orchestrator.model import Ticket as Granted
from ..shim.tickets import CallDoor, Kind, Note, Ticket
from .ahead import Ahead
from .closing import ToolSocket
from .process import Tree
from .reports import ReportSocket
from .supervisor import Supervisor


class Door:
    """One run's. `supervisor`: once there is one."""

    def __init__(self, run: Run, reports: ReportSocket, tree: Tree) -> None:
        self.supervisor: Supervisor | None = None
        self._run = run
        self._reports = reports
        self._tree = tree
        self._ahead: Ahead | None = None
        self._ticket: Ticket | None = None
        self._number = 0
        self.calls = CallDoor(os.fsencode(reports.path))

    def close(self) -> None:
        """Nobody comes in any more."""
        self.recall()
        if self.supervisor is not None:
            self.supervisor.close()

    def go_ahead(self, granted: Granted, ahead: ports.Ahead) -> None:
        """Let the next connect be made by a ticket, unless too many wait."""
        assert isinstance(ahead, Ahead)
        if self._ticket is not None or self._tree.launcher is None:
            return
        reports = self._reports.listener.stand_back() if self._reports.has_room() else None
        if reports is None:
            return
        calls = -1 if self.supervisor is None else self.supervisor.listener
        self._ticket = Ticket(
            reports, calls, self._tree.launcher, self._run.nonce, self._run.address,
            granted.circuit_id, granted.tag, granted.places, granted.goes_anywhere,
            int(granted.patience_s * 1000),
        )  # fmt: skip
        self._ahead = ahead
        try:
            self._number = ahead.issue(self._ticket, self)
            self.calls.open(ahead.thread, self._number)
        except (OSError, ValueError):  # then it waits, as it would without us
            self._come_back()

    def hear_out(self, heard: Callable[[], None]) -> None:
        """Nobody is left: `heard` is called when all that was asked is told, which a thread may be about to do."""
        if self.supervisor is None:
            heard()
        else:
            self.supervisor.hear_out(heard)

    def recall(self) -> None:
        """The loop reads again. What was done meanwhile has been posted when this returns."""
        number, self._number = self._number, 0
        if number:
            assert self._ahead is not None
            self._ahead.recall(number)
            self._come_back()

    def _come_back(self) -> None:
        self._ticket, self._number = None, 0
        self.calls.shut()
        self._reports.listener.come_back()

    def hear(self, note: Note) -> None:
        """Carry on with what came meanwhile."""
        ticket = self._ticket
        if note.kind == Kind.ACCEPTED:
            self._reports.adopt(_connection(note), note.pid)
        elif note.kind == Kind.REPORTED:
            self._reports.received(_connection(note), note.pid, (note.packet, note.descriptors, note.is_cut))
        elif note.kind == Kind.RETURNED:
            self.recall()
        elif note.kind == Kind.WENT:
            assert ticket is not None and self._ahead is not None
            flight = self._ahead.begin(note, ticket)
            self._come_back()  # first: what is posted asks for it
            tool_socket = ToolSocket(note.descriptors[0], self._reports.closers.close)
            if note.connection >= 0:
                self._reports.went(note.packet, note.pid, tool_socket, flight, _connection(note))
            elif self.supervisor is not None:
                self.supervisor.went(note.call, note.pid, tool_socket, note.packet, flight)
            self._ahead.recall(note.ticket)


def _connection(note: Note) -> socket.socket:
    return socket.socket(fileno=note.connection)
