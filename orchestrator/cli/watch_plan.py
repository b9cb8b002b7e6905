"""From a plan's file to what a watch scans: each scan as the command line of `exitpin audit`."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OperatorError
from ..watch.plan import PlannedScan, WatchPlan
from .audit import add_how
from .option_tables import OptionsParser, option_arguments
from .selectors import selector_arguments

if TYPE_CHECKING:
    from ...wrappers.watch_files import PlanForm, ScanForm

INTERVAL_MIN_S = 1.0
STATUSES = ("tampered", "suspect", "broken", "error")


def load_plan(path: Path) -> WatchPlan:
    """The plan in a file. Raises OperatorError with a line for each thing that is wrong in it."""
    from ...wrappers.watch_files import PlanFileError, read_form

    form = read_form(path)
    wrong = list(_objections(form))
    scans = []
    for place, scan in enumerate(form.scan):
        try:
            scans.append(_planned(scan))
        except OperatorError as error:
            wrong += [f"scan[{place}].{line}" for line in error.message.splitlines()]
    if wrong:
        raise PlanFileError(path, wrong)
    output = form.output
    return WatchPlan(form.name or path.stem, tuple(scans), output.store, output.prometheus, output.status)


def _objections(form: "PlanForm") -> Iterator[str]:
    for name, count in Counter(scan.name for scan in form.scan).items():
        if count > 1:
            yield f"scan: {count} scans are called {name}"
    for place, scan in enumerate(form.scan):
        if scan.interval < INTERVAL_MIN_S:
            yield f"scan[{place}].interval: must be at least {INTERVAL_MIN_S:g} s"
        for status in () if scan.alert is None else scan.alert.on:
            if status not in STATUSES:
                yield f"scan[{place}].alert.on: {status} is none of {', '.join(STATUSES)}"


def _planned(scan: "ScanForm") -> PlannedScan:
    """Raises OperatorError with a line for each thing that is wrong."""
    wrong, words = [], list(scan.tools)
    for part, read in ((scan.options, _how), (scan.select, selector_arguments)):
        try:
            words += read(part)
        except OperatorError as error:
            under = "select." if part is scan.select else ""
            wrong += [f"{under}{line}" for line in error.message.splitlines()]
    if wrong:
        raise OperatorError("\n".join(wrong))
    words += [f"--param={name}={_text(value)}" for name, value in scan.params.items()]
    alert = scan.alert
    told = () if alert is None else (f"--on={','.join(alert.on)}", "--", *alert.command)
    return PlannedScan(scan.name, scan.interval, scan.jitter, tuple(words), told)


def _how(table: dict[str, object]) -> list[str]:
    parser = OptionsParser()
    add_how(parser)
    return option_arguments(table, parser)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
