"""`exitpin config show`: each setting, its value and where that comes from. Reads; never writes."""

import argparse
import json
import os
import sys
from collections.abc import Iterator

from ..settings import Settings, config_files, load_settings
from ..tool_settings import key_of

DESCRIPTION = """\
Print every setting with its value and where that comes from. Later ones win:
built-in values, /etc/exitpin/config.toml, $XDG_CONFIG_HOME/exitpin/config.toml,
variables such as EXITPIN_JOBS, options of the command line. The output is
itself a valid config.toml."""
EPILOG = """\
examples:
  exitpin config show
  EXITPIN_JOBS=8 exitpin config show --json | jq .jobs"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `config` and its one verb."""
    parser = subparsers.add_parser(
        "config", help="print the settings in force and where each comes from", epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    show = verbs.add_parser(
        "show",
        help="print each setting and its origin",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    show.add_argument("--json", action="store_true", help="one object: {KEY: {value, origin}}")
    show.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print the settings. Raises OperatorError if a file or a variable is wrong."""
    settings = load_settings(os.environ)
    sys.stdout.write(as_json(settings) if args.json else as_toml(settings, tuple(map(str, config_files(os.environ)))))
    return 0


def as_json(settings: Settings) -> str:
    """Durations in seconds, a rate as its text, what is not set as null."""
    table = {
        key.name: {
            "value": None if value in (None, "") else value if isinstance(value, int | float | tuple) else str(value),
            "origin": settings.origin(key.name),
        }
        for key, value in settings.items()
    }
    for name, text in _params(settings):
        table[name] = {"value": text, "origin": settings.origin(name)}
    return json.dumps(table, indent=2) + "\n"


def as_toml(settings: Settings, files: tuple[str, ...]) -> str:
    """One line a key, the origins as comments; a key without a value is a comment."""
    lines = [f"# read, if there: {', '.join(files)}"]
    for key, value in settings.items():
        text = toml_value(value)
        line = f"{key.name} = {text}" if text else f"# {key.name} is not set"
        lines.append(f"{line:<32} # {settings.origin(key.name)}")
    for name, text in _params(settings):
        line = f"{name} = {json.dumps(text)}"
        lines.append(f"{line:<32} # {settings.origin(name)}")
    return "\n".join(lines) + "\n"


def _params(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each parameter of a tool, as `params.TOOL.NAME`, with its value."""
    for tool, table in sorted(settings.params.items()):
        for name, value in sorted(table.items()):
            yield key_of(tool, name), value


def toml_value(value: object) -> str:
    """A value as the configuration file would spell it; empty if it is not set."""
    if value is None or value == "":
        return ""
    if isinstance(value, float):
        return f'"{value:g}s"'
    if isinstance(value, tuple):
        return f"[{', '.join(toml_value(each) for each in value)}]"
    return str(value) if isinstance(value, int) else json.dumps(str(value), ensure_ascii=True)
