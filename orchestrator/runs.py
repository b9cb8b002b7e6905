"""The life of one run: what it waits for, what ends it, and everything that its record is folded from.

Theory. A run goes through the phases below, forward only. Everything that happens to it is an event; `step` takes
one and returns wishes. The first failure of the gravest kind is kept (`fail`), and a failure that is not the tool's
own ends the tree at once: a tool must never go on when what it does can no longer be attributed.

  QUEUED    -> CIRCUIT   its circuit is wanted
  CIRCUIT   -> STARTING  the circuit is open: the launcher is started
  STARTING  -> RUNNING   the tool's first process has said hello, or is supervised by the kernel
  RUNNING   -> DRAINING  the tree has ended; streams may still be closing
  DRAINING  -> DONE      every stream is closed, or the drain time is over

Over 300 lines because every event that can end a run is decided here and nowhere else; what becomes of a single
connection is `connections.py`, and which of them are let in is `admission.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from errno import EACCES, ENETUNREACH
from math import isinf

from . import effects as fx
from . import events as ev
from .admission import Admission, Settled, Untrusted
from .connections import EAI_AGAIN, Connection, Connections
from .effects import Effect
from .model import Destination, Endpoint, Failure, Run, Ticket, Times
from .outcomes import outcome, stream_failure

START_TIMEOUT_S = 60.0
"""Of a launcher. It is longer than a look for what is to be hidden may take."""
HELLO_TIMEOUT_S = 10.0
CALL_TIMEOUT_S = 90.0
TICKET_PATIENCE_S = CALL_TIMEOUT_S * 2 / 3
LATE_STREAM_S = 1.0
DRAIN_S = 3.0
TERM_GRACE_S = 2.0
KILL_AFTER_S = 5.0
DENIED_MAX = 200
STRANGERS_MAX = 20
"""Of these: others knock as often as they like."""
UNBUILT_MAX = 50
CONNECTIONS_MAX = 100_000
REPORTS_MAX = 2 * CONNECTIONS_MAX
"""All are kept until the run ends, a kilobyte each, and a refusal is one, too: a name and a connect for each connection
are enough for what is no flood."""

GRAVITY = ("attribution", "shim", "tor", "exec", "circuit", "circuit-lost", "clock", "tool", "timeout", "interrupted")
"""Failures that end a run, the gravest first; one of them is never replaced by a lesser one."""


class Phase(IntEnum):
    """Where a run stands; forward only."""

    QUEUED = 0
    CIRCUIT = 1
    STARTING = 2
    RUNNING = 3
    DRAINING = 4
    DONE = 5


@dataclass(slots=True)
class UsedCircuit:
    """A circuit that the run had. `reason`: why it ended, None while it lives."""

    circuit_id: int
    path: tuple[str, ...]
    reason: str | None = None


@dataclass(slots=True)
class Life:
    """One run's whole state. `tag_of` makes the unguessable tag of connection `n`; `resolve`: mapped or exit."""

    run: Run
    times: Times
    tag_of: Callable[[int], str]
    resolve: str = "mapped"
    phase: Phase = Phase.QUEUED
    circuit_id: int | None = None
    is_circuit_wanted: bool = False
    circuits: list[UsedCircuit] = field(default_factory=list)
    unbuilt: list[fx.CircuitFailed] = field(default_factory=list)
    admission: Admission = field(init=False)
    connections: Connections = field(default_factory=Connections)
    denied: list[ev.Denied] = field(default_factory=list)
    denied_count: int = 0
    processes: dict[int, str] = field(default_factory=dict)
    unhooked: dict[int, str] = field(default_factory=dict)
    pid: int | None = None
    exited: ev.ProcessExited | None = None
    refused: ev.ProcessRefused | None = None
    ended: ev.TreeEnded | None = None
    failure: Failure | None = None
    timed_out: bool = False
    is_supervised: bool = False
    _next_tag: tuple[int, str] = (0, "")

    def __post_init__(self) -> None:
        self.admission = Admission.of(self.run, self.resolve)

    @property
    def circuit_ids(self) -> list[int]:
        """Of all circuits that it had, or was to have."""
        failed = [one.circuit_id for one in self.unbuilt if one.circuit_id is not None]
        return [*(circuit.circuit_id for circuit in self.circuits), *failed]

    def step(self, event: object, now: float) -> list[Effect]:
        """What one event leads to. `now`: seconds since the epoch. An event of an unknown kind is a bug."""
        handler = _STEPS.get(type(event))
        if handler is None:
            raise AssertionError(f"BUG: no step for {event!r}")
        return handler(self, event, now)

    # Phases.

    def begin(self) -> list[Effect]:
        """QUEUED -> CIRCUIT."""
        self.phase = Phase.CIRCUIT
        self.is_circuit_wanted = True
        return [fx.WantCircuit(self.run.run_id)]

    def fail(self, failure: Failure, grace_s: float = 0.0) -> list[Effect]:
        """Keep the gravest failure, let no hook wait any longer, and end the tree."""
        if self.phase is Phase.DONE:
            return []
        if self.failure is None or _gravity(failure) < _gravity(self.failure):
            self.failure = failure
        effects = [wish for c in self.connections.unanswered() for wish in self.connections.answer(c, ENETUNREACH)]
        if self.phase in (Phase.STARTING, Phase.RUNNING):
            backstop = fx.SetTimer(self.run.run_id, "kill", grace_s + KILL_AFTER_S)
            return [*effects, fx.EndTree(self.run.run_id, grace_s), backstop]
        return effects + self._finish() if self.phase <= Phase.CIRCUIT else effects

    def never_begun(self, why: str) -> None:
        """QUEUED -> DONE: not even its report socket could be made."""
        self.failure = Failure("shim", "local", True, why)
        self.phase = Phase.DONE

    def _finish(self) -> list[Effect]:
        self.phase = Phase.DONE
        return [fx.RunDone(self.run.run_id)]

    def _finish_when_heard(self) -> list[Effect]:
        """At once, unless Tor has yet to tell of a stream."""
        if not any(connection.is_unheard for connection in self.connections):
            return self._finish()
        self.phase = Phase.DRAINING
        return [fx.SetTimer(self.run.run_id, "drain", DRAIN_S)]

    def _drained(self) -> list[Effect]:
        return self._finish() if self.phase is Phase.DRAINING and not self.connections.has_live() else []

    @property
    def _grace_s(self) -> float:
        return TERM_GRACE_S if self.run.setup is None else self.run.setup.kill_after_s

    def _is_running(self) -> bool:
        return self.phase in (Phase.STARTING, Phase.RUNNING)

    # Circuits.

    def _circuit_ready(self, event: fx.CircuitReady, now: float) -> list[Effect]:
        self.is_circuit_wanted = False
        self.circuit_id = event.circuit_id
        self.circuits.append(UsedCircuit(event.circuit_id, tuple(event.path)))
        if self.phase is Phase.CIRCUIT:
            self.times.circuit = now
            self.phase = Phase.STARTING
            run_id = self.run.run_id
            return [fx.StartProcess(run_id), fx.SetTimer(run_id, "start", START_TIMEOUT_S)]
        return [self._open(connection, event.circuit_id) for connection in self.connections.waiting()]

    def _circuit_unavailable(self, event: fx.CircuitUnavailable, now: float) -> list[Effect]:
        detail = f"no circuit to this exit could be built: {event.reason}"
        return self.fail(Failure("circuit", event.blame, True, detail))

    def _circuit_failed(self, event: fx.CircuitFailed, now: float) -> list[Effect]:
        if len(self.unbuilt) < UNBUILT_MAX:
            self.unbuilt.append(event)
        return []

    def _circuit_closed(self, event: fx.CircuitClosed, now: float) -> list[Effect]:
        """With a stream open the run is over, even if the tool has ended of that meanwhile; idle, it is replaced at the
        next connect."""
        for circuit in self.circuits:
            if circuit.circuit_id == event.circuit_id:
                circuit.reason = event.reason
        if self.circuit_id == event.circuit_id:
            self.circuit_id = None
        lost = self.connections.lost_with(event.circuit_id)
        if lost:
            detail = f"circuit {event.circuit_id} closed with {len(lost)} stream(s) open: {event.reason}"
            return self.fail(Failure("circuit-lost", "circuit", True, detail))
        return []

    # Reports.

    def ticket(self) -> Ticket | None:
        """What the next connect may do before it is reported here: what would come of it now. None: it has to wait."""
        if self.phase is not Phase.RUNNING or self.failure is not None or self.circuit_id is None:
            return None
        number = len(self.connections) + 1
        if number > CONNECTIONS_MAX or self.connections.unanswered():
            return None  # of those that are made at once, the others come by us: nothing is gained by one at a time
        goes_anywhere = self.admission.allowed is None
        return Ticket(
            number, self._tag(number), self.circuit_id, self.admission.places(), goes_anywhere, TICKET_PATIENCE_S
        )

    def _tag(self, number: int) -> str:
        """The tag of connection `number`, the next one: the same as long as it is not there."""
        if self._next_tag[0] != number:
            self._next_tag = number, self.tag_of(number)
        return self._next_tag[1]

    def _went_astray(self, event: ev.WentAstray, now: float) -> list[Effect]:
        """A bug, unless the run has failed already: then the tool was only answered before it could be told of that."""
        if self.failure is not None:
            return []
        return self.fail(Failure("attribution", "local", True, event.detail))

    def _hello(self, event: ev.Hello, now: float) -> list[Effect]:
        if event.problem is not None:
            return self._refuse(event.call, event.problem)
        self.processes[event.pid] = event.executable
        if self.phase is Phase.STARTING and event.pid == self.pid:
            self.phase = Phase.RUNNING
        return [fx.AnswerCall(event.call)]

    def _supervised(self, event: ev.Supervised, now: float) -> list[Effect]:
        self.is_supervised = True
        if self.phase is Phase.STARTING and self.pid is not None:
            self.phase = Phase.RUNNING
        return []

    def _unhooked(self, event: ev.Unhooked, now: float) -> list[Effect]:
        self.unhooked.setdefault(event.pid, event.executable)
        return []

    def _connect_reported(self, event: ev.ConnectReported, now: float) -> list[Effect]:
        host = event.destination.host
        admitted = self.admission.connect(event, self.connections.names_with(host))
        if not isinstance(admitted, Destination):
            return self._not_admitted(event.call, admitted)
        taken = 0 if event.is_ahead else self.connections.taken_errno(event.source, event.is_taken)
        if taken:
            return [fx.AnswerCall(event.call, taken)]
        connection = self._connection(event.call, event.pid, event.source, admitted)
        connection.is_weak, connection.asked_host = event.is_weak, host
        connection.is_ahead = event.is_ahead
        return self._accept(connection, now)

    def _lookup_reported(self, event: ev.LookupReported, now: float) -> list[Effect]:
        admitted = self.admission.look_up(event)
        if not isinstance(admitted, Destination):
            return self._not_admitted(event.call, admitted)
        return [fx.BindLookup(self.run.run_id, event.call, admitted.host)]

    def _unix_asked(self, event: ev.UnixAsked, now: float) -> list[Effect]:
        return self._not_admitted(event.call, self.admission.reach(event))

    def _not_admitted(self, call: int, why: Settled | Untrusted) -> list[Effect]:
        if isinstance(why, Untrusted):
            return self._refuse(call, why.problem)
        if why.denied is not None:
            self._note(why.denied)
        return [why.answer]

    def _lookup_bound(self, event: ev.LookupBound, now: float) -> list[Effect]:
        connection = self._connection(event.call, event.pid, event.source, Destination(event.host, 0))
        connection.is_lookup = True
        return self._accept(connection, now)

    def _connection(self, call: int, pid: int, source: Endpoint, destination: Destination) -> Connection:
        number = len(self.connections) + 1
        return Connection(number, call, pid, source, destination, self._tag(number))

    def _accept(self, connection: Connection, now: float) -> list[Effect]:
        """Claim it for the run's circuit; without one, it waits for the replacement."""
        if not self._is_running() or self.failure is not None or len(self.connections) >= CONNECTIONS_MAX:
            self._note(ev.Denied(connection.pid, "ending-or-too-many", str(connection.destination)))
            return [fx.AnswerCall(connection.call, ENETUNREACH, EAI_AGAIN if connection.is_lookup else 0)]
        self.connections.add(connection)
        self.times.first_stream = self.times.first_stream or now
        timer = fx.SetTimer(self.run.run_id, f"call {connection.number}", CALL_TIMEOUT_S)
        if self.circuit_id is not None:
            return [self._open(connection, self.circuit_id), timer]
        if self.is_circuit_wanted:
            return [timer]
        self.is_circuit_wanted = True
        return [fx.WantCircuit(self.run.run_id), timer]

    def _open(self, connection: Connection, circuit_id: int) -> Effect:
        claim = connection.claim(self.run.run_id, circuit_id, self.run.exit.fingerprint)
        return fx.OpenStream(connection.call, claim)

    def _peer_asked(self, event: ev.PeerAsked, now: float) -> list[Effect]:
        connection = None if event.problem else self.connections.by_source(event.source)
        if connection is None:
            return [fx.AnswerCall(event.call, ENETUNREACH)]
        return [fx.AnswerCall(event.call, endpoints=((connection.asked_host, connection.destination.port),))]

    def _refuse(self, call: int, problem: str) -> list[Effect]:
        """A report that can't be trusted: the run is not, either."""
        refusal: Effect = fx.AnswerCall(call, EACCES, EAI_AGAIN)
        return [refusal, *self.fail(Failure("attribution", "local", True, problem))]

    def _denied(self, event: ev.Denied, now: float) -> list[Effect]:
        """What the tool is refused, it may live with. What it could not ask, it takes for the exit's silence."""
        self._note(event)
        if event.reason != ev.NO_ROOM:
            return []
        detail = "this machine had no room for a report (files, memory, or descriptors on their way)"
        return self.fail(Failure("shim", "local", True, f"{detail}: {event.what}" if event.what else detail))

    def _note(self, denied: ev.Denied) -> None:
        self.denied_count += 1
        if denied.reason == ev.STRANGER and sum(one.reason == ev.STRANGER for one in self.denied) >= STRANGERS_MAX:
            return
        if len(self.denied) < DENIED_MAX and denied not in self.denied:
            self.denied.append(denied)

    # Streams.

    def _stream_joined(self, event: fx.StreamJoined, now: float) -> list[Effect]:
        self._told_of(event, now)
        self.connections.joined(event)
        return []

    def _told_of(self, event: fx.StreamJoined | fx.StreamFailed | fx.StreamViolated, now: float) -> None:
        """By a ticket a stream is there before it is told of: none is there after the end of its run."""
        is_new = event.stream_id != 0 and self.connections.by_number[event.claim.connection].stream_id is None
        if is_new and self.times.end is not None:
            self.times.end = now

    def _stream_sent(self, event: fx.StreamSent, now: float) -> list[Effect]:
        return self.connections.sent(event)

    def _stream_remapped(self, event: fx.StreamRemapped, now: float) -> list[Effect]:
        self.connections.by_number[event.claim.connection].resolved = event.address
        return []

    def _stream_opened(self, event: fx.StreamOpened, now: float) -> list[Effect]:
        return self.connections.opened(event)

    def _stream_failed(self, event: fx.StreamFailed, now: float) -> list[Effect]:
        self._told_of(event, now)
        answers = self.connections.failed(event)
        return answers + self._lost(event.reason, event.remote_reason)

    def _stream_closed(self, event: fx.StreamClosed, now: float) -> list[Effect]:
        answers = self.connections.closed(event)
        if event.was_open and event.reason == "DESTROY":
            answers += self._lost(event.reason, event.remote_reason)
        return answers + self._drained()

    def _lost(self, reason: str | None, remote_reason: str | None) -> list[Effect]:
        if outcome(reason, remote_reason).kind == "circuit-lost" and self._is_running():
            return self.fail(stream_failure(reason, remote_reason, None))
        return []

    def _stream_violated(self, event: fx.StreamViolated, now: float) -> list[Effect]:
        self._told_of(event, now)
        self.connections.violated(event.claim, event.stream_id)
        if self.failure is not None and self.failure.kind == "tor":
            return self._drained()  # nothing can be proven any more, and that has been said
        detail = f"stream {event.stream_id}: {event.problem}"
        return self.fail(Failure("attribution", "local", True, detail)) + self._drained()

    def _socks_answered(self, event: ev.SocksAnswered, now: float) -> list[Effect]:
        effects = self.connections.socks_answered(event)
        connection = self.connections.asking(event.call)
        if connection is not None and event.reply != 0:
            # Tor's reason is on its way on the control connection; if it never comes, the SOCKS reply has to do
            effects.append(fx.SetTimer(self.run.run_id, f"socks {connection.number}", LATE_STREAM_S))
        return effects

    def _bytes_seen(self, event: ev.BytesSeen, now: float) -> list[Effect]:
        self.connections.count_bytes(event.stream_id, event.up, event.down)
        if event.down and self.times.first_byte is None:
            # Tor tells of bytes once a second, and when a stream ends: the tool may have had them, and be done, by then
            self.times.first_byte = now if self.times.end is None else self.times.end
        return []

    def _call_lost(self, event: ev.CallLost, now: float) -> list[Effect]:
        self.connections.abandoned(event.call)
        return self._drained()

    # Processes and time.

    def _process_started(self, event: ev.ProcessStarted, now: float) -> list[Effect]:
        self.pid = event.pid
        self.times.start = now
        if (event.pid in self.processes or self.is_supervised) and self.phase is Phase.STARTING:
            self.phase = Phase.RUNNING
        run_id = self.run.run_id
        timers: list[Effect] = [fx.SetTimer(run_id, "hello", HELLO_TIMEOUT_S)]
        return timers if isinf(self.run.timeout_s) else [*timers, fx.SetTimer(run_id, "timeout", self.run.timeout_s)]

    def _process_refused(self, event: ev.ProcessRefused, now: float) -> list[Effect]:
        self.refused = event
        self.failure = self.failure or Failure("exec", "local", False, event.detail or event.reason)
        return self._finish() if self.phase is not Phase.DONE else []

    def _process_exited(self, event: ev.ProcessExited, now: float) -> list[Effect]:
        self.exited = event
        if self.pid not in self.processes and not self.is_supervised and self.failure is None:
            detail = "the tool ended without the shim's hello: it was not contained, and nothing of it is attributed"
            self.failure = Failure("shim", "local", False, detail)
        elif self.pid not in self.processes and event.rc != 0 and self._is_untraceable() and self.failure is None:
            detail = (
                "exitpin may not look into the tool's process (it can't be read, or made itself so): nothing worked"
            )
            self.failure = Failure("shim", "local", False, detail)
        return [fx.SetTimer(self.run.run_id, "kill", KILL_AFTER_S)]

    def _is_untraceable(self) -> bool:
        return any(each.pid == self.pid and each.reason == ev.UNTRACEABLE for each in self.denied)

    def _tree_crowded(self, event: ev.TreeCrowded, now: float) -> list[Effect]:
        allowed = self.run.setup.procs_max if self.run.setup is not None else None
        return self.fail(Failure("tool", "tool", False, f"more than {allowed} processes at a time"))

    def _reports_crowded(self, event: ev.ReportsCrowded, now: float) -> list[Effect]:
        return self.fail(Failure("tool", "tool", False, event.detail or f"more than {REPORTS_MAX:,} reports"))

    def _tree_ended(self, event: ev.TreeEnded, now: float) -> list[Effect]:
        if self.phase >= Phase.DRAINING:
            return []
        self.ended = event
        self.times.end = now
        self.phase = Phase.DRAINING
        if self.failure is not None and self.failure.kind == "tor":
            return self._finish()  # nobody is left who would say that the streams are closed
        return self._drained() or [fx.SetTimer(self.run.run_id, "drain", DRAIN_S)]

    def _launcher_lost(self, event: ev.LauncherLost, now: float) -> list[Effect]:
        if self.phase >= Phase.DRAINING:
            return []
        self.failure = self.failure or Failure("shim", "local", True, event.detail)
        self.times.end = now
        return self._finish_when_heard()

    def _timer_fired(self, event: ev.TimerFired, now: float) -> list[Effect]:
        name, _, number = event.name.partition(" ")
        if number:
            return self.connections.give_up(self.connections.by_number[int(number)])
        if name == "start" and self.phase is Phase.STARTING and self.pid is None:
            detail = f"the launcher has not started the tool within {START_TIMEOUT_S:g} s"
            return self.fail(Failure("shim", "local", True, detail))
        if name == "hello" and self.phase is Phase.STARTING:
            return self.fail(Failure("shim", "local", False, f"no hello from the shim within {HELLO_TIMEOUT_S:g} s"))
        if name == "timeout" and self._is_running():
            self.timed_out = True
            return self.fail(Failure("timeout", "unknown", True, f"over {self.run.timeout_s:g} s"), self._grace_s)
        if name == "kill" and self._is_running():
            return [fx.KillTree(self.run.run_id), fx.SetTimer(self.run.run_id, "abandon", KILL_AFTER_S)]
        if name == "abandon" and self._is_running():
            self.times.end = now
            return self._finish_when_heard()  # what neither ends nor can be killed must not hold up the others
        if name == "drain" and self.phase is Phase.DRAINING:
            return self._finish()
        return []

    def _trust_lost(self, event: ev.TrustLost, now: float) -> list[Effect]:
        return self.fail(Failure("tor", "local", True, event.detail))

    def _clock_jumped(self, event: ev.ClockJumped, now: float) -> list[Effect]:
        return self.fail(Failure("clock", "local", True, event.detail)) if self.phase > Phase.CIRCUIT else []

    def _interrupted(self, event: ev.Interrupted, now: float) -> list[Effect]:
        return self.fail(Failure("interrupted", "local", True, event.detail), self._grace_s)


