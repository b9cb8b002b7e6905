"""One line and one exit status about the last scans, in the manner of the monitoring plugins. Pure.

  EXITPIN CRITICAL - 1 tampered: tls-cert exit13/068F671A; 154 verdicts; scan ... ended 2 h ago | tampered=1;;0;0 ...

Looks at the last scan of each job that is young enough; where there is none, nobody watches any more, and that is
critical. Where it is incomplete, what those before it found still counts. So does what a watch says of itself, if it is
asked: one that is paused warns; one that has stopped or fallen silent, or has not begun what was due, is critical.
Called by `exitpin report status`.

https://www.monitoring-plugins.org/doc/guidelines.html
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from ..results.wanted import FINDINGS, STATUSES
from .watch import JUDGED, Watched
from .watch_told import WatchTold

NAMED_MAX = 3
OVERDUE_S = 900.0  # a watch that begins nothing for so long is none any more
SILENT_S = 300.0  # it writes its file every half minute, whatever it does


class State(IntEnum):
    """What a plugin exits with."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


GRAVEST = (State.CRITICAL, State.WARNING, State.UNKNOWN, State.OK)


@dataclass(frozen=True, slots=True)
class Terms:
    """When to say what. `warning`, `critical`: statuses of verdicts; `max_age_s`: since a scan ended."""

    warning: frozenset[str] = frozenset({"suspect", "broken"})
    critical: frozenset[str] = frozenset({"tampered"})
    max_age_s: float = 26 * 3600.0


@dataclass(frozen=True, slots=True)
class Said:
    """A state and why."""

    state: State
    words: str


def plugin(
    jobs: Sequence[Watched],
    now: float,
    terms: Terms,
    network: str = "the Tor network",
    watch: WatchTold | None = None,
) -> tuple[State, str]:
    """The state, and the line without its end. `jobs`: the latest first; `now`: seconds since the epoch; `network`:
    whose they are; `watch`: what makes them."""
    young = [job for job in jobs if now - job.ended <= terms.max_age_s]
    said = [] if watch is None else [_of_watch(watch, now)]
    looked_at: list[str] = []
    if not jobs:
        said.append(Said(State.UNKNOWN, f"no scan of {network} has ended yet"))
    elif not young:
        last = f"the last scan, {jobs[0].scan_id}, ended {duration(now - jobs[0].ended)} ago"
        said.append(Said(State.CRITICAL, last))
    else:
        said = [_findings(young, terms), *filter(None, map(_gaps, young)), *said]
        looked_at = [_which(young, now)]
    state = next(state for state in GRAVEST if any(one.state is state for one in said))
    words = [one.words for one in sorted(said, key=lambda one: GRAVEST.index(one.state))]
    performance = _performance(young or jobs[:1], now, terms) if jobs else ""
    return line(Said(state, "; ".join([*words, *looked_at])), performance)


def line(said: Said, performance: str = "") -> tuple[State, str]:
    """As a plugin prints it: one line of ASCII, with one bar before the figures and none before that."""
    words = said.words.replace("|", "/").encode("unicode_escape").decode()
    return said.state, f"EXITPIN {said.state.name} - {words}{f' | {performance}' if performance else ''}"


def duration(seconds: float) -> str:
    """A time as people say it: `3 h`, `2 d`."""
    for name, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def _of_watch(watch: WatchTold, now: float) -> Said:
    """What a watch does, and whether it does anything."""
    name = f"watch {watch.watch}"
    if watch.state == "stopped":
        return Said(State.CRITICAL, f"{name} has stopped")
    if now - watch.written > SILENT_S:
        return Said(State.CRITICAL, f"{name} was last heard of {duration(now - watch.written)} ago")
    if watch.state == "paused":
        return Said(State.WARNING, f"{name} is paused: {watch.paused or 'it does not say why'}")
    if watch.state == "scanning":
        return Said(State.OK, f"{name}: iteration {watch.iteration} began")
    if watch.due is None:
        return Said(State.OK, f"{name}: nothing is due")
    late = now - watch.due
    if late > OVERDUE_S:
        return Said(State.CRITICAL, f"{name}: its next iteration was due {duration(late)} ago")
    return Said(State.OK, f"{name}: the next iteration is due {f'in {duration(-late)}' if late < 0 else 'now'}")


def _findings(jobs: Sequence[Watched], terms: Terms) -> Said:
    counts = _counts(jobs)
    watched = [status for status in STATUSES if status in terms.critical | terms.warning and counts[status]]
    if not watched:
        others = [f"{counts[status]} {status}" for status in FINDINGS if counts[status]]
        return Said(State.OK, ", ".join(others) or "no finding")
    state = State.CRITICAL if terms.critical.intersection(watched) else State.WARNING
    told = ", ".join(f"{counts[status]} {status}" for status in watched)
    accused = [one for job in jobs for one in (*job.accused, *job.held) if one.status in watched]
    accused.sort(key=lambda one: STATUSES.index(one.status))
    names = [f"{one.tool} {one.exit_nickname}/{one.exit_fingerprint[:8]}" for one in accused[:NAMED_MAX]]
    more = ["..."] if len(accused) > NAMED_MAX else []
    return Said(state, f"{told}: {', '.join([*names, *more])}" if names else told)


def _gaps(job: Watched) -> Said | None:
    """What makes a scan say less than it seems to."""
    held = f"; what {_scans(job.held_by)} found still holds" if job.held else ""
    if not any(job.counts[status] for status in JUDGED):
        return Said(State.UNKNOWN, f"scan {job.scan_id} judged nobody{held}")
    if not job.is_complete:
        how = f" ({job.state})" if job.state != "done" else ""
        told = f"scan {job.scan_id} is incomplete{how}: {job.verdicts} of {job.planned} verdicts"
        return Said(State.WARNING, f"{told}{held}")
    return None


def _scans(ids: Sequence[str]) -> str:
    return f"scan {ids[0]}" if len(ids) == 1 else f"{len(ids)} scans before it"


def _which(jobs: Sequence[Watched], now: float) -> str:
    """What was looked at."""
    latest = max(jobs, key=lambda job: job.ended)
    count = f"{sum(job.verdicts for job in jobs)} verdicts"
    scans = f"scan {latest.scan_id}" if len(jobs) == 1 else f"{len(jobs)} scans, the last"
    return f"{count}; {scans} ended {duration(now - latest.ended)} ago"


def _performance(jobs: Sequence[Watched], now: float, terms: Terms) -> str:
    """Figures as `label=value[unit];warn;crit`; a threshold of 0: more than none."""
    counts = _counts(jobs)
    told = []
    for status in STATUSES:
        warning, critical = ("0" if status in which else "" for which in (terms.warning, terms.critical))
        told.append(f"{status}={counts[status]};{warning};{critical};0")
    age = max(0.0, now - max(job.ended for job in jobs))
    return " ".join([*told, f"age={age:.0f}s;;{terms.max_age_s:.0f};0"])


def _counts(jobs: Sequence[Watched]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for job in jobs:
        counts += job.counts + Counter(one.status for one in job.held)
    return counts
