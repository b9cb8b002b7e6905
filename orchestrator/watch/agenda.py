"""What a watch does next: which scan is due, which iteration is gone on with, and how long to wait after a failure.

Theory. An iteration is `begun` until its scan is done and told of, however many processes that takes. What ended before
its time is gone on with after a while that doubles with each failure in a row. An iteration that has taken longer than
the interval of its scan is given up: between two processes at once, and while one carries it out when somebody waits.
That is no scan that somebody else carries out, or that is refused each time: it would gain nothing. The time is the
wall's, which may jump: what was begun in the future counts as begun when that is noticed.

A watch that makes what is due only once begins one iteration of each scan at most, whatever becomes of it, and goes on
with what was cut short as any other does. So it ends, however soon the next ones are due.

The jitter of an iteration depends on nothing but who it is, so a watch that is started anew waits no longer, and no
shorter, than the one before would have.

Pure: time comes in as `now`, seconds since the epoch.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from random import Random

from .plan import PlannedScan, WatchPlan

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 600.0
BUSY_S = 2.0
LATE_MIN_S = 600.0
"""No iteration takes too long that has begun so short a while ago: with short intervals none would ever be done."""


@dataclass(frozen=True, slots=True)
class Iteration:
    """One that has begun. `started`: seconds since the epoch; `scan_id`: its scan; `is_done`: whether it has all its
    verdicts; `valid_after`: of its last snapshot, seconds since the epoch; `is_told`: whether the plan's command was
    told of all those that it is for; `legs`: by how many snapshots it was gone on with, the first included."""

    number: int
    started: float
    scan_id: str
    is_done: bool
    valid_after: float | None = None
    is_told: bool = True
    legs: int = 1

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do for it."""
        return self.is_done and self.is_told


class Outcome(Enum):
    """How a process that carried out an iteration ended: DONE; UNTOLD: but for an alert, which can be tried again;
    CUT_SHORT: it can be gone on with; NOT_BEGUN: it never was; REFUSED: the scan can't be gone on with as it is;
    GIVEN_UP: it took too long, and somebody waits."""

    DONE = auto()
    UNTOLD = auto()
    CUT_SHORT = auto()
    NOT_BEGUN = auto()
    REFUSED = auto()
    GIVEN_UP = auto()


@dataclass(frozen=True, slots=True)
class Due:
    """What to do at `at`; infinite: never. `resumes`: the scan to go on with; None: a new iteration begins."""

    scan: PlannedScan
    number: int
    at: float
    resumes: str | None = None


@dataclass(slots=True)
class _Entry:
    scan: PlannedScan
    latest: Iteration | None
    failures: int = 0
    not_before: float = 0.0
    untold: int = 0
    tell_at: float = 0.0
    had_new: bool = False
    taken: str = ""
    is_refused: bool = False


