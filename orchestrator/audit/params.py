"""Parameters of a tool become texts, and its doors become destinations.

Pure. A value comes from the command line, else (in the lab) the tool's lab default, else the user's configuration, else
its default. Some values hold placeholders that only a run can fill, such as a name that is unique for each run: then
exits are chosen by the port alone, and the run's own destinations are known when it starts. Called by whoever plans an
audit and by whoever starts a run.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product

from ..errors import EXIT_USAGE, OperatorError
from ..model import Destination, Relay
from ..tool import Door, Param, Tool
from .param_types import describe, parse_value, split_list, split_url
from .templates import fill, fill_known, names_in

ANY_HOST = "*"
"""Stands for a host that only the run knows, where exits are chosen."""

_UNKNOWN = "x"


@dataclass(frozen=True, slots=True)
class Bound:
    """A tool with a value for each of its parameters. `values`: checked texts, a list's items joined by commas, which
    may hold placeholders of what only a run knows. `secret`: the names of those that are never shown or stored."""

    tool: Tool
    values: Mapping[str, str]
    secret: frozenset[str] = frozenset()


def bind(tool: Tool, given: Mapping[str, str], configured: Mapping[str, str], *, is_lab: bool) -> Bound:
    """The tool's parameters. `given`: of the command line; `configured`: [params.TOOL] of the user's configuration.

    Raises OperatorError with a line for each parameter that is unknown, missing or not valid.
    """
    wrong = [_unknown(tool, name, "-p") for name in given if tool.param(name) is None]
    wrong += [_unknown(tool, name, f"[params.{tool.id}]") for name in configured if tool.param(name) is None]
    values: dict[str, str] = {}
    for param in tool.params:
        text, origin = _text_of(param, given, configured, is_lab)
        if text is None:
            wrong.append(_missing(tool, param))
            continue
        try:
            values[param.name] = ",".join(parse_value(param, item) for item in split_list(param, text))
        except ValueError as error:
            told = "***" if param.is_secret else repr(text)
            wrong.append(f"{tool.id}: {param.name} ({origin}) must be {error}, not {told}.")
    if wrong:
        raise OperatorError("\n".join(wrong), "Nothing was started.", EXIT_USAGE)
    return Bound(tool, values, frozenset(param.name for param in tool.params if param.is_secret))


def _text_of(
    param: Param, given: Mapping[str, str], configured: Mapping[str, str], is_lab: bool
) -> tuple[str | None, str]:
    """The text that is in force, and where it is from."""
    found = [(given.get(param.name), "-p")]
    if is_lab:  # what is configured is for the real network: the lab has no such host
        found.append((param.lab, "its default for the lab"))
    found += [(configured.get(param.name), "your configuration"), (param.default, "its default")]
    return next(((text, origin) for text, origin in found if text is not None), (None, ""))


def _unknown(tool: Tool, name: str, origin: str) -> str:
    names = [param.name for param in tool.params]
    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names) or 'none'}."
    return f"{tool.id}: there is no parameter {name!r} ({origin}); {hint}"


def _missing(tool: Tool, param: Param) -> str:
    what = f" ({param.help})" if param.help else ""
    example = f"-p {param.name}=..."
    return (
        f"{tool.id}: {param.name}{what} has no default: give {example}, or write {param.name} = ... under"
        f" [params.{tool.id}] in config.toml; it must be {describe(param)}."
    )


def share(tools: Sequence[Tool], words: Iterable[str]) -> dict[str, dict[str, str]]:
    """What `-p` gave, for each tool by its id: `NAME=VALUE` is for all tools that have that parameter, and
    `TOOL.NAME=VALUE` for one.

    Raises OperatorError for a word without `=`, and for a name that none of the tools has.
    """
    shared: dict[str, dict[str, str]] = {tool.id: {} for tool in tools}
    own: dict[str, dict[str, str]] = {tool.id: {} for tool in tools}
    wrong: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            wrong.append(f"-p {word}: write NAME=VALUE, or TOOL.NAME=VALUE.")
            continue
        prefix, _, rest = name.partition(".")
        takers = [tool for tool in tools if tool.param(name)]
        if not takers and rest:
            takers = [tool for tool in tools if tool.id == prefix and tool.param(rest)]
            name = rest if takers else name
            own.update({tool.id: {**own[tool.id], name: value} for tool in takers})
        else:
            shared.update({tool.id: {**shared[tool.id], name: value} for tool in takers})
        if not takers:
            names = sorted({param.name for tool in tools for param in tool.params})
            near = get_close_matches(name, names, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'none'}."
            wrong.append(f"-p {name}=...: no tool here has that parameter; {hint}")
    if wrong:
        raise OperatorError("\n".join(wrong), "Nothing was started.", EXIT_USAGE)
    return {tool.id: {**shared[tool.id], **own[tool.id]} for tool in tools}


def selection_destinations(tool: Tool, bound: Bound | Mapping[str, str]) -> tuple[Destination, ...]:
    """Where the tool goes, as far as it is known before a run: by this exits are chosen. The host is `*` where only the
    run knows it."""
    values = bound.values if isinstance(bound, Bound) else bound
    return tuple(dict.fromkeys(each for door in tool.doors for each in _destinations(door, tool, values)))


def run_destinations(tool: Tool, values: Mapping[str, str], exit: Relay | None = None) -> tuple[Destination, ...]:
    """The only destinations that a run may open. `values`: as `run_values` has them.

    With `exit`, and a tool that goes to `any` of its doors, those that the exit's policy refuses are left out.
    """
    found = selection_destinations(tool, values)
    if exit is None or tool.select == "all":
        return found
    return tuple(each for each in found if not each.port or is_allowed(exit, each))


def is_allowed(exit: Relay, destination: Destination) -> bool:
    """Whether the exit's declared policy lets a stream out to there."""
    return exit.policy is not None and exit.policy.allows(destination.host, destination.port)


