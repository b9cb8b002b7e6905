"""The table `[params.TOOL]` of the user's configuration: values for tools' parameters, kept as texts.

Pure. Which parameters a tool has, and what they may be, is known only when the tool is read: `params.py` checks that.
Called by `settings.py`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

NAME = "params"

Params = Mapping[str, Mapping[str, str]]
"""By tool, by parameter."""

_TOOL = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_PARAM = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_EXAMPLE = '[params.tls-cert] and, below it, host = "www.example.org"'


def read_params(given: object, path: str) -> tuple[dict[str, dict[str, str]], list[str]]:
    """The texts, and a line for each thing that is wrong. `path`: of the file, for the messages."""
    if not isinstance(given, dict):
        return {}, [f"{path}: {NAME}: must be tables; write {_EXAMPLE}"]
    params: dict[str, dict[str, str]] = {}
    wrong: list[str] = []
    for tool, table in given.items():
        if not isinstance(table, dict) or not _TOOL.fullmatch(tool):
            wrong.append(f"{path}: {NAME}.{tool}: must be a table with a tool's name; write {_EXAMPLE}")
            continue
        for name, value in table.items():
            if not _PARAM.fullmatch(name):
                wrong.append(f"{path}: {NAME}.{tool}.{name!r}: is no parameter's name")
                continue
            try:
                params.setdefault(tool, {})[name] = as_text(value)
            except ValueError:
                wrong.append(
                    f"{path}: {NAME}.{tool}.{name}: must be a text, a number, true, false or a list of these,"
                    f" not {type(value).__name__}"
                )
    return params, wrong


def as_text(value: Any) -> str:
    """A TOML value as a command line would give it; lists joined by commas. Raises ValueError for tables and times."""
    if isinstance(value, list) and not any(isinstance(item, list) for item in value):
        return ",".join(map(as_text, value))
    if not isinstance(value, str | int | float):
        raise ValueError(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def merged(layers: Iterable[Params]) -> dict[str, dict[str, str]]:
    """All layers as one; of a parameter that stands in several the last holds."""
    whole: dict[str, dict[str, str]] = {}
    for layer in layers:
        for tool, table in layer.items():
            whole.setdefault(tool, {}).update(table)
    return whole


def key_of(tool: str, name: str) -> str:
    """The name under which its origin is known."""
    return f"{NAME}.{tool}.{name}"
