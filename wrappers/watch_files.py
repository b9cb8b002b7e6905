"""The form of a watch's plan: TOML, of which every key is known, and all that is wrong told at once.

What the options of `exitpin audit` may be is said once, by its parser: a key of `[[scan]]` that is not of this form is
one of those, and handed on as it is. `cli/watch_plan.py` calls this, lazily, and knows them.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, ValidationError

from ..orchestrator.audit.alerts import STATUSES, TIMEOUT_MAX_S, TIMEOUT_MIN_S
from ..orchestrator.errors import EXIT_USAGE, OperatorError
from ..orchestrator.watch.plan import SCHEMA
from .output import printable
from .tool_forms import Form
from .tool_problems import key_path, nearest, shown
from .tool_values import Duration, Text

SIZE_MAX = 1 << 20
INTERVAL_MIN_S = 1.0
NAME = r"^[a-z0-9][a-z0-9_.-]{0,63}$"
NAME_IN_WORDS = "small letters, digits, '_', '.' and '-', 64 at most"
_TYPES = {
    "string_type": "a text", "list_type": "a list", "dict_type": "a table", "model_type": "a table",
    "model_attributes_type": "a table", "too_short": "a list with something in it",
}  # fmt: skip


def _status(given: str) -> str:
    if given not in STATUSES:
        raise ValueError(f"must be one of {', '.join(STATUSES)}")
    return given


def _timeout(given: float) -> float:
    if not TIMEOUT_MIN_S <= given <= TIMEOUT_MAX_S:
        raise ValueError(f"must be from {TIMEOUT_MIN_S:g} s to {TIMEOUT_MAX_S:g} s")
    return given


def _interval(given: float) -> float:
    if given < INTERVAL_MIN_S:
        raise ValueError(f"must be at least {INTERVAL_MIN_S:g} s")
    return given


def _tool(given: str) -> str:
    if given.startswith("-"):
        raise ValueError("must be a tool (options are keys of [[scan]])")
    return given


class AlertForm(Form):
    """For which statuses, by what command, and how long that may take."""

    on: list[Annotated[str, AfterValidator(_status)]] = Field(min_length=1)
    command: list[str] = Field(min_length=1)
    timeout: Annotated[Duration, AfterValidator(_timeout)] | None = None


class ScanForm(Form):
    """One `[[scan]]`. `options`: the keys that are options of `exitpin audit`."""

    name: str = Field(pattern=NAME)
    tools: list[Annotated[str, AfterValidator(_tool)]] = Field(min_length=1)
    interval: Annotated[Duration, AfterValidator(_interval)]
    jitter: Duration = 0.0
    params: dict[str, Text] = Field(default={})
    select: dict[str, Any] = Field(default={})
    alert: AlertForm | None = None
    options: dict[str, Any] = Field(default={})


SCAN_KEYS = tuple(key for key in ScanForm.model_fields if key != "options")


class OutputForm(Form):
    """Files: where records are kept, and where it is told how the watch is doing."""

    store: str | None = None
    prometheus: str | None = None
    status: str | None = None


class PlanForm(Form):
    """The whole file. `name` None: as the file is called."""

    version: str = Field(alias="schema")
    name: str | None = Field(default=None, pattern=NAME)
    scan: list[ScanForm] = Field(min_length=1)
    output: OutputForm = OutputForm()


class PlanFileError(OperatorError):
    """A file that is no plan. Its message has a line for each problem."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        lines = [printable(f"{path}: {problem}") for problem in problems]
        super().__init__("\n".join(lines), "\nNothing was started.", EXIT_USAGE)


class Reading(NamedTuple):
    """What stands in a file. `form`: None where `problems` says why; `tables`: of each scan, as far as it is one, by
    its place, what is no form's to judge: its options, and what it selects."""

    form: PlanForm | None
    problems: list[str]
    tables: dict[int, tuple[dict[str, Any], dict[str, Any]]]


def read_form(path: Path) -> Reading:
    """The plan in a file, as far as its form goes. Raises PlanFileError for what is no plan at all."""
    table = _table(path)
    version = table.get("schema")
    if version != SCHEMA:
        given = "is missing" if version is None else f"{shown(version)} is none that this version reads"
        raise PlanFileError(path, [f'schema: {given}; write schema = "{SCHEMA}" at the top'])
    whole = _with_options(table)
    tables = {place: (scan["options"], _table_in(scan, "select")) for place, scan in enumerate(_scans(whole))}
    try:
        return Reading(PlanForm.model_validate(whole), [], tables)
    except ValidationError as error:
        return Reading(None, [f"{key_path(place)}: {text}" for place, text in _explained(error)], tables)


def _table(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise OperatorError(
            f"{path} can't be read: {error.strerror}.", "Name the file of a plan.", EXIT_USAGE
        ) from error
    if len(text) > SIZE_MAX:
        raise PlanFileError(path, [f"it has more than {SIZE_MAX >> 20} MiB"])
    try:
        return tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # tomllib's own, and bytes that are no UTF-8
        raise PlanFileError(path, [f"not TOML: {error}"]) from error


def _with_options(table: Mapping[str, Any]) -> dict[str, Any]:
    """The same, the keys of each scan that are not this form's in a table of their own."""
    scans = _scans(table)
    if not scans:
        return dict(table)
    return {
        **table,
        "scan": [
            {
                **{key: value for key, value in scan.items() if key in SCAN_KEYS},
                "options": {key: value for key, value in scan.items() if key not in SCAN_KEYS},
            }
            for scan in scans
        ],
    }


def _scans(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """None, where they are no list of tables."""
    scans = table.get("scan")
    return scans if isinstance(scans, list) and all(isinstance(scan, dict) for scan in scans) else []


def _table_in(scan: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = scan.get(key)
    return found if isinstance(found, dict) else {}


def _explained(error: ValidationError) -> Iterator[tuple[tuple[str | int, ...], str]]:
    forms: dict[tuple[str, ...], type[Form]] = {
        (): PlanForm,
        ("output",): OutputForm,
        ("scan", "alert"): AlertForm,
        ("scan",): ScanForm,
    }
    for each in error.errors():
        place, kind, given = tuple(each["loc"]), each["type"], each["input"]
        if kind == "extra_forbidden":
            form = forms[tuple(part for part in place[:-1] if isinstance(part, str))]
            keys = [field.alias or name for name, field in form.model_fields.items()]
            yield place, f"no such key; {nearest(str(place[-1]), keys)}"
        elif kind == "missing":
            yield place, "is missing"
        elif kind == "string_pattern_mismatch":
            yield place, f"{shown(given)} is no name: {NAME_IN_WORDS}"
        elif kind == "value_error":
            yield place, f"{each['ctx']['error']}, not {shown(given)}"
        else:
            yield place, f"must be {_TYPES.get(kind, each['msg'])}, not {shown(given)}"
