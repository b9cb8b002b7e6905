"""`exitpin tools list`, `show` and `cat`. Prints; what tools' files hold is escaped first."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from ...wrappers.output import printable
from ...wrappers.tool_files import Catalogue, Entry, is_path
from ...wrappers.tool_tables import written
from ..errors import EXIT_USAGE, OperatorError
from .tools_found import catalogue
from .tools_words import lines_of


def list_tools(args: argparse.Namespace) -> int:
    """A line for each tool, the broken ones too."""
    tag = (args.tag or "@all").removeprefix("@")
    found = catalogue()
    entries = [found.entry(tool_id) for tool_id in found.ids()]
    chosen = [entry for entry in entries if tag == "all" or tag in entry.tags]
    if not chosen and tag != "all":
        found.tagged(tag)  # says which tags there are
    if args.json:
        for entry in chosen:
            print(json.dumps(_object(entry)))
    elif sys.stdout.isatty():
        _print_table(chosen)
    else:
        for entry in chosen:
            row = [entry.id, _text(entry, "severity"), _state(entry), " ".join(entry.tags), str(entry.source.path)]
            print("\t".join(map(printable, [*row, _text(entry, "summary")])))
    wrong = sum(bool(entry.problems) for entry in chosen)
    if wrong:
        words = f"{wrong} of {len(chosen)} tools are" if wrong > 1 else "One tool is"
        print(f"exitpin: {words} broken: `exitpin tools check` says why.", file=sys.stderr)
    return 0


def _print_table(entries: list[Entry]) -> None:
    """For a terminal: id, severity, summary, tags; below it the state of what can't be run, and own files."""
    width = max((len(entry.id) for entry in entries), default=0)
    columns = shutil.get_terminal_size().columns
    for entry in entries:
        tags = " ".join(f"@{tag}" for tag in entry.tags)
        line = f"{entry.id:<{width}}  {_text(entry, 'severity'):<8}  {_text(entry, 'summary')}  {tags}"
        print(printable(line)[: max(columns, 40)])
        if _state(entry) != "ok" or not entry.source.layer.is_ours:
            state = "" if _state(entry) == "ok" else f"{_state(entry)}: "
            print(printable(f"{'':<{width}}  {state}{entry.source.path}"))


def _state(entry: Entry) -> str:
    return "broken" if entry.problems else "untrusted" if entry.refusals else "ok"


def _text(entry: Entry, key: str) -> str:
    """A value of a file that may be wrong."""
    if entry.tool is not None:
        return str(getattr(entry.tool, key))
    value = entry.merged.table.get(key, "")
    return value if isinstance(value, str) else ""


def _object(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "severity": _text(entry, "severity"),
        "summary": _text(entry, "summary"),
        "tags": entry.tags,
        "path": str(entry.source.path),
        "files": [str(source.path) for source, _ in entry.files],
        "state": _state(entry),
        "digest": entry.tool.digest if entry.tool else None,
        "problems": entry.problems,
        "warnings": entry.warnings,
        "refusals": entry.refusals,
    }


def find(found: Catalogue, word: str) -> Entry:
    """What an id or a path names. Raises OperatorError for an unknown id, and for a tag."""
    if word.startswith("@"):
        raise OperatorError(f"{word} is a tag.", f"`exitpin tools list {word}` names its tools.", EXIT_USAGE)
    return found.at(word) if is_path(word) else found.entry(word)


def show_tools(args: argparse.Namespace) -> int:
    """Each tool in words. Raises OperatorError for one that is unknown or broken."""
    found = catalogue()
    for number, word in enumerate(args.tools):
        entry = find(found, word)
        if entry.tool is None:
            entry.usable()
        else:
            print("\n" * bool(number) + "\n".join(map(printable, lines_of(entry.tool))))
        _note(entry)
    return 0


def cat_tools(args: argparse.Namespace) -> int:
    """Each merged file; of a script the code, too. Raises OperatorError for one that can't be read."""
    found = catalogue()
    for word in args.tools:
        entry = find(found, word)
        if not entry.merged.table:
            entry.usable()
        sys.stdout.write(written(entry.merged))
        for source, content in entry.files:
            if Path(source.path).suffix != ".toml":
                code = [f"#   {printable(line)}".rstrip() for line in content.decode("utf-8", "replace").splitlines()]
                print("\n".join([f"# {printable(str(source.path))}:", *code]))
        _note(entry)
    return 0


def _note(entry: Entry) -> None:
    for refusal in entry.refusals:
        print(f"exitpin: {printable(refusal)}", file=sys.stderr)
    if entry.problems and entry.merged.table:
        print(f"exitpin: {entry.id} is broken: `exitpin tools check` says why.", file=sys.stderr)
