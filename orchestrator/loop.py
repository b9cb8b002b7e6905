"""The one owner of state: takes events, calls the pure core, and carries its effects out through `wrappers/`.

A `Session` holds one control connection, one snapshot, one pool, one stream table and the runs that are under way. All of
it lives on one asyncio loop; nothing here decides what a stream or a run means.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from . import effects as fx
from . import events
from .circuits import FirstHops, Pace, Pool
from .control_lines import parse_circ, parse_stream
from .evidence import EvidenceLog
from .model import Run, Times
from .ports import Control, Launch, Launcher
from .runs import Life, Phase
from .streams import Streams

WATCH_S = 5.0
COMMAND_TIMEOUT_S = 30.0


@dataclass(slots=True)
class Active:
    """A run under way: its life, and its hold on the world."""

    life: Life
    launch: Launch
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


Finished = Callable[[Life, Launch], None]


class Session:
    """Runs a plan. `on_finished(life, launch)` is called once for each run, in the order in which they end."""

    def __init__(
        self,
        control: Control,
        launcher: Launcher,
        *,
        pace: Pace,
        first_hops: FirstHops,
        rng: Random,
        evidence: EvidenceLog,
        on_finished: Finished,
        resolve: str = "mapped",
        streams: Streams | None = None,
    ) -> None:
        self._control = control
        self._launcher = launcher
        self._pool = Pool(pace, first_hops, rng)
        self._streams = streams or Streams()
        self._evidence = evidence
        self._on_finished = on_finished
        self._resolve = resolve
        self._loop = asyncio.get_running_loop()
        self._active: dict[str, Active] = {}
        self._by_call: dict[int, str] = {}
        self._by_stream: dict[int, str] = {}
        self._queue: deque[Run] = deque()
        self._jobs = 1
        self._pool_timer: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[None] = self._loop.create_future()
        self.foreign_streams = 0
        self.trust_lost: str | None = None
        control.on_event = self._tor_said
        control.on_lost = self.lose_trust

    async def run(self, plan: Iterable[Run], jobs: int) -> None:
        """Carry out the plan, `jobs` runs at a time. Returns when every run has ended."""
        self._queue = deque(plan)
        self._jobs = jobs
        watch = self._loop.create_task(self._watch())
        self._fill()
        try:
            await self._over
        finally:
            watch.cancel()

    def interrupt(self) -> None:
        """Start nothing new, end what runs."""
        self._queue.clear()
        self._post_all(events.Interrupted())
        self._check_over()

    def lose_trust(self, why: str) -> None:
        """Nothing can be proven any more: every open run ends as an error, none starts."""
        if self.trust_lost is None:
            self.trust_lost = why
        self._post_all(events.TrustLost(why))
        while self._queue:
            self._begin(self._queue.popleft())
        self._check_over()

    # Runs.

    def _fill(self) -> None:
        while self._queue and len(self._active) < self._jobs:
            self._begin(self._queue.popleft())
        self._check_over()

    def _begin(self, run: Run) -> None:
        life = Life(run, Times(queue=time.time()), _tagger(run), self._resolve)
        run_id = run.run_id
        launch = self._launcher.prepare(run, lambda event: self.post(run_id, event), self._reported(run_id))
        self._active[run_id] = Active(life, launch)
        begin = {"exit": run.exit.fingerprint, "address": run.address, "nonce": run.nonce.hex(), "argv": list(run.argv)}
        self._evidence.add({"t": time.time(), "run": run_id, "begin": begin})
        self._perform(life.begin())
        if self.trust_lost is not None:
            self.post(run_id, events.TrustLost(self.trust_lost))

    def _reported(self, run_id: str) -> Callable[[bytes, int], None]:
        def keep(packet: bytes, pid: int) -> None:
            self._evidence.add({"t": time.time(), "run": run_id, "pid": pid, "report": packet.hex()})

        return keep

    def post(self, run_id: str, event: object) -> None:
        """One event for one run; a run that is over hears nothing."""
        active = self._active.get(run_id)
        if active is None:
            return
        call = getattr(event, "call", None)
        if call is not None:
            self._by_call[call] = run_id
        if isinstance(event, events.CallLost):
            self._by_call.pop(event.call, None)
            lost = active.life.by_call(event.call)
            if lost is not None:
                self._streams.drop_claim(lost.source)
        self._perform(active.life.step(event, time.time()))

    def _post_all(self, event: object) -> None:
        for run_id in list(self._active):
            self.post(run_id, event)

    def _finish(self, run_id: str) -> None:
        active = self._active.pop(run_id)
        for timer in active.timers:
            timer.cancel()
        for connection in active.life.connections.values():
            self._by_call.pop(connection.call, None)
            if connection.stream_id is not None:
                self._by_stream.pop(connection.stream_id, None)
                if connection.is_live:
                    self._perform([fx.CloseStream(connection.stream_id, 6)])
            self._streams.drop_claim(connection.source)
        self._perform(self._pool.release(run_id))
        active.launch.close()
        self._on_finished(active.life, active.launch)
        self._loop.call_soon(self._fill)

    def _check_over(self) -> None:
        if not self._queue and not self._active and not self._over.done():
            self._over.set_result(None)

    # Tor.

    def _tor_said(self, line: str) -> None:
        now = time.time()
        if line.startswith("STREAM_BW "):
            self._bandwidth(line)
            return
        self._evidence.add({"t": now, "tor": line})
        if line.startswith("STREAM "):
            self._perform(self._streams.step(parse_stream(line)))
        elif line.startswith("CIRC "):
            event = parse_circ(line)
            self._streams.step_circuit(event)
            self._perform(self._pool.step(event, self._loop.time()))
            if event.status in ("BUILT", "CLOSED", "FAILED"):
                self._schedule_pool()
        elif line.startswith("CIRC_MINOR ") and "CONFLUX_" in line:
            if int(line.split()[1]) in self._pool.circuits:
                self.lose_trust(f"a circuit of ours was linked: {line}")
        elif line.startswith("CONF_CHANGED") and any(option in line for option in self._control.pinning_options):
            self.lose_trust(f"an option that pins streams was changed: {' '.join(line.split())}")

    def _bandwidth(self, line: str) -> None:
        _, stream_id, up, down, *_ = line.split()
        run_id = self._by_stream.get(int(stream_id))
        if run_id is not None:
            self.post(run_id, events.BytesSeen(int(stream_id), int(up), int(down)))

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

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if self._control.longest_wait_s() > COMMAND_TIMEOUT_S:
                self.lose_trust(f"tor has not answered a command for {COMMAND_TIMEOUT_S:g} s")

    # Effects.

    def _perform(self, wishes: list[fx.Effect]) -> None:
        for wish in wishes:
            _PERFORM[type(wish)](self, wish)

    def _attach(self, wish: fx.AttachStream) -> None:
        def replied(reply: tuple[int, list[str]]) -> None:
            if reply[0] != 250:
                self._perform(self._streams.refuse_attach(wish.stream_id))

        self._control.send(f"ATTACHSTREAM {wish.stream_id} {wish.circuit_id}", replied)

    def _close_stream(self, wish: fx.CloseStream) -> None:
        self._control.send(f"CLOSESTREAM {wish.stream_id} {wish.reason}", _ignore)

    def _extend(self, wish: fx.ExtendCircuit) -> None:
        def replied(reply: tuple[int, list[str]]) -> None:
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

    def _tell_run(self, wish: fx.CircuitReady | fx.CircuitUnavailable | fx.CircuitClosed) -> None:
        self.post(wish.run_id, wish)

    def _tell_stream(self, wish: fx.StreamSent | fx.StreamOpened | fx.StreamFailed | fx.StreamClosed) -> None:
        self._by_stream[wish.stream_id] = wish.claim.run_id
        self.post(wish.claim.run_id, wish)
        if isinstance(wish, fx.StreamClosed):
            self._by_stream.pop(wish.stream_id, None)

    def _tell_claim(self, wish: fx.StreamRemapped | fx.StreamViolated) -> None:
        self.post(wish.claim.run_id, wish)

    def _foreign(self, wish: fx.StreamForeign) -> None:
        self.foreign_streams += 1

    def _want_circuit(self, wish: fx.WantCircuit) -> None:
        self._pool.want(wish.run_id, self._active[wish.run_id].life.run.exit.fingerprint)
        self._schedule_pool()

    def _start_process(self, wish: fx.StartProcess) -> None:
        active = self._active[wish.run_id]
        problem = active.launch.start()
        if problem is not None:
            self.post(wish.run_id, events.LauncherLost(problem))

    def _end_tree(self, wish: fx.EndTree) -> None:
        self._active[wish.run_id].launch.end(wish.grace_s)

    def _open_stream(self, wish: fx.OpenStream) -> None:
        claim = wish.claim
        if not self._streams.add_claim(claim):
            problem = f"{claim.source} is claimed already"
            self.post(claim.run_id, fx.StreamViolated(claim, 0, problem))
            return
        entry = {
            "source": str(claim.source), "tag": claim.tag, "circuit": claim.circuit_id, "exit": claim.exit,
            "destination": str(claim.destination),
        }  # fmt: skip
        self._evidence.add({"t": time.time(), "run": claim.run_id, "connection": claim.connection, "claim": entry})
        self._active[claim.run_id].launch.open_stream(wish.call, claim)

    def _bind_lookup(self, wish: fx.BindLookup) -> None:
        self._active[wish.run_id].launch.bind_lookup(wish.call, wish.host)

    def _answer(self, wish: fx.AnswerCall) -> None:
        active = self._active.get(self._by_call.pop(wish.call, ""))
        if active is None:
            return
        if wish.error:
            connection = next((c for c in active.life.connections.values() if c.call == wish.call), None)
            if connection is not None:
                self._streams.drop_claim(connection.source)
        active.launch.answer(wish)

    def _set_timer(self, wish: fx.SetTimer) -> None:
        active = self._active[wish.run_id]
        fire = events.TimerFired(wish.name)
        active.timers.append(self._loop.call_later(wish.delay_s, self.post, wish.run_id, fire))

    def _run_done(self, wish: fx.RunDone) -> None:
        if wish.run_id in self._active and self._active[wish.run_id].life.phase is Phase.DONE:
            self._finish(wish.run_id)


def _tagger(run: Run) -> Callable[[int], str]:
    """Tags that name run and connection and that nobody can guess."""
    return lambda number: f"{run.run_id}.{number}.{secrets.token_hex(8)}"


def _ignore(reply: object) -> None:
    """CLOSESTREAM and CLOSECIRCUIT race with what they close: either answer is good."""


_PERFORM: dict[type, Callable[..., None]] = {
    fx.AttachStream: Session._attach,
    fx.CloseStream: Session._close_stream,
    fx.ExtendCircuit: Session._extend,
    fx.CloseCircuit: Session._close_circuit,
    fx.CircuitReady: Session._tell_run,
    fx.CircuitUnavailable: Session._tell_run,
    fx.CircuitClosed: Session._tell_run,
    fx.StreamSent: Session._tell_stream,
    fx.StreamOpened: Session._tell_stream,
    fx.StreamFailed: Session._tell_stream,
    fx.StreamClosed: Session._tell_stream,
    fx.StreamRemapped: Session._tell_claim,
    fx.StreamViolated: Session._tell_claim,
    fx.StreamForeign: Session._foreign,
    fx.WantCircuit: Session._want_circuit,
    fx.StartProcess: Session._start_process,
    fx.EndTree: Session._end_tree,
    fx.OpenStream: Session._open_stream,
    fx.BindLookup: Session._bind_lookup,
    fx.AnswerCall: Session._answer,
    fx.SetTimer: Session._set_timer,
    fx.RunDone: Session._run_done,
}
