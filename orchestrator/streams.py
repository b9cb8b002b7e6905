"""Claims and streams: which circuit a stream belongs to, and the proof of it.

Theory. A connection of a tool is *claimed* before Tor can hear of it: the hook has bound the tool's own socket, the
orchestrator has checked the socket's source endpoint itself, and only after the claim stands in this table does it
connect the socket to Tor. So when Tor says STREAM NEW, the claim exists already: there is no race to lose, and a
stream without a claim is not a late one but a foreign one. Three witnesses must agree before a stream is attached:

  source address   the run's own loopback address, which names the run
  source port      the kernel's, read from the very socket, which names the connection
  SOCKS user name  an unguessable tag, spoken by the orchestrator on that socket, which names both once more

Of a connect that was made by a ticket (`active.py`) Tor has heard before its claim came here, but not before it was
made: the claim is told of before any line about its stream. That stream is attached as any other, in words alone.

A claim is used once. A stream is attached once, to the open circuit of the claim's run whose last hop is the
claim's exit, never to 0 and never again; every later line about it must name that circuit and that tag. DETACHED
and FAILED end it. Anything else, foreign streams and unlisted transitions included, is closed and said, never
guessed.

Pure and single-owner: `Streams.step` takes one event and returns effects; the loop calls it, `verify.py` replays
the same rules offline. Which witnesses count is the argument `join`, so that tests can take them away one by one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from .control_lines import CircEvent, StreamEvent
from .effects import (
    AttachStream,
    CloseStream,
    Effect,
    StreamClosed,
    StreamFailed,
    StreamForeign,
    StreamJoined,
    StreamOpened,
    StreamRemapped,
    StreamSent,
    StreamViolated,
)
from .model import Claim, Endpoint, Fingerprint
from .outcomes import END_DESTROY, END_MISC, end_reason_number


class Status(Enum):
    """Where a stream of ours stands."""

    ATTACHING = "attaching"
    SENT = "sent"
    OPEN = "open"
    CLOSING = "closing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Stream:
    """A joined stream."""

    stream_id: int
    claim: Claim
    status: Status


Join = Callable[[Mapping[Endpoint, Claim], StreamEvent], Claim | None]


def join_by_all_witnesses(claims: Mapping[Endpoint, Claim], event: StreamEvent) -> Claim | None:
    """The claim of this stream, or None when the witnesses disagree or there is none."""
    claim = claims.get(event.source_addr) if event.source_addr else None
    if claim is None or claim.tag != event.socks_username:
        return None
    return claim


# (status of the stream, word of the line) -> the next status. What is not listed is a violation.
TRANSITIONS: Mapping[tuple[Status, str], Status] = {
    (Status.ATTACHING, "CONTROLLER_WAIT"): Status.ATTACHING,
    (Status.ATTACHING, "SENTCONNECT"): Status.SENT,
    (Status.ATTACHING, "SENTRESOLVE"): Status.SENT,
    (Status.ATTACHING, "DETACHED"): Status.CLOSING,
    (Status.ATTACHING, "FAILED"): Status.CLOSING,
    (Status.ATTACHING, "CLOSED"): Status.DONE,
    (Status.SENT, "REMAP"): Status.SENT,
    (Status.SENT, "SUCCEEDED"): Status.OPEN,
    (Status.SENT, "DETACHED"): Status.CLOSING,
    (Status.SENT, "FAILED"): Status.CLOSING,
    (Status.SENT, "CLOSED"): Status.DONE,
    (Status.OPEN, "REMAP"): Status.OPEN,
    (Status.OPEN, "XOFF_SENT"): Status.OPEN,
    (Status.OPEN, "XOFF_RECV"): Status.OPEN,
    (Status.OPEN, "XON_SENT"): Status.OPEN,
    (Status.OPEN, "XON_RECV"): Status.OPEN,
    (Status.OPEN, "FAILED"): Status.CLOSING,
    (Status.OPEN, "CLOSED"): Status.DONE,
    (Status.CLOSING, "CONTROLLER_WAIT"): Status.CLOSING,
    (Status.CLOSING, "FAILED"): Status.CLOSING,
    (Status.CLOSING, "SENTCONNECT"): Status.CLOSING,
    (Status.CLOSING, "SENTRESOLVE"): Status.CLOSING,
    (Status.CLOSING, "REMAP"): Status.CLOSING,
    (Status.CLOSING, "SUCCEEDED"): Status.CLOSING,
    (Status.CLOSING, "DETACHED"): Status.CLOSING,
    (Status.CLOSING, "CLOSED"): Status.DONE,
}

ON_A_CIRCUIT = frozenset(
    {"SENTCONNECT", "SENTRESOLVE", "REMAP", "SUCCEEDED", "XOFF_SENT", "XOFF_RECV", "XON_SENT", "XON_RECV"}
)
ON_OURS_OR_NONE = frozenset({"CLOSED", "FAILED", "DETACHED"})


@dataclass(slots=True)
class Streams:
    """The table: claims that wait for their stream, streams that live, and the last hop of every open circuit.

    `attached`: every stream that ever was. Tor never uses an id twice; if one came back, it would not be attached.
    """

    join: Join = join_by_all_witnesses
    claims: dict[Endpoint, Claim] = field(default_factory=dict)
    streams: dict[int, Stream] = field(default_factory=dict)
    last_hops: dict[int, Fingerprint] = field(default_factory=dict)
    attached: set[int] = field(default_factory=set)

    def add_claim(self, claim: Claim) -> bool:
        """Whether the claim now stands; False when another one holds that endpoint (then nothing changed)."""
        if claim.source in self.claims:
            return False
        self.claims[claim.source] = claim
        return True

    def drop_claim(self, source: Endpoint, tag: str) -> None:
        """The socket is gone before its stream came: whatever comes from that endpoint now is foreign, unless another
        claim holds it."""
        claim = self.claims.get(source)
        if claim is not None and claim.tag == tag:
            del self.claims[source]

    def drop_claims_of(self, run_id: str) -> None:
        """The run is over."""
        for source in [source for source, claim in self.claims.items() if claim.run_id == run_id]:
            del self.claims[source]

    def step_circuit(self, event: CircEvent) -> None:
        """Remember the last hop of a circuit from BUILT until anything else is said of it (its end, a longer path)."""
        if event.status == "BUILT" and event.path and not event.conflux:
            self.last_hops[event.circuit_id] = event.path[-1].fingerprint
        else:
            self.last_hops.pop(event.circuit_id, None)

    def step(self, event: StreamEvent) -> list[Effect]:
        """What one STREAM line leads to."""
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            return self._step_known(stream, event)
        if event.status not in ("NEW", "NEWRESOLVE"):
            return []  # a stream that was refused, or one of Tor's own
        if event.purpose not in ("USER", "DNS_REQUEST"):
            return []  # Tor's own directory streams: Tor attaches them itself, and they carry nothing of a tool
        return self._step_new(event)

    def refuse_attach(self, stream_id: int, is_circuit_gone: bool) -> list[Effect]:
        """Tor answered ATTACHSTREAM with an error: the circuit was gone, or it does not take such a stream at all."""
        stream = self.streams.get(stream_id)
        if stream is None or stream.status is not Status.ATTACHING:
            return []  # the stream was gone, and Tor has said so
        if not is_circuit_gone:
            return [CloseStream(stream_id, END_MISC)]  # Tor's FAILED follows, and fails this connection alone
        self.streams[stream_id] = replace(stream, status=Status.CLOSING)
        failed = StreamFailed(stream.claim, stream_id, "CANT_ATTACH", None)
        return [CloseStream(stream_id, END_DESTROY), failed]

    def _step_new(self, event: StreamEvent) -> list[Effect]:
        claim = None if event.stream_id in self.attached else self.join(self.claims, event)
        if claim is None:
            return [CloseStream(event.stream_id, END_MISC), StreamForeign(event)]
        del self.claims[claim.source]
        if claim.is_lookup != (event.status == "NEWRESOLVE"):
            return [CloseStream(event.stream_id, END_MISC), StreamViolated(claim, event.stream_id, "wrong command")]
        if self.last_hops.get(claim.circuit_id) != claim.exit:
            self.streams[event.stream_id] = Stream(event.stream_id, claim, Status.CLOSING)
            gone = StreamFailed(claim, event.stream_id, "CANT_ATTACH", None)
            return [CloseStream(event.stream_id, END_DESTROY), gone]
        self.attached.add(event.stream_id)
        self.streams[event.stream_id] = Stream(event.stream_id, claim, Status.ATTACHING)
        return [StreamJoined(claim, event.stream_id), AttachStream(event.stream_id, claim.circuit_id, claim.is_ahead)]

    def _step_known(self, stream: Stream, event: StreamEvent) -> list[Effect]:
        problem = self._disagreement(stream, event)
        following = TRANSITIONS.get((stream.status, event.status))
        if problem is None and following is None:
            problem = f"{event.status} while {stream.status.value}"
        if problem is not None or following is None:
            self.streams.pop(event.stream_id)
            return [
                CloseStream(event.stream_id, END_MISC),
                StreamViolated(stream.claim, event.stream_id, problem or ""),
            ]
        effects = _told(stream, event, following)
        if following is Status.DONE:
            del self.streams[event.stream_id]
        elif following is not stream.status:
            self.streams[event.stream_id] = replace(stream, status=following)
        return effects

    def _disagreement(self, stream: Stream, event: StreamEvent) -> str | None:
        claim = stream.claim
        if event.socks_username is not None and event.socks_username != claim.tag:
            return f"the tag changed at {event.status}"
        if event.status in ON_A_CIRCUIT and event.circuit_id != claim.circuit_id:
            return f"{event.status} on circuit {event.circuit_id}, claimed for {claim.circuit_id}"
        if event.status in ON_OURS_OR_NONE and event.circuit_id not in (0, claim.circuit_id):
            return f"{event.status} on circuit {event.circuit_id}, claimed for {claim.circuit_id}"
        if event.status == "REMAP" and event.source == "CACHE":
            return "answered from Tor's cache, not by the exit"
        return None


def _told(stream: Stream, event: StreamEvent, following: Status) -> list[Effect]:
    """What the run is told of this step, and what Tor is asked for."""
    if event.status in ("SENTCONNECT", "SENTRESOLVE") and stream.status is Status.ATTACHING:
        return [StreamSent(stream.claim, stream.stream_id)]
    if event.status == "REMAP":
        return [StreamRemapped(stream.claim, event.target.rpartition(":")[0].strip("[]"))]
    if event.status == "SUCCEEDED" and stream.status is Status.SENT:
        return [StreamOpened(stream.claim, stream.stream_id)]
    if event.status in ("DETACHED", "FAILED") and stream.status is not Status.CLOSING:
        failed = StreamFailed(stream.claim, stream.stream_id, event.reason, event.remote_reason)
        if event.status == "FAILED":
            return [failed]
        return [CloseStream(stream.stream_id, end_reason_number(event.remote_reason or event.reason)), failed]
    if following is Status.DONE:
        was_open = stream.status is Status.OPEN
        return [StreamClosed(stream.claim, stream.stream_id, event.reason, event.remote_reason, was_open)]
    return []
