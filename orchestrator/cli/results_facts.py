"""What differs between an exit and its controls, and what is the same, as `results show` lays it out. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from ..report.details import Detail
from ..report.differences import FactDifference
from ..report.differences_told import difference_lines
from ..report.fields import moment
from .page import Line, told_lines

SAME_SHOWN = 3  # values of a fact that is the same on both sides
STRETCH_MAX = 20

Json = dict[str, Any]


def facts_page(detail: Detail, when: str, controls: Sequence[Json]) -> Iterator[Line]:
    """The controls, what differs from them, and the facts that are alike. `when`: what the deciding rule asks for."""
    yield Line()
    yield Line(_controls_words(controls), "", label=f"{'controls':<10}", label_style="bold")
    runs = [str(one["run_id"]).rpartition("-")[2] for one in controls if one.get("run_id")]
    if runs:
        yield Line(f"runs {', '.join(runs)}", "dim", 11)
    told = difference_lines(detail, when, stretch_max=STRETCH_MAX)
    if told:
        yield Line()
        yield Line("what differs", "bold")
        yield Line("- what controls were given, + what this exit gave; with how many runs gave it", "dim", 2)
        yield from told_lines(told)
    alike = [fact for fact in detail.facts if not fact.is_different]
    if alike:
        yield Line()
        yield Line("what is the same, or was compared with nobody" if told else "facts", "bold")
        for fact in alike:
            yield Line(_values(fact), "", 2, f"{fact.name}:")


def _values(fact: FactDifference) -> str:
    shown = [value.text for value in fact.here.values[:SAME_SHOWN]]
    more = len(fact.here.values) - len(shown) + fact.here.left_out
    told = ", ".join([*shown, *([f"and {more} more"] if more else [])]) or "not read"
    return told if fact.is_agreed or fact.there is None else f"{told}  (on this the controls do not agree)"


def _controls_words(controls: Sequence[Json]) -> str:
    """How many there were, through whom, and when."""
    if not controls:
        return "none"
    exits = {one.get("exit") for one in controls if one.get("vantage") == "exit"}
    others = [str(one.get("vantage")) for one in controls if one.get("vantage") != "exit"]
    times = [at for one in controls if isinstance(at := one.get("at"), int | float)]
    through = f"{len(controls) - len(others)} runs through {len(exits)} other exits" if exits else ""
    told = ", ".join(filter(None, [through, *dict.fromkeys(others)]))
    return f"{told}; {moment(min(times))} to {moment(max(times))} UTC" if times else told
