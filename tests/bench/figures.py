"""What was measured, and how it is shown: values by round, medians, ratios taken round by round."""

from dataclasses import asdict, dataclass, field
from statistics import median


@dataclass(slots=True)
class Measure:
    """One row: the same thing done by several sides in every round.

    `figure`: what the goal speaks of, computed in each round from that round's values; its median is shown.
    """

    name: str
    unit: str
    sides: dict[str, list[float]] = field(default_factory=dict)
    figure: str = ""
    goal: str = ""
    per_round: list[float] = field(default_factory=list)
    note: str = ""

    def add(self, side: str, value: float) -> None:
        self.sides.setdefault(side, []).append(value)

    def compare(self, kind: str, one: str, other: str) -> None:
        """`ratio` or `difference` of two sides, round by round."""
        pairs = zip(self.sides[one], self.sides[other], strict=True)
        self.per_round = [a / b if kind == "ratio" else a - b for a, b in pairs]

    def plain(self) -> dict[str, object]:
        """As JSON values, with the medians."""
        medians = {side: median(values) for side, values in self.sides.items()}
        return {**asdict(self), "medians": medians, "median": median(self.per_round) if self.per_round else None}


COLUMNS = ("bare", "torsocks", "proxychains", "ours")


def table(measures: list[Measure]) -> str:
    """All rows, aligned."""
    rows = [("", "unit", *COLUMNS, "figure (median of the rounds)", "goal")]
    for measure in measures:
        values = (_number(measure.sides.get(side)) for side in COLUMNS)
        rows.append((measure.name, measure.unit, *values, _figure(measure), measure.goal))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _figure(measure: Measure) -> str:
    if not measure.per_round:
        return ""
    low, high = min(measure.per_round), max(measure.per_round)
    value = measure.figure.format(_digits(median(measure.per_round)))
    return f"{value} [{_digits(low)} .. {_digits(high)}]"


def _number(values: list[float] | None) -> str:
    return _digits(median(values)) if values else "-"


def _digits(value: float) -> str:
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
