"""Plain text in 72 columns of ASCII: paragraphs, tables, quotations, command lines, the head of a mail. Pure.

What somebody else wrote is only ever a quotation: escaped, cut, each line of it behind a mark, so that it can neither
begin a line nor end the text. No line is longer than 72 columns but for one word of a command that can't be broken.
"""

import shlex
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from ...wrappers.output import printable

WIDTH = 72
LABEL = 13
QUOTED_LINES = 8  # of one quotation


def ascii_text(text: object) -> str:
    """The text in printable ASCII, on one line: all else is shown as an escape."""
    return printable(str(text).encode("ascii", "backslashreplace").decode()).replace("\t", "\\t")


def paragraph(text: str, indent: str = "", width: int = WIDTH) -> list[str]:
    """Wrapped between words; what can't be is broken."""
    return textwrap.wrap(
        ascii_text(" ".join(text.split())),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def cut(line: str) -> str:
    """A line that may lose its end."""
    shown = ascii_text(line)
    return shown if len(shown) <= WIDTH else f"{shown[: WIDTH - 3]}..."


def item(text: str, number: str = "-") -> list[str]:
    """A paragraph behind a mark."""
    hanging = " " * (len(number) + 1)
    return textwrap.wrap(
        ascii_text(text), WIDTH, initial_indent=f"{number} ", subsequent_indent=hanging, break_on_hyphens=False
    )


def rows(pairs: Iterable[tuple[str, str]], indent: str = "  ") -> list[str]:
    """A table of two columns; a pair without a value is left out. Values are cut to a few lines."""
    lines: list[str] = []
    for label, value in pairs:
        told = textwrap.wrap(ascii_text(value), WIDTH - len(indent) - LABEL, break_on_hyphens=False)
        told = [*told[:QUOTED_LINES], "..."] if len(told) > QUOTED_LINES else told
        lines += [f"{indent}{label if n == 0 else '':<{LABEL}}{line}".rstrip() for n, line in enumerate(told)]
    return lines


def quotation(text: str, mark: str = "> ", indent: str = "  ", lines_max: int = QUOTED_LINES) -> list[str]:
    """What somebody else wrote, line by line, each behind the mark."""
    width = WIDTH - len(indent) - len(mark)
    lines: list[str] = []
    for line in text.split("\n"):
        shown = ascii_text(line[: 4 * width * lines_max])
        lines += textwrap.wrap(shown, width, break_on_hyphens=False) or [""]
        if len(lines) > lines_max:
            lines = [*lines[: lines_max - 1], f"... ({len(text):,} characters in all)"]
            break
    return [f"{indent}{mark}{line}".rstrip() for line in lines]


def command(words: Sequence[str], indent: str = "    ", end: str = "") -> list[str]:
    """A shell's command line, continued by backslashes; `end`: more of it that is no word (a redirection, a pipe)."""
    lines: list[str] = []
    line = ""
    for part in (*_together([shlex.quote(ascii_text(word)) for word in words]), *filter(None, [end])):
        if line and len(indent) + 2 + len(line) + len(part) + 3 > WIDTH:
            lines.append(f"{line} \\")
            line = ""
        line = f"{line} {part}".lstrip()
    lines.append(line)
    return [f"{indent if n == 0 else f'{indent}  '}{line}" for n, line in enumerate(lines)]


def _together(words: Sequence[str]) -> Iterator[str]:
    """The words, an option and what may be its value as one."""
    place = 0
    while place < len(words):
        pair = words[place : place + 2]
        is_pair = len(pair) == 2 and pair[0].startswith("-") and not pair[1].startswith("-")
        size = 2 if is_pair and len(" ".join(pair)) < WIDTH - 12 else 1
        yield " ".join(pair[:size])
        place += size


def section(title: str, *blocks: Sequence[str]) -> list[str]:
    """A heading and its blocks, an empty line between each; nothing where there is no block."""
    told = [block for block in blocks if block]
    return [line for block in ([title, "-" * len(title)], *told) for line in (*block, "")] if told else []


def header(name: str, value: str) -> Iterator[str]:
    """A line of a mail's head, folded between words; no value makes another line of it (RFC 5322, 2.2.3)."""
    yield from textwrap.wrap(
        f"{name}: {' '.join(ascii_text(value).split())}", WIDTH, subsequent_indent=" ", break_on_hyphens=False
    )
