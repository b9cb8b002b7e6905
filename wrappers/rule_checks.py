"""Whether a tool's rules can say what they mean: each condition one matcher that fits its fact, no rule out of reach,
no accusation without evidence. Yields problems; called by `tool_checks.py`."""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import regex

from ..orchestrator.audit.templates import BUILT_IN, fill_known, names_in
from ..orchestrator.outcomes import KINDS
from ..orchestrator.tool import CONTROL_MATCHERS, MATCHERS, RUN_SUBJECTS
from .tool_forms import ConditionForm, ExtractForm, RuleForm, ToolForm
from .tool_problems import Place, Problem, nearest, shown

_ACCUSING = ("tampered", "suspect")
_ABSENCES = ("exit_code", "signal", "timed_out", "failure", "absent", "empty")


@dataclass(frozen=True, slots=True)
class Names:
    """What placeholders and conditions may name."""

    params: set[str]
    facts: Mapping[str, ExtractForm]
    secrets: set[str]
    is_whole: bool = True

    def check(self, text: str, place: Place, *, is_reason: bool = False) -> Iterator[Problem]:
        """The placeholders of one text."""
        for name in names_in(text):
            base, dot, rest = name.partition(".")
            is_fact = base in self.facts and (not dot or rest == "count" or rest.isdecimal())
            if name in self.params or name in BUILT_IN:
                if is_reason and name in self.secrets:
                    yield Problem(place, f"{{{{{name}}}}} is a secret, and reasons are printed; leave it out")
            elif is_fact or name in RUN_SUBJECTS:
                if not is_reason:
                    yield Problem(place, f"{{{{{name}}}}} is known only after the run; use it in a reason")
            elif self.is_whole:
                valid = [*self.params, *BUILT_IN, *((*self.facts, *RUN_SUBJECTS) if is_reason else ())]
                yield Problem(place, f"nothing is named {{{{{name}}}}}; {nearest(name, valid)}")


def check_pattern(
    pattern: str, place: Place, *, wants_group: bool = False, is_empty_wrong: bool = False
) -> Iterator[Problem]:
    """Whether it compiles (by the package that will run it), and has a group where one is needed."""
    try:
        compiled = regex.compile(fill_known(pattern, dict.fromkeys(names_in(pattern), "x")))
    except regex.error as error:
        text = f"is no regular expression: {error}; a literal ( [ . * is written \\( \\[ \\. \\*"
        yield Problem(place, f"{text}, and the whole in 'single quotes'")
        return
    if wants_group and pattern and not compiled.groups:
        yield Problem(place, f"has no group for the version; write e.g. '{pattern} (\\S+)'")
    if is_empty_wrong and not pattern:
        yield Problem(place, "is empty, and would match anything; write what to find")


def check_rules(form: ToolForm, names: Names) -> Iterator[Problem]:
    """All rules, in their order."""
    if form.run.parse:
        return
    if "verdict" not in form.model_fields_set:
        rules = 'write e.g. verdict = [{ status = "ok" }], or, of a script that says itself what it found, run.parse'
        yield Problem(("verdict",), f"is missing; {rules}")
    elif not form.verdict:
        yield Problem(("verdict",), 'is empty: nothing would be judged; write at least [{ status = "ok" }]')
    catching: int | None = None
    for number, rule in enumerate(form.verdict):
        place = ("verdict", number)
        if catching is not None:
            yield Problem(place, f"is never reached: verdict[{catching}] has no condition; put that one last", True)
        elif rule.when is None and rule.any_ is None:
            catching = number
        if rule in form.verdict[:number]:
            yield Problem(place, "stands there twice; leave one out")
        yield from _rule(rule, place, form, names)
    if form.verdict and all(rule.status != "ok" for rule in form.verdict):
        yield Problem(("verdict",), 'no rule says ok; end with { status = "ok" }', True)


def _rule(rule: RuleForm, place: Place, form: ToolForm, names: Names) -> Iterator[Problem]:
    for key, conditions in (("when", rule.when), ("any", rule.any_)):
        if conditions is not None and not conditions:
            yield Problem((*place, key), f"is empty and asserts nothing; leave {key} out in a rule for all the rest")
        for number, condition in enumerate(conditions or ()):
            at = (*place, key, number)
            if condition in (conditions or ())[:number]:
                yield Problem(at, "stands there twice; leave one out")
            yield from _condition(condition, at, form, names)
    if rule.when is None and rule.any_ is None and rule.status in _ACCUSING:
        yield Problem(place, f"{rule.status} without a condition accuses whatever went wrong; write when = [...]")
    elif rule.status == "tampered" and _is_absence(rule):
        text = "tampered by what did not come: a dead target looks alike; ask for something that did, or say broken"
        yield Problem(place, text, True)
    if not rule.reason and rule.status != "ok":
        yield Problem((*place, "reason"), f'is missing; say why it is {rule.status}, e.g. "no answer"', True)
    yield from names.check(rule.reason, (*place, "reason"), is_reason=True)


def _is_absence(rule: RuleForm) -> bool:
    conditions = [*(rule.when or ()), *(rule.any_ or ())]
    words = [_given(condition) - {"field"} for condition in conditions]
    return bool(words) and all(word & set(_ABSENCES) for word in words)


