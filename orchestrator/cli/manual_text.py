"""What a help text consists of: paragraphs, lists of terms, lines as they are, examples, exit statuses.

Help is written for a terminal, by a few habits: a blank line ends a paragraph; what is indented is a list if two spaces
or more stand between a term and what it means, and else is shown as it is; `examples:` and `exit status:` begin theirs.
The manual (`manual.py`) is made of the same text by these habits. Decides nothing about how it looks.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_HEAD = re.compile(r"examples?:\Z")
_STATUS = re.compile(r"(?:exit status(?:, ([^:]*))?|(each)): +(.*)\Z")
_TERM = re.compile(r"( +)(\S.*?)( {2,})(\S.*)\Z")
_NEXT_STATUS = re.compile(r"(?:;\s+|\n\s*)(?=\d)")
_CODE = re.compile(r"(\d+(?:\+N)?(?:, \d+)*)(?: |\Z)(.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text to be filled."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Lines as they are, without what they are all indented by."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """A term, and the blocks that say what it means."""

    term: str
    blocks: "tuple[Block, ...]"


Block = Paragraph | Code | Item


@dataclass(frozen=True, slots=True)
class Example:
    """Lines to type, and what they are for (may be empty)."""

    lines: tuple[str, ...]
    what: str = ""


@dataclass(slots=True)
class Told:
    """All that a help text tells. `statuses` has paragraphs for what holds of them, and an item for each."""

    blocks: list[Block] = field(default_factory=list)
    statuses: list[Block] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)


def read(text: str) -> Told:
    """Take a help text apart."""
    told = Told()
    lines = [line.rstrip() for line in text.splitlines()]
    while lines:
        if not lines[0]:
            lines.pop(0)
        elif _HEAD.match(lines[0]):
            lines.pop(0)
            told.examples += examples(_take_indented(lines))
        elif found := _STATUS.match(lines[0]):
            lines.pop(0)
            told.statuses += statuses(found[1] or found[2] or "", [found[3], *_take_indented(lines)])
        elif lines[0].startswith(" "):
            told.blocks += indented(_take_indented(lines))
        else:
            told.blocks.append(Paragraph(" ".join(_take_paragraph(lines))))
    return told


def examples(lines: Sequence[str]) -> Iterator[Example]:
    """Each command with what it is for; lines that are indented further belong to the one before."""
    for group in _groups([line for line in lines if line]):
        found = _TERM.match(group[0])
        if found and len(group) == 1:
            yield Example((found[2],), found[4])
        else:
            yield Example(_dedented(group))


def statuses(of: str, lines: Sequence[str]) -> Iterator[Block]:
    """`0 this; 1 that` and further lines; `of`: in which case these hold."""
    if of:
        yield Paragraph(f"{of[0].upper()}{of[1:]}:")
    for part in _NEXT_STATUS.split("\n".join(lines)):
        found, text = _CODE.match(part), " ".join(part.split())
        if found:
            yield Item(found[1], (Paragraph(" ".join(found[2].split()) or "success"),))
        else:
            yield Paragraph(text)


def indented(lines: Sequence[str]) -> Iterator[Block]:
    """A list of terms, or lines as they are."""
    first = _TERM.match(lines[0])
    if first is None:
        yield Code(_dedented(lines))
        return
    column = first.start(4)
    items: list[list[str]] = []
    for line in lines:
        if line and len(line) - len(line.lstrip()) < column:
            items.append([line])
        else:
            items[-1].append(line[column:])
    for term, *more in items:
        found = _TERM.match(term)
        if found is None:
            yield Code((term.strip(),))
        else:
            yield Item(found[2], tuple(_meaning([found[4], *more])))


def _meaning(lines: list[str]) -> Iterator[Block]:
    while lines:
        if not lines[0]:
            lines.pop(0)
        elif lines[0].startswith(" "):
            yield Code(_dedented(_take_indented(lines)))
        else:
            yield Paragraph(" ".join(_take_paragraph(lines)))


def _take_paragraph(lines: list[str]) -> Iterator[str]:
    """Remove the lines of a paragraph from the front."""
    while lines and lines[0] and not lines[0].startswith(" "):
        if _HEAD.match(lines[0]) or _STATUS.match(lines[0]):
            return
        yield lines.pop(0)


def _take_indented(lines: list[str]) -> list[str]:
    """Remove the indented lines, and blank ones between them, from the front."""
    taken: list[str] = []
    while lines and (lines[0].startswith(" ") or not lines[0]):
        taken.append(lines.pop(0))
    while taken and not taken[-1]:
        taken.pop()
    return taken


def _groups(lines: Iterable[str]) -> Iterator[list[str]]:
    """Lines that begin at the least indentation, each with those that follow it and are indented further."""
    group: list[str] = []
    depth: int | None = None
    for line in lines:
        here = len(line) - len(line.lstrip())
        depth = here if depth is None else depth
        if here <= depth and group and not group[-1].endswith("\\"):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _dedented(lines: Sequence[str]) -> tuple[str, ...]:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return tuple(line[margin:] for line in lines)
