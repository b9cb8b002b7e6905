"""The tools of `exitpin audit`, with their parameters: from the command line, or from a scan that goes on."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...wrappers.output import printable
from ...wrappers.tool_files import is_path, load_catalogue
from ..audit.keys import audit_key
from ..audit.params import Bound, bind, share
from ..errors import EXIT_USAGE, OperatorError
from ..settings import Settings
from ..tool import Tool
from .audit_resume import Resumed, check_tool, given_values


@dataclass(frozen=True, slots=True)
class Chosen:
    """Tools with their parameters and their keys. By tool id: `given`, the parameters that somebody gave a value;
    `words`, how the tool was named, where that is not by its id."""

    bound: list[tuple[Tool, Bound, str]]
    given: Mapping[str, frozenset[str]]
    words: Mapping[str, str]

    @property
    def secrets(self) -> dict[str, tuple[str, ...]]:
        """By tool, the secret parameters that somebody gave: they are kept nowhere."""
        found = {tool.id: sorted(one.secret & self.given[tool.id]) for tool, one, _ in self.bound}
        return {tool_id: tuple(names) for tool_id, names in found.items() if names}


def choose_tools(
    args: argparse.Namespace,
    settings: Settings,
    environment: Mapping[str, str],
    resumed: Resumed | None,
    *,
    is_lab: bool,
) -> Chosen:
    """The tools, all that is wrong with their parameters told at once. Raises OperatorError."""
    catalogue = load_catalogue(environment, Path.cwd())
    tools = catalogue.resolve(args.tools)
    for note in catalogue.notes:
        print(f"exitpin: {printable(note)}", file=sys.stderr)
    given = share(tools, args.params)
    configured = {} if is_lab else settings.params
    words = {catalogue.at(word).usable().id: str(Path(word).absolute()) for word in args.tools if is_path(word)}
    bound, wrong = [], []
    for tool in tools:
        known = given_values(resumed, tool.id) if resumed is not None else {}
        try:
            one = bind(tool, {**known, **given[tool.id]}, settings.params.get(tool.id, {}), is_lab=is_lab)
        except OperatorError as error:
            wrong.append(error.message)
            continue
        key = audit_key(tool.digest, one.values)
        if resumed is not None:
            check_tool(resumed, tool.id, tool.digest, key)
        bound.append((tool, one, key))
    if wrong:
        raise OperatorError("\n".join(wrong), "Nothing was started.", EXIT_USAGE)
    return Chosen(bound, {t.id: _given(t, given[t.id], configured, resumed) for t in tools}, words)


def _given(
    tool: Tool, given: Mapping[str, str], configured: Mapping[str, Mapping[str, str]], resumed: Resumed | None
) -> frozenset[str]:
    """The parameters whose value is nobody's default."""
    if resumed is not None:
        known = next(each for each in resumed.scan["tools"] if each["id"] == tool.id)
        return frozenset({*known["given"], *given})
    return frozenset({*given, *configured.get(tool.id, {})})
