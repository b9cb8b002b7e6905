"""`exitpin tools check`: all that is wrong with tools' files, at once. Runs nothing."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from ...wrappers.output import printable
from ...wrappers.tool_files import Catalogue, Entry
from ..counted import counted
from ..errors import EXIT_USAGE, OperatorError
from .tools_found import catalogue
from .tools_show import find


def check_tools(args: argparse.Namespace) -> int:
    """Print a line for each error and warning on stdout, and a summary on stderr: 0 without errors, else 2."""
    found = catalogue()
    errors: list[str] = []
    entries = list(_entries(found, args.what))
    if not args.what:
        errors += found.doubles()
        errors += [f"{folder}: drop-ins for a tool that there is not" for folder in found.unfounded()]
    warnings = [line for entry in entries for line in entry.warnings]
    errors += [line for entry in entries for line in entry.problems]
    for kind, lines in (("error", errors), ("warning", warnings)):
        for line in dict.fromkeys(lines):
            print(f"{kind}: {printable(line)}")
    for entry in entries:
        if entry.refusals and not entry.problems:
            print(f"exitpin: {printable(entry.refusals[0])}", file=sys.stderr)
    counts = (counted(len(entries), "tool"), counted(len(errors), "error"), counted(len(warnings), "warning"))
    print(f"exitpin: {', '.join(counts)}", file=sys.stderr)
    return EXIT_USAGE if errors else 0


def _entries(found: Catalogue, words: list[str]) -> Iterator[Entry]:
    """What is named; without words, everything."""
    if not words:
        yield from (found.entry(tool_id) for tool_id in found.ids())
    for word in words:
        path = Path(word)
        if path.is_dir():
            files = sorted(file for file in (*path.glob("*.toml"), *path.glob("scripts/*")) if file.is_file())
            if not files:
                raise OperatorError(f"There are no tools in {word}.", "", EXIT_USAGE)
            entries = [found.at(f"./{file}") for file in files]
            yield from (entry for entry in entries if not _is_plain_script(entry))
        elif path.parent.name.endswith(".toml.d"):
            tool_id = path.parent.name.removesuffix(".toml.d")
            raise OperatorError(f"{word} is a drop-in.", f"Type: exitpin tools check {tool_id}", EXIT_USAGE)
        else:
            yield find(found, f"./{word}" if path.is_file() and "/" not in word else word)


def _is_plain_script(entry: Entry) -> bool:
    """A script without a table of its own: another tool runs it."""
    return entry.source.is_script and not entry.merged.table and bool(entry.files)
