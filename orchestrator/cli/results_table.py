"""How lists of results are printed: on a terminal a table, elsewhere a line each, tab-separated, without a heading."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

STYLES = {
    "tampered": "bold red", "suspect": "red", "broken": "yellow", "error": "magenta", "ok": "green",
    "new": "bold red", "flipped": "yellow", "unseen": "yellow", "gone": "green",
}  # fmt: skip
"""By what stands in a row's first cell."""


def print_rows(columns: Sequence[str], rows: Iterable[list[str]]) -> None:
    """Print rows of cells in which nothing is left that a terminal would obey."""
    if sys.stdout.isatty():
        print_table(columns, list(rows))
        return
    for cells in rows:
        print("\t".join(cells))


def terminal() -> "Console":
    """Standard output as a terminal; without any colour where NO_COLOR asks for that (no-color.org)."""
    from rich.console import Console

    return Console(highlight=False, color_system=None if os.environ.get("NO_COLOR") else "auto")


def print_table(columns: Sequence[str], rows: list[list[str]], console: "Console | None" = None) -> None:
    """A reason stands on lines of its own; an id is never cut, for it is there to be copied."""
    from rich.cells import cell_len
    from rich.padding import Padding
    from rich.text import Text

    console = console or terminal()
    places = [n for n, name in enumerate(columns) if name != "reason"]
    widths = {n: max(map(cell_len, (columns[n], *(cells[n] for cells in rows)))) for n in places}

    def line(cells: Sequence[str], style: str) -> Text:
        text = Text(style=style if style == "bold" else "")
        for n in places:
            text.append(cells[n], style if n == 0 else "").append(" " * (widths[n] - cell_len(cells[n]) + 2))
        text.rstrip()
        return text

    console.print(line([name.upper() for name in columns], "bold"))
    for cells in rows:
        console.print(line(cells, STYLES.get(cells[0], "")))
        if "reason" in columns and cells[columns.index("reason")]:
            console.print(Padding(Text(cells[columns.index("reason")], "dim"), (0, 0, 0, 2)))
