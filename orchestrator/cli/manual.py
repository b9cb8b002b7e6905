"""`python -m exitpin.orchestrator.cli.manual FOLDER`: the pages of the manual, one a command, as `exitpin-run.1`.

They are made of what `--help` is made of, the parsers, when exitpin is installed (setup.py, Makefile), and of the few
words in `manual_places.py`. What a help text consists of is found by `manual_text.py`; `manual_roff.py` writes it.
"""

import argparse
import os
import re
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

from . import giving
from .main import INSIDE, VERBS, whole_parser
from .manual_places import STATUSES, files, options_of, others, variables
from .manual_roff import WIDTH, body, bold, escaped, escaped_inside, filled, italic, part, section, shown, tagged
from .manual_text import Block, Item, Paragraph, Told, read

NOT_GROUPS = ("positional arguments", "options", "verbs")
_USAGE = re.compile(r"usage: (.*)\n")


def pages(version: str, date: str) -> Iterator[tuple[str, str]]:
    """Each page: its name and its text. `date`: as 2026-05-01."""
    told: dict[tuple[str, ...], Told] = {}
    for path, parser, summary in commands(whole_parser()):
        told[path] = told_of(path, parser, summary, told.get(path[:-1], Told()))
        summary = VERBS.get(path[0], summary) if len(path) == 1 else summary
        yield page_of(path, parser, told[path], summary, version, date)
    for verb, summary in INSIDE.items():
        yield page_inside(verb, summary, version, date)


def commands(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = (), summary: str = ""
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser, str]]:
    """A command and the verbs of it, each with its words and its line in the list of verbs."""
    yield path, parser, summary
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for verb, inner in action.choices.items():
                if (*path, verb)[0] not in INSIDE:
                    yield from commands(inner, (*path, verb), told[verb])


def told_of(path: tuple[str, ...], parser: argparse.ArgumentParser, summary: str, above: Told) -> Told:
    """What its help tells; where that has no exit statuses or examples, those of the verb `above` it that are its."""
    told = read(f"{parser.description or f'{summary[:1].upper()}{summary[1:]}.'}\n\n{parser.epilog or ''}")
    if len(path) > 1:
        name = " ".join(["exitpin", *path])
        told.statuses = told.statuses or [one for one in above.statuses if _is_of(one, path[-1])]
        told.examples = told.examples or [one for one in above.examples if f"{one.lines[0]} ".startswith(f"{name} ")]
    return told


def _is_of(status: Block, verb: str) -> bool:
    """Whether an exit status that a verb tells is one of this verb of it: some begin with "of `status`: "."""
    text = status.blocks[0] if isinstance(status, Item) else status
    named = re.match(r"of `([a-z-]+)`", text.text) if isinstance(text, Paragraph) else None
    return named is None or named[1] == verb


def page_of(
    path: tuple[str, ...], parser: argparse.ArgumentParser, told: Told, summary: str, version: str, date: str
) -> tuple[str, str]:
    """The page of a command that has a parser."""
    verbs = [choice for action in parser._actions for choice in getattr(action, "_choices_actions", ())]
    lines = [*head(path, summary or "run any command-line tool through chosen Tor exits", version, date)]
    lines += [section("SYNOPSIS"), *synopsis(path, parser), section("DESCRIPTION"), *body(told.blocks)]
    if verbs:
        lines.append(section("VERBS"))
        for choice in verbs:
            name = "-".join(["exitpin", *path, choice.dest])
            lines += tagged(f"{bold(name)}(1)", (Paragraph(choice.help or ""),))
    lines += options(parser)
    return finished(path, lines, told, options_of(parser), [choice.dest for choice in verbs])


def page_inside(verb: str, summary: str, version: str, date: str) -> tuple[str, str]:
    """The page of a verb for the inside of a run, which has no parser: its help begins with its usage."""
    usage, _, rest = giving.HELP[verb].partition("\n")
    described, _, lines = rest.strip().partition("\n\n  ")
    told = read(f"{described}\n\nexamples:\n  {lines}")
    told.statuses += [Item(code, (Paragraph(what),)) for code, what in GIVEN]
    words = usage.removeprefix(f"usage: exitpin {verb} ")
    page = [*head((verb,), summary, version, date), section("SYNOPSIS"), f"{bold(f'exitpin {verb}')} {escaped(words)}"]
    return finished((verb,), [*page, section("DESCRIPTION"), *body(told.blocks)], told, set(), [])


GIVEN = (
    ("0", "it was given"),
    ("1", "it was given, and the run will end as an error for it; or there is no more room for it"),
    ("2", "misused, or not inside of a run"),
    ("125", "it could not be written"),
)


