"""What goes into a tool: parameters and their defaults, destinations, required programs. Yields problems; called by
`tool_checks.py`."""

import re
from collections.abc import Iterator, Sequence

from ..orchestrator.audit.param_types import parse_value, split_list, split_url
from ..orchestrator.audit.templates import BUILT_IN, names_in
from ..orchestrator.tool import RUN_SUBJECTS, Param
from .rule_checks import Names, check_pattern
from .tool_forms import DoorForm, ParamForm, ToolForm
from .tool_problems import Place, Problem

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


def check_doubles(values: Sequence[object], place: Place) -> Iterator[Problem]:
    for number, value in enumerate(values):
        if value in values[:number]:
            yield Problem((*place, number), f'"{value}" stands there twice; leave one out')


def check_params(form: ToolForm) -> Iterator[Problem]:
    for name, each in form.params.items():
        place = ("params", name)
        if not NAME.fullmatch(name):
            yield Problem(place, "a parameter's name is of letters, digits, '_' and '-', and begins with a letter")
        if name in (*BUILT_IN, *RUN_SUBJECTS):
            yield Problem(place, f'"{name}" is what every run has already; take another name')
        if name in form.extract:
            yield Problem(place, f'"{name}" is also an extracted fact, and a reason could mean either; rename one')
        if each.type == "enum" and not each.choices:
            yield Problem((*place, "choices"), 'is missing; write e.g. choices = ["a", "b"]')
        if each.schemes and each.type != "url":
            yield Problem((*place, "schemes"), f'is for type = "url", and this is a {each.type}; leave it out')
        if each.secret and (each.default or each.lab):
            yield Problem((*place, "default"), "a secret that stands in a file is none; leave it to [params]", True)
        yield from check_doubles(each.choices, (*place, "choices"))
        yield from _values(name, each, place)


def param_of(name: str, form: ParamForm) -> Param:
    """The declared parameter as a value."""
    return Param(
        name, form.type, form.default, form.lab, tuple(form.choices), form.pattern, tuple(form.schemes), form.is_list,
        form.secret, form.help,
    )  # fmt: skip


def _values(name: str, each: ParamForm, place: Place) -> Iterator[Problem]:
    try:
        re.compile(each.pattern)
    except re.error as error:
        yield Problem((*place, "pattern"), f"is no regular expression: {error}")
        return
    param = param_of(name, each)
    for key in ("default", "lab"):
        text = getattr(each, key)
        for item in split_list(param, text) if text is not None else ():
            try:
                parse_value(param, item)
            except ValueError as error:
                yield Problem((*place, key), f'must be {error}, not "{item}"')


def check_requirements(form: ToolForm) -> Iterator[Problem]:
    for name, each in form.requires.items():
        place = ("requires", name)
        if each.regex and not each.argv:
            yield Problem((*place, "argv"), f'is missing: what prints it? Write argv = ["{name}", "--version"]')
        for key, version in (("min", each.minimum), ("max", each.maximum)):
            if version and not each.regex:
                yield Problem((*place, "regex"), f"is missing: {key} needs the version; write e.g. regex = '(\\d\\S+)'")
            if version and not version[0].isdigit():
                yield Problem((*place, key), f'"{version}" is no version; write e.g. {key} = "1.1.1"')
        wants_group = bool(each.minimum or each.maximum)
        yield from check_pattern(each.regex, (*place, "regex"), wants_group=wants_group)
        for part in each.argv:
            if names_in(part):
                yield Problem((*place, "argv"), f"{part} can't hold placeholders: it runs before any run")


def check_doors(form: ToolForm, names: Names) -> Iterator[Problem]:
    if not form.destination:
        text = 'is missing, so the run may open nothing; write e.g. [{ host = "{{host}}", port = "{{port}}" }]'
        yield Problem(("destination",), text, True)
    for number, door in enumerate(form.destination):
        place = ("destination", number)
        if door in form.destination[:number]:
            yield Problem(place, "stands there twice; leave one out")
        for key in ("host", "port", "url"):
            yield from names.check(getattr(door, key), (*place, key))
        if door.url and (door.host or door.port):
            yield Problem(place, "has a url and a host or port; write either { url } or { host, port }")
        elif not door.url and not (door.host and door.port):
            missing = "port" if door.host else "host"
            yield Problem((*place, missing), 'is missing; write { host = "...", port = 443 }, or { url = "..." }')
        else:
            yield from _door_values(door, place, form)


def _door_values(door: DoorForm, place: Place, form: ToolForm) -> Iterator[Problem]:
    """Whether what is written out is a host, a port, a URL, and what is a placeholder can become one."""
    wanted = {"host": ("host", "ip", "enum", "str"), "port": ("port", "int", "enum"), "url": ("url",)}
    for key, types in wanted.items():
        text = getattr(door, key)
        for name in names_in(text):
            param = form.params.get(name)
            if param and param.secret:
                why = "is a secret, and tor's lines, which are kept as evidence, name every destination"
                needless = " (of a url only host and port count)" if key == "url" else ""
                what = f"take it out of here{needless}, or take out params.{name}.secret"
                yield Problem((*place, key), f"{{{{{name}}}}} {why}; {what}")
            if param and text.strip("{} ") == name and param.type not in types:
                fitting = " or ".join(types)
                yield Problem((*place, key), f"{name} is of type {param.type}, and a {key} is of type {fitting}")
            if param is None and key == "port" and name in BUILT_IN:
                yield Problem((*place, key), "is known only in the run, but exits are chosen by it; name a parameter")
    try:
        if door.url and not names_in(door.url):
            split_url(door.url)
        elif door.host and not names_in(door.host):
            parse_value(Param("host", "host"), door.host)
        if door.port and not names_in(door.port) and door.port != "0":
            parse_value(Param("port", "port"), door.port)
    except ValueError as error:
        yield Problem(place, f"is no destination: {error}")
