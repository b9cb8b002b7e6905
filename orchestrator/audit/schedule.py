"""Which run may start now: so many at a time, so many through one exit, one per destination in a while, slower when
circuits fail.

Theory. Jobs wait in three queues: what confirms a finding first (it is about a relay that may be lying now), then
controls (others wait for them), then probes, each queue by the rank of its exits, and in random order among equals.
`take` gives the first job that no limit holds up, be it one that other processes share (`starts`). Back-off looks at
the last WINDOW circuits: when more than BAD_SHARE of them failed, it is not the relays, and the number of runs at a
time is halved; each good circuit gives a little of it back.

Pure: time comes in as `now` (seconds, monotonic), chance as `rng`; `next_at` says when to ask again.
"""

from bisect import insort
from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Generic, NamedTuple, Protocol, TypeVar

from ..allowance import Starts, Unlimited
from ..model import Destination, Fingerprint

WINDOW = 24
BAD_SHARE = 0.5
RECOVERY = 0.5


class Job(Protocol):
    """Something that can be scheduled."""

    @property
    def exit(self) -> Fingerprint: ...

    @property
    def destinations(self) -> tuple[Destination, ...]: ...

    @property
    def urgency(self) -> int:
        """0: confirms a finding; 1: a control; 2: a probe."""


J = TypeVar("J", bound=Job)


@dataclass(frozen=True, slots=True)
class Limits:
    """`jobs` at a time, `per_exit` of them through one exit; two starts towards one destination are at least
    `spacing_s` plus up to `jitter_s` apart."""

    jobs: int
    per_exit: int = 2
    spacing_s: float = 3.0
    jitter_s: float = 1.0


class Waiting(NamedTuple, Generic[J]):
    """A job in its queue; those that come first stand last."""

    place: tuple[int, float]
    job: J


@dataclass(slots=True)
class Schedule(Generic[J]):
    """All jobs of a scan that have not ended. `ranks`: which exits come first, the lowest; all others have 0."""

    limits: Limits
    rng: Random
    ranks: Mapping[Fingerprint, int] = field(default_factory=dict)
    starts: Starts = field(default_factory=Unlimited)
    queues: tuple[list[Waiting[J]], list[Waiting[J]], list[Waiting[J]]] = field(default_factory=lambda: ([], [], []))
    running: int = 0
    is_stopped: bool = False
    capacity: float = 0.0
    halvings: int = 0
    _of_exit: dict[Fingerprint, int] = field(default_factory=dict)
    _free_at: dict[Hashable, float] = field(default_factory=dict)
    _not_begun: set[J] = field(default_factory=set)
    _circuits: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))

    def __post_init__(self) -> None:
        self.capacity = float(self.limits.jobs)

    @property
    def waiting(self) -> int:
        """How many jobs have not been started."""
        return sum(len(queue) for queue in self.queues)

    def add(self, job: J) -> None:
        """Queue a job, at a random place among its equals."""
        place = -self.ranks.get(job.exit, 0), self.rng.random()
        insort(self.queues[job.urgency], Waiting(place, job), key=lambda one: one.place)

    def take(self, now: float) -> J | None:
        """The next job that may start now; it counts as running until `ended`."""
        if self.is_stopped or self.running >= max(1, int(self.capacity)):
            return None
        for queue in self.queues:
            for place in range(len(queue) - 1, -1, -1):
                job = queue[place].job
                if self._may_start(job, now) and self._is_let(job, now):
                    del queue[place]
                    self._start(job, now)
                    return job
        return None

    def next_at(self, now: float) -> float | None:
        """When a destination comes free for a job that waits for nothing else; None: only the end of a run helps."""
        if self.is_stopped or self.running >= max(1, int(self.capacity)):
            return None
        times = [self._open_at(one.job) for queue in self.queues for one in queue if not self._is_exit_busy(one.job)]
        return max(now, min(times)) if times else None

    def began(self, job: J) -> None:
        """The tool of its run starts now."""
        if job in self._not_begun:
            self._not_begun.remove(job)
            self.starts.began(job.destinations)

    def ended(self, job: J, circuit_ok: bool | None) -> None:
        """A run is over. `circuit_ok`: whether its circuit could be built and held; None: it was not tried."""
        self.began(job)
        self.running -= 1
        left = self._of_exit[job.exit] - 1
        if left:
            self._of_exit[job.exit] = left
        else:
            del self._of_exit[job.exit]
        if circuit_ok is None:
            return
        self._circuits.append(circuit_ok)
        if circuit_ok:
            self.capacity = min(self.limits.jobs, self.capacity + RECOVERY / max(1.0, self.capacity))
        elif len(self._circuits) == WINDOW and self._circuits.count(False) > BAD_SHARE * WINDOW:
            self.capacity = max(1.0, self.capacity / 2)
            self.halvings += 1
            self._circuits.clear()

    def stop(self) -> list[J]:
        """Start nothing any more; returns the jobs that never were."""
        self.is_stopped = True
        dropped = [one.job for queue in self.queues for one in queue]
        for queue in self.queues:
            queue.clear()
        return dropped

    def _may_start(self, job: J, now: float) -> bool:
        return not self._is_exit_busy(job) and self._open_at(job) <= now

    def _is_let(self, job: J, now: float) -> bool:
        """Whether what other processes started leaves room for it; then it is counted."""
        waits = self.starts.take_run(job.destinations)
        self._free_at.update({place: now + wait_s for place, wait_s in waits.items()})
        return not waits

    def _is_exit_busy(self, job: J) -> bool:
        return self._of_exit.get(job.exit, 0) >= self.limits.per_exit

    def _open_at(self, job: J) -> float:
        return max((self._free_at.get(place, 0.0) for place in job.destinations), default=0.0)

    def _start(self, job: J, now: float) -> None:
        self.running += 1
        self._not_begun.add(job)
        self._of_exit[job.exit] = self._of_exit.get(job.exit, 0) + 1
        if self.limits.spacing_s or self.limits.jitter_s:
            for place in job.destinations:
                self._free_at[place] = now + self.limits.spacing_s + self.rng.uniform(0, self.limits.jitter_s)
