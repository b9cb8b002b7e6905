"""The figures of a report as geometry: strips of verdicts, histograms of times. The template draws them as inline SVG.

Pure. Each figure says in words what it shows (`title`), for whoever does not see it. Widths and heights are in the
units of the figure's own view box.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import NamedTuple

from ..counted import counted
from ..results.wanted import STATUSES

STRIP_WIDTH = 600.0
SEGMENT_MIN = 4.0  # one liar among 1,500 exits must be seen
HISTOGRAM_WIDTH, HISTOGRAM_HEIGHT = 300.0, 84.0
BINS_A_DECADE = 8
BINS_MIN, BINS_MAX = 12, 40
TICK_GAP = 44.0  # labels nearer than that would touch


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a strip."""

    status: str
    count: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Strip:
    """Verdicts by status, the gravest first; as wide as they are many, and never too thin to be seen."""

    name: str
    note: str
    segments: tuple[Segment, ...]
    total: int
    is_current: bool = False

    @property
    def title(self) -> str:
        told = ", ".join(f"{part.count:,} {part.status}" for part in self.segments) or "no verdict"
        return f"{self.name}: {told}"


class Bar(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    title: str


class Tick(NamedTuple):
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often something took how long, on a logarithmic axis. `late`: the 95th percentile. No bars: nothing was
    measured."""

    name: str
    note: str
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    count: int
    median_x: float = 0.0
    median: str = ""
    late: str = ""

    @property
    def title(self) -> str:
        if not self.count:
            return f"{self.name}: nothing was measured"
        return f"{self.name}, {self.count:,} runs: half within {self.median}, 95 % within {self.late}"


def strip(name: str, counts: Mapping[str, int], note: str = "", is_current: bool = False) -> Strip:
    """One strip over the whole width."""
    told = [(status, counts[status]) for status in STATUSES if counts.get(status)]
    total = sum(count for _, count in told)
    spare = STRIP_WIDTH - SEGMENT_MIN * len(told)
    segments, x = [], 0.0
    for status, count in told:
        width = SEGMENT_MIN + spare * count / total
        segments.append(Segment(status, count, round(x, 2), round(width, 2)))
        x += width
    return Strip(name, note, tuple(segments), total, is_current)


def histogram(name: str, seconds: Iterable[float], note: str = "") -> Histogram:
    """Of durations; those below a millisecond count as one."""
    values = sorted(max(value, 1e-3) for value in seconds if math.isfinite(value))
    if not values:
        return Histogram(name, note, (), (), 0)
    first, last = (math.floor(math.log10(value) * BINS_A_DECADE) for value in (values[0], values[-1]))
    first, last = _widened(first, last)
    counts = Counter(min(last, math.floor(math.log10(value) * BINS_A_DECADE)) for value in values)
    width = HISTOGRAM_WIDTH / (last - first + 1)
    tallest = max(counts.values())
    bars = tuple(_bar(place, counts[place], (place - first) * width, width, tallest) for place in sorted(counts))
    median, late = _percentiles(values)
    return Histogram(
        name, note, bars, tuple(_ticks(first, last, width)), len(values),
        round(_x(median, first, width), 2), duration(median), duration(late),
    )  # fmt: skip


def duration(seconds: float | None) -> str:
    """A time as people read it; empty for None."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"


def _widened(first: int, last: int) -> tuple[int, int]:
    """A few values that are alike get a scale, too; and no scale has more bars than can be told apart."""
    missing = BINS_MIN - (last - first + 1)
    if missing > 0:
        first, last = first - missing // 2, last + missing - missing // 2
    return first, min(last, first + BINS_MAX - 1)


def _bar(place: int, count: int, x: float, width: float, tallest: int) -> Bar:
    height = max(1.5, (HISTOGRAM_HEIGHT - 4) * count / tallest)
    low, high = (duration(10 ** (edge / BINS_A_DECADE)) for edge in (place, place + 1))
    words = f"{low} to {high}: {counted(count, 'run')}"
    return Bar(round(x + 0.5, 2), round(HISTOGRAM_HEIGHT - height, 2), round(width - 1, 2), round(height, 2), words)


def _x(seconds: float, first: int, width: float) -> float:
    return min(HISTOGRAM_WIDTH, (math.log10(seconds) * BINS_A_DECADE - first) * width)


def _ticks(first: int, last: int, width: float) -> Sequence[Tick]:
    """At 1, 2 and 5 of each power of ten, as far as their labels have room."""
    ticks: list[Tick] = []
    for power in range(first // BINS_A_DECADE - 1, last // BINS_A_DECADE + 2):
        for step in (1, 2, 5):
            x = (math.log10(step * 10.0**power) * BINS_A_DECADE - first) * width
            if 0 <= x <= HISTOGRAM_WIDTH and (not ticks or x - ticks[-1].x >= TICK_GAP):
                ticks.append(Tick(round(x, 2), duration(step * 10.0**power)))
    return ticks


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]