def _destinations(door: Door, tool: Tool, values: Mapping[str, str]) -> Iterator[Destination]:
    """One door: one destination for each combination of the items of the lists that it names."""
    names = dict.fromkeys(names_in(f"{door.host} {door.port} {door.url}"))
    lists = [name for name in names if (param := tool.param(name)) and param.is_list and name in values]
    for items in product(*(values[name].split(",") for name in lists)):
        yield _destination(door, {**values, **dict(zip(lists, items, strict=True))})


def _destination(door: Door, values: Mapping[str, str]) -> Destination:
    if not door.url:
        return Destination(_host(fill_known(door.host, values)), _port(fill(door.port, values)))
    url = fill_known(door.url, values)
    _, host, port = split_url(fill_known(url, dict.fromkeys(names_in(url), _UNKNOWN)))
    authority = url.partition("://")[2].partition("/")[0]
    return Destination(ANY_HOST if names_in(authority) else _host(host), port)


def _host(text: str) -> str:
    return ANY_HOST if names_in(text) else text.lower().rstrip(".")


def _port(text: str) -> int:
    """0 is a look-up and no connection. Raises OperatorError: the file says that a number parameter is a port."""
    if not text.isdecimal() or int(text) > 65535:
        raise OperatorError(f"{text!r} is no port from 0 to 65535.", "Nothing was started.", EXIT_USAGE)
    return int(text)


def run_values(bound: Bound, exit: Relay, *, run_id: str, nonce: str, artifacts: str) -> dict[str, str]:
    """All that a run's placeholders stand for. `nonce`: 16 hex digits, anew for each run; `artifacts`: its folder."""
    tool = bound.tool
    known = {
        "exit.fp": exit.fingerprint,
        "exit.fp8": exit.fingerprint[:8],
        "exit.nick": exit.nickname,
        "exit.ip": exit.address,
        "exit.ports": "",
        "run.id": run_id,
        "nonce": nonce,
        "artifacts": artifacts,
        "script": tool.script,
        "tool_dir": tool.path.rpartition("/")[0] or ".",
    }
    doors = selection_destinations(tool, _filled(bound, known))
    allowed = dict.fromkeys(str(door.port) for door in doors if door.port and is_allowed(exit, door))
    known["exit.ports"] = ",".join(allowed)
    return {**known, **_filled(bound, known)}


def _filled(bound: Bound, known: Mapping[str, str]) -> dict[str, str]:
    return {name: fill_known(value, known) for name, value in bound.values.items()}