def _gravity(failure: Failure) -> int:
    return GRAVITY.index(failure.kind) if failure.kind in GRAVITY else len(GRAVITY)


_STEPS: dict[type, Callable[..., list[Effect]]] = {
    fx.CircuitReady: Life._circuit_ready,
    fx.CircuitUnavailable: Life._circuit_unavailable,
    fx.CircuitClosed: Life._circuit_closed,
    fx.CircuitFailed: Life._circuit_failed,
    fx.StreamJoined: Life._stream_joined,
    fx.StreamSent: Life._stream_sent,
    fx.StreamRemapped: Life._stream_remapped,
    fx.StreamOpened: Life._stream_opened,
    fx.StreamFailed: Life._stream_failed,
    fx.StreamClosed: Life._stream_closed,
    fx.StreamViolated: Life._stream_violated,
    ev.Hello: Life._hello,
    ev.Supervised: Life._supervised,
    ev.Unhooked: Life._unhooked,
    ev.ConnectReported: Life._connect_reported,
    ev.LookupReported: Life._lookup_reported,
    ev.LookupBound: Life._lookup_bound,
    ev.UnixAsked: Life._unix_asked,
    ev.PeerAsked: Life._peer_asked,
    ev.Denied: Life._denied,
    ev.WentAstray: Life._went_astray,
    ev.SocksAnswered: Life._socks_answered,
    ev.CallLost: Life._call_lost,
    ev.BytesSeen: Life._bytes_seen,
    ev.ProcessStarted: Life._process_started,
    ev.ProcessRefused: Life._process_refused,
    ev.ProcessExited: Life._process_exited,
    ev.TreeCrowded: Life._tree_crowded,
    ev.ReportsCrowded: Life._reports_crowded,
    ev.TreeEnded: Life._tree_ended,
    ev.LauncherLost: Life._launcher_lost,
    ev.TimerFired: Life._timer_fired,
    ev.TrustLost: Life._trust_lost,
    ev.Interrupted: Life._interrupted,
    ev.ClockJumped: Life._clock_jumped,
}
