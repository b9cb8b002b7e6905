"""The Tor side of a session: lines in, circuits built, streams attached; what concerns a run is told to it.

Owns the pool and the stream table, and is the only sender of EXTENDCIRCUIT, CLOSESTREAM, CLOSECIRCUIT and, but for
streams of tickets, which were attached as they are here, ATTACHSTREAM. Events, attaches and closes share one control
connection, so what is decided here is decided in Tor's own order.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

from . import effects as fx
from .circuits import Pool
from .control_lines import parse_circ, parse_stream
from .events import BytesSeen
from .evidence import EvidenceLog
from .looks import Looks
from .model import Claim, Endpoint, Fingerprint
from .ports import COMMAND_TIMEOUT_S, Control, Reply
from .streams import Streams

WATCH_S = 5.0
CIRCUIT_GONE = ("Unknown circuit", "non-open")

LIVENESS = "NETWORK_LIVENESS "
HEARD = ("SUCCEEDED", "REMAP")
"""What comes from the exit alone (control-spec 4.1.2), besides a REMOTE_REASON."""

Tell = Callable[[str, object], None]
"""(run_id, event for that run)"""
OnNetwork = Callable[[fx.NetworkChanged], None]


class Attacher:
    """Listens to `control` from construction on. `tell` gets events for runs, `lose_trust` the end of all proof."""

    def __init__(
        self,
        control: Control,
        pool: Pool,
        streams: Streams,
        evidence: EvidenceLog,
        tell: Tell,
        lose_trust: Callable[[str], None],
        on_network: OnNetwork = lambda told: None,
    ) -> None:
        self._control = control
        self._pool = pool
        self._streams = streams
        self._evidence = evidence
        self._tell = tell
        self._lose_trust = lose_trust
        self._on_network = on_network
        self._looks = Looks(pool)
        self._loop = asyncio.get_running_loop()
        self._runs_of_streams: dict[int, str] = {}
        self._pool_timer: asyncio.TimerHandle | None = None
        self._watch_timer = self._loop.call_later(WATCH_S, self._watch)
        self.foreign_streams = 0
        control.on_event = self._tor_said
        self._loop.call_soon(self._hear_what_was_missed)
        control.on_lost = lose_trust

    def close(self) -> None:
        """Stop the clocks, and close what no run has; the control connection belongs to whoever opened it."""
        self.give_up_looks()
        self._perform(self._pool.close_warm())
        self._watch_timer.cancel()
        if self._pool_timer is not None:
            self._pool_timer.cancel()

    def want_circuit(
        self, run_id: str, exit_fingerprint: Fingerprint, avoid: frozenset[Fingerprint] = frozenset()
    ) -> None:
        """A circuit of its own for this run, as soon as the pace allows."""
        self._pool.want(run_id, exit_fingerprint, avoid)
        self._schedule_pool()

    async def are_well(self, path: tuple[Fingerprint, ...], since: float) -> bool:
        """Whether each hop before the exit of this path has answered since then (loop's time), or does when it is asked
        now. An answer that comes when an outage is over says nothing about the time before."""
        if self._pool.reach.outage.is_on:
            return False
        if self._pool.health.heard_since(path[:-1], since):
            return True
        found = self._looks.begin(path)
        self._schedule_pool()
        return await found

    def doubt_network(self, why: str) -> None:
        """Something says that nothing may work: the next circuit is built alone, to see."""
        self._perform(self._pool.reach.outage.doubt(why, self._loop.time()))
        self._schedule_pool()

    def give_up_looks(self) -> None:
        """Whoever waits in `are_well` is told that they are not."""
        self._perform(self._looks.give_up())

    def add_claim(self, claim: Claim) -> bool:
        """Whether the claim now stands (streams.py); it is written down before Tor can hear of its connection."""
        if not self._streams.add_claim(claim):
            return False
        entry = {
            "source": str(claim.source), "tag": claim.tag, "circuit": claim.circuit_id, "exit": claim.exit,
            "destination": str(claim.destination),
        }  # fmt: skip
        self._evidence.add({"t": time.time(), "run": claim.run_id, "connection": claim.connection, "claim": entry})
        return True

    def drop_claim(self, source: Endpoint, tag: str) -> None:
        """Its socket is gone before its stream came."""
        self._streams.drop_claim(source, tag)

    @property
    def warm_circuits(self) -> int:
        """How many circuits are open that are no run's."""
        return self._pool.warm_count

    def release(self, run_id: str, live_streams: Iterable[int], *, is_sound: bool = False) -> None:
        """The run is over: whatever of its streams still lives is closed, and so are its circuits. `is_sound`: those
        may serve another run, where circuits are kept warm."""
        for stream_id in live_streams:
            self._control.send(f"CLOSESTREAM {stream_id} 6", _ignore)
        for stream_id in [known for known, owner in self._runs_of_streams.items() if owner == run_id]:
            del self._runs_of_streams[stream_id]
        self._streams.drop_claims_of(run_id)
        self._perform(self._pool.release(run_id, is_sound=is_sound))
        self._schedule_pool()

    # Tor speaks.

    def _hear_what_was_missed(self) -> None:
        """Between SETEVENTS and now; runs before the loop can read any later line."""
        missed, self._control.unheard[:] = self._control.unheard[:], []
        for line in missed:
            self._tor_said(line)

    def _tor_said(self, line: str) -> None:
        if line.startswith("STREAM_BW "):
            self._bandwidth(line)
            return
        self._evidence.add({"t": time.time(), "tor": line})
        if line.startswith("STREAM "):
            stream = parse_stream(line)
            self._perform(self._streams.step(stream))
            if stream.circuit_id and (stream.remote_reason is not None or stream.status in HEARD):
                self._perform(self._pool.heard_on(stream.circuit_id, self._loop.time()))
        elif line.startswith("CIRC "):
            event = parse_circ(line)
            self._streams.step_circuit(event)
            self._perform(self._pool.step(event, self._loop.time()))
            if event.status in ("EXTENDED", "BUILT", "CLOSED", "FAILED"):
                self._schedule_pool()
        elif line.startswith("CIRC_MINOR ") and "CONFLUX_" in line:
            if int(line.split()[1]) in self._pool.circuits:
                self._lose_trust(f"a circuit of ours was linked: {line}")
        elif line.startswith(LIVENESS):
            if line.split()[1] == "DOWN":
                self.doubt_network("tor says that the network is down")
            else:
                self._pool.reach.outage.look_soon(self._loop.time())
        elif line.startswith("CONF_CHANGED") and any(option in line for option in self._control.pinning_options):
            self._lose_trust(f"an option that pins streams was changed: {' '.join(line.split())}")

    def _bandwidth(self, line: str) -> None:
        _, stream_id, up, down, *_ = line.split()
        run_id = self._runs_of_streams.get(int(stream_id))
        if run_id is not None:
            self._tell(run_id, BytesSeen(int(stream_id), int(up), int(down)))

    def _schedule_pool(self) -> None:
        if self._pool_timer is not None:
            self._pool_timer.cancel()
            self._pool_timer = None
        wait_s = self._pool.next_launch(self._loop.time())
        if wait_s is not None:
            self._pool_timer = self._loop.call_later(wait_s, self._pool_due)

    def _pool_due(self) -> None:
        self._pool_timer = None
        now = self._loop.time()
        self._perform(self._pool.expire(now) + self._pool.launch(now))
        self._schedule_pool()

    def _watch(self) -> None:
        self._watch_timer = self._loop.call_later(WATCH_S, self._watch)
        ahead = self._control.ahead
        waits_s = self._control.longest_wait_s(), 0.0 if ahead is None else ahead.longest_wait_s()
        if max(waits_s) > COMMAND_TIMEOUT_S:
            self._lose_trust(f"tor has not answered a command for {COMMAND_TIMEOUT_S:g} s")

    # Tor is told, and runs are.

    def _perform(self, wishes: list[fx.Effect]) -> None:
        for wish in wishes:
            _PERFORM[type(wish)](self, wish)

    def _attach(self, wish: fx.AttachStream) -> None:
        def replied(reply: Reply) -> None:
            if reply[0] != 250:
                is_circuit_gone = any(words in reply[1][-1] for words in CIRCUIT_GONE)
                self._perform(self._streams.refuse_attach(wish.stream_id, is_circuit_gone))

        if wish.is_ahead and self._control.ahead is not None:
            self._control.ahead.was_sent(wish.stream_id, wish.circuit_id, replied)
        else:
            self._control.send(f"ATTACHSTREAM {wish.stream_id} {wish.circuit_id}", replied)

    def _close_stream(self, wish: fx.CloseStream) -> None:
        self._control.send(f"CLOSESTREAM {wish.stream_id} {wish.reason}", _ignore)

    def _extend(self, wish: fx.ExtendCircuit) -> None:
        def replied(reply: Reply) -> None:
            code, lines = reply
            words = lines[-1].split()
            if code == 250 and len(words) == 2 and words[0] == "EXTENDED":
                self._perform(self._pool.extended(wish.request, int(words[1])))
            else:
                self._perform(self._pool.refused(wish.request, f"{code} {lines[-1]}", self._loop.time()))
            self._schedule_pool()

        path = ",".join(f"${fingerprint}" for fingerprint in wish.path)
        self._control.send(f"EXTENDCIRCUIT 0 {path} purpose=general", replied)

    def _close_circuit(self, wish: fx.CloseCircuit) -> None:
        self._control.send(f"CLOSECIRCUIT {wish.circuit_id}", _ignore)

    def _tell_of_circuit(
        self, wish: fx.CircuitReady | fx.CircuitUnavailable | fx.CircuitClosed | fx.CircuitFailed
    ) -> None:
        self._tell(wish.run_id, wish)

    def _look_ended(self, wish: fx.LookEnded) -> None:
        self._looks.ended(wish)

    def _network_told(self, wish: fx.NetworkChanged) -> None:
        self.give_up_looks()
        self._on_network(wish)

    def _tell_of_stream(self, wish: fx.StreamJoined | fx.StreamSent | fx.StreamOpened | fx.StreamFailed) -> None:
        self._runs_of_streams[wish.stream_id] = wish.claim.run_id
        self._tell(wish.claim.run_id, wish)

    def _tell_of_end(self, wish: fx.StreamClosed) -> None:
        self._runs_of_streams.pop(wish.stream_id, None)
        self._tell(wish.claim.run_id, wish)

    def _tell_of_claim(self, wish: fx.StreamRemapped | fx.StreamViolated) -> None:
        self._tell(wish.claim.run_id, wish)

    def _count_foreign(self, wish: fx.StreamForeign) -> None:
        self.foreign_streams += 1


def _ignore(reply: object) -> None:
    """CLOSESTREAM and CLOSECIRCUIT race with the end of what they close: either answer is good."""


_PERFORM: dict[type, Callable[..., None]] = {
    fx.AttachStream: Attacher._attach,
    fx.CloseStream: Attacher._close_stream,
    fx.ExtendCircuit: Attacher._extend,
    fx.CloseCircuit: Attacher._close_circuit,
    fx.CircuitReady: Attacher._tell_of_circuit,
    fx.CircuitUnavailable: Attacher._tell_of_circuit,
    fx.CircuitClosed: Attacher._tell_of_circuit,
    fx.CircuitFailed: Attacher._tell_of_circuit,
    fx.LookEnded: Attacher._look_ended,
    fx.NetworkChanged: Attacher._network_told,
    fx.StreamJoined: Attacher._tell_of_stream,
    fx.StreamSent: Attacher._tell_of_stream,
    fx.StreamOpened: Attacher._tell_of_stream,
    fx.StreamFailed: Attacher._tell_of_stream,
    fx.StreamClosed: Attacher._tell_of_end,
    fx.StreamRemapped: Attacher._tell_of_claim,
    fx.StreamViolated: Attacher._tell_of_claim,
    fx.StreamForeign: Attacher._count_foreign,
}
