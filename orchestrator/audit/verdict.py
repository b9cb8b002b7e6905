"""Rules and controls turn the observation of one run into a judgement. Pure; chance and time have no part in it.

Called for each run that ended with its attribution proven. A run with a failure that says nothing about the exit
(attribution, shim, tor, circuit, circuit-lost, interrupted, exec) never comes here: whatever its tool printed, no rule
may read it. What becomes of an exit's runs together is `cases.py`.

First match wins. A rule is asked for what the run alone shows before it is asked for controls, so a run that needs no
comparison needs no controls. A comparison with controls that do not agree among themselves is *undecided*: its rule
does not match. An `ok` that rests on nothing but undecided comparisons is none: it says only that nobody could look.
One that would be none if more than half of the controls had to agree *rests on few*.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..tool import RUN_SUBJECTS, Condition, Facts, Rule, Status, Tool, Value
from .agreement import Control, Controls
from .facts import look_up, text
from .matchers import Question, Search, ask, needs_controls, operand_of
from .said import error_in_words
from .templates import fill_known, names_in

__all__ = ["Judgement", "Observation", "Search", "compares", "is_usable_control", "judge"]

SHOWN_MAX = 200
"""How much of a value a reason shows, in characters."""


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
    `layer` names what failed: no-rule, control, tool). `undecided`: facts that could not be compared, because the
    controls do not agree among themselves. `rests_on_few`: of an ok, that no more than half of the controls bear it
    out."""

    status: Status
    reason: str
    rule: int | None = None
    layer: str = ""
    undecided: tuple[str, ...] = ()
    rests_on_few: bool = False


def judge(
    tool: Tool, seen: Observation, controls: Controls | None, values: Mapping[str, str], search: Search
) -> Judgement:
    """The first rule that matches. `values`: parameters and built-in variables, for reasons and operands."""
    hearing = _Hearing(seen, controls and controls.filled(values), values, search)
    try:
        for place, rule in enumerate(tool.verdict):
            if hearing.is_met(rule):
                return hearing.conclude(place, rule)
    except _NoControls as missing:
        return hearing.stop("control", str(missing))
    except _NoValue as missing:
        return hearing.stop("tool", str(missing))
    return _unspoken(tool, hearing)


def _unspoken(tool: Tool, hearing: "_Hearing") -> Judgement:
    """No rule matched. Of a tool that judges for itself that is an error of its own, and no failure of its exit's."""
    if tool.command.parse:
        return hearing.stop("tool", error_in_words(hearing.seen.exit_code, hearing.seen.facts))
    return hearing.stop("no-rule", "no rule matched")


def is_usable_control(tool: Tool, seen: Observation, values: Mapping[str, str], search: Search) -> str | None:
    """Why a control's own run is nothing to compare with; None: it is usable.

    It is judged as a run is, by the rules that need no controls. But where a rule says `ok` of what the controls show
    too, a control shows just that: what later rules then say of all others is not said of it. That goes for lies, and
    for rules without conditions; a failure stays one, however many fail alike. A control of which no rule speaks is
    usable if its tool succeeded.
    """
    judgement = _judge_control(tool, seen, values, search)
    if judgement.layer == "no-rule":
        is_well = not seen.timed_out and seen.exit_code in tool.command.ok_codes
        return None if is_well else f"it failed: exit status {text(seen.exit_code)}"
    if judgement.status is Status.OK:
        return None
    return f"{judgement.status}: {judgement.reason}" if judgement.reason else str(judgement.status)


def _judge_control(tool: Tool, seen: Observation, values: Mapping[str, str], search: Search) -> Judgement:
    hearing = _Hearing(seen, Controls((Control("exit", seen.facts, 0.0),), quorum=1), values, search)
    is_as_controls = False
    try:
        for place, rule in enumerate(tool.verdict):
            if compares(rule):
                is_as_controls |= rule.status is Status.OK and hearing.is_met(rule)
            elif is_as_controls and (rule.status.is_lie or not (rule.when or rule.any)):
                continue
            elif hearing.is_met(rule):
                return hearing.conclude(place, rule)
    except _NoValue as missing:
        return hearing.stop("tool", str(missing))
    return _unspoken(tool, hearing)


