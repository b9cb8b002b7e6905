"""The tools of a plan, and their parameters, looked up before a watch begins: what is wrong with them would be found
out by its first iteration, which may be days later.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from ...wrappers.watch_files import PlanFileError
from ..errors import OperatorError
from ..settings import load_settings
from ..watch.plan import WatchPlan
from .audit_tools import choose_tools

PARAM = "--param="


def check_tools(path: Path, plan: WatchPlan, environment: Mapping[str, str], *, is_lab: bool) -> None:
    """Raises OperatorError with a line for each thing that is wrong."""
    settings = load_settings(environment)
    wrong = []
    for place, scan in enumerate(plan.scans):
        tools = [word for word in scan.arguments if not word.startswith("-")]
        params = [word.removeprefix(PARAM) for word in scan.arguments if word.startswith(PARAM)]
        try:
            choose_tools(argparse.Namespace(tools=tools, params=params), settings, environment, None, is_lab=is_lab)
        except OperatorError as error:
            wrong += [f"scan[{place}]: {line}" for line in error.message.splitlines()]
    if wrong:
        raise PlanFileError(path, wrong)
