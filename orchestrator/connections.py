"""The connections of one run: what each hook asked for, what Tor said of it, and when the hook gets its answer.

A connection goes  waiting -> claimed -> sent -> succeeded | failed, then closed; `abandoned` when the tool went
away while it waited, `violated` when Tor's lines disagreed with the claim. A hook is answered once. It hears
success only when both say so: Tor's SOCKS side, and SUCCEEDED on the claimed circuit (a look-up, which has no
SUCCEEDED: its SENTRESOLVE).

Pure; `runs.py` owns one of these per run and decides what a failure means for the run.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from errno import EALREADY, EHOSTUNREACH, EISCONN, ETIMEDOUT

from .effects import AnswerCall, Effect, StreamClosed, StreamFailed, StreamJoined, StreamOpened, StreamSent
from .events import SocksAnswered
from .model import Claim, Destination, Endpoint, Fingerprint
from .names import is_address
from .outcomes import outcome, socks_errno

EAI_AGAIN = -3
EAI_NONAME = -2


@dataclass(slots=True)
class Connection:
    """One connect or look-up of the tool, from the report to the stream's end."""

    number: int
    call: int
    pid: int
    source: Endpoint
    destination: Destination
    tag: str
    is_lookup: bool = False
    is_weak: bool = False
    is_ahead: bool = False
    asked_host: str = ""
    circuit_id: int | None = None
    stream_id: int | None = None
    status: str = "waiting"
    reason: str | None = None
    remote_reason: str | None = None
    resolved: str | None = None
    socks: SocksAnswered | None = None
    is_answered: bool = False
    is_awaited: bool = False
    is_closed: bool = False
    bytes_up: int = 0
    bytes_down: int = 0

    @property
    def is_reverse(self) -> bool:
        """Whether it asks whose an address is."""
        return self.is_lookup and is_address(self.destination.host)

    @property
    def is_live(self) -> bool:
        """Whether a stream of it may still be open, or to be heard of."""
        return self.is_unheard if self.stream_id is None else not self.is_closed

    @property
    def is_unheard(self) -> bool:
        """Whether there may be a stream of it of which no line has been read yet: by a ticket a tool may have had one,
        and be done, by now. `is_awaited`: there is one, whatever has become of its maker."""
        may_be_had = self.status == "claimed" and not self.is_answered
        return self.stream_id is None and self.is_ahead and (self.is_awaited or may_be_had)

    def claim(self, run_id: str, circuit_id: int, exit_fingerprint: Fingerprint) -> Claim:
        """waiting -> claimed, for this circuit."""
        self.status, self.circuit_id = "claimed", circuit_id
        return Claim(
            run_id, self.number, self.source, self.tag, self.destination, circuit_id, exit_fingerprint,
            self.is_lookup, self.is_ahead,
        )  # fmt: skip

    def note_end(self, reason: str | None, remote_reason: str | None) -> None:
        """Keep why it failed; else why it ended."""
        if self.status != "failed" or self.reason is None:
            self.reason, self.remote_reason = reason, remote_reason


