"""The facts of runs beside those of controls, as `results show` lays them out: who saw what, by value. Pure."""

from collections.abc import Sequence
from typing import Any

from .results_store import moment

ITEMS_SHOWN = 10
TEXT_SHOWN = 300

Json = dict[str, Any]


def facts_page(runs: Sequence[Json], controls: Sequence[Json]) -> list[str]:
    """Lines. Facts that were compared come first; of a list, `!` marks what no control saw."""
    names = list(dict.fromkeys(name for told in (*controls, *runs) for name in told.get("facts") or ()))
    lines = ["", "controls: none" if not controls else f"controls: {len(controls)}"]
    lines += [f"  {label}{_when(control)}" for label, control in zip(map(_control, controls), controls, strict=True)]
    for name in names:
        lines += ["", f"fact {name}", *_one(name, runs, controls)]
    return lines


def _one(name: str, runs: Sequence[Json], controls: Sequence[Json]) -> list[str]:
    """A value, and who saw it; the runs' values first."""
    by_value: dict[str, tuple[object, list[str]]] = {}
    seen = [(run, f"run {run.get('run_id')}") for run in runs]
    seen += [(control, f"control {_control(control)}") for control in controls]
    for one, label in seen:
        facts = one.get("facts") or {}
        if name in facts:
            by_value.setdefault(repr(facts[name]), (facts[name], []))[1].append(label)
    known = {str(item) for control in controls for item in _items((control.get("facts") or {}).get(name))}
    is_compared = any(name in (control.get("facts") or {}) for control in controls)
    lines: list[str] = []
    for value, labels in by_value.values():
        told, who = _value(value, known if is_compared else None), ", ".join(labels)
        lines += [f"  {who}: {told[0]}"] if len(told) == 1 else [f"  {who}:", *(f"    {line}" for line in told)]
    return lines


def _value(value: object, known: set[str] | None) -> list[str]:
    """`known`: what controls saw; None: that was not asked."""
    if value is None:
        return ["not there"]
    items = _items(value)
    if not items:
        return ["empty"]
    lines = [f"{'! ' if known is not None and str(item) not in known else ''}{_text(item)}" for item in items]
    if len(lines) > ITEMS_SHOWN:
        lines.sort(key=lambda line: not line.startswith("! "))
        lines = [*lines[:ITEMS_SHOWN], f"and {len(lines) - ITEMS_SHOWN} more (--json has all)"]
    return lines


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else [] if value is None else [value]


def _text(item: object) -> str:
    text = str(item)
    return text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]}... ({len(text)} characters)"


def _control(control: Json) -> str:
    fingerprint = control.get("exit")
    vantage = str(control.get("vantage"))
    return f"{fingerprint[:8]}" if vantage == "exit" and isinstance(fingerprint, str) else vantage


def _when(control: Json) -> str:
    run = f", run {control['run_id']}" if control.get("run_id") else ""
    return f" at {moment(control.get('at'))} UTC{run}"
