"""One circuit, who wants one, and how politely they are built: the values that the pool (`circuits.py`) works on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

from .model import Fingerprint


@dataclass(frozen=True, slots=True)
class Pace:
    """How politely circuits are built. Delays in seconds. `attempts`: so many circuits may get to an exit and no
    further; `hop_attempts`: so many in a row not even there; `hop_timeout_s`: so long a first hop may take to answer;
    `warm_s`: how old a circuit may be that serves another run (0: none does); `outage_max_s`: so long a run waits for
    its circuit while no first hop answers."""

    build_delay_s: float = 3.0
    build_jitter_s: float = 1.0
    pending_max: int = 16
    build_timeout_s: float = 60.0
    attempts: int = 3
    retry_s: float = 0.5
    warm_s: float = 0.0
    hop_attempts: int = 12
    hop_timeout_s: float = 20.0
    outage_max_s: float = 60.0


class State(Enum):
    """Where a circuit stands: asked for, launched, open, open and nobody's, ended."""

    REQUESTED = "requested"
    BUILDING = "building"
    OPEN = "open"
    WARM = "warm"
    ENDED = "ended"


@dataclass(slots=True)
class Circuit:
    """One circuit, of one run at a time. `reached`: how many of its hops have answered."""

    run_id: str
    exit: Fingerprint
    path: tuple[Fingerprint, ...]
    want: "Want"
    launched: float
    reached: int = 0
    state: State = State.REQUESTED
    circuit_id: int | None = None
    is_released: bool = False


@dataclass(frozen=True, slots=True)
class Want:
    """A run that waits for a circuit. `attempt`: which one it will be; `at_exit`: how many of them had got to the exit;
    `tried`: hops that failed already, or are not to be used while there are others; `last`: why the last attempt
    failed, and who is to blame; `since`: when a hop that is put aside was first waited for; `through`: of a look, the
    hops that it is about."""

    run_id: str
    exit: Fingerprint
    attempt: int = 1
    at_exit: int = 0
    tried: frozenset[Fingerprint] = frozenset()
    last: tuple[str, str] = ("no first hop", "local")
    not_before: float = 0.0
    since: float | None = None
    through: tuple[Fingerprint, ...] = ()


FirstHops = Callable[[Fingerprint, frozenset[Fingerprint], Random], Sequence[Fingerprint]]
"""(exit, first hops that failed) -> the hops before the exit, in order; empty: none can be had."""