def _given(condition: ConditionForm) -> set[str]:
    """The keys as they stand in the file."""
    return {type(condition).model_fields[name].alias or name for name in condition.model_fields_set}


def _condition(condition: ConditionForm, place: Place, form: ToolForm, names: Names) -> Iterator[Problem]:
    given = _given(condition)
    matchers = [name for name in MATCHERS if name in given]
    subjects = [name for name in RUN_SUBJECTS if name in given]
    if not given:
        yield Problem(place, 'is empty; write e.g. { field = "code", is = 200 }, or { timed_out = true }')
    elif condition.field is None and matchers:
        yield Problem((*place, "field"), f"is missing: {matchers[0]} of what? Valid are {', '.join(names.facts)}")
    elif len(subjects) + (condition.field is not None) > 1:
        several = " and ".join([*(["field"] if condition.field is not None else []), *subjects])
        yield Problem(place, f"asks of {several}; write a condition for each: [{{ ... }}, {{ ... }}]")
    elif condition.field is not None and len(matchers) != 1:
        which = f"has {' and '.join(matchers)}; write a condition for each" if matchers else "has no matcher"
        yield Problem(place, which + ("" if matchers else f"; valid are {', '.join(MATCHERS)}"))
    elif condition.field is not None:
        yield from _field(condition.field, matchers[0], place, form, names)
    for name in given - {"field"}:
        yield from _operand(condition, name, place, names)


def _field(field: str, matcher: str, place: Place, form: ToolForm, names: Names) -> Iterator[Problem]:
    base, dot, rest = field.partition(".")
    if matcher in CONTROL_MATCHERS and form.baseline.mode == "none":
        yield Problem((*place, matcher), 'there are no controls with baseline.mode = "none"; write mode = "exits"')
    if base in RUN_SUBJECTS:
        if matcher in CONTROL_MATCHERS or dot:
            yield Problem((*place, "field"), f"{field} is no fact: controls are compared by what was extracted")
        return
    fact = names.facts.get(base)
    if fact is None and not names.is_whole:
        return
    if fact is None:
        hint = f"add extract.{base} = {{ from = \"stdout\", regex = '...' }}"
        valid = [*names.facts, *RUN_SUBJECTS]
        yield Problem((*place, "field"), f'"{base}" is not extracted; {nearest(base, valid)}; or {hint}')
        return
    yield from _fitting(fact, base, rest if dot else None, matcher, place)
    if matcher in CONTROL_MATCHERS and form.baseline.mode == "pinned" and base not in form.baseline.pins:
        yield Problem((*place, "field"), f'"{base}" has no pin to compare with; write baseline.pins.{base} = "..."')


def _fitting(fact: ExtractForm, base: str, rest: str | None, matcher: str, place: Place) -> Iterator[Problem]:
    """Whether the matcher fits what the fact is."""
    listed = (fact.every or fact.form == "set" or fact.pem is not None or fact.lines) and fact.form != "size"
    if rest is not None:
        if rest != "count" and not rest.isdecimal():
            yield Problem((*place, "field"), f'"{base}.{rest}": after the dot comes a number (from 0) or "count"')
        elif not listed:
            how = f"extract.{base}.all = true"
            yield Problem((*place, "field"), f'"{base}" is one value; write field = "{base}", or {how}')
        elif rest != "count" and fact.form == "set":
            yield Problem((*place, "field"), f'"{base}" is a set and has no order; leave .{rest} out')
    is_number = fact.type in ("int", "float") or fact.form == "size" or rest == "count"
    if matcher in ("gt", "lt") and not is_number and fact.source != "facts":
        yield Problem((*place, matcher), f'"{base}" is a text; write extract.{base}.type = "int"')


def _operand(condition: ConditionForm, name: str, place: Place, names: Names) -> Iterator[Problem]:
    at = (*place, name)
    attribute = next(key for key, field in type(condition).model_fields.items() if (field.alias or key) == name)
    value = getattr(condition, attribute)
    items = value if isinstance(value, tuple) else (value,)
    for item in items:
        if isinstance(item, str):
            yield from names.check(item, at)
    if name == "matches":
        yield from check_pattern(value, at, is_empty_wrong=True)
    elif name == "in_cidr":
        yield from _networks(items, at)
    elif name == "failure":
        for item in items:
            if item not in KINDS:
                yield Problem(at, f"{shown(item)} is no kind of failure; {nearest(str(item), KINDS)}")
    elif name in ("exit_code", "signal"):
        most = 255 if name == "exit_code" else 64
        for item in items:
            if isinstance(item, bool) or not str(item).isdecimal() or int(item) > most:
                yield Problem(at, f"must be a whole number up to {most}, or a list of these, not {shown(item)}")


def _networks(items: tuple[object, ...], place: Place) -> Iterator[Problem]:
    for item in items:
        if names_in(str(item)):
            continue
        try:
            ipaddress.ip_network(str(item))
        except ValueError as error:
            yield Problem(place, f'{error}; write e.g. "192.0.2.0/24"')
