"""A session: runs, each with its life and its hold on the world, on one asyncio loop that owns all state.

Takes events, calls the pure core, and carries its effects out: those for Tor through the `Attacher`, those for
tools through the ports `Launcher` and `Launch`. Nothing here decides what a stream or a run means.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from random import Random

from . import effects as fx
from . import events
from .active import Active, tagger
from .allowance import Starts, Unlimited
from .attacher import Attacher
from .circuits import FirstHops, Pace, Pool
from .clocks import Jump
from .evidence import EvidenceLog
from .model import Fingerprint, Run, Times
from .observation import failure_of
from .ports import Control, Launch, Launcher
from .runs import Life, Phase
from .streams import Streams
from .surroundings import Surroundings
from .timekeeping import Timekeeper

Finished = Callable[[Life, Launch | None], None]


class Session:
    """Carries out runs: those of a plan (`run`), or those that are begun one by one (`start`, `serve`, `finish`).

    `on_finished(life, launch)` is called once for each run, in the order in which they end; `launch` is None for a run
    that could not even be prepared. It may call `start`. `on_begun(run_id)`: its tool starts; `starts`: per circuit.
    `on_trust_lost` is called once, when nothing can be proven any more.
    """

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
        around: Surroundings | None = None,
        starts: Starts | None = None,
        on_begun: Callable[[str], None] = lambda run_id: None,
    ) -> None:
        self._around = around = around or Surroundings()
        pool = Pool(pace, first_hops, rng, around.health, (starts or Unlimited()).take_circuit)
        told = self.post, self.lose_trust, around.on_network
        self._attacher = Attacher(control, pool, streams or Streams(), evidence, *told)
        self._control = control
        self._launcher = launcher
        self._evidence = evidence
        self._on_begun, self._on_finished = on_begun, on_finished
        self._resolve = resolve
        self._loop = asyncio.get_running_loop()
        self._active: dict[str, Active] = {}
        self._run_of_call: dict[int, str] = {}
        self._queue: deque[Run] = deque()
        self._starting: deque[Run] = deque()
        self._jobs, self._is_finishing = 1, False
        self._over: asyncio.Future[None] = self._loop.create_future()
        self.trust_lost: str | None = None
        self.on_trust_lost: Callable[[], None] = lambda: None
        self._timekeeper = Timekeeper(around.clocks, self._jumped)

    @property
    def foreign_streams(self) -> int:
        """How many streams nobody had claimed; all of them were closed."""
        return self._attacher.foreign_streams

    @property
    def warm_circuits(self) -> int:
        """How many circuits are open that are no run's: the pace says whether any is kept."""
        return self._attacher.warm_circuits

    @property
    def active_count(self) -> int:
        """How many runs were begun and have not ended."""
        return len(self._active) + len(self._starting)

    @property
    def circuit_ids(self) -> set[int]:
        """Of all circuits that runs under way had, or were to have."""
        return {circuit_id for active in self._active.values() for circuit_id in active.life.circuit_ids}

    async def run(self, plan: Iterable[Run], jobs: int) -> None:
        """Carry out the plan, `jobs` runs at a time. Returns when every run has ended."""
        self._queue = deque(plan)
        self._jobs = jobs
        self.finish()
        await self.serve()

    def start(self, run: Run) -> None:
        """Begin one run at the loop's next turn: nothing is heard of it before this returns."""
        if self._over.done():
            raise AssertionError("BUG: a session that is over can't start a run")
        self._starting.append(run)
        self._loop.call_soon(self._begin_started)

    async def serve(self) -> None:
        """Returns when `finish` was called and every run has ended."""
        try:
            await self._over
        finally:
            self._timekeeper.close()
            self._attacher.close()

    def finish(self) -> None:
        """Let `serve` return as soon as nothing runs."""
        self._is_finishing = True
        self._fill()

    def go_on(self) -> bool:
        """Take `finish` back; False: it is over."""
        if not self._over.done():
            self._is_finishing = False
        return not self._over.done()

    def interrupt(self, why: str = "interrupted by the user", *, spares_tools: bool = False) -> None:
        """Begin no more of the plan, end what runs, or only what waits for a circuit; new ones are up to the caller."""
        self._queue.clear()
        if not spares_tools:
            self._attacher.give_up_looks()
        self._begin_started()
        self._post_all(events.Interrupted(why), Phase.CIRCUIT if spares_tools else Phase.DONE)
        self._fill()

    def lose_trust(self, why: str) -> None:
        """Nothing can be proven any more: every run ends as an error, the later ones too, and says why."""
        if self.trust_lost is None:
            self.trust_lost = why
            self._loop.call_soon(self.on_trust_lost)
        self._post_all(events.TrustLost(why))
        self._loop.call_soon(self._fill)

    async def are_well(self, path: tuple[Fingerprint, ...], since: float) -> bool:
        """Whether the hops before the exit of a path have answered since then (loop's time), or do when asked now."""
        return not path or await self._attacher.are_well(path, since)

    def _jumped(self, jump: Jump) -> None:
        """What runs may have failed for this, and is ended; whether circuits work is seen before anything is begun."""
        self._post_all(events.ClockJumped(f"{jump} while it ran"))
        self._attacher.doubt_network(f"{jump}, and what ran meanwhile says nothing")
        self._around.on_jump(jump)

    def post(self, run_id: str, event: object) -> None:
        """One event for one run; a run that is over hears nothing."""
        self._timekeeper.check()
        active = self._active.get(run_id)
        if active is None or active.puts_off(event):
            return
        active.recall()
        if self._active.get(run_id) is active:
            self._step(active, event)
            active.offer_ticket()

    def _step(self, active: Active, event: object) -> None:
        call = getattr(event, "call", None)
        if isinstance(event, events.CallLost):
            self._forget_call(active, event.call)
        elif call is not None:
            self._run_of_call[call] = active.life.run.run_id
        self._perform(active, active.life.step(event, time.time()))

    def _post_all(self, event: object, up_to: Phase = Phase.DONE) -> None:
        for run_id in [name for name, active in self._active.items() if active.life.phase <= up_to]:
            self.post(run_id, event)

    # Runs begin and end.

    def _fill(self) -> None:
        while self._queue and len(self._active) < self._jobs:
            self._begin(self._queue.popleft())
        is_idle = not self._queue and not self._starting and not self._active
        if self._is_finishing and is_idle and not self._over.done():
            self._over.set_result(None)

    def _begin_started(self) -> None:
        while self._starting:
            self._begin(self._starting.popleft())

    def _begin(self, run: Run) -> None:
        run_id = run.run_id
        resolve = run.setup.resolve if run.setup is not None else run.resolve or self._resolve
        life = Life(run, Times(queue=time.time()), tagger(run), resolve)
        try:
            keep = self._evidence.reports_of(run_id)
            launch = self._launcher.prepare(run, lambda event: self.post(run_id, event), keep)
        except OSError as error:
            life.never_begun(f"the run can't be prepared: {error}")
            self._on_finished(life, None)
            self._loop.call_soon(self._fill)
            return
        self._active[run_id] = Active(life, launch, self._control.ahead)
        begin: dict[str, object] = {"exit": run.exit.fingerprint, "address": run.address, "nonce": run.nonce.hex()}
        if run.setup is None:  # a declared tool's may hold a secret; its record says what may be told
            begin["argv"] = list(run.argv)
        self._evidence.add({"t": time.time(), "run": run_id, "begin": begin})
        if self.trust_lost is None:
            self._perform(self._active[run_id], life.begin())
        else:
            self.post(run_id, events.TrustLost(self.trust_lost))

    def _finish(self, wish: fx.RunDone) -> None:
        active = self._active.pop(wish.run_id, None)
        if active is None:
            return
        if active.life.phase is not Phase.DONE:
            raise AssertionError("BUG: a run that is not done can't be finished")
        for timer in active.timers:
            timer.cancel()
        live = [c.stream_id for c in active.life.connections if c.is_live and c.stream_id is not None]
        for connection in active.life.connections:
            self._run_of_call.pop(connection.call, None)
        failure = failure_of(active.life)
        self._attacher.release(wish.run_id, live, is_sound=failure is None or failure.kind == "tool")
        try:
            active.launch.close()
        finally:
            self._on_finished(active.life, active.launch)
        self._loop.call_soon(self._fill)

    # Effects.

    def _perform(self, active: Active, wishes: list[fx.Effect]) -> None:
        active.perform(wishes, lambda wish: _PERFORM[type(wish)](self, wish))
        while active.put_off and active.life.phase is not Phase.DONE:
            self._step(active, active.put_off.popleft())

    def _want_circuit(self, wish: fx.WantCircuit) -> None:
        run = self._active[wish.run_id].life.run
        self._attacher.want_circuit(wish.run_id, run.exit.fingerprint, run.avoid)

    def _start_process(self, wish: fx.StartProcess) -> None:
        self._on_begun(wish.run_id)
        if (problem := self._active[wish.run_id].launch.start()) is not None:
            self.post(wish.run_id, events.LauncherLost(problem))

    def _end_tree(self, wish: fx.EndTree) -> None:
        self._active[wish.run_id].launch.end(wish.grace_s)

    def _kill_tree(self, wish: fx.KillTree) -> None:
        self._active[wish.run_id].launch.kill()

    def _open_stream(self, wish: fx.OpenStream) -> None:
        claim = wish.claim
        if self._attacher.add_claim(claim):
            self._active[claim.run_id].launch.open_stream(wish.call, claim)
        else:
            self.post(claim.run_id, fx.StreamViolated(claim, 0, f"{claim.source} is claimed already"))

    def _bind_lookup(self, wish: fx.BindLookup) -> None:
        self._active[wish.run_id].launch.bind_lookup(wish.call, wish.host)

    def _answer(self, wish: fx.AnswerCall) -> None:
        active = self._active.get(self._run_of_call.get(wish.call, ""))
        if active is not None:
            if wish.error:
                self._forget_call(active, wish.call)
            self._run_of_call.pop(wish.call, None)
            active.launch.answer(wish)

    def _forget_call(self, active: Active, call: int) -> None:
        """Its socket is taken back, or gone: whatever comes from that endpoint now is foreign, but for what was
        attached before."""
        self._run_of_call.pop(call, None)
        connection = active.life.connections.by_call.get(call)
        if connection is None or connection.stream_id is not None:
            return
        connection.is_awaited = connection.is_ahead and active.launch.is_attached(call)
        if not connection.is_awaited:
            self._attacher.drop_claim(connection.source, connection.tag)

    def _set_timer(self, wish: fx.SetTimer) -> None:
        timer = self._loop.call_later(wish.delay_s, self.post, wish.run_id, events.TimerFired(wish.name))
        self._active[wish.run_id].timers.append(timer)


_PERFORM: dict[type, Callable[..., None]] = {
    fx.WantCircuit: Session._want_circuit,
    fx.StartProcess: Session._start_process,
    fx.EndTree: Session._end_tree,
    fx.KillTree: Session._kill_tree,
    fx.OpenStream: Session._open_stream,
    fx.BindLookup: Session._bind_lookup,
    fx.AnswerCall: Session._answer,
    fx.SetTimer: Session._set_timer,
    fx.RunDone: Session._finish,
}
