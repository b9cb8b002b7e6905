"""The pool: which circuits to build, for whom, and when. A run has its circuit to itself, purpose general.

Theory. A run *wants* a circuit to its exit. The pool launches it when the pace allows (`build_delay` with jitter
between two launches, at most `pending_max` unfinished at once), through a first hop of our own choice, and compares
the path at BUILT with the path it asked for. A build that fails is tried again through other hops after a growing
pause. Only those that had got to the exit count for the exit, and `attempts` of them are enough; one that broke before
is the hop's (`build_failures.py`), of which `hop_attempts` in a row are. While no first hop answers at all
(`outage.py`) runs wait, and nothing counts. A circuit that ends after BUILT is told to the run, which decides: if a
stream was open the run is over; if it was idle (Tor retires a circuit after a failed look-up) the run asks for a
replacement to the same exit. Where the pace keeps circuits warm, one whose run is over and has not failed serves the
next run to its exit, until it is too old.

A *look* (`looks.py`) is a circuit that carries nothing: it is closed as soon as the hops that it is about answer.
What other processes started, and what is allowed in all, is asked of `take_start` before each launch.

Pure: time comes in as `now` (monotonic seconds), chance as `rng`; `next_launch` says when to call `launch` again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from . import effects as fx
from .build_failures import DESTROYED, FIRST_HOP, Broken, broken_at, hops_in_common, refused, told_of
from .circuit import Circuit, FirstHops, Pace, State, Want
from .control_lines import CircEvent
from .effects import Effect
from .hop_health import HopHealth
from .model import Fingerprint
from .reach import Reach

__all__ = ["FirstHops", "Pace", "Pool"]

WARM_MAX = 256
"""Circuits that wait for a run: Tor itself keeps none open for long that nobody uses."""
WAIT_S = 2.0  # so often a run that waits for a hop looks whether it is well again

TakeStart = Callable[[], float]
"""0: one circuit may be built now, and is counted; else seconds after which it is worth asking again."""


def _at_once() -> float:
    return 0.0


@dataclass(slots=True)
class Pool:
    """All circuits that this orchestrator asked for. `health` is what `first_hops` goes by."""

    pace: Pace
    first_hops: FirstHops
    rng: Random
    health: HopHealth = field(default_factory=HopHealth)
    take_start: TakeStart = _at_once
    reach: Reach = field(init=False)
    wanted: deque[Want] = field(default_factory=deque)
    requests: dict[int, Circuit] = field(default_factory=dict)
    circuits: dict[int, Circuit] = field(default_factory=dict)
    _building: dict[int, Circuit] = field(default_factory=dict)
    _warm: dict[int, Circuit] = field(default_factory=dict)
    _requests_made: int = 0
    _not_before: float = 0.0

    def __post_init__(self) -> None:
        self.reach = Reach(self.health, self.pace.outage_max_s)

    @property
    def warm_count(self) -> int:
        """How many circuits wait for a run."""
        return len(self._warm)

    def want(self, run_id: str, exit: Fingerprint, avoid: frozenset[Fingerprint] = frozenset()) -> None:
        """Queue a circuit for a run; through other hops than `avoid`, if there are any."""
        self.wanted.append(Want(run_id, exit, tried=avoid))

    def next_launch(self, now: float) -> float | None:
        """Seconds until `launch` or `expire` has something to do; None: nothing waits."""
        due = [self._expires_at(circuit) for circuit in self._building.values()]
        due += [circuit.launched + self.pace.warm_s for circuit in self._warm.values()]
        due += [want.not_before for want in self.wanted if self._warm_for(want) is not None]
        pending_max = 1 if self.reach.outage.is_on else self.pace.pending_max
        if self.wanted and len(self.requests) + len(self._building) < pending_max:
            at = max(self._not_before, min(want.not_before for want in self.wanted))
            due.append(max(at, self.reach.outage.look_at()))
        return max(0.0, min(due) - now) if due else None

    def launch(self, now: float) -> list[Effect]:
        """Give what is warm, and start what the pace allows now."""
        effects = self._give_warm(now)
        while now >= self._not_before and len(self.requests) + len(self._building) < self.pace.pending_max:
            want = next((want for want in self.wanted if want.not_before <= now), None)
            if want is None or not self.reach.outage.may_launch(now, len(self.requests) + len(self._building)):
                break
            self.wanted.remove(want)
            effects += self._launch(want, now)
        return effects

    def _launch(self, want: Want, now: float) -> list[Effect]:
        self.reach.look_round(now)
        hops = want.through or tuple(self.first_hops(want.exit, want.tried | self.health.aside, self.rng))
        if not hops:
            return [fx.CircuitUnavailable(want.run_id, *want.last)]
        if not want.through and not self.health.aside.isdisjoint(hops):
            return self._wait(want, hops, now)
        if (wait_s := self.take_start()) > 0:
            self._not_before = now + wait_s
            self.wanted.appendleft(want)
            return []
        self._requests_made += 1
        path = (*hops, want.exit)
        self.requests[self._requests_made] = Circuit(want.run_id, want.exit, path, want, now)
        self.reach.launched(hops, now)
        self._not_before = now + self.pace.build_delay_s + self.rng.uniform(0, self.pace.build_jitter_s)
        return [fx.ExtendCircuit(self._requests_made, path)]

    def _wait(self, want: Want, hops: Sequence[Fingerprint], now: float) -> list[Effect]:
        """Nobody is there but who was put aside: wait until that one may be tried again."""
        since = now if want.since is None else want.since
        if now - since >= self.pace.outage_max_s:
            return [fx.CircuitUnavailable(want.run_id, "all first hops that it may have are put aside", FIRST_HOP)]
        due = max(self.health.due_at(hop) for hop in hops)
        gone = self.reach.outage.nobody_left(now)
        self.wanted.append(replace(want, since=since, not_before=now if gone else min(due, now + WAIT_S)))
        return gone

    def _give_warm(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for want in [want for want in self.wanted if want.not_before <= now]:
            circuit = self._warm_for(want)
            if circuit is not None and circuit.circuit_id is not None:
                self.wanted.remove(want)
                del self._warm[circuit.circuit_id]
                circuit.run_id, circuit.state = want.run_id, State.OPEN
                effects.append(fx.CircuitReady(want.run_id, circuit.circuit_id, circuit.path))
        return effects

    def _warm_for(self, want: Want) -> Circuit | None:
        is_theirs = not want.through and not self.reach.outage.is_on
        fitting = (c for c in self._warm.values() if c.exit == want.exit and want.tried.isdisjoint(c.path[:-1]))
        return next(fitting, None) if is_theirs else None

    def _expires_at(self, circuit: Circuit) -> float:
        allowed_s = self.pace.build_timeout_s
        return circuit.launched + (allowed_s if circuit.reached else min(allowed_s, self.pace.hop_timeout_s))

    def expire(self, now: float) -> list[Effect]:
        """Give up on circuits that take too long, and on warm ones that are too old."""
        effects: list[Effect] = []
        for circuit_id, circuit in list(self._warm.items()):
            if now - circuit.launched >= self.pace.warm_s:
                effects += self._close_warm(circuit_id)
        for circuit in list(self._building.values()):
            if now >= self._expires_at(circuit) and circuit.circuit_id is not None:
                self._forget(circuit.circuit_id)
                effects.append(fx.CloseCircuit(circuit.circuit_id))
                effects += self._failed(circuit, broken_at(circuit.path, circuit.reached), "TIMEOUT", now)
        return effects

    def extended(self, request: int, circuit_id: int) -> list[Effect]:
        """Tor answered `250 EXTENDED circuit_id`."""
        circuit = self.requests.pop(request)
        circuit.circuit_id = circuit_id
        circuit.state = State.BUILDING
        self.circuits[circuit_id] = self._building[circuit_id] = circuit
        return [fx.CloseCircuit(circuit_id)] if circuit.is_released else []

    def refused(self, request: int, reason: str, now: float) -> list[Effect]:
        """Tor refused EXTENDCIRCUIT (552 No such router, 551 Couldn't start circuit)."""
        circuit = self.requests.pop(request)
        return self._failed(circuit, refused(circuit.path, reason), reason, now)

    def step(self, event: CircEvent, now: float) -> list[Effect]:
        """What one CIRC line leads to."""
        circuit = self.circuits.get(event.circuit_id)
        if circuit is None or circuit.circuit_id is None:
            return []
        effects = self._reached(circuit, event, now)
        if circuit.want.through and circuit.reached >= len(circuit.path) - 1 and not circuit.is_released:
            circuit.is_released = True
            effects += [fx.CloseCircuit(event.circuit_id), fx.LookEnded(circuit.run_id, is_well=True)]
        if event.status == "BUILT" and circuit.state is State.BUILDING:
            return effects + self._built(circuit, event, now)
        if event.status in ("CLOSED", "FAILED"):
            self._forget(event.circuit_id)
            return effects + self._ended(circuit, event, now)
        return effects

    def _reached(self, circuit: Circuit, event: CircEvent, now: float) -> list[Effect]:
        """Which hops have answered: those of our path that stand in the line."""
        answered = hops_in_common(circuit.path, event.path)
        if answered <= circuit.reached:
            return []
        circuit.reached = answered
        return self._told(self.reach.answered(circuit, answered, now), now)

    def _built(self, circuit: Circuit, event: CircEvent, now: float) -> list[Effect]:
        built = tuple(hop.fingerprint for hop in event.path)
        if built != circuit.path or event.conflux:
            self._forget(event.circuit_id)
            broken = Broken(circuit.reached, (), is_at_exit=True)
            failed = self._failed(circuit, broken, "another path than asked for", now)
            return [fx.CloseCircuit(event.circuit_id), *failed]
        circuit.state = State.OPEN
        del self._building[event.circuit_id]
        return [] if circuit.is_released else [fx.CircuitReady(circuit.run_id, event.circuit_id, built)]

    def _ended(self, circuit: Circuit, event: CircEvent, now: float) -> list[Effect]:
        state, reason = circuit.state, event.reason or "?"
        is_remote = reason == DESTROYED
        if event.remote_reason:
            reason += f"/{event.remote_reason}"
        is_sign = is_remote and not circuit.reached
        effects = self._told(self.reach.outage.heard(circuit.launched, now), now) if is_sign else []
        if state is State.WARM:
            return effects
        circuit.state = State.ENDED
        if state is State.OPEN:
            told = fx.CircuitClosed(circuit.run_id, event.circuit_id, reason)
            return effects if circuit.is_released else [*effects, told]
        broken = broken_at(circuit.path, circuit.reached)
        return effects + self._failed(circuit, broken, reason, now, is_answer=is_remote)

    def heard_on(self, circuit_id: int, now: float) -> list[Effect]:
        """Something came back over an open circuit: its hops answer."""
        circuit = self.circuits.get(circuit_id)
        if circuit is None or circuit.state is not State.OPEN:
            return []
        return self._told(self.reach.answered(circuit, len(circuit.path), now), now)

    def _told(self, told: list[Effect], now: float) -> list[Effect]:
        if told:  # the network is back: nobody has to wait for a hop that was put aside for it
            self.wanted = deque(replace(want, not_before=min(want.not_before, now), since=None) for want in self.wanted)
        return told

    def release(self, run_id: str, *, is_sound: bool = False) -> list[Effect]:
        """The run is over: close its circuits, forget its wishes. `is_sound`: what is open may stay warm."""
        self.wanted = deque(want for want in self.wanted if want.run_id != run_id)
        effects: list[Effect] = []
        for circuit in (*self.requests.values(), *self.circuits.values()):
            if circuit.run_id != run_id or circuit.is_released or circuit.state is State.WARM:
                continue
            if is_sound and self.pace.warm_s > 0 and circuit.state is State.OPEN and circuit.circuit_id is not None:
                circuit.state = State.WARM
                self._warm[circuit.circuit_id] = circuit
                if len(self._warm) > WARM_MAX:
                    effects += self._close_warm(next(iter(self._warm)))
            else:
                circuit.is_released = True
                if circuit.circuit_id is not None:
                    effects.append(fx.CloseCircuit(circuit.circuit_id))
        return effects

    def close_warm(self) -> list[Effect]:
        """No run will come any more."""
        return [effect for circuit_id in list(self._warm) for effect in self._close_warm(circuit_id)]

    def _close_warm(self, circuit_id: int) -> list[Effect]:
        self._warm.pop(circuit_id).is_released = True
        return [fx.CloseCircuit(circuit_id)]

    def _failed(
        self, circuit: Circuit, broken: Broken, reason: str, now: float, *, is_answer: bool = False
    ) -> list[Effect]:
        """A circuit was not built. `is_answer`: a first hop said so itself, and is there."""
        effects = self.reach.failed(circuit, broken, reason, now, is_answer=is_answer)
        if any(isinstance(effect, fx.NetworkChanged) for effect in effects) and self.reach.outage.is_given_up:
            why = f"no first hop has answered for {self.pace.outage_max_s:g} s: {reason}"
            effects += [fx.CircuitUnavailable(want.run_id, why, FIRST_HOP) for want in self.wanted if not want.through]
            effects += [fx.LookEnded(want.run_id, is_well=False) for want in self.wanted if want.through]
            self.wanted.clear()
        if circuit.is_released:
            return effects
        if circuit.want.through:
            return [*effects, fx.LookEnded(circuit.run_id, is_well=False)]
        return effects + self._again(circuit, broken, reason, now)

    def _again(self, circuit: Circuit, broken: Broken, reason: str, now: float) -> list[Effect]:
        """Tell the run, and try again if it may be."""
        want, outage = circuit.want, self.reach.outage
        told = told_of(circuit, broken, reason)
        at_exit = want.at_exit + (broken.is_at_exit and circuit.path[-2] not in self.health.doubted)
        is_enough = at_exit >= self.pace.attempts or (want.attempt >= self.pace.hop_attempts and not outage.is_on)
        if is_enough or outage.is_given_up:
            return [told, fx.CircuitUnavailable(circuit.run_id, reason, broken.blame)]
        later = now + self.pace.retry_s * want.attempt
        self.wanted.append(
            replace(
                want, attempt=want.attempt + (not outage.is_on), at_exit=at_exit, last=(reason, broken.blame),
                tried=want.tried.union(circuit.path[:-1]), not_before=later, since=None,
            )
        )  # fmt: skip
        return [told]

    def _forget(self, circuit_id: int) -> None:
        del self.circuits[circuit_id]
        self._building.pop(circuit_id, None)
        self._warm.pop(circuit_id, None)
