"""What a plan names, looked up before a watch begins: tools, their parameters, the commands that are told. What is
wrong with them would be found out by the first iteration, which may be days later.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ...wrappers.watch_files import PlanFileError
from ..errors import OperatorError
from ..settings import load_settings
from ..watch.plan import PlannedScan, WatchPlan
from .alert_options import check_alerts
from .audit_tools import choose_tools

PARAM = "--param="


def check_plan(path: Path, plan: WatchPlan, environment: Mapping[str, str], *, is_lab: bool) -> None:
    """Raises OperatorError with a line for each thing that is wrong."""
    settings = load_settings(environment)

    def check_tools(scan: PlannedScan) -> None:
        tools = [word for word in scan.arguments if not word.startswith("-")]
        params = [word.removeprefix(PARAM) for word in scan.arguments if word.startswith(PARAM)]
        choose_tools(argparse.Namespace(tools=tools, params=params), settings, environment, None, is_lab=is_lab)

    def check_alert(scan: PlannedScan) -> None:
        if scan.alert:
            command = scan.alert[scan.alert.index("--") + 1 :]
            check_alerts(argparse.Namespace(command=command, on=scan.alert_on), environment)

    wrong = []
    for place, scan in enumerate(plan.scans):
        for under, check in (("", check_tools), (".alert.command", check_alert)):
            wrong += [f"scan[{place}]{under}: {line}" for line in _refusal(check, scan)]
    if wrong:
        raise PlanFileError(path, wrong)


def _refusal(check: Callable[[PlannedScan], None], scan: PlannedScan) -> Iterator[str]:
    try:
        check(scan)
    except OperatorError as error:
        yield from error.message.splitlines()
