"""The pool: which circuits to build, for whom, and when. A run has its circuit to itself, purpose general.

Theory. A run *wants* a circuit to its exit. The pool launches it when the pace allows (`build_delay` with jitter
between two launches, at most `pending_max` unfinished at once), through a first hop of our own choice, and compares
the path at BUILT with the path it asked for. A build that fails is tried again through another first hop after a
growing pause, `attempts` times in all. A circuit that ends after BUILT is told to the run, which decides: if a
stream was open the run is over; if it was idle (Tor retires a circuit after a failed look-up) the run asks for a
replacement to the same exit. Where the pace keeps circuits warm, one whose run is over and has not failed serves the
next run to its exit, until it is too old.

What other processes started, and what is allowed in all, is asked of `take_start` before each launch.

Pure: time comes in as `now` (monotonic seconds), chance as `rng`; `next_launch` says when to call `launch` again.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from .control_lines import CircEvent
from .effects import CircuitClosed, CircuitReady, CircuitUnavailable, CloseCircuit, Effect, ExtendCircuit
from .model import Fingerprint

WARM_MAX = 256
"""Circuits that wait for a run: Tor itself keeps none open for long that nobody uses."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How politely circuits are built. Delays in seconds. `warm_s`: how old a circuit may be that serves another run;
    0: none does."""

    build_delay_s: float = 3.0
    build_jitter_s: float = 1.0
    pending_max: int = 16
    build_timeout_s: float = 60.0
    attempts: int = 3
    retry_s: float = 0.5
    warm_s: float = 0.0


class State(Enum):
    """Where a circuit stands: asked for, launched, open, open and nobody's, ended."""

    REQUESTED = "requested"
    BUILDING = "building"
    OPEN = "open"
    WARM = "warm"
    ENDED = "ended"


@dataclass(slots=True)
class Circuit:
    """One circuit, of one run at a time. `tried`: hops of earlier attempts, which failed."""

    run_id: str
    exit: Fingerprint
    path: tuple[Fingerprint, ...]
    attempt: int
    launched: float
    tried: frozenset[Fingerprint] = frozenset()
    state: State = State.REQUESTED
    circuit_id: int | None = None
    is_released: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """A run that waits for a circuit. `tried`: first hops that failed already, or are not to be used while there are
    others."""

    run_id: str
    exit: Fingerprint
    attempt: int = 1
    tried: frozenset[Fingerprint] = frozenset()
    last_reason: str = ""
    not_before: float = 0.0


FirstHops = Callable[[Fingerprint, frozenset[Fingerprint], Random], Sequence[Fingerprint]]
"""(exit, first hops that failed) -> the hops before the exit, in order; empty: none can be had."""

TakeStart = Callable[[], float]
"""0: one circuit may be built now, and is counted; else seconds after which it is worth asking again."""


def _at_once() -> float:
    return 0.0