class _NoControls(Exception):
    """A rule has to be held against controls, and there are too few."""


class _NoValue(Exception):
    """An operand's placeholder has no value."""


@dataclass(slots=True)
class _Hearing:
    """One run before the rules. What could not be decided is remembered, and if anything could."""

    seen: Observation
    controls: Controls | None
    values: Mapping[str, str]
    search: Search
    undecided: dict[str, None] = field(default_factory=dict)
    is_any_decided: bool = False
    is_close: bool = False

    def is_met(self, rule: Rule) -> bool:
        """Whether all of `when` and one of `any` hold, where known. Raises _NoControls, _NoValue."""
        if not all(self._holds(condition) for condition in rule.when if not needs_controls(condition)):
            return False
        choices = [condition for condition in rule.any if needs_controls(condition)]
        is_chosen = not rule.any or any(self._holds(c) for c in rule.any if not needs_controls(c))
        if not is_chosen and not choices:
            return False
        if not all(self._holds(condition) for condition in rule.when if needs_controls(condition)):
            return False
        return is_chosen or any(self._holds(condition) for condition in choices)

    def conclude(self, place: int, rule: Rule) -> Judgement:
        """The judgement of the rule that matched."""
        if rule.status is Status.OK and self.undecided and not self.is_any_decided:
            return self.stop("control", f"the controls do not agree on {', '.join(self.undecided)}")
        shown = {name: self._shown(name) for name in names_in(rule.reason)}
        reason = fill_known(rule.reason, {name: value for name, value in shown.items() if value is not None})
        rests_on_few = self.is_close and rule.status is Status.OK
        return Judgement(rule.status, reason, place, "", tuple(self.undecided), rests_on_few)

    def stop(self, layer: str, reason: str) -> Judgement:
        """The judgement when no rule may speak."""
        return Judgement(Status.ERROR, reason, None, layer, tuple(self.undecided))

    def _holds(self, condition: Condition) -> bool:
        subject, is_comparison = condition.subject, needs_controls(condition)
        if is_comparison and (self.controls is None or not self.controls.is_enough):
            count = 0 if self.controls is None else len(self.controls.samples)
            raise _NoControls(f"{count or 'no'} control{'' if count == 1 else 's'} to compare {subject} with")
        try:
            operand = operand_of(condition, self.values)
        except KeyError as missing:
            raise _NoValue(f"{{{{{missing.args[0]}}}}} of a rule has no value") from None
        question = Question(subject, _value(self.seen, subject), operand, self.search, self.controls)
        answer = ask(condition.matcher, question)
        if answer is None:
            self.undecided[subject] = None
        elif self.controls is not None and is_comparison:
            self.is_any_decided = True
            majority = replace(question, controls=self.controls.by_majority())
            self.is_close |= ask(condition.matcher, majority) is not answer
        return answer is True

    def _shown(self, name: str) -> str | None:
        """What a reason shows for a placeholder; None: it is unknown, and stays. No fact passes for a parameter."""
        if name in self.values:
            value = self.values[name]
        elif name in RUN_SUBJECTS or _is_fact(self.seen.facts, name):
            value = text(_value(self.seen, name))
        else:
            return None
        return value if len(value) <= SHOWN_MAX else value[: SHOWN_MAX - 1] + "…"


def _value(seen: Observation, subject: str) -> Value:
    """What a condition speaks of. A run that did not fail has no failure."""
    if subject == "failure":
        return seen.failure or None
    if subject in RUN_SUBJECTS:
        value: Value = getattr(seen, subject)
        return value
    return look_up(seen.facts, subject)


def _is_fact(facts: Facts, path: str) -> bool:
    return path in facts or path.partition(".")[0] in facts


def compares(rule: Rule) -> bool:
    """Whether it asks what other vantages saw."""
    conditions: Sequence[Condition] = (*rule.when, *rule.any)
    return any(map(needs_controls, conditions))
