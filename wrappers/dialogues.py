"""What one run says to Tor's SOCKS port, and on which sockets: the tool's own, ours for look-ups, or nothing more where
a ticket was used and all has been said.

Called by `launch.py`.
"""

import errno
import socket
from collections.abc import Callable

from ..orchestrator import events
from ..orchestrator.effects import AnswerCall
from ..orchestrator.model import Claim, Endpoint
from .reports import ReportSocket
from .socks import SocksDialogue, disconnect


class Dialogues:
    """Those of the calls that wait in `reports`, with the SOCKS port `tor`. `post` gets SocksAnswered, LookupBound,
    WentAstray and LauncherLost."""

    def __init__(
        self, run_address: str, tor: tuple[str, int], reports: ReportSocket, post: Callable[[object], None]
    ) -> None:
        self._run_address = run_address
        self._tor = tor
        self._reports = reports
        self._post = post
        self._dialogues: dict[int, SocksDialogue] = {}
        self._lookups: dict[int, socket.socket] = {}

    def close(self) -> None:
        """Say nothing more."""
        for call in list(self._dialogues):
            self._drop(call)

    def open_stream(self, call: int, claim: Claim) -> None:
        """As the port `Launch` has it."""
        known = self._reports.calls.get(call)
        if known is not None and known.flight is not None:
            if not known.flight.is_as_claimed(claim):
                self._post(events.WentAstray(f"what was asked of Tor is not {claim.destination} on {claim.circuit_id}"))
            return
        connection = self._lookups.get(call) or (known.tool_socket if known else None)
        if connection is None:
            return  # the tool hung up in between; CallLost has been posted

        def answered(reply: int, answer: str) -> None:
            self._post(events.SocksAnswered(call, reply, answer))

        dialogue = SocksDialogue(connection, claim.tag, claim.destination, claim.is_lookup, answered)
        self._dialogues[call] = dialogue
        try:
            dialogue.start(self._tor)
        except OSError as error:
            self._drop(call)
            self._post(events.LauncherLost(f"tor's answer could not be waited for: {error.strerror}"))

    def bind_lookup(self, call: int, host: str) -> None:
        """As the port `Launch` has it."""
        connection: socket.socket | None = None
        try:
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            connection.bind((self._run_address, 0))
        except OSError as error:
            if connection is not None:
                connection.close()
            self._reports.answer(AnswerCall(call, errno.ENETUNREACH, socket.EAI_AGAIN))
            self._post(events.LauncherLost(f"a name could not be asked for: {error.strerror}"))
            return
        self._lookups[call] = connection
        known = self._reports.calls.get(call)
        source = Endpoint(*connection.getsockname())
        self._post(events.LookupBound(call, known.pid if known else 0, source, host))

    def answer(self, answer: AnswerCall) -> None:
        """What was said is over: whoever waits hears what came of it."""
        if answer.disconnect:
            self.take_back(answer.call)
        else:
            self._drop(answer.call)
        self._reports.answer(answer)

    def take_back(self, call: int) -> None:
        """No stream came of this call. Another process may share the socket: it must not read Tor's SOCKS reply."""
        self._drop(call)
        known = self._reports.calls.get(call)
        if known is not None and known.flight is not None:
            known.flight.end()
        if known is not None and known.tool_socket is not None:
            disconnect(known.tool_socket)

    def is_attached(self, call: int) -> bool:
        """As the port `Launch` has it."""
        known = self._reports.calls.get(call)
        if known is None or known.flight is None:
            return False
        known.flight.end()
        return known.flight.is_attached

    def _drop(self, call: int) -> None:
        dialogue = self._dialogues.pop(call, None)
        if dialogue is not None:
            dialogue.stop()
        lookup = self._lookups.pop(call, None)
        if lookup is not None:
            lookup.close()
