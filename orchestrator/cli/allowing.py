"""The limits that hold across restarts, for one verb: what they are, where they are kept, and what is said of them.

Kept beside the user's own store whatever `--store` says: one file for the real network, whichever tor leads there, and
one for each lab that was asked to be limited.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from ..allowance import Allowance, Starts, Unlimited, Window, last_of
from ..audit.scan_plan import ScanPlan
from ..model import Destination
from ..network import Vantage
from ..rate import Rate
from ..results.store import store_path
from ..settings import COMMAND_LINE, Settings
from .say import say

if TYPE_CHECKING:
    from ...wrappers.starts import KeptStarts

TOLD_S = 10.0
"""Who waits longer is told why."""
_PERIODS = {"s": "a second", "m": "a minute", "h": "an hour"}


def allowance_of(settings: Settings, vantage: Vantage) -> Allowance:
    """What is allowed. In the lab that is all, but for what the command line says (`settings_in_force`). The limit for
    one destination spares those that the user declared theirs; one of the command line holds for all."""
    pause = (Window(1, settings.build_delay_s),) if settings.build_delay_s else ()
    rate = (_window(settings.rate),) if settings.rate else ()
    runs = _window(settings.per_destination)
    if settings.origin("per_destination") == COMMAND_LINE:
        return Allowance((*pause, *rate), runs)
    if vantage.is_lab:
        return Allowance((*pause, *rate))
    return Allowance((*pause, *rate), runs, lambda destination: settings.owns(*destination))


def starts_path(environment: Mapping[str, str], vantage: Vantage) -> Path:
    """The file of what was started in this network."""
    name = f"lab-{vantage.name}" if vantage.is_lab else "tor"
    return store_path(environment).with_name(f"starts-{name}")


@contextmanager
def open_starts(settings: Settings, vantage: Vantage, environment: Mapping[str, str]) -> Iterator[Starts]:
    """What is asked before each start, for as long as the block lasts. Raises OperatorError where nothing can be kept:
    no limit, no start."""
    allowance = allowance_of(settings, vantage)
    if not allowance.is_limited:
        yield Unlimited()
        return
    from ...wrappers.starts import KeptStarts

    kept = KeptStarts(starts_path(environment, vantage), allowance)
    try:
        yield kept
    finally:
        kept.close()


class Waits:
    """Says once of circuits, and once of destinations, that a start has to wait long."""

    def __init__(self, settings: Settings, tell: Callable[[str], None] = say) -> None:
        self._settings = settings
        self._tell = tell
        self._told: set[bool] = set()

    def __call__(self, destination: Destination | None, wait_s: float) -> None:
        is_circuit = destination is None
        if wait_s <= TOLD_S or is_circuit in self._told:
            return
        self._told.add(is_circuit)
        rate, delay_s = self._settings.rate, self._settings.build_delay_s
        if is_circuit:
            limit = f"{delay_s:g} s between two" if rate is None else f"at most {_told(rate)}"
            why = f"the next circuit: {limit}"
        else:
            limit = _told(self._settings.per_destination)
            why = f"{destination}: at most {limit} towards one destination (--per-destination)"
        self._tell(f"waiting {span(wait_s)} for {why}, those of earlier commands counted")


def load_sentence(plan: ScanPlan, settings: Settings, vantage: Vantage, environment: Mapping[str, str]) -> str | None:
    """When the scan can be done at the earliest, by its limits and what was started lately; None: it has none. Raises
    OperatorError where that can't be read."""
    allowance = allowance_of(settings, vantage)
    if not allowance.is_limited or not plan.pairs:
        return None
    from ...wrappers.starts import clock, recent_starts

    known = recent_starts(starts_path(environment, vantage), allowance)
    now, _ = clock()
    with nullcontext() if known is None else _closing(known):
        end, why = last_start(plan, settings, allowance, (lambda place: []) if known is None else known.times, now)
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() + end - now))
    return f"limits: not done before {at}, {span(end - now)} from now: {why}"


def last_start(
    plan: ScanPlan,
    settings: Settings,
    allowance: Allowance,
    times: Callable[[Destination | None], list[float]],
    now: float,
) -> tuple[float, str]:
    """When the last of the runs that are certain can start, and which limit says so. `times`: of earlier starts."""
    runs: Counter[Destination] = Counter()
    for audit, relay in plan.pairs:
        runs.update({place: plan.repeat_of(relay) for place in dict.fromkeys(audit.destinations)})
    for audit in {id(audit): audit for audit, _ in plan.pairs}.values():
        if audit.tool.baseline.mode in ("exits", "direct+exits"):
            runs.update(dict.fromkeys(audit.destinations, audit.tool.baseline.exits))
    total = plan.probes + plan.controls()
    pace = f"{settings.build_delay_s:g} s apart" if settings.rate is None else f"at most {_told(settings.rate)}"
    found = [(last_of(total, times(None), allowance.circuits, now), f"{total} circuits, {pace}")]
    limit = _told(settings.per_destination)
    for place, count in runs.items():
        end = last_of(count, times(place), allowance.windows_of(place), now)
        found.append((end, f"{count} runs to {place}, at most {limit}"))
    return max(found, key=lambda one: one[0])


def span(seconds: float) -> str:
    """A time as people tell it: no less than it is, but for what a sum of floats adds to it."""
    whole = ceil(round(seconds, 3))
    if whole < 120:
        return f"{whole} s"
    minutes = ceil(whole / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def _told(rate: Rate) -> str:
    return f"{rate.count} in {_PERIODS[rate.period]}"


def _window(rate: Rate) -> Window:
    return Window(rate.count, rate.period_s)


@contextmanager
def _closing(known: "KeptStarts") -> Iterator[None]:
    try:
        yield
    finally:
        known.close()
