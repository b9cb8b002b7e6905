"""Where two bodies differ, in lines that people can read: what an exit gave, and what controls were given.

Pure but for the clock that it is handed. Both bodies are hostile: their size, the length of a line, the number of lines
and the time are capped. What begins and ends alike is set aside first, which leaves little of most pages; the rest is
difflib's, and where that takes too long, or there is too much of it, the rest stands as it is: first what is missing,
then what came instead. That is a difference, too, if not the shortest. What is no text is shown as bytes, around the
first that differs.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

BODY_MAX = 1 << 20  # bytes that are looked at
LINES_MAX = 400  # of each side, that are aligned
LINE_MAX = 240  # characters shown of one
SHOWN_MAX = 80  # lines shown in all
CONTEXT = 2  # lines around a difference
PATIENCE_S = 0.5
LONG_LINE = 200  # a longer one is broken after each tag: pages are often one line
ROW = 16  # bytes in a line of a dump
DUMP_ROWS = 4
_AFTER_TAG = re.compile(r"(?<=>)(?=<)")

SAME, GONE, NEW, SKIP = " ", "-", "+", "@"


class Line(NamedTuple):
    """`kind`: SAME, GONE (controls have it, the exit not), NEW (the exit has it alone), or SKIP (lines left out).
    `marked`: the part in which it differs from the line it came in place of, between `before` and `after`."""

    kind: str
    before: str
    marked: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True)
class BodyDifference:
    """`lines` empty: the two are the same. `note`: what was not compared, or not shown."""

    lines: tuple[Line, ...]
    here_bytes: int
    there_bytes: int
    is_text: bool
    note: str = ""


def body_difference(here: bytes, there: bytes, clock: Callable[[], float]) -> BodyDifference:
    """`here`: what the exit gave; `there`: what controls were given; `clock`: seconds, as time.monotonic."""
    sizes = len(here), len(there)
    if here == there:
        return BodyDifference((), *sizes, is_text=True)
    notes = [f"only the first {BODY_MAX >> 20} MiB of each were compared"] if max(sizes) > BODY_MAX else []
    here, there = here[:BODY_MAX], there[:BODY_MAX]
    if not (_is_text(here) and _is_text(there)):
        return BodyDifference(tuple(_dump(here, there)), *sizes, is_text=False, note="; ".join(notes))
    lines, why = _aligned(_lines(there), _lines(here), clock)
    if why:
        notes.append(why)
    if len(lines) > SHOWN_MAX:
        notes.append(f"{len(lines) - SHOWN_MAX:,} more lines are not shown")
        del lines[SHOWN_MAX:]
    if not lines:
        notes.append("they differ in the bytes that are not shown")
    return BodyDifference(tuple(_marked(lines)), *sizes, is_text=True, note="; ".join(notes))


def _is_text(body: bytes) -> bool:
    """Whether people would read it: few bytes that no text has."""
    sample = body[:4096]
    odd = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in sample) + sample.count(0)
    return odd * 20 <= len(sample) and 0 not in sample


def _lines(body: bytes) -> list[str]:
    lines: list[str] = []
    for line in body.decode("utf-8", "backslashreplace").replace("\r\n", "\n").removesuffix("\n").split("\n"):
        lines += _AFTER_TAG.split(line) if len(line) > LONG_LINE else [line]
    return lines


class _Late(Exception):
    """It took too long."""


class _Timed(str):
    """A line that looks at the clock whenever difflib looks it up: its worst case is cubic, nothing else ends it."""

    __slots__ = ("check",)
    check: Callable[[], None]

    def __hash__(self) -> int:
        self.check()
        return str.__hash__(self)

    __eq__ = str.__eq__


def _aligned(there: Sequence[str], here: Sequence[str], clock: Callable[[], float]) -> tuple[list[Line], str]:
    """What differs, with a little around it; and why it is not aligned, if so."""
    start = next((n for n, pair in enumerate(zip(there, here, strict=False)) if pair[0] != pair[1]), None)
    start = min(len(there), len(here)) if start is None else start
    end = 0
    while end < min(len(there), len(here)) - start and there[-1 - end] == here[-1 - end]:
        end += 1
    gone, new = there[start : len(there) - end], here[start : len(here) - end]
    why = ""
    if max(len(gone), len(new)) > LINES_MAX:
        middle, why = _unaligned(gone, new), f"more than {LINES_MAX} lines: not aligned"
    else:
        try:
            middle = list(_by_difflib(gone, new, clock))
        except _Late:
            middle, why = _unaligned(gone, new), "aligning them took too long"
    if not middle:
        return [], why
    head = [Line(SAME, line) for line in there[max(0, start - CONTEXT) : start]]
    tail = [Line(SAME, line) for line in there[len(there) - end :][:CONTEXT]]
    return [*_skip(start - len(head)), *_folded([*head, *middle, *tail]), *_skip(end - len(tail))], why


def _unaligned(gone: Sequence[str], new: Sequence[str]) -> list[Line]:
    """Half of what is shown for each."""
    half = SHOWN_MAX // 2 - CONTEXT
    lines: list[Line] = []
    for kind, told in ((GONE, gone), (NEW, new)):
        lines += [Line(kind, line) for line in told[:half]]
        if len(told) > half:
            lines.append(Line(SKIP, f"{len(told) - half:,} lines more"))
    return lines


def _by_difflib(gone: Sequence[str], new: Sequence[str], clock: Callable[[], float]) -> Iterator[Line]:
    deadline = clock() + PATIENCE_S

    def check() -> None:
        if clock() > deadline:
            raise _Late

    def timed(lines: Sequence[str]) -> list[_Timed]:
        found = [_Timed(line) for line in lines]
        for line in found:
            line.check = check
        return found

    matcher = difflib.SequenceMatcher(None, timed(gone), timed(new), autojunk=False)
    for _, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        is_same = gone[a_from:a_to] == new[b_from:b_to]
        yield from (Line(SAME if is_same else GONE, line) for line in gone[a_from:a_to])
        yield from () if is_same else (Line(NEW, line) for line in new[b_from:b_to])


def _folded(lines: Sequence[Line]) -> Iterator[Line]:
    """What is the same, but for a little around each difference, as one line that says how much it is."""
    near = [False] * len(lines)
    for place, line in enumerate(lines):
        if line.kind != SAME:
            for n in range(max(0, place - CONTEXT), min(len(lines), place + CONTEXT + 1)):
                near[n] = True
    skipped = 0
    for line, is_near in zip(lines, near, strict=True):
        if not is_near:
            skipped += 1
            continue
        yield from _skip(skipped)
        skipped = 0
        yield line


def _skip(count: int) -> list[Line]:
    """What stands for so many lines that are the same: nothing for none."""
    words = "1 line that is the same" if count == 1 else f"{count:,} lines that are the same"
    return [Line(SKIP, words)] if count else []


def _marked(lines: Sequence[Line]) -> Iterator[Line]:
    """Where as many lines came as went, each pair shows in what it differs."""
    place = 0
    while place < len(lines):
        kind = lines[place].kind
        gone = _stretch(lines, place, GONE)
        new = _stretch(lines, place + len(gone), NEW)
        if kind == GONE and len(gone) == len(new):
            pairs = [_pair(a.before, b.before) for a, b in zip(gone, new, strict=True)]
            yield from (pair[0] for pair in pairs)
            yield from (pair[1] for pair in pairs)
            place += 2 * len(gone)
        else:
            yield lines[place]._replace(before=_cut(lines[place].before))
            place += 1


def _stretch(lines: Sequence[Line], place: int, kind: str) -> list[Line]:
    end = place
    while end < len(lines) and lines[end].kind == kind:
        end += 1
    return list(lines[place:end])


def _pair(gone: str, new: str) -> tuple[Line, Line]:
    """Two lines that have most in common show where they have not; two others are just two lines."""
    size = min(len(gone), len(new))
    start = next((n for n in range(size) if gone[n] != new[n]), size)
    end = next((n for n in range(size - start) if gone[-1 - n] != new[-1 - n]), size - start)

    if (start + end) * 2 < size:
        return Line(GONE, _cut(gone)), Line(NEW, _cut(new))

    longer = max(gone, new, key=len)
    if start + end == size and start and longer[start - 1] == longer[len(longer) - end - 1] == "<":
        start, end = start - 1, end + 1  # what was put in is a tag, not `script></script><`

    def told(kind: str, line: str) -> Line:
        stop = len(line) - end
        before, after = line[:start], line[stop:]
        before = before if len(before) <= LINE_MAX // 3 else f"...{before[-LINE_MAX // 3 :]}"
        return Line(kind, before, _cut(line[start:stop]), _cut(after, LINE_MAX // 3))

    return told(GONE, gone), told(NEW, new)


def _cut(line: str, length: int = LINE_MAX) -> str:
    return line if len(line) <= length else f"{line[:length]}... ({len(line) - length:,} characters more)"


def _dump(here: bytes, there: bytes) -> Iterator[Line]:
    """Bytes around the first that differs, of both."""
    size = min(len(here), len(there))
    first = next((n for n in range(size) if here[n] != there[n]), size)
    start = max(0, first - first % ROW - ROW)
    if start:
        yield Line(SKIP, f"{start:,} bytes that are the same")
    stop = start + (DUMP_ROWS + 1) * ROW
    for at in range(start, stop, ROW):
        gone, new = there[at : at + ROW], here[at : at + ROW]
        if gone == new and gone:
            yield Line(SAME, _hex(at, gone))
            continue
        yield from (Line(kind, _hex(at, row)) for kind, row in ((GONE, gone), (NEW, new)) if row)
    if max(len(here), len(there)) > stop:
        yield Line(SKIP, "the rest of the bytes is not shown")


def _hex(at: int, row: bytes) -> str:
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{at:08x}  {row.hex(' '):<{ROW * 3 - 1}}  {shown}"