@dataclass(slots=True)
class Connections:
    """All connections of one run, by number, by the call that waits, and by stream."""

    by_number: dict[int, Connection] = field(default_factory=dict)
    by_call: dict[int, Connection] = field(default_factory=dict)
    _waiting: dict[int, Connection] = field(default_factory=dict)
    _by_source: dict[Endpoint, Connection] = field(default_factory=dict)
    _by_stream: dict[int, Connection] = field(default_factory=dict)
    _names_with: dict[str, set[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.by_number)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self.by_number.values())

    def add(self, connection: Connection) -> None:
        """A new connection, numbered from 1."""
        self.by_number[connection.number] = connection
        self.by_call[connection.call] = self._waiting[connection.call] = connection
        if not connection.is_lookup:
            self._by_source[connection.source] = connection

    def asking(self, call: int) -> Connection | None:
        """The connection whose hook still waits for the answer to `call`."""
        return self._waiting.get(call)

    def by_source(self, source: Endpoint) -> Connection | None:
        """The latest connect from this endpoint."""
        return self._by_source.get(source)

    def taken_errno(self, source: Endpoint, is_taken: bool) -> int:
        """What connect(2) says of a socket that `is_taken`, or whose connect waits for its stream; 0: nobody has it."""
        latest = self._by_source.get(source)
        if is_taken:
            return EALREADY if latest is not None and not latest.is_answered else EISCONN
        if latest is None or latest.stream_id is not None:
            return 0
        is_waited_for = latest.status in ("waiting", "claimed") and not latest.is_answered
        return EALREADY if is_waited_for or latest.is_awaited else 0

    def unanswered(self) -> list[Connection]:
        """Those whose hook waits."""
        return list(self._waiting.values())

    def waiting(self) -> list[Connection]:
        """Those that wait for a circuit."""
        return [connection for connection in self._waiting.values() if connection.status == "waiting"]

    def names_with(self, address: str) -> set[str]:
        """The names that were looked up and for which the exit gave this address."""
        return self._names_with.get(address, set())

    def has_live(self) -> bool:
        """Whether a stream of the run may still be open."""
        return any(connection.is_live for connection in self)

    def lost_with(self, circuit_id: int) -> list[Connection]:
        """Those that a circuit takes with it when it ends now."""
        return [
            c for c in self
            if c.circuit_id == circuit_id and not c.is_closed and c.status in ("claimed", "sent", "succeeded")
        ]  # fmt: skip

    def answer(
        self, connection: Connection, error: int, endpoints: tuple[tuple[str, int], ...] = (), name: str = ""
    ) -> list[Effect]:
        """The hook's answer, if it still waits for one."""
        if connection.is_answered:
            return []
        connection.is_answered = True
        self._waiting.pop(connection.call, None)
        eai = EAI_AGAIN if error and connection.is_lookup else 0
        return [AnswerCall(connection.call, error, eai, endpoints, name, disconnect=error != 0)]

    # What Tor's control side says.

    def joined(self, event: StreamJoined) -> None:
        self._joined(event.claim, event.stream_id)

    def sent(self, event: StreamSent) -> list[Effect]:
        connection = self._joined(event.claim, event.stream_id)
        if connection.status == "claimed":
            connection.status = "sent"
        return self._settle_lookup(connection) if connection.is_lookup else []

    def opened(self, event: StreamOpened) -> list[Effect]:
        connection = self._joined(event.claim, event.stream_id)
        if connection.status == "sent":
            connection.status = "succeeded"
        return self._settle(connection)

    def failed(self, event: StreamFailed) -> list[Effect]:
        connection = self._joined(event.claim, event.stream_id)
        if connection.status == "succeeded":
            connection.note_end(event.reason, event.remote_reason)  # it broke later: the connect had succeeded
            return []
        connection.status, connection.reason, connection.remote_reason = "failed", event.reason, event.remote_reason
        return self.answer(connection, outcome(event.reason, event.remote_reason).errno)

    def closed(self, event: StreamClosed) -> list[Effect]:
        connection = self._joined(event.claim, event.stream_id)
        connection.is_closed = True
        self._by_stream.pop(event.stream_id, None)
        if connection.is_lookup:
            return []  # the SOCKS reply says what came of it
        connection.note_end(event.reason, event.remote_reason)
        if event.was_open or connection.status in ("succeeded", "failed", "abandoned"):
            return []
        connection.status = "failed"
        return self.answer(connection, outcome(event.reason, event.remote_reason).errno)

    def violated(self, claim: Claim, stream_id: int) -> None:
        connection = self.by_number[claim.connection]
        connection.status, connection.is_closed = "violated", True
        connection.stream_id = stream_id or connection.stream_id

    def count_bytes(self, stream_id: int, up: int, down: int) -> None:
        connection = self._by_stream.get(stream_id)
        if connection is not None:
            connection.bytes_up += up
            connection.bytes_down += down

    def _joined(self, claim: Claim, stream_id: int) -> Connection:
        connection = self.by_number[claim.connection]
        connection.stream_id = stream_id
        self._by_stream[stream_id] = connection
        return connection

    # What Tor's SOCKS side says, and what the clock does.

    def socks_answered(self, event: SocksAnswered) -> list[Effect]:
        connection = self._waiting.get(event.call)
        if connection is None:
            return []
        connection.socks = event
        return self._settle_lookup(connection) if connection.is_lookup else self._settle(connection)

    def give_up(self, connection: Connection) -> list[Effect]:
        """Neither side said anything final in time."""
        if connection.is_answered:
            return []
        connection.status = "failed"
        if connection.socks is not None and connection.socks.reply != 0:
            connection.reason = f"SOCKS {connection.socks.reply}"
            return self.answer(connection, socks_errno(connection.socks.reply))
        connection.reason = "TIMEOUT"
        return self.answer(connection, ETIMEDOUT)

    def abandoned(self, call: int) -> None:
        """The tool went away while it waited."""
        connection = self._waiting.pop(call, None)
        if connection is not None:
            connection.is_answered = True
            if connection.status in ("waiting", "claimed", "sent"):
                connection.status = "abandoned"

    def _settle(self, connection: Connection) -> list[Effect]:
        socks = connection.socks
        if connection.status != "succeeded" or socks is None or socks.reply != 0:
            return []
        return self.answer(connection, 0)

    def _settle_lookup(self, connection: Connection) -> list[Effect]:
        socks = connection.socks
        if connection.is_answered or socks is None or (socks.reply == 0 and connection.status != "sent"):
            return []
        if socks.reply != 0:
            connection.status, connection.reason = "failed", connection.reason or "RESOLVEFAILED"
            return self.answer(connection, EHOSTUNREACH)
        connection.status = "succeeded"
        if connection.is_reverse:  # the SOCKS side alone tells that name: it is no part of what is proven
            return self.answer(connection, 0, name=socks.answer)
        connection.resolved = socks.answer
        self._names_with.setdefault(socks.answer, set()).add(connection.destination.host)
        return self.answer(connection, 0, ((socks.answer, 0),))
