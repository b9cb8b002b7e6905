"""The life of one run: what it waits for, what ends it, and everything that its record is folded from.

Theory. A run goes through the phases below, forward only. Everything that happens to it is an event; `step` takes one and
returns wishes. The first failure of the gravest kind is kept (`fail`), and a failure that is not the tool's own ends the
tree at once: a tool must never go on when what it does can no longer be attributed.

  QUEUED    -> CIRCUIT   its circuit is wanted
  CIRCUIT   -> STARTING  the circuit is open: the launcher is started
  STARTING  -> RUNNING   the tool's first process has said hello
  RUNNING   -> DRAINING  the tree has ended; streams may still be closing
  DRAINING  -> DONE      every stream is closed, or the drain time is over
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from errno import EACCES, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT

from .effects import (
    AnswerCall,
    BindLookup,
    CircuitClosed,
    CircuitReady,
    CircuitUnavailable,
    Effect,
    EndTree,
    OpenStream,
    RunDone,
    SetTimer,
    StartProcess,
    StreamClosed,
    StreamFailed,
    StreamOpened,
    StreamRemapped,
    StreamSent,
    StreamViolated,
    WantCircuit,
)
from .events import (
    BytesSeen,
    CallLost,
    ConnectReported,
    Denied,
    Hello,
    Interrupted,
    LauncherLost,
    LookupBound,
    LookupReported,
    PeerAsked,
    ProcessExited,
    ProcessRefused,
    ProcessStarted,
    SocksAnswered,
    TimerFired,
    TreeEnded,
    TrustLost,
)
from .model import Destination, Endpoint, Failure, Fingerprint, Run, Times
from .names import Names, is_mapped
from .outcomes import outcome, socks_errno, stream_failure
from .streams import Claim

HELLO_TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 90.0
DRAIN_S = 3.0
TERM_GRACE_S = 2.0
DENIED_MAX = 200
CONNECTIONS_MAX = 100_000
EAI_AGAIN = -3
EAI_NONAME = -2


class Phase(IntEnum):
    """Where a run stands; forward only."""

    QUEUED = 0
    CIRCUIT = 1
    STARTING = 2
    RUNNING = 3
    DRAINING = 4
    DONE = 5


GRAVITY = ("attribution", "shim", "tor", "exec", "circuit", "circuit-lost", "timeout", "interrupted")
"""Failures that end a run, the gravest first; one of them is never replaced by a lesser one."""


@dataclass(slots=True)
class Connection:
    """One connect or look-up of the tool, from the report to the stream's end."""

    number: int
    call: int
    pid: int
    source: Endpoint
    destination: Destination
    is_lookup: bool
    is_weak: bool = False
    family: int = 0
    tag: str = ""
    circuit_id: int | None = None
    stream_id: int | None = None
    status: str = "waiting"
    reason: str | None = None
    remote_reason: str | None = None
    resolved: str | None = None
    socks: SocksAnswered | None = None
    is_answered: bool = False
    is_closed: bool = False
    bytes_up: int = 0
    bytes_down: int = 0

    @property
    def is_live(self) -> bool:
        """Whether a stream of it may still be open."""
        return self.stream_id is not None and not self.is_closed


