"""From a plan's file to what a watch scans: each scan as the command line of `exitpin audit`."""

import argparse
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OperatorError
from ..settings import KEYS
from ..watch.plan import PlannedScan, WatchPlan
from .audit import add_how
from .option_tables import OptionsParser, option_arguments
from .repeats import REPEAT_MAX
from .report_options import age_s
from .selectors import selector_arguments

if TYPE_CHECKING:
    from ...wrappers.watch_files import AlertForm, PlanForm, ScanForm


def load_plan(path: Path) -> WatchPlan:
    """The plan in a file. Raises OperatorError with a line for each thing that is wrong in it."""
    from ...wrappers.watch_files import PlanFileError, read_form

    form, wrong, tables = read_form(path)
    words: dict[int, list[str]] = {}
    for place, (options, select) in tables.items():
        words[place] = []
        for part, read, under in ((options, _how, ""), (select, selector_arguments, "select.")):
            try:
                words[place] += read(part)
            except OperatorError as error:
                wrong += [f"scan[{place}].{under}{line}" for line in error.message.splitlines()]
    if form is not None:
        wrong += [*_objection_to_name(form, path), *_objections(form)]
    if form is None or wrong:
        raise PlanFileError(path, wrong)
    scans = tuple(_planned(scan, words[place]) for place, scan in enumerate(form.scan))
    output = form.output
    return WatchPlan(form.name or path.stem, scans, output.store, output.prometheus, output.status)


def _objection_to_name(form: "PlanForm", path: Path) -> Iterator[str]:
    from ...wrappers.tool_problems import shown
    from ...wrappers.watch_files import NAME, NAME_IN_WORDS

    if form.name is None and re.fullmatch(NAME, path.stem) is None:
        yield f'name: is missing, and {shown(path.stem)} is none ({NAME_IN_WORDS}); give the plan a name = "..."'


def _objections(form: "PlanForm") -> Iterator[str]:
    for name, count in Counter(scan.name for scan in form.scan).items():
        if count > 1:
            yield f"scan: {count} scans are called {name}; give each a name of its own"
    for place, scan in enumerate(form.scan):
        if scan.jitter > scan.interval:
            yield f"scan[{place}].jitter: must be no longer than the interval, {scan.interval:.0f} s"


def _planned(scan: "ScanForm", options: Sequence[str]) -> PlannedScan:
    words = [*scan.tools, *options, *(f"--param={name}={value}" for name, value in scan.params.items())]
    alert_on = () if scan.alert is None else tuple(scan.alert.on)
    return PlannedScan(scan.name, scan.interval, scan.jitter, tuple(words), _told(scan.alert), alert_on)


def _told(alert: "AlertForm | None") -> tuple[str, ...]:
    if alert is None:
        return ()
    timeout = () if alert.timeout is None else (f"--alert-timeout={alert.timeout:g}s",)
    return (f"--on={','.join(alert.on)}", *timeout, "--", *alert.command)


def _how(table: dict[str, object]) -> list[str]:
    """Raises OperatorError with a line for all that is wrong."""
    from ...wrappers.tool_problems import nearest
    from ...wrappers.watch_files import SCAN_KEYS

    parser = OptionsParser()
    add_how(parser)
    keys = [parser.key_of(action) for action in parser._actions]
    wrong = [f"{key}: no such key; {nearest(key, [*SCAN_KEYS, *keys])}" for key in table if key not in keys]
    words: list[str] = []
    try:
        words = option_arguments({key: value for key, value in table.items() if key in keys}, parser, _check_how)
    except OperatorError as error:
        wrong += error.message.splitlines()
    if wrong:
        raise OperatorError("\n".join(wrong))
    return words


def _check_how(args: argparse.Namespace) -> None:
    """What `exitpin audit` would refuse, once it is started. Raises OperatorError and ValueError."""
    if args.repeat is not None and not 1 <= args.repeat <= REPEAT_MAX:
        raise ValueError(f"must be a whole number from 1 to {REPEAT_MAX}, not {args.repeat}")
    for key in KEYS:
        given = getattr(args, key.name, None)
        if given is not None:
            try:
                key.parse(given)
            except ValueError:
                raise ValueError(f'"{given}" is not {key.valid}') from None
    age_s(args.newcomers)
