"""What is wrong with a tool's file, in the author's words: the key as they would write it, and what to write instead.

Turns pydantic's errors into problems, and takes what caused them out of the table, so that the rest can be checked in
the same go. Called by `tool_schema.py`.
"""

import copy
import json
import re
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..orchestrator.errors import EXIT_USAGE, OperatorError
from .tool_forms import BaselineForm, ConfirmForm, Form, LimitsForm, NetworkForm, RunForm, ToolForm

Place = tuple[str | int, ...]

_TYPES = {
    "string_type": "a text", "int_type": "a whole number", "int_from_float": "a whole number",
    "bool_type": "true or false", "list_type": "a list", "dict_type": "a table", "model_type": "a table",
    "model_attributes_type": "a table",
}  # fmt: skip
_BOUNDS = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
_HOMES: tuple[tuple[str, type[Form]], ...] = (
    ("run", RunForm), ("run.limits", LimitsForm), ("run.network", NetworkForm), ("baseline", BaselineForm),
    ("confirm", ConfirmForm),
)  # fmt: skip
_MEANT = {
    "command": "run.argv", "cmd": "run.argv", "args": "run.argv", "matchers": "verdict", "rules": "verdict",
    "extractors": "extract", "tests": "test", "controls": "baseline", "hosts": "destination", "name": "summary",
    "equals": "is", "eq": "is", "ne": "not", "contains": "matches", "regexp": "regex", "minimum": "min",
}  # fmt: skip
_FILLING: dict[str, Any] = {
    "schema": "exitpin.tool/1", "id": "x", "summary": "x", "run": {"argv": ["x"]}, "argv": ["x"], "status": "ok",
    "verdict": [{"status": "ok"}], "expect": "ok",
}  # fmt: skip


class ToolFileError(OperatorError):
    """A file (or several) that is no tool. `problems`: a line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems), "", EXIT_USAGE)
        self.problems = list(problems)


@dataclass(frozen=True, slots=True)
class Problem:
    """`place`: the keys and positions that lead there; empty: the file itself."""

    place: Place
    text: str
    is_warning: bool = False

    def told(self, path: str) -> str:
        """One line: file, key, what is wrong and what to write instead; no terminal obeys anything in it."""
        key = key_path(self.place)
        line = f"{path}: {key + ': ' if key else ''}{self.text}"
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)

    def is_near(self, other: Place) -> bool:
        """Whether one of the places lies within the other."""
        shared = min(len(self.place), len(other))
        return self.place[:shared] == other[:shared]


def key_path(place: Place) -> str:
    """`verdict[1].when[0].regex`, with quotes where TOML wants them."""
    path = ""
    for part in place:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            key = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part)
            path += f".{key}" if path else key
    return path


def nearest(word: str, valid: Iterable[str]) -> str:
    """`did you mean "x"? Valid are ...`: what to write instead of `word`."""
    names = list(valid)
    near = get_close_matches(word.lower().replace("-", "_"), names, 1, 0.6) or get_close_matches(word, names, 1, 0.6)
    listed = f"valid are {', '.join(names)}" if names else "there are none"
    return f'did you mean "{near[0]}"? {listed[0].upper()}{listed[1:]}' if near else listed


def shown(given: object) -> str:
    """A value as TOML has it, cut short."""
    if isinstance(given, dict):
        return "a table"
    if isinstance(given, list):
        return "a list" if given else "[]"
    text = json.dumps(given, ensure_ascii=False) if isinstance(given, str | bool | int | float) else str(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def explain(error: ValidationError) -> list[Problem]:
    """A problem for each of pydantic's errors."""
    return [Problem(tuple(each["loc"]), _explain(each)) for each in error.errors()]


def _explain(each: ErrorDetails) -> str:
    place, kind, given = tuple(each["loc"]), each["type"], each["input"]
    key = key_path(place[-1:])
    if kind == "extra_forbidden":
        return _unknown(place)
    annotation, example = _annotation_at(place)
    write = f"; write e.g. {key} = {example}" if example and not isinstance(place[-1], int) else ""
    if kind == "missing":
        return f"is missing{write}"
    if kind == "literal_error":
        return f"{shown(given)} is not valid; {nearest(str(given), map(str, get_args(annotation)))}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"must be {words} {each['ctx'][name]}, not {shown(given)}"
    if kind == "value_error":
        return f"{each['ctx']['error']}, not {shown(given)}"
    return f"must be {_TYPES.get(kind, each['msg'])}, not {shown(given)}{write}"


def _unknown(place: Place) -> str:
    name = str(place[-1])
    annotation, _ = _annotation_at(place[:-1])
    keys = _keys(annotation)
    meant = _MEANT.get(name, "")
    if meant and (meant in keys or (len(place) == 1 and meant.partition(".")[0] in keys)):
        return f'no such key; did you mean "{meant}"? Valid are {", ".join(keys)}'
    homes = [f"{home}.{name}" for home, form in _HOMES if name in _keys(form)]
    if homes and not get_close_matches(name, keys, 1, 0.75):
        return f'no such key here; did you mean "{homes[0]}"? Valid here are {", ".join(keys)}'
    return f"no such key; {nearest(name, keys)}"


def _keys(form: Any) -> list[str]:
    if not (isinstance(form, type) and issubclass(form, Form)):
        return []
    return [field.alias or name for name, field in form.model_fields.items()]


def _annotation_at(place: Place) -> tuple[Any, str]:
    """The type that the form wants at a place, and an example of a value."""
    annotation: Any = ToolForm
    example = ""
    for part in place:
        annotation = _bare(annotation)
        if isinstance(annotation, type) and issubclass(annotation, Form):
            field = next((f for name, f in annotation.model_fields.items() if (f.alias or name) == part), None)
            if field is None:
                return None, ""
            annotation, example = field.annotation, field.description or ""
            if not example and get_origin(annotation) is Literal:
                example = f'"{get_args(annotation)[0]}"'
        else:
            annotation, example = (get_args(annotation) or (None,))[-1], ""
    return _bare(annotation), example


def _bare(annotation: Any) -> Any:
    """Without Annotated and None."""
    while get_origin(annotation) in (Annotated, Union, types.UnionType):
        annotation = next(each for each in get_args(annotation) if each is not type(None))
    return annotation


def without(table: dict[str, Any], problems: Iterable[Problem]) -> tuple[dict[str, Any], set[Place]]:
    """The table without what is wrong in it (what is missing filled with something), and the places that were lost."""
    pruned = copy.deepcopy(table)
    lost: set[Place] = set()
    for problem in problems:
        place = problem.place
        steps = list(_walk(pruned, place))
        while len(steps) < len(place) or (place and isinstance(place[-1], int)):
            place = place[:-1]
        lost.add(problem.place)
        if not place:
            continue
        parent, key = steps[len(place) - 1], place[-1]
        if isinstance(parent, dict):
            if key in parent and (key not in _FILLING or len(place) > 1):
                del parent[key]
            if key in _FILLING:
                parent[key] = copy.deepcopy(_FILLING[str(key)])
    return pruned, lost


def _walk(table: Any, place: Place) -> Iterator[Any]:
    """The containers on the way to a place, as far as they are there."""
    for part in place:
        if not isinstance(table, dict | list):
            return
        yield table
        if isinstance(table, dict):
            table = table.get(str(part))
        else:
            table = table[part] if isinstance(part, int) and part < len(table) else None
