"""How many starts are allowed in a time: circuits in all, and runs towards one destination.

Theory. A *window* allows `count` starts in any `period_s` seconds: one more may come as soon as the `count`-th last is
that old. A pause between two starts is a window of one. A start that was decided and has not happened yet (`under_way`)
may happen at any moment, so it has its place in every window. What is exact for one process holds for several, and
for those that follow each other, as long as they share what has been started (`wrappers/starts.py`).

Pure: times are seconds on any one clock. Called by the pool of circuits, the schedule, and the plan's sentences.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Generic, Protocol, TypeVar

from .model import Destination

Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` starts in any `period_s` seconds; its end is not part of it."""

    count: int
    period_s: float


def open_at(times: Sequence[float], windows: Iterable[Window], under_way: int = 0) -> float:
    """The earliest time at which one more start leaves every window as it should be. `times`: ascending. -inf: at any
    time; inf: not before one of those that are under way has begun."""
    earliest = -inf
    for window in windows:
        free = window.count - under_way
        if free <= 0:
            return inf
        if len(times) >= free:
            earliest = max(earliest, times[-free] + window.period_s)
    return earliest


def last_of(count: int, times: Sequence[float], windows: Sequence[Window], now: float) -> float:
    """When the last of `count` more starts is possible, at the earliest."""
    known = list(times)
    for _ in range(count):
        known.append(max(now, open_at(known, windows)))
    return known[-1] if count else now


@dataclass(slots=True)
class Tally(Generic[Place]):
    """The times of starts, by what was started."""

    _times: dict[Place, list[float]] = field(default_factory=dict)

    def of(self, place: Place) -> Sequence[float]:
        """Ascending."""
        return self._times.get(place, ())

    def add(self, place: Place, at: float) -> None:
        """One more start."""
        insort(self._times.setdefault(place, []), at)

    def forget(self, before: float) -> None:
        """What is older does not count any more."""
        for place, times in list(self._times.items()):
            kept = [at for at in times if at >= before]
            if not kept:
                del self._times[place]
            elif len(kept) < len(times):
                self._times[place] = kept

    def __len__(self) -> int:
        return sum(map(len, self._times.values()))


def _nobody(destination: Destination) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is allowed: `circuits` in all, `runs` towards one destination, but for those that `is_exempt`."""

    circuits: tuple[Window, ...] = ()
    runs: Window | None = None
    is_exempt: Callable[[Destination], bool] = _nobody

    @property
    def is_limited(self) -> bool:
        """Whether there is anything to be kept."""
        return bool(self.circuits) or self.runs is not None

    def windows_of(self, destination: Destination) -> tuple[Window, ...]:
        """What holds for runs towards it."""
        return () if self.runs is None or self.is_exempt(destination) else (self.runs,)

    @property
    def horizon_s(self) -> float:
        """How long a start counts."""
        windows = (*self.circuits, *(() if self.runs is None else (self.runs,)))
        return max((window.period_s for window in windows), default=0.0)


OnWait = Callable[[Destination | None, float], None]
"""(whereto, or None for a circuit; seconds): a start has to wait."""


class Starts(Protocol):
    """What was started, and whether more may be."""

    def take_circuit(self) -> float:
        """0: a circuit may be built now, and is counted; else seconds after which it is worth asking again."""

    def take_run(self, destinations: Sequence[Destination]) -> Mapping[Destination, float]:
        """Nothing: a run towards all of these may start, and is counted as under way; else which of them are not open,
        and after how many seconds it is worth asking again."""

    def began(self, destinations: Sequence[Destination]) -> None:
        """One of the runs that are under way has begun, or never will."""

    def watch(self, on_problem: Callable[[str], None], on_wait: OnWait) -> None:
        """`on_problem` is called once, with a sentence, when it can't be told any more what was started: from then on
        nothing may start."""


class Unlimited:
    """As `Starts`, where nothing is limited."""

    def take_circuit(self) -> float:
        return 0.0

    def take_run(self, destinations: Sequence[Destination]) -> Mapping[Destination, float]:
        return {}

    def began(self, destinations: Sequence[Destination]) -> None:
        pass

    def watch(self, on_problem: Callable[[str], None], on_wait: OnWait) -> None:
        pass
