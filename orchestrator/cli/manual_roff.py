"""Pages of the manual in roff, for man(7): blocks of text, escaped. Decides nothing about what a page tells.

Called by `manual.py`. Every text goes through `escaped`, so that none can be taken for a request.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator

from .manual_text import Block, Code, Example, Item, Paragraph

WIDTH = 78
_MARKED = re.compile(r"`([^`]+)`|(?<![\w-])(--?[a-z][a-z-]*)")
_ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}


def escaped(text: str) -> str:
    """Text as it is, copied as it is, and no request."""
    shown = "".join(_ESCAPES.get(character, character) for character in text)
    return f"\\&{shown}" if shown.startswith(".") else shown


def bold(text: str) -> str:
    return f"\\fB{escaped(text)}\\fR"


def italic(text: str) -> str:
    return f"\\fI{escaped(text)}\\fR"


def section(title: str) -> str:
    return f".SH {title}"


def part(title: str) -> str:
    """A heading within a section, as a sentence begins."""
    return f".SS {escaped(title[0].upper() + title[1:])}"


def filled(text: str) -> list[str]:
    """Lines of text to be filled; what stands between backticks, and options, are bold."""
    marked, at = "", 0
    for found in _MARKED.finditer(text):
        marked += escaped_inside(text[at : found.start()]) + bold(found[1] or found[2])
        at = found.end()
    marked += escaped_inside(text[at:])
    lines = textwrap.wrap(marked, WIDTH, break_long_words=False, break_on_hyphens=False)
    return [f"\\&{line}" if line.startswith((".", "'")) else line for line in lines]


def escaped_inside(text: str) -> str:
    """Text that follows other text: the lines are looked at when they are whole."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def tagged(term: str, blocks: Iterable[Block]) -> Iterator[str]:
    """A term, in roff, and what it means."""
    yield from (".TP", term)
    for number, block in enumerate(blocks):
        if isinstance(block, Paragraph):
            yield from ([".IP"] if number else [])
            yield from filled(block.text)
        elif isinstance(block, Code):
            yield from (".IP", *as_is(block.lines))


def body(blocks: Iterable[Block]) -> Iterator[str]:
    """Blocks, one after the other. The first paragraph of a section needs no request."""
    for number, block in enumerate(blocks):
        if isinstance(block, Item):
            yield from tagged(bold(block.term), block.blocks)
        elif isinstance(block, Code):
            yield from (".PP", ".RS 4", *as_is(block.lines), ".RE")
        else:
            yield from ([".PP"] if number else [])
            yield from filled(block.text)


def as_is(lines: Iterable[str]) -> Iterator[str]:
    """Lines that are not filled."""
    yield from (".nf", *(escaped(line) or "\\&" for line in lines), ".fi")


def shown(examples: Iterable[Example]) -> Iterator[str]:
    """Examples: what each is for, and the lines to type."""
    for number, example in enumerate(examples):
        if example.what:
            yield from ([".PP"] if number else [])
            yield from filled(f"{example.what[0].upper()}{example.what[1:]}:")
        yield from ([".PP"] if number or example.what else [])
        yield from (".RS 4", *as_is(example.lines), ".RE")
