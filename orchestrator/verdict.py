"""Rules and controls turn the observation of one run into a judgement. Pure; chance and time have no part in it.

Called for each run that ended with its attribution proven. What becomes of an exit's runs together is `cases.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .controls import Controls
from .tool import Facts, Status, Tool

Search = Callable[[str, str], bool]
"""(pattern, text): whether the pattern is found. The text may be hostile: whoever implements it limits the time."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What rules may look at. `failure`: the kind of the run's one failure, empty if there was none."""

    exit_code: int | None
    signal: int | None
    timed_out: bool
    failure: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of one run. `rule`: its place among the tool's rules, None when no rule matched or none could be asked (then
    `layer` names what failed: no-rule, control). `undecided`: facts that could not be compared, because the controls do
    not agree among themselves."""

    status: Status
    reason: str
    rule: int | None = None
    layer: str = ""
    undecided: tuple[str, ...] = ()


def judge(
    tool: Tool, seen: Observation, controls: Controls | None, values: Mapping[str, str], search: Search
) -> Judgement:
    """The first rule that matches. `values`: parameters and built-in variables, for reasons and operands."""
    raise NotImplementedError
