"""Wishes that go out of the pure core: to Tor, to the tool's connections, to processes, and to the run itself.

The first two groups are carried out by `wrappers/`; the third is what the stream table tells the run it belongs to.
"""

from dataclasses import dataclass

from .control_lines import StreamEvent
from .model import Claim, Fingerprint

# To Tor.


@dataclass(frozen=True, slots=True)
class AttachStream:
    """ATTACHSTREAM, once per stream, never to circuit 0. `is_ahead`: it has been said, by a ticket."""

    stream_id: int
    circuit_id: int
    is_ahead: bool = False

    def __post_init__(self) -> None:
        if self.circuit_id <= 0:
            raise AssertionError("BUG: a stream is never left to Tor's own choice")


@dataclass(frozen=True, slots=True)
class CloseStream:
    """CLOSESTREAM with a RELAY_END reason number."""

    stream_id: int
    reason: int


@dataclass(frozen=True, slots=True)
class ExtendCircuit:
    """EXTENDCIRCUIT 0 path purpose=general, for request `request`."""

    request: int
    path: tuple[Fingerprint, ...]


@dataclass(frozen=True, slots=True)
class CloseCircuit:
    """CLOSECIRCUIT."""

    circuit_id: int


# From the circuit pool to the run.


@dataclass(frozen=True, slots=True)
class CircuitReady:
    """A circuit of the run's own is open, and its path is what was planned."""

    run_id: str
    circuit_id: int
    path: tuple[Fingerprint, ...]


@dataclass(frozen=True, slots=True)
class CircuitUnavailable:
    """No circuit to this exit could be built; `reason` is Tor's last word, `blame` as of a failure."""

    run_id: str
    reason: str
    blame: str = "unknown"


@dataclass(frozen=True, slots=True)
class CircuitFailed:
    """A circuit of the run's could not be built; it may be tried again. `reached`: how many of its hops answered;
    `suspects`: the relays one of which must have failed; `circuit_id` None: Tor did not even begin."""

    run_id: str
    circuit_id: int | None
    path: tuple[Fingerprint, ...]
    reached: int
    reason: str
    suspects: tuple[Fingerprint, ...]
    blame: str


@dataclass(frozen=True, slots=True)
class CircuitClosed:
    """The run's open circuit ended."""

    run_id: str
    circuit_id: int
    reason: str


# From the circuit pool to the session.


@dataclass(frozen=True, slots=True)
class LookEnded:
    """A circuit that was built to see whether hops still answer: they do (`is_well`), or not."""

    look: str
    is_well: bool


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """`gone`: no first hop answers, and nothing is launched but to see; `doubted`: something says that it may be so;
    `back`: one answers, after `lasted_s`; `given up`: it has lasted too long, and what waits for circuits is failed."""

    state: str
    reason: str = ""
    lasted_s: float = 0.0


# From the stream table to the run.


@dataclass(frozen=True, slots=True)
class StreamJoined:
    """STREAM NEW and a claim agree: from here on the stream is the run's, whatever becomes of it."""

    claim: Claim
    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamSent:
    """SENTCONNECT or SENTRESOLVE, on the claimed circuit."""

    claim: Claim
    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamRemapped:
    """REMAP: the address that the exit says it found. Its word, not a proof."""

    claim: Claim
    address: str


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """SUCCEEDED, on the claimed circuit."""

    claim: Claim
    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamFailed:
    """DETACHED, FAILED or not attached: the tool's connect fails with what the reasons map to."""

    claim: Claim
    stream_id: int
    reason: str | None
    remote_reason: str | None


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """CLOSED. `was_open`: it had succeeded before."""

    claim: Claim
    stream_id: int
    reason: str | None
    remote_reason: str | None
    was_open: bool


@dataclass(frozen=True, slots=True)
class StreamForeign:
    """A stream that nobody claimed; it is closed and counted."""

    event: StreamEvent


@dataclass(frozen=True, slots=True)
class StreamViolated:
    """Tor's lines disagree with the claim: the run is not to be trusted."""

    claim: Claim
    stream_id: int
    problem: str


# From the run to the world.


@dataclass(frozen=True, slots=True)
class WantCircuit:
    """A circuit to the run's exit, as soon as the pace allows."""

    run_id: str


@dataclass(frozen=True, slots=True)
class StartProcess:
    """Start the tool under the launcher."""

    run_id: str


@dataclass(frozen=True, slots=True)
class EndTree:
    """End the tool's whole tree: TERM, then KILL after `grace_s`."""

    run_id: str
    grace_s: float


@dataclass(frozen=True, slots=True)
class KillTree:
    """The tree did not end in time: kill its launcher, and whatever is left of it."""

    run_id: str


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Claim the source endpoint, then connect the call's socket to Tor and speak SOCKS on it."""

    call: int
    claim: Claim


@dataclass(frozen=True, slots=True)
class BindLookup:
    """Make a socket for a look-up, bound to the run's address; a LookupBound comes back."""

    run_id: str
    call: int
    host: str


@dataclass(frozen=True, slots=True)
class AnswerCall:
    """The hook's answer. `error` 0 or an errno; `disconnect`: take the tool's socket back from Tor first."""

    call: int
    error: int = 0
    eai: int = 0
    endpoints: tuple[tuple[str, int], ...] = ()
    name: str = ""
    disconnect: bool = False


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Post TimerFired(run_id, name) after `delay_s`."""

    run_id: str
    name: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class RunDone:
    """The run is over: release its circuits, fold its record."""

    run_id: str


Effect = (
    AttachStream
    | CloseStream
    | ExtendCircuit
    | CloseCircuit
    | CircuitReady
    | CircuitUnavailable
    | CircuitClosed
    | CircuitFailed
    | LookEnded
    | NetworkChanged
    | StreamOpened
    | StreamFailed
    | StreamClosed
    | StreamForeign
    | StreamViolated
    | StreamJoined
    | StreamSent
    | StreamRemapped
    | WantCircuit
    | StartProcess
    | EndTree
    | KillTree
    | OpenStream
    | BindLookup
    | AnswerCall
    | SetTimer
    | RunDone
)