class Agenda:
    """All scans of a plan. `known`: the latest iteration of each, by the scan's name, as far as there was one;
    `is_once`: no scan has two begun."""

    def __init__(self, plan: WatchPlan, known: Mapping[str, Iteration], *, is_once: bool = False) -> None:
        self._plan = plan
        self._is_once = is_once
        self._entries = {scan.name: _Entry(scan, known.get(scan.name)) for scan in plan.scans}

    def next(self, now: float) -> Due:
        """What comes next; of several that are due the one that has waited longest."""
        return min((self._due(entry, now) for entry in self._entries.values()), key=lambda due: due.at)

    def all(self, now: float) -> Iterable[Due]:
        """What comes next of each scan, in the order of the plan."""
        return [self._due(entry, now) for entry in self._entries.values()]

    def began(self, due: Due, iteration: Iteration) -> None:
        """Its scan has an id now."""
        entry = self._entries[due.scan.name]
        known = entry.latest
        if known is not None and known.scan_id == iteration.scan_id:
            iteration = replace(iteration, started=min(iteration.started, known.started))
        else:
            entry.untold, entry.tell_at = 0, 0.0
        entry.latest = iteration

    def taken(self, due: Due, now: float) -> None:
        """Somebody else carries it out: that scan waits for a while, and no other does."""
        entry = self._entries[due.scan.name]
        entry.not_before, entry.taken = now + BUSY_S, due.resumes or ""

    def ended(self, due: Due, outcome: Outcome, now: float) -> float:
        """A process is over; until when the scan waits for the next one, if it failed."""
        entry = self._entries[due.scan.name]
        is_begun = entry.latest is not None and entry.latest.number >= due.number
        entry.had_new = entry.had_new or due.resumes is None
        entry.taken, entry.is_refused = "", outcome is Outcome.REFUSED and not is_begun
        if outcome in (Outcome.REFUSED, Outcome.GIVEN_UP) and entry.latest is not None:
            entry.latest = replace(entry.latest, is_done=True, is_told=True)  # nobody goes on with it
        if outcome in (Outcome.DONE, Outcome.GIVEN_UP, Outcome.UNTOLD):
            entry.failures, entry.not_before = 0, 0.0
        if outcome in (Outcome.DONE, Outcome.GIVEN_UP):
            return now
        if outcome is Outcome.UNTOLD:
            entry.untold += 1
            entry.tell_at = now + _wait_s(entry.untold)
            return entry.tell_at
        entry.failures += 1
        entry.not_before = now + _wait_s(entry.failures)
        return entry.not_before

    def is_left(self, due: Due, at: float) -> bool:
        """Whether nobody goes on with an iteration at that time, since the next one is due."""
        latest = self._entries[due.scan.name].latest
        return latest is not None and latest.number == due.number and at >= latest.started + due.scan.interval_s

    def is_late(self, due: Due, started: float, now: float) -> bool:
        """Whether what is carried out has taken longer than its interval, and somebody waits: another scan, or its own
        next iteration. Nobody waits who could not be carried out. `started`: when the iteration began."""
        if now < started + max(due.scan.interval_s, LATE_MIN_S):
            return False
        others = (entry for entry in self._entries.values() if entry.scan is not due.scan)
        next_one = started + due.scan.interval_s + self._jitter_s(due.scan, due.number + 1)
        return now >= next_one or any(self._waits(entry, now) for entry in others)

    def _waits(self, entry: _Entry, now: float) -> bool:
        """Whether it is due, and was neither in somebody else's hands nor refused when it was tried last."""
        due = self._due(entry, now)
        return due.at <= now and due.resumes != entry.taken and not entry.is_refused

    def _due(self, entry: _Entry, now: float) -> Due:
        scan, latest = entry.scan, entry.latest
        wait_until = min(entry.not_before, now + LONGEST_WAIT_S)
        if latest is None:
            return self._new(entry, 1, wait_until)
        if latest.started > now:
            entry.latest = latest = replace(latest, started=now)  # kept, or it would be due an interval later for ever
        at = latest.started + scan.interval_s + self._jitter_s(scan, latest.number + 1)
        if not latest.is_done and now < latest.started + scan.interval_s:
            return Due(scan, latest.number, wait_until, latest.scan_id)
        tell_at = max(wait_until, min(entry.tell_at, now + LONGEST_WAIT_S))
        if not latest.is_over and max(now, tell_at) < at:
            return Due(scan, latest.number, tell_at, latest.scan_id)
        return self._new(entry, latest.number + 1, max(at, wait_until))

    def _new(self, entry: _Entry, number: int, at: float) -> Due:
        return Due(entry.scan, number, math.inf if self._is_once and entry.had_new else at)

    def _jitter_s(self, scan: PlannedScan, number: int) -> float:
        return Random(f"{self._plan.name} {scan.name} {number}").uniform(0, scan.jitter_s)


def _wait_s(failures: int) -> float:
    """How long after so many failures in a row."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(failures - 1, 20))
