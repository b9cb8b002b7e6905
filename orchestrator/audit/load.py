"""What a plan means for the Tor network and for the targets: circuits, streams and bytes, in all and in an hour. Pure.

Two figures for each: what is *certain* (every probe, and the controls that a tool asks for at the least), and what is
*likely*: one pair of tool and exit in TROUBLED_ONE_IN is asked as often as it takes to call an exit broken, and has
controls of its own asked anew; controls are renewed as they grow old. More is possible: where a target is down, every
pair is asked so often.

Pace. Each run has a circuit of its own, and circuits are built one after the other, `circuit_every_s` apart on average;
two runs at one destination start `start_every_s` apart, and no more of them than its windows allow (`allowance.py`).
Whichever takes longest is how long the scan takes at the least; slow tools, few runs at a time, and what earlier
commands started make it longer. So no hour ever sees more than these figures.

How many streams and bytes a run is, its tool's file does not say. Earlier runs do (`results/measured.py`); without any
a run counts as one stream to each of its destinations, and its bytes are unknown. Called by the command line, before a
scan is started.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf

from ..allowance import Window, last_of
from ..model import Destination
from ..results.measured import Measured
from .cases import RECHECK_CONTROLS
from .errands import Audit
from .scan_plan import ScanPlan

TROUBLED_ONE_IN = 20
RUNS_OF_THE_TROUBLED = 8
"""What `conclusions.py` wants before it calls an exit broken."""
HOUR_S = 3600.0
SHOWN_MAX = 8

WindowsOf = Callable[[Destination], Sequence[Window]]


@dataclass(frozen=True, slots=True)
class Runs:
    """How many there will be."""

    certain: int
    likely: int


@dataclass(frozen=True, slots=True)
class Load:
    """`circuits`: one a run; `places`: the runs to each destination, the busiest first. `circuits_an_hour`: at
    most; None: nothing holds them back. `starts_an_hour`: at most so many runs towards a destination; none for one
    where nothing does. `hours`: at least so long, of what is certain and of what is likely. `streams`: of the certain
    runs; `bytes_up`, `bytes_down`: of those whose tools are not `unmeasured`."""

    circuits: Runs
    places: Mapping[str, Runs]
    circuits_an_hour: float | None
    starts_an_hour: Mapping[str, float]
    hours: tuple[float, float]
    streams: float
    bytes_up: float
    bytes_down: float
    unmeasured: tuple[str, ...]
    is_measured: bool

    def streams_an_hour(self, place: str) -> float | None:
        """At most so many runs go to a destination in an hour, by all limits and by what there is to do."""
        limits = [limit for limit in (self.circuits_an_hour, self.starts_an_hour.get(place)) if limit is not None]
        return min([*limits, float(self.places[place].likely)]) if limits else None

    @property
    def share_of_an_hour(self) -> float:
        """How much of what is certain an hour sees at most; 1: all of it."""
        if self.circuits_an_hour is None or not self.circuits.certain:
            return 1.0
        return min(1.0, self.circuits_an_hour / self.circuits.certain)

    def sentences(self) -> Iterator[str]:
        """What to say of it."""
        if not self.circuits.certain:
            return
        least, likely = map(_time, self.hours)
        pace = "as fast as they come"
        if self.circuits_an_hour is not None:
            pace = f"at most {self.circuits_an_hour:,.0f} an hour: {least} at least, likely {likely}"
        yield (
            f"circuits: {self.circuits.certain:,} at least, likely {self.circuits.likely:,} with confirmations and"
            f" fresh controls, {pace}"
        )
        hourly = {place: limit for place in self.places if (limit := self.streams_an_hour(place)) is not None}
        if hourly:
            shown = ", ".join(f"{limit:,.0f} to {place}" for place, limit in list(hourly.items())[:SHOWN_MAX])
            more = f" and {len(hourly) - SHOWN_MAX} more" if len(hourly) > SHOWN_MAX else ""
            yield f"runs an hour, at most: {shown}{more}"
        hour = self.share_of_an_hour
        streams = f"streams: {self.streams:,.0f}" + (f" ({self.streams * hour:,.0f} an hour)" if hour < 1 else "")
        if self.is_measured:
            told = f"{size(self.bytes_down)} down, {size(self.bytes_up)} up"
            told += f" ({size(self.bytes_down * hour)} and {size(self.bytes_up * hour)} an hour)" if hour < 1 else ""
            but = f" (without {', '.join(self.unmeasured)}, of which no run is recorded)" if self.unmeasured else ""
            yield f"{streams}, going by earlier runs: {told}{but}"
        else:
            yield f"{streams}, bytes unknown: no run of {', '.join(self.unmeasured)} is recorded"


def _unlimited(destination: Destination) -> Sequence[Window]:
    return ()


def load_of(
    plan: ScanPlan,
    circuit_every_s: float,
    start_every_s: float,
    measured: Mapping[str, Measured],
    windows_of: WindowsOf = _unlimited,
) -> Load:
    """The load of a plan. `circuit_every_s`, `start_every_s`: the mean time between two circuits, and between two runs
    at one destination; 0: no limit; `measured`: by tool id, of those of which something is known; `windows_of`: what
    else holds for runs towards a destination."""
    probes: Counter[int] = Counter()
    pairs: Counter[int] = Counter()
    for audit, relay in plan.pairs:
        probes[id(audit)] += plan.repeat_of(relay)
        pairs[id(audit)] += 1
    audits = [audit for audit in plan.audits if pairs[id(audit)]]
    certain = {id(audit): probes[id(audit)] + _controls(audit) for audit in audits}
    likely = {id(audit): certain[id(audit)] + _more(audit, pairs[id(audit)]) for audit in audits}
    windows = {str(place): windows_of(place) for audit in audits for place in audit.destinations}
    so_far = _hours(audits, likely, circuit_every_s, start_every_s, windows)
    for audit in audits:
        likely[id(audit)] += _controls(audit) * int(so_far * HOUR_S / audit.tool.baseline.max_age_s)
    known = [audit for audit in audits if audit.tool.id in measured]
    unknown = [audit for audit in audits if audit.tool.id not in measured]
    streams = sum(certain[id(audit)] * measured[audit.tool.id].streams for audit in known)
    streams += sum(certain[id(audit)] * max(1, len(set(audit.destinations))) for audit in unknown)
    return Load(
        circuits=Runs(sum(certain.values()), sum(likely.values())),
        places=_places(audits, certain, likely),
        circuits_an_hour=_finite(min(_an_hour(circuit_every_s), _by_places(audits, windows))),
        starts_an_hour={
            place: limit
            for place, limits in windows.items()
            if (limit := min(_an_hour(start_every_s), _windows_an_hour(limits))) < inf
        },
        hours=(
            _hours(audits, certain, circuit_every_s, start_every_s, windows),
            _hours(audits, likely, circuit_every_s, start_every_s, windows),
        ),
        streams=streams,
        bytes_up=sum(certain[id(audit)] * measured[audit.tool.id].bytes_up for audit in known),
        bytes_down=sum(certain[id(audit)] * measured[audit.tool.id].bytes_down for audit in known),
        unmeasured=tuple(dict.fromkeys(audit.tool.id for audit in unknown)),
        is_measured=bool(known),
    )


def _controls(audit: Audit) -> int:
    """The controls that are asked in any case, and asked again when they have grown old."""
    return audit.tool.baseline.exits if "exits" in audit.tool.baseline.mode else 0


def _more(audit: Audit, pairs: int) -> int:
    """The runs that confirmations bring: those of the pairs themselves, fresh controls for each, and as many controls
    in all as a finding wants."""
    troubled = ceil(pairs / TROUBLED_ONE_IN)
    controls = _controls(audit)
    return troubled * (RUNS_OF_THE_TROUBLED - 1 + controls) + (max(0, RECHECK_CONTROLS - controls) if controls else 0)


def _hours(
    audits: Sequence[Audit],
    runs: Mapping[int, int],
    circuit_every_s: float,
    start_every_s: float,
    windows: Mapping[str, Sequence[Window]],
) -> float:
    places = {name: place.certain for name, place in _places(audits, runs, runs).items()}
    by_windows = max((last_of(count, (), windows[name], 0.0) for name, count in places.items()), default=0.0)
    busiest = max(places.values(), default=0)
    return max(sum(runs.values()) * circuit_every_s, busiest * start_every_s, by_windows) / HOUR_S


def _an_hour(every_s: float) -> float:
    return HOUR_S / every_s if every_s else inf


def _windows_an_hour(windows: Sequence[Window]) -> float:
    return min((float(window.count * ceil(HOUR_S / window.period_s)) for window in windows), default=inf)


def _by_places(audits: Sequence[Audit], windows: Mapping[str, Sequence[Window]]) -> float:
    """How many circuits an hour can have use for: each run goes to all of its destinations, so the one that allows
    least holds it back, together with all others that it holds back."""
    limits = {place: _windows_an_hour(limits) for place, limits in windows.items()}
    tightest = set()
    for audit in audits:
        places = sorted(map(str, audit.destinations), key=lambda place: (limits[place], place))
        if not places:
            return inf
        tightest.add(places[0])
    return sum(limits[place] for place in tightest) if tightest else inf


def _finite(limit: float) -> float | None:
    return None if limit == inf else limit


def _places(audits: Sequence[Audit], certain: Mapping[int, int], likely: Mapping[int, int]) -> dict[str, Runs]:
    found: dict[str, Runs] = {}
    for audit in audits:
        for place in dict.fromkeys(map(str, audit.destinations)):
            before = found.get(place, Runs(0, 0))
            found[place] = Runs(before.certain + certain[id(audit)], before.likely + likely[id(audit)])
    return dict(sorted(found.items(), key=lambda item: (-item[1].certain, item[0])))


def size(count: float) -> str:
    """Bytes as people say them: `12 MB`."""
    for name, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= length:
            return f"{count / length:,.1f} {name}"
    return f"{count:.0f} bytes"


def _time(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{ceil(hours * 60)} minutes"