@dataclass(slots=True)
class Life:
    """One run's whole state. `tag_of` makes the unguessable tag of connection `n`; `resolve`: mapped or exit."""

    run: Run
    times: Times
    tag_of: Callable[[int], str]
    resolve: str = "mapped"
    phase: Phase = Phase.QUEUED
    circuit_id: int | None = None
    circuits: list[dict[str, object]] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    connections: dict[int, Connection] = field(default_factory=dict)
    denied: list[Denied] = field(default_factory=list)
    denied_count: int = 0
    processes: dict[int, str] = field(default_factory=dict)
    pid: int | None = None
    exited: ProcessExited | None = None
    refused: ProcessRefused | None = None
    ended: TreeEnded | None = None
    failure: Failure | None = None
    timed_out: bool = False
    asked_names: list[str] = field(default_factory=list)

    def step(self, event: object, now: float) -> list[Effect]:
        """What one event leads to. An event that comes after the end changes nothing but loose calls."""
        handler = _STEPS.get(type(event))
        if handler is None:
            raise AssertionError(f"BUG: no step for {event!r}")
        return handler(self, event, now)

    def by_call(self, call: int) -> Connection | None:
        """The connection of a call that has not been answered yet."""
        return next((c for c in self.connections.values() if c.call == call and not c.is_answered), None)

    # Phases.

    def begin(self) -> list[Effect]:
        """QUEUED -> CIRCUIT."""
        self.phase = Phase.CIRCUIT
        return [WantCircuit(self.run.run_id)]

    def fail(self, failure: Failure, grace_s: float = 0.0) -> list[Effect]:
        """Keep the gravest failure and end the tree."""
        if self.phase >= Phase.DONE:
            return []
        if self.failure is None or _gravity(failure) < _gravity(self.failure):
            self.failure = failure
        effects: list[Effect] = [
            self._answer(c, ENETUNREACH) for c in self.connections.values() if not c.is_answered
        ]
        if self.phase in (Phase.STARTING, Phase.RUNNING):
            return [*effects, EndTree(self.run.run_id, grace_s)]
        if self.phase <= Phase.CIRCUIT:
            return effects + self._finish()
        return effects

    def _finish(self) -> list[Effect]:
        self.phase = Phase.DONE
        return [RunDone(self.run.run_id)]

    def _drained(self) -> list[Effect]:
        if self.phase is Phase.DRAINING and not any(c.is_live for c in self.connections.values()):
            return self._finish()
        return []

    def _answer(self, connection: Connection, error: int, **more: object) -> AnswerCall:
        connection.is_answered = True
        eai = (EAI_AGAIN if error else 0) if connection.is_lookup else 0
        return AnswerCall(connection.call, error, eai, disconnect=error != 0, **more)  # type: ignore[arg-type]

    # Circuits.

    def _circuit_ready(self, event: CircuitReady, now: float) -> list[Effect]:
        self.circuit_id = event.circuit_id
        self.circuits.append({"id": event.circuit_id, "path": list(event.path), "reason": None})
        if self.phase is Phase.CIRCUIT:
            self.times.circuit = now
            self.phase = Phase.STARTING
            return [StartProcess(self.run.run_id)]
        waiting = [c for c in self.connections.values() if c.status == "waiting" and not c.is_answered]
        return [self._open(connection, event.circuit_id) for connection in waiting]

    def _circuit_unavailable(self, event: CircuitUnavailable, now: float) -> list[Effect]:
        detail = f"no circuit to this exit could be built: {event.reason}"
        return self.fail(Failure("circuit", "unknown", True, detail))

    def _circuit_closed(self, event: CircuitClosed, now: float) -> list[Effect]:
        for circuit in self.circuits:
            if circuit["id"] == event.circuit_id:
                circuit["reason"] = event.reason
        if self.circuit_id == event.circuit_id:
            self.circuit_id = None
        lost = [
            c for c in self.connections.values()
            if c.circuit_id == event.circuit_id and not c.is_closed and c.status in ("claimed", "sent", "succeeded")
        ]  # fmt: skip
        if lost and self.phase <= Phase.RUNNING:
            detail = f"circuit {event.circuit_id} closed with {len(lost)} stream(s) open: {event.reason}"
            return self.fail(Failure("circuit-lost", "circuit", True, detail))
        if any(c.status == "waiting" and not c.is_answered for c in self.connections.values()):
            return [WantCircuit(self.run.run_id)]
        return []

    # Reports.

    def _hello(self, event: Hello, now: float) -> list[Effect]:
        if event.problem is not None:
            refuse: Effect = AnswerCall(event.call, EACCES)
            return [refuse, *self.fail(Failure("attribution", "local", True, event.problem))]
        self.processes[event.pid] = event.executable
        if self.phase is Phase.STARTING and self.pid in (None, event.pid):
            self.phase = Phase.RUNNING
        return [AnswerCall(event.call)]

    def _connect_reported(self, event: ConnectReported, now: float) -> list[Effect]:
        problem = event.problem
        if problem is None and not event.is_weak and event.source.host != self.run.address:
            problem = f"the socket is bound to {event.source.host}, the run's address is {self.run.address}"
        if problem is not None:
            refuse: Effect = AnswerCall(event.call, EACCES)
            return [refuse, *self.fail(Failure("attribution", "local", True, problem))]
        destination = self._destination(event.destination)
        if destination is None:
            self._note(Denied(event.pid, "unknown-mapped-address", str(event.destination)))
            return [AnswerCall(event.call, ENETUNREACH)]
        return self._accept(event.call, event.pid, event.source, destination, event.is_weak, False, now)

    def _destination(self, asked: Destination) -> Destination | None:
        if not is_mapped(asked.host):
            return asked
        name = self.names.original(asked.host)
        return Destination(name, asked.port) if name else None

    def _accept(
        self, call: int, pid: int, source: Endpoint, destination: Destination, weak: bool, lookup: bool, now: float
    ) -> list[Effect]:
        if self.phase not in (Phase.STARTING, Phase.RUNNING) or len(self.connections) >= CONNECTIONS_MAX:
            return [AnswerCall(call, ENETUNREACH, EAI_AGAIN if lookup else 0)]
        number = len(self.connections) + 1
        connection = Connection(number, call, pid, source, destination, lookup, weak, tag=self.tag_of(number))
        self.connections[number] = connection
        if self.times.first_stream is None:
            self.times.first_stream = now
        timer = SetTimer(self.run.run_id, f"call {number}", CALL_TIMEOUT_S)
        if self.circuit_id is not None:
            return [self._open(connection, self.circuit_id), timer]
        others = any(c.status == "waiting" for c in self.connections.values() if c is not connection)
        return [timer] if others else [WantCircuit(self.run.run_id), timer]

    def _open(self, connection: Connection, circuit_id: int) -> Effect:
        connection.status = "claimed"
        connection.circuit_id = circuit_id
        exit_fingerprint: Fingerprint = self.run.exit.fingerprint
        claim = Claim(
            self.run.run_id, connection.number, connection.source, connection.tag, connection.destination,
            circuit_id, exit_fingerprint, connection.is_lookup,
        )  # fmt: skip
        return OpenStream(connection.call, claim)

    def _lookup_reported(self, event: LookupReported, now: float) -> list[Effect]:
        if event.problem is not None:
            refuse: Effect = AnswerCall(event.call, EACCES, EAI_AGAIN)
            return [refuse, *self.fail(Failure("attribution", "local", True, event.problem))]
        if event.is_reverse:
            name = self.names.original(event.host) if is_mapped(event.host) else None
            return [AnswerCall(event.call, 0, 0 if name else EAI_NONAME, name=name or "")]
        if self.resolve == "exit" and event.family != 6:
            return [BindLookup(self.run.run_id, event.call, event.host)]
        addresses = self.names.mapped(event.host, event.family)
        endpoints = tuple((address, 0) for address in addresses)
        return [AnswerCall(event.call, 0, 0 if endpoints else EAI_AGAIN, endpoints)]

    def _lookup_bound(self, event: LookupBound, now: float) -> list[Effect]:
        return self._accept(event.call, event.pid, event.source, Destination(event.host, 0), False, True, now)

    def _peer_asked(self, event: PeerAsked, now: float) -> list[Effect]:
        for connection in reversed(self.connections.values()):
            if connection.source == event.source and not connection.is_lookup:
                host = connection.destination.host
                mapped = self.names.mapped(host, connection.family)[0] if host in self.names else host
                return [AnswerCall(event.call, endpoints=((mapped, connection.destination.port),))]
        return [AnswerCall(event.call, ENETUNREACH)]

    def _denied(self, event: Denied, now: float) -> list[Effect]:
        self._note(event)
        return []

    def _note(self, denied: Denied) -> None:
        self.denied_count += 1
        if len(self.denied) < DENIED_MAX and denied not in self.denied:
            self.denied.append(denied)

    # Streams.

    def _stream_sent(self, event: StreamSent, now: float) -> list[Effect]:
        connection = self.connections[event.claim.connection]
        connection.stream_id = event.stream_id
        connection.status = "sent"
        return self._answer_lookup(connection) if connection.is_lookup else []

    def _stream_remapped(self, event: StreamRemapped, now: float) -> list[Effect]:
        self.connections[event.claim.connection].resolved = event.address
        return []

    def _stream_opened(self, event: StreamOpened, now: float) -> list[Effect]:
        connection = self.connections[event.claim.connection]
        connection.status = "succeeded"
        return self._answer_open(connection)

    def _socks_answered(self, event: SocksAnswered, now: float) -> list[Effect]:
        connection = self.by_call(event.call)
        if connection is None:
            return []
        connection.socks = event
        if connection.is_lookup:
            return self._answer_lookup(connection)
        if event.reply != 0 and connection.stream_id is None and connection.status == "claimed":
            return [SetTimer(self.run.run_id, f"socks {connection.number}", 1.0)]
        return self._answer_open(connection)

    def _answer_open(self, connection: Connection) -> list[Effect]:
        """0 only when both say so: Tor's SOCKS side, and SUCCEEDED on the claimed circuit."""
        socks = connection.socks
        if connection.is_answered or connection.status != "succeeded" or socks is None or socks.reply != 0:
            return []
        return [self._answer(connection, 0)]

    def _answer_lookup(self, connection: Connection) -> list[Effect]:
        socks = connection.socks
        if connection.is_answered or socks is None or (socks.reply == 0 and connection.status != "sent"):
            return []
        if socks.reply != 0:
            connection.status = "failed"
            connection.reason = connection.reason or "RESOLVEFAILED"
            return [self._answer(connection, EHOSTUNREACH)]
        connection.status = "succeeded"
        connection.resolved = socks.answer
        return [self._answer(connection, 0, endpoints=((socks.answer, 0),))]

    def _stream_failed(self, event: StreamFailed, now: float) -> list[Effect]:
        connection = self.connections[event.claim.connection]
        connection.stream_id = event.stream_id
        connection.status, connection.reason, connection.remote_reason = "failed", event.reason, event.remote_reason
        found = outcome(event.reason, event.remote_reason)
        answer: list[Effect] = [] if connection.is_answered else [self._answer(connection, found.errno)]
        if found.kind == "circuit-lost":
            failure = stream_failure(event.reason, event.remote_reason, None)
            return answer + (self.fail(failure) if self.phase <= Phase.RUNNING else [])
        return answer

    def _stream_closed(self, event: StreamClosed, now: float) -> list[Effect]:
        connection = self.connections[event.claim.connection]
        connection.stream_id = event.stream_id
        connection.is_closed = True
        effects: list[Effect] = []
        if connection.is_lookup and connection.socks is None:
            return self._drained()  # the SOCKS reply says what came of it
        if not event.was_open and connection.status != "failed" and not connection.is_lookup:
            connection.status = "failed"
            if not connection.is_answered:
                effects.append(self._answer(connection, outcome(event.reason, event.remote_reason).errno))
        if connection.status != "failed" or connection.reason is None:
            connection.reason, connection.remote_reason = event.reason, event.remote_reason
        if event.was_open and event.reason == "DESTROY" and self.phase <= Phase.RUNNING:
            effects += self.fail(stream_failure("DESTROY", event.remote_reason, None))
        return effects + self._drained()

    def _stream_violated(self, event: StreamViolated, now: float) -> list[Effect]:
        connection = self.connections[event.claim.connection]
        connection.status, connection.is_closed, connection.stream_id = "violated", True, event.stream_id
        return self.fail(Failure("attribution", "local", True, f"stream {event.stream_id}: {event.problem}"))

    def _bytes_seen(self, event: BytesSeen, now: float) -> list[Effect]:
        for connection in self.connections.values():
            if connection.stream_id == event.stream_id:
                connection.bytes_up += event.up
                connection.bytes_down += event.down
                if event.down and self.times.first_byte is None:
                    self.times.first_byte = now
        return []

    def _call_lost(self, event: CallLost, now: float) -> list[Effect]:
        connection = self.by_call(event.call)
        if connection is None:
            return []
        connection.is_answered = True
        if connection.status in ("waiting", "claimed"):
            connection.status = "abandoned"
        return []

    # Processes and time.

    def _process_started(self, event: ProcessStarted, now: float) -> list[Effect]:
        self.pid = event.pid
        self.times.start = now
        if event.pid in self.processes and self.phase is Phase.STARTING:
            self.phase = Phase.RUNNING
        run_id = self.run.run_id
        return [SetTimer(run_id, "hello", HELLO_TIMEOUT_S), SetTimer(run_id, "timeout", self.run.timeout_s)]

    def _process_refused(self, event: ProcessRefused, now: float) -> list[Effect]:
        self.refused = event
        self.failure = self.failure or Failure("exec", "local", False, event.detail)
        return self._finish() if self.phase < Phase.DONE else []

    def _process_exited(self, event: ProcessExited, now: float) -> list[Effect]:
        self.exited = event
        if self.pid not in self.processes and self.failure is None:
            detail = "the tool ended without the shim's hello: it was not contained, and nothing of it is attributed"
            self.failure = Failure("shim", "local", False, detail)
        return []

    def _tree_ended(self, event: TreeEnded, now: float) -> list[Effect]:
        self.ended = event
        self.times.end = now
        if self.phase >= Phase.DRAINING:
            return []
        self.phase = Phase.DRAINING
        if self.failure is not None and self.failure.kind == "tor":
            return self._finish()
        return self._drained() or [SetTimer(self.run.run_id, "drain", DRAIN_S)]

    def _launcher_lost(self, event: LauncherLost, now: float) -> list[Effect]:
        if self.phase >= Phase.DRAINING:
            return []
        self.failure = self.failure or Failure("shim", "local", True, event.detail)
        self.times.end = now
        return self._finish()

    def _timer_fired(self, event: TimerFired, now: float) -> list[Effect]:
        name, _, number = event.name.partition(" ")
        if number:
            connection = self.connections[int(number)]
            if connection.is_answered:
                return []
            connection.status = "failed"
            if name == "call":
                connection.reason = "TIMEOUT"
                return [self._answer(connection, ETIMEDOUT)]
            reply = connection.socks.reply if connection.socks else 1
            connection.reason = f"SOCKS {reply}"
            return [self._answer(connection, socks_errno(reply))]
        if name == "hello" and self.phase is Phase.STARTING:
            return self.fail(Failure("shim", "local", False, f"no hello from the shim within {HELLO_TIMEOUT_S:g} s"))
        if name == "timeout" and self.phase in (Phase.STARTING, Phase.RUNNING):
            self.timed_out = True
            return self.fail(Failure("timeout", "unknown", True, f"over {self.run.timeout_s:g} s"), TERM_GRACE_S)
        if name == "drain" and self.phase is Phase.DRAINING:
            return self._finish()
        return []

    def _trust_lost(self, event: TrustLost, now: float) -> list[Effect]:
        return self.fail(Failure("tor", "local", True, event.detail))

    def _interrupted(self, event: Interrupted, now: float) -> list[Effect]:
        return self.fail(Failure("interrupted", "local", True, "interrupted by the user"), TERM_GRACE_S)