@dataclass(slots=True)
class Pool:
    """All circuits that this orchestrator asked for."""

    pace: Pace
    first_hops: FirstHops
    rng: Random
    take_start: TakeStart = _at_once
    wanted: deque[Want] = field(default_factory=deque)
    requests: dict[int, Circuit] = field(default_factory=dict)
    circuits: dict[int, Circuit] = field(default_factory=dict)
    _building: dict[int, Circuit] = field(default_factory=dict)
    _warm: dict[int, Circuit] = field(default_factory=dict)
    _requests_made: int = 0
    _not_before: float = 0.0

    @property
    def warm_count(self) -> int:
        """How many circuits wait for a run."""
        return len(self._warm)

    def want(self, run_id: str, exit: Fingerprint, avoid: frozenset[Fingerprint] = frozenset()) -> None:
        """Queue a circuit for a run; through other hops than `avoid`, if there are any."""
        self.wanted.append(Want(run_id, exit, tried=avoid))

    def next_launch(self, now: float) -> float | None:
        """Seconds until `launch` or `expire` has something to do; None: nothing waits."""
        due = [circuit.launched + self.pace.build_timeout_s for circuit in self._building.values()]
        due += [circuit.launched + self.pace.warm_s for circuit in self._warm.values()]
        due += [want.not_before for want in self.wanted if self._warm_for(want) is not None]
        if self.wanted and len(self.requests) + len(self._building) < self.pace.pending_max:
            due.append(max(self._not_before, min(want.not_before for want in self.wanted)))
        return max(0.0, min(due) - now) if due else None

    def launch(self, now: float) -> list[Effect]:
        """Give what is warm, and start what the pace allows now."""
        effects = self._give_warm(now)
        while now >= self._not_before and len(self.requests) + len(self._building) < self.pace.pending_max:
            want = next((want for want in self.wanted if want.not_before <= now), None)
            if want is None:
                break
            self.wanted.remove(want)
            hops = self.first_hops(want.exit, want.tried, self.rng)
            if not hops:
                effects.append(CircuitUnavailable(want.run_id, want.last_reason or "no first hop"))
                continue
            if (wait_s := self.take_start()) > 0:
                self._not_before = now + wait_s
                self.wanted.appendleft(want)
                break
            self._requests_made += 1
            path = (*hops, want.exit)
            self.requests[self._requests_made] = Circuit(want.run_id, want.exit, path, want.attempt, now, want.tried)
            effects.append(ExtendCircuit(self._requests_made, path))
            pause = self.pace.build_delay_s + self.rng.uniform(0, self.pace.build_jitter_s)
            self._not_before = now + pause
        return effects

    def _give_warm(self, now: float) -> list[Effect]:
        effects: list[Effect] = []
        for want in [want for want in self.wanted if want.not_before <= now]:
            circuit = self._warm_for(want)
            if circuit is not None and circuit.circuit_id is not None:
                self.wanted.remove(want)
                del self._warm[circuit.circuit_id]
                circuit.run_id, circuit.state = want.run_id, State.OPEN
                effects.append(CircuitReady(want.run_id, circuit.circuit_id, circuit.path))
        return effects

    def _warm_for(self, want: Want) -> Circuit | None:
        return next(
            (one for one in self._warm.values() if one.exit == want.exit and want.tried.isdisjoint(one.path[:-1])), None
        )

    def expire(self, now: float) -> list[Effect]:
        """Give up on circuits that take too long, and on warm ones that are too old."""
        effects: list[Effect] = []
        for circuit_id, circuit in list(self._warm.items()):
            if now - circuit.launched >= self.pace.warm_s:
                effects += self._close_warm(circuit_id)
        for circuit in list(self._building.values()):
            if now - circuit.launched >= self.pace.build_timeout_s and circuit.circuit_id is not None:
                self._forget(circuit.circuit_id)
                effects.append(CloseCircuit(circuit.circuit_id))
                effects += self._retry(circuit, "TIMEOUT", now)
        return effects

    def extended(self, request: int, circuit_id: int) -> list[Effect]:
        """Tor answered `250 EXTENDED circuit_id`."""
        circuit = self.requests.pop(request)
        circuit.circuit_id = circuit_id
        circuit.state = State.BUILDING
        self.circuits[circuit_id] = self._building[circuit_id] = circuit
        return [CloseCircuit(circuit_id)] if circuit.is_released else []

    def refused(self, request: int, reason: str, now: float) -> list[Effect]:
        """Tor refused EXTENDCIRCUIT (552 No such router, 551 Couldn't start circuit)."""
        return self._retry(self.requests.pop(request), reason, now)

    def step(self, event: CircEvent, now: float) -> list[Effect]:
        """What one CIRC line leads to."""
        circuit = self.circuits.get(event.circuit_id)
        if circuit is None or circuit.circuit_id is None:
            return []
        if event.status == "BUILT" and circuit.state is State.BUILDING:
            built = tuple(hop.fingerprint for hop in event.path)
            if built != circuit.path or event.conflux:
                self._forget(event.circuit_id)
                return [CloseCircuit(event.circuit_id), *self._retry(circuit, "another path than asked for", now)]
            circuit.state = State.OPEN
            del self._building[event.circuit_id]
            return [] if circuit.is_released else [CircuitReady(circuit.run_id, event.circuit_id, built)]
        if event.status in ("CLOSED", "FAILED"):
            self._forget(event.circuit_id)
            if circuit.state is State.WARM:
                return []
            was_open, circuit.state = circuit.state is State.OPEN, State.ENDED
            reason = event.reason or "?"
            if event.remote_reason:
                reason += f"/{event.remote_reason}"
            if circuit.is_released:
                return []
            return (
                [CircuitClosed(circuit.run_id, event.circuit_id, reason)]
                if was_open
                else self._retry(circuit, reason, now)
            )
        return []

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
                    effects.append(CloseCircuit(circuit.circuit_id))
        return effects

    def close_warm(self) -> list[Effect]:
        """No run will come any more."""
        return [effect for circuit_id in list(self._warm) for effect in self._close_warm(circuit_id)]

    def _close_warm(self, circuit_id: int) -> list[Effect]:
        self._warm.pop(circuit_id).is_released = True
        return [CloseCircuit(circuit_id)]

    def _retry(self, circuit: Circuit, reason: str, now: float) -> list[Effect]:
        if circuit.is_released:
            return []
        if circuit.attempt >= self.pace.attempts:
            return [CircuitUnavailable(circuit.run_id, reason)]
        tried = circuit.tried.union(circuit.path[:-1])
        later = now + self.pace.retry_s * circuit.attempt
        self.wanted.append(Want(circuit.run_id, circuit.exit, circuit.attempt + 1, tried, reason, later))
        return []

    def _forget(self, circuit_id: int) -> None:
        del self.circuits[circuit_id]
        self._building.pop(circuit_id, None)
        self._warm.pop(circuit_id, None)
