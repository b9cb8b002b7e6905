"""A page of text: what `results show` and `replay` print. On a terminal with colour, wrapped to its width, each line
under its own beginning; elsewhere a line each, as it is. Whatever an exit wrote is escaped here, and only here.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..report.told import BOTH, FIELD, HEAD, HERE, NOTE, THERE, Told
from .results_store import shown
from .results_table import terminal

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {HERE: "yellow", THERE: "cyan", BOTH: "dim"}


class Line(NamedTuple):
    """`label` stands before the text and is never broken; `style`: of the text, on a terminal; `label_style`: of the
    label."""

    text: str = ""
    style: str = ""
    indent: int = 0
    label: str = ""
    label_style: str = ""


def told_lines(told: Iterable[Told], indent: int = 2) -> Iterator[Line]:
    """What differs, as lines of a page."""
    for one in told:
        if one.mark == HEAD:
            yield Line(one.text, "bold", indent)
        elif one.mark == FIELD:
            yield Line(one.text, "", indent + 1)
        elif one.mark == NOTE:
            yield Line(one.text, "dim", indent + 2)
        else:
            label = f"{'=' if one.mark == BOTH else one.mark} {one.seen}".rstrip()
            yield Line(one.text, STYLES[one.mark], indent + 2, label, STYLES[one.mark])


def print_page(lines: Iterable[Line], console: "Console | None" = None) -> None:
    """Print it to standard output; `console`: there, as to a terminal."""
    if console is not None or sys.stdout.isatty():
        _print_to_terminal(lines, console or terminal())
        return
    for line in lines:
        label = f"{shown(line.label)} " if line.label else ""
        print(f"{' ' * line.indent}{label}{shown(line.text)}".rstrip())


def _print_to_terminal(lines: Iterable[Line], console: "Console") -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    for line in lines:
        if not line.text and not line.label:
            console.print()
            continue
        text, label = Text(shown(line.text), line.style, overflow="fold"), shown(line.label)
        if not label:
            console.print(Padding(text, (0, 0, 0, line.indent), expand=False))
            continue
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(no_wrap=True, width=len(label))
        row.add_column(overflow="fold")
        row.add_row(Text(label, line.label_style), text)
        console.print(Padding(row, (0, 0, 0, line.indent), expand=False))
