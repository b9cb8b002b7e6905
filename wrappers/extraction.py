"""What a run left behind is read as facts: the declared ones, and nothing else.

All of it was possibly written by the suspect. So bytes are capped before they are looked at, patterns run under a time
limit and without the interpreter's lock, files are opened only where they are plain files in the run's own folder, and
a value never grows beyond a size that can be stored and shown. Decides no verdict; but a fact that could not be *read*
(rather than: is not there), and that a rule asks for, makes the extraction a failure, since no verdict may rest on it.
Called in a thread.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..orchestrator.tool import CONTROL_MATCHERS, Condition, Extract, Facts, Tool, Value
from . import values
from .filters import FilterBroken, FilterFailed, Flooded, Offline
from .folding import FoldingTimeout, folder
from .harvest import Harvest, Sources
from .long_lists import ITEMS_MAX, READ_MAX, bounded, count
from .tap import Tap, read_tap
from .values import Unreadable

PATTERN_TIMEOUT_S: Final = 0.5
"""Of processor time: a machine that is busy makes no pattern late."""
PEM_BLOCKS_MAX: Final = 100
TWICE_MAX: Final = 10
FLOOD_MATCHERS: Final = (*CONTROL_MATCHERS, "absent", "empty")
"""What can be asked of a fact whose filter printed too much: is it what others saw, and is it there at all."""

__all__ = ["Extraction", "ExtractionTimeout", "Harvest", "extract", "search"]


class ExtractionTimeout(Exception):
    """A pattern did not end in time on a text: nothing is known about the text."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """The facts that were declared, None for those that are not there; `problems`: why, in words. `failure` is
    `parse` when a fact could not be read, and empty otherwise."""

    facts: Facts
    problems: tuple[str, ...] = ()
    failure: str = ""


@dataclass(slots=True)
class _Work:
    """One extraction at work. What several facts share (a file, what a filter made of it) is read once."""

    sources: Sources
    offline: Offline
    asked: Mapping[str, Sequence[Condition]]
    problems: list[str] = field(default_factory=list)
    is_failed: bool = False
    filtered: dict[tuple[str, tuple[str, ...]], bytes | Flooded | None] = field(default_factory=dict)
    tap: Tap | None = None
    texts: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)

    def fails(self, what: str) -> None:
        self.is_failed = True
        self.problems.append(what)


def extract(tool: Tool, harvest: Harvest, *, path: str = os.defpath, guests: set[int] | None = None) -> Extraction:
    """The tool's facts. `path`: where filters are looked for; `guests`: of the household, see `filters.py`.

    Takes at most half a second for each pattern and five for each filter. Never raises for what was harvested.
    """
    work = _Work(Sources(harvest, tool.command.limits), Offline(path, guests), _asked(tool))
    facts: dict[str, Value] = {}
    for wanted in tool.extracts:
        try:
            facts[wanted.name] = _fact(wanted, work)
        except Unreadable as error:
            facts[wanted.name] = None
            work.problems.append(f"{wanted.name}: {error}")
        except (ExtractionTimeout, FoldingTimeout, FilterBroken, MemoryError, RecursionError, OSError) as error:
            facts[wanted.name] = None
            problem = f"{wanted.name}: {error or type(error).__name__}"
            (work.fails if wanted.name in work.asked else work.problems.append)(problem)
    emitted = work.sources.emitted()
    if tool.command.parse:  # no rule names what it emits, and all of it was meant
        facts = {**emitted, **facts}
    for name in work.sources.twice[:TWICE_MAX]:
        work.fails(f"facts: {name} is set twice")
    problems = tuple(dict.fromkeys((*work.problems, *work.sources.problems)))
    return Extraction(facts, problems, "parse" if work.is_failed else "")


def _asked(tool: Tool) -> Mapping[str, Sequence[Condition]]:
    """The facts that conditions name, and what they ask of them. On others no verdict rests: reasons show them."""
    asked: dict[str, list[Condition]] = {}
    for rule in tool.verdict:
        for condition in (*rule.when, *rule.any):
            asked.setdefault(condition.subject.partition(".")[0], []).append(condition)
    return asked


def search(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text. Raises ExtractionTimeout when that isn't known after half a second."""
    for _ in _matches(pattern, text):
        return True
    return False


def _fact(wanted: Extract, work: _Work) -> Value:
    if wanted.source == "facts":
        return _shaped(wanted, work.sources.emitted().get(wanted.argument or wanted.name))
    content = _content(wanted, work)
    if isinstance(content, Flooded):
        return _flood(wanted, content, work)
    if content is None:
        return None
    return _HOW[wanted.how](wanted, content, work)


def _flood(wanted: Extract, flood: Flooded, work: _Work) -> Value:
    """Who makes a filter print too much gets a fact that is no control's. What else a rule asks of it, nobody knows."""
    told = f"{wanted.name}: {flood}"
    is_enough = all("." not in c.subject and c.matcher in FLOOD_MATCHERS for c in work.asked.get(wanted.name, ()))
    (work.problems.append if is_enough else work.fails)(told)
    return str(flood) if is_enough else None