def head(path: tuple[str, ...], summary: str, version: str, date: str) -> Iterator[str]:
    """The title, and the line that whatis(1) shows."""
    name = "-".join(["exitpin", *path])
    yield f'.TH "{escaped(name.upper())}" 1 "{date}" "exitpin {version}" "exitpin manual"'
    yield section("NAME")
    yield from textwrap.wrap(f"{escaped(name)} \\- {escaped_inside(summary)}", WIDTH, break_on_hyphens=False)


def synopsis(path: tuple[str, ...], parser: argparse.ArgumentParser) -> Iterator[str]:
    """How it is called: what is required by name, the rest as OPTIONS."""
    name = " ".join(["exitpin", *path])
    if parser.usage is not None:
        yield f"{bold(name)} {escaped(parser.usage.removeprefix(f'{name} '))}"
        return
    words = [bold(name)]
    named = [action for action in parser._actions if action.option_strings]
    words += [f"{bold(action.option_strings[0])} {italic(taken(action))}" for action in named if action.required]
    if any(not action.required and action.dest != "help" for action in named):
        words.append(f"[{italic('OPTIONS')}]")
    for action in parser._actions:
        if not action.option_strings:
            words.append(positional(action))
    yield " ".join(words)


def positional(action: argparse.Action) -> str:
    """An argument, in brackets if it may be left out, with dots if there may be several."""
    name = "VERB ..." if isinstance(action, argparse._SubParsersAction) else taken(action)
    several = {"*": f"[{italic(name)} ...]", "+": f"{italic(name)} ...", "?": f"[{italic(name)}]"}
    return several.get(str(action.nargs), italic(name))


def taken(action: argparse.Action) -> str:
    """The name of what an option or an argument takes."""
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    return str(action.metavar or choices)


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The arguments and options, in the groups that the help has."""
    formatter = parser._get_formatter()
    is_begun = False
    for group in parser._action_groups:
        actions = [one for one in group._group_actions if not isinstance(one, argparse._SubParsersAction)]
        actions = [one for one in actions if one.help and one.help is not argparse.SUPPRESS]
        if actions and not is_begun:
            yield section("OPTIONS")
            is_begun = True
        if actions and group.title not in NOT_GROUPS:
            yield part(group.title or "")
        for action in actions:
            yield from tagged(called(action), (Paragraph(formatter._expand_help(action)),))


def called(action: argparse.Action) -> str:
    """An option in all of its spellings, with what it takes."""
    if not action.option_strings:
        return italic(taken(action))
    value = f" {italic(taken(action))}" if action.nargs != 0 else ""
    value = f" [{value.strip()}]" if action.nargs == "?" else value
    return ", ".join(map(bold, action.option_strings)) + value


def finished(path: tuple[str, ...], lines: list[str], told: Told, named: set[str], verbs: list[str]) -> tuple[str, str]:
    """The sections that every page has behind the options; the page's file name and text."""
    statuses: list[Block] = told.statuses or [Item(code, (Paragraph(what),)) for code, what in STATUSES]
    lines += [section("EXIT STATUS"), *([*filled("That of its verb:"), *body(statuses)] if verbs else body(statuses))]
    for title, entries in (("ENVIRONMENT", variables(path, named)), ("FILES", files(path, named))):
        if entries:
            lines.append(section(title))
            for name, what in entries:
                lines += tagged(italic(name), (Paragraph(what),))
    if told.examples:
        lines += [section("EXAMPLES"), *shown(told.examples)]
    lines += [section("SEE ALSO"), *_pages_to_see(others(path, verbs))]
    return f"{'-'.join(['exitpin', *path])}.1", "\n".join(lines) + "\n"


def _pages_to_see(names: list[str]) -> Iterator[str]:
    for number, name in enumerate(names):
        page, bracket, rest = name.partition("(")
        yield f".BR {escaped(page)} {bracket}{rest}{',' if number < len(names) - 1 else ''}"


def write_pages(folder: Path, env: "os._Environ[str] | dict[str, str]") -> list[Path]:
    """Write all of them; their date is that of SOURCE_DATE_EPOCH (reproducible-builds.org), or today."""
    from exitpin import __version__

    when = time.gmtime(int(env["SOURCE_DATE_EPOCH"])) if env.get("SOURCE_DATE_EPOCH") else time.gmtime()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages(__version__, time.strftime("%Y-%m-%d", when)):
        (folder / name).write_text(text, "ascii")
        written.append(folder / name)
    return written


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]), os.environ)
