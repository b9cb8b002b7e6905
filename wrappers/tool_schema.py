"""From the table of a tool's file to the frozen `Tool`, or to all that is wrong with it at once.

The schema's version is looked at first: of a file from the future nothing else can be said. Then the form
(`tool_forms.py`), then what the parts mean to one another (`tool_checks.py`), also of what is right in a file that is
wrong elsewhere. Reads no files: `tool_files.py` does, which alone calls this, lazily, since pydantic takes its time.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from ..orchestrator.audit.said import EXTRACTS, RULES
from ..orchestrator.tool import (
    FOLD_ALL,
    RUN_SUBJECTS,
    SCHEMA,
    Baseline,
    Command,
    Condition,
    Confirm,
    Door,
    Extract,
    Fixture,
    Limits,
    Requirement,
    Rule,
    Status,
    Tool,
    Value,
)
from .input_checks import param_of
from .tool_checks import check, facts_of
from .tool_forms import ConditionForm, ControlForm, ExtractForm, FixtureForm, RuleForm, RunForm, ToolForm
from .tool_problems import Place, Problem, ToolFileError, explain, shown, without

__all__ = ["ToolFileError", "read_tool"]

_FAMILY, _, _VERSION = SCHEMA.rpartition("/")
_ROUNDS = 5


def read_tool(
    table: Mapping[str, Any],
    path: str,
    *,
    stem: str | None = None,
    script: str | None = None,
    digest: str = "",
    origins: Mapping[tuple[str, ...], str] | None = None,
) -> tuple[Tool, list[str]]:
    """The tool, and warnings, a line each.

    `path`: the file, named in messages and kept in the tool; `stem`: the id that its name asks for (by default from
    `path`; empty: any); `script`: the text of the script that holds the table, which then is `{{script}}`; `origins`:
    which file a key came from, when it was another than `path`.

    Raises ToolFileError with a line for each problem.
    """
    stem = PurePath(path).stem if stem is None else stem
    problems, form = _read(dict(table), stem, script)
    wrong = [problem for problem in problems if not problem.is_warning]
    if wrong or form is None:
        raise ToolFileError([_told(problem, path, origins) for problem in wrong])
    warnings = [_told(problem, path, origins) for problem in problems]
    return _tool(form, path, script, digest), warnings


def _told(problem: Problem, path: str, origins: Mapping[tuple[str, ...], str] | None) -> str:
    names = tuple(str(part) for part in problem.place)
    origin = next((o for n in range(len(names), 0, -1) if (o := (origins or {}).get(names[:n]))), path)
    return problem.told(origin)


def _read(table: dict[str, Any], stem: str, script: str | None) -> tuple[list[Problem], ToolForm | None]:
    if unreadable := _wrong_version(table.get("schema")):
        return [Problem(("schema",), unreadable)], None
    problems: list[Problem] = []
    lost: set[Place] = set()
    for _ in range(_ROUNDS):
        try:
            form = ToolForm.model_validate(table)
        except ValidationError as error:
            found = [each for each in explain(error) if not any(each.is_near(place) for place in lost)]
            problems += found
            table, gone = without(table, explain(error))
            lost |= gone
            continue
        is_whole = not any(len(place) == 1 or (len(place) == 2 and place[0] in ("params", "extract")) for place in lost)
        checked = check(form, stem, script, is_whole=is_whole)
        problems += [each for each in checked if not any(each.is_near(place) for place in lost)]
        return problems, form
    return problems, None


def _wrong_version(given: object) -> str:
    """What is to be said of a schema that is not ours; empty if it is."""
    if given == SCHEMA:
        return ""
    if given is None:
        return f'is missing; write schema = "{SCHEMA}" at the top'
    match = re.fullmatch(rf"{re.escape(_FAMILY)}/(\d{{1,9}})", given) if isinstance(given, str) else None
    if match is not None and int(match[1]) > int(_VERSION):
        return f"{shown(given)} is of a later version of exitpin; this one reads {SCHEMA}: upgrade exitpin"
    return f'{shown(given)} is not a schema that this version reads; write schema = "{SCHEMA}"'


def _tool(form: ToolForm, path: str, script: str | None, digest: str) -> Tool:
    is_pinned, parse = form.baseline.mode == "pinned", form.run.parse or ""
    baseline = form.baseline
    return Tool(
        id=form.id,
        summary=form.summary,
        command=_command(form.run),
        verdict=RULES.get(parse) or tuple(map(_rule, form.verdict)),
        description=form.description,
        severity=form.severity,
        tags=tuple(form.tags),
        authors=tuple(form.authors),
        references=tuple(form.references),
        by_hand=tuple(form.by_hand),
        requires=tuple(
            Requirement(name, tuple(each.argv), each.stream, each.regex, each.minimum, each.maximum)
            for name, each in form.requires.items()
        ),
        params=tuple(param_of(name, each) for name, each in form.params.items()),
        doors=tuple(Door(each.host, each.port, each.url) for each in form.destination),
        select=form.select,
        extracts=(
            *EXTRACTS.get(parse, ()),
            *(_extract(name, each) for name, each in facts_of(form, script).items()),
        ),
        baseline=Baseline(
            baseline.mode,
            baseline.exits,
            baseline.quorum or (1 if is_pinned else 2),  # a pin is one control, and it is agreed upon
            baseline.max_age,
            tuple(baseline.distinct),
            tuple(baseline.pins.items()),
        ),
        confirm=Confirm(
            form.confirm.runs,
            tuple(map(Status, form.confirm.statuses)),
            form.confirm.new_circuit,
            form.confirm.recheck_baseline,
        ),
        keep=tuple(form.keep.items()),
        redact=tuple(form.redact),
        fixtures=tuple(map(_fixture, form.test)),
        path=path,
        script=path if script is not None else "",
        digest=digest,
    )


def _command(run: RunForm) -> Command:
    limits = run.limits
    return Command(
        argv=tuple(run.argv),
        stdin=run.stdin,
        environment=tuple(run.env.items()),
        timeout_s=run.timeout,
        kill_after_s=run.kill_after,
        retries=run.retries,
        ok_codes=tuple(run.ok_codes),
        limits=Limits(limits.stdout, limits.stderr, limits.artifacts, limits.memory, limits.cpu, limits.procs),
        resolve=run.network.dns,
        containment=run.containment,
        cwd=run.cwd,
        parse=run.parse or "",
    )


def _extract(name: str, each: ExtractForm) -> Extract:
    how, argument = "text", ""
    if each.regex is not None:
        how, argument = "regex", each.regex
    elif each.pointer is not None:
        how, argument = "json", each.pointer
    elif each.pem is not None:
        how, argument = "pem", each.pem
    elif each.lines:
        how = "lines"
    every = bool(each.every) or how in ("pem", "lines")
    fold = FOLD_ALL if each.fold is True else each.fold or ""
    return Extract(name, each.source, how, argument, each.form, every, each.type, tuple(each.filter), fold)


def _rule(rule: RuleForm) -> Rule:
    when = tuple(map(_condition, rule.when or ()))
    return Rule(Status(rule.status), when, tuple(map(_condition, rule.any_ or ())), rule.reason)


def _condition(form: ConditionForm) -> Condition:
    subject, matcher, operand = next(_matchings(form))
    if isinstance(operand, tuple) and matcher == "is" and subject in RUN_SUBJECTS:
        matcher = "in"
    if matcher == "in_cidr" and isinstance(operand, str):
        operand = (operand,)
    return Condition(subject, matcher, operand)


def _matchings(form: ConditionForm) -> Iterator[tuple[str, str, Value]]:
    """The condition's subject, matcher and operand: a checked one has exactly one of each."""
    for attribute in form.model_fields_set - {"field"}:
        name = type(form).model_fields[attribute].alias or attribute
        operand: Value = getattr(form, attribute)
        yield (name, "is", operand) if name in RUN_SUBJECTS else (form.field or "", name, operand)


def _fixture(form: FixtureForm) -> Fixture:
    control = form.control or ControlForm()
    return Fixture(
        expect=Status(form.expect),
        stdout=form.stdout,
        stderr=form.stderr,
        exit_code=form.exit_code,
        failure=form.failure,
        artifacts=tuple(form.artifacts.items()),
        facts=form.facts,
        control=control.stdout,
        control_exit_code=control.exit_code,
        control_artifacts=tuple(control.artifacts.items()),
        control_facts=control.facts,
        params=tuple(form.params.items()),
    )