def _content(wanted: Extract, work: _Work) -> bytes | Flooded | None:
    """The bytes of the source, after the filter; None: they are not there."""
    content = work.sources.read(wanted.source)
    if not wanted.filter or content is None:
        return content
    key = (wanted.source, wanted.filter)
    if key not in work.filtered:
        try:
            work.filtered[key] = work.offline.run(wanted.filter, content)
        except FilterFailed as error:
            work.problems.append(f"{wanted.name}: {error}")
            work.filtered[key] = None
        except Flooded as flood:
            work.filtered[key] = flood
    return work.filtered[key]


def _text(wanted: Extract, content: bytes, work: _Work) -> str:
    key = (wanted.source, wanted.filter)
    if key not in work.texts:
        work.texts[key] = values.decoded(content)
    return work.texts[key]


def _as_text(wanted: Extract, content: bytes, work: _Work) -> Value:
    if wanted.form in ("sha256", "size"):
        return values.digest(content) if wanted.form == "sha256" else len(content)
    return _shaped(wanted, values.decoded(content.rstrip(b"\r\n")))


def _as_regex(wanted: Extract, content: bytes, work: _Work) -> Value:
    """Group 1, or the whole match where the pattern has no group."""
    found = _matches(wanted.argument, _text(wanted, content, work))
    return _listed(wanted, found, content, work) if wanted.every else _shaped(wanted, next(found, None))


def _matches(pattern: str, text: str) -> Iterator[str]:
    """The matches of a pattern. Raises ExtractionTimeout."""
    import regex  # 15 ms, and not every tool has a pattern

    deadline = time.thread_time() + PATTERN_TIMEOUT_S
    try:
        for match in regex.compile(pattern).finditer(text, timeout=PATTERN_TIMEOUT_S, concurrent=True):
            group = 1 if match.re.groups else 0
            start, end = match.span(group)
            if time.thread_time() > deadline:
                raise TimeoutError
            if start >= 0:
                yield text[start:end]
    except TimeoutError:
        raise ExtractionTimeout(f"the pattern {pattern!r} took longer than {PATTERN_TIMEOUT_S:g} s") from None
    except (regex.error, MemoryError) as error:
        raise ExtractionTimeout(f"the pattern {pattern!r}: {error or 'out of memory'}") from None


def _as_json(wanted: Extract, content: bytes, work: _Work) -> Value:
    found = values.pointed(values.parsed_json(content), wanted.argument)
    if isinstance(found, list) and (wanted.every or wanted.form == "set"):
        return _listed(wanted, map(values.json_text, found), content, work)
    if found is None:
        return None
    return _shaped(wanted, values.json_text(found))


def _as_pem(wanted: Extract, content: bytes, work: _Work) -> Value:
    """The blocks with the label, in order; `sha256` is that of what they encode: a certificate's fingerprint."""
    blocks = values.pem_blocks(content, wanted.argument)
    found = map(values.pem_digest if wanted.form == "sha256" else values.decoded, blocks)
    return _listed(wanted, found, content, work, PEM_BLOCKS_MAX)


def _as_tap(wanted: Extract, content: bytes, work: _Work) -> Value:
    """The tests that failed, or how many passed. A document that is not whole and has no failure says nothing."""
    if work.tap is None:
        work.tap = read_tap(content, is_cut=len(content) >= work.sources.limits.stdout)
        if work.tap.problem and not work.tap.not_ok:
            work.fails(f"TAP: {work.tap.problem}")
    return work.tap.passed if wanted.argument == "passed" else work.tap.not_ok or None


def _as_lines(wanted: Extract, content: bytes, work: _Work) -> Value:
    """Every line that is not empty. Of very many the last is all that is left."""
    lines = (line.rstrip(b"\r") for line in content.split(b"\n", READ_MAX - 1))
    return _listed(wanted, map(values.decoded, filter(None, lines)), content, work)


def _shaped(wanted: Extract, text: str | None) -> Value:
    """One text in the form and of the type that was asked for."""
    if text is None:
        return None
    text = folder(wanted.fold, PATTERN_TIMEOUT_S)(text)
    if wanted.form == "sha256":
        return _hashed(text)
    value = values.storable(text)
    if wanted.form == "size":
        return len(value)
    if wanted.form == "set":
        return (value,)
    return values.typed(value, wanted.type)


def _listed(wanted: Extract, found: Iterable[str], content: bytes, work: _Work, most: int = ITEMS_MAX) -> Value:
    """Several texts, and one for those that have no room; None, as for a single one, when nothing was found."""
    if wanted.form == "size":
        return count(found)
    store = _hashed if wanted.form == "sha256" and wanted.how != "pem" else values.storable
    texts = map(folder(wanted.fold, PATTERN_TIMEOUT_S), found)
    kept, others = bounded(texts, content, is_set=wanted.form == "set", most=most, store=store)
    if others:
        work.problems.append(f"{wanted.name}: of more than {most} the last is a digest of the others")
        kept.append(others)
    return tuple(kept) or None


def _hashed(text: str) -> str:
    return values.digest(values.storable(text).encode())


_HOW: Final[Mapping[str, Callable[[Extract, bytes, _Work], Value]]] = {
    "text": _as_text,
    "regex": _as_regex,
    "json": _as_json,
    "pem": _as_pem,
    "lines": _as_lines,
    "tap": _as_tap,
}