def _gravity(failure: Failure) -> int:
    return GRAVITY.index(failure.kind) if failure.kind in GRAVITY else len(GRAVITY)


_STEPS: dict[type, Callable[[Life, object, float], list[Effect]]] = {
    CircuitReady: Life._circuit_ready,
    CircuitUnavailable: Life._circuit_unavailable,
    CircuitClosed: Life._circuit_closed,
    Hello: Life._hello,
    ConnectReported: Life._connect_reported,
    LookupReported: Life._lookup_reported,
    LookupBound: Life._lookup_bound,
    PeerAsked: Life._peer_asked,
    Denied: Life._denied,
    SocksAnswered: Life._socks_answered,
    CallLost: Life._call_lost,
    BytesSeen: Life._bytes_seen,
    StreamSent: Life._stream_sent,
    StreamRemapped: Life._stream_remapped,
    StreamOpened: Life._stream_opened,
    StreamFailed: Life._stream_failed,
    StreamClosed: Life._stream_closed,
    StreamViolated: Life._stream_violated,
    ProcessStarted: Life._process_started,
    ProcessRefused: Life._process_refused,
    ProcessExited: Life._process_exited,
    TreeEnded: Life._tree_ended,
    LauncherLost: Life._launcher_lost,
    TimerFired: Life._timer_fired,
    TrustLost: Life._trust_lost,
    Interrupted: Life._interrupted,
}  # type: ignore[assignment]
