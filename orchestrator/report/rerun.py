"""A recorded run beside the same run made again: what came of it then, and what comes of it now. Pure.

Facts, the tool's end, its failure and what became of its connections decide whether it is the same. What was written
and how long it took is shown and decides nothing, for there are times, ports and paths in it; nor does the address that
the exit says it found, for a target may have several. What `{{nonce}}` stood for was another text each time, and counts
as the same. `-` is then, `+` is now. Called by `exitpin replay`.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ...wrappers.certificates import certificates
from .bodies import body_difference
from .charts import duration
from .differences import certificate_difference
from .differences_told import body_lines, certificate_lines
from .fields import Record, number, table, tables, text
from .told import BOTH, HEAD, HERE, NOTE, THERE, Told

NONCE = "{{nonce}}"
TIMES = (("circuit", "queue", "circuit"), ("first byte", "circuit", "first_byte"), ("whole run", "circuit", "end"))
STRETCH_MAX = 8
NOT_READ = "(not read)"


@dataclass(frozen=True, slots=True)
class Made:
    """A run as it is compared. `facts`: as they were judged, as far as they were kept; `pieces`: its output by name."""

    record: Record
    facts: Mapping[str, object]
    pieces: Mapping[str, bytes]


class Part(NamedTuple):
    """One thing that was compared. `is_different` None: it decides nothing."""

    name: str
    is_different: bool | None
    lines: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Rerun:
    """All that was compared."""

    parts: tuple[Part, ...]

    @property
    def differs(self) -> list[str]:
        """In what the two differ, of what decides."""
        return [part.name for part in self.parts if part.is_different]

    @property
    def lines(self) -> list[Told]:
        """What differs and decides; what else there is to see; and what is the same, by name."""
        decisive = [line for part in self.parts if part.is_different for line in part.lines]
        others = [line for part in self.parts if part.is_different is None for line in part.lines]
        same = ", ".join(part.name for part in self.parts if part.is_different is False)
        return [*decisive, *others, Told(NOTE, f"the same: {same or 'nothing'}")]


def compare(then: Made, now: Made, clock: Callable[[], float]) -> Rerun:
    """`clock`: seconds, as time.monotonic."""
    parts = [
        _part("end", Counter([_end(then.record)]), Counter([_end(now.record)])),
        _part("failure", Counter([_failure(then.record)]), Counter([_failure(now.record)])),
        _part("connections", _streams(then), _streams(now)),
    ]
    names = dict.fromkeys([*then.facts, *now.facts])
    parts += [_part(f"fact {name}", _values(then, name), _values(now, name)) for name in names]
    parts += [_certificate(then, now), _resolved(then, now), *_written(then, now, clock)]
    parts.append(_times(then.record, now.record))
    return Rerun(tuple(parts))


def _part(name: str, then: Counter[str], now: Counter[str]) -> Part:
    if then == now:
        return Part(name, False, ())
    return Part(name, True, (Told(HEAD, name), *_sides(then, now)))


def _sides(then: Counter[str], now: Counter[str]) -> Iterator[Told]:
    for mark, values in ((THERE, then - now), (HERE, now - then)):
        yield from (Told(mark, value, f"{count} times" if count > 1 else "") for value, count in values.items())
    yield from (Told(BOTH, value) for value in (then & now))


def _end(record: Record) -> str:
    process = table(record, "process")
    if process.get("timed_out"):
        return "timed out"
    if process.get("signal") is not None:
        return f"signal {text(process, 'signal')}"
    return "did not end" if process.get("rc") is None else f"exit status {text(process, 'rc')}"


def _failure(record: Record) -> str:
    failure = table(record, "failure")
    return f"{text(failure, 'kind')} (blame: {text(failure, 'blame')})" if failure else "none"


def _values(made: Made, name: str) -> Counter[str]:
    if name not in made.facts:
        return Counter([NOT_READ])
    value = made.facts[name]
    items = value if isinstance(value, list) else [value]
    return Counter(_plain(made, "(not there)" if one is None else one) for one in items)


def _plain(made: Made, value: object) -> str:
    words = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    nonce = text(made.record, "nonce")
    return words.replace(nonce, NONCE) if nonce else words


def _streams(made: Made) -> Counter[str]:
    """What became of each connection and look-up."""
    names = ("destination", "status", "reason", "remote_reason")
    told = [[text(stream, name) for name in names] for stream in tables(made.record, "streams")]
    return Counter(_plain(made, " ".join(filter(None, words))) for words in told)


def _certificate(then: Made, now: Made) -> Part:
    """The certificate that was handed over, field by field: its digest is one of the facts."""
    after, before = (certificates(made.pieces.get("stdout", b"")) for made in (now, then))
    found = certificate_difference([after], [before])
    lines = certificate_lines(found) if found is not None else ()
    return Part("certificate", None, tuple(line._replace(seen="") for line in lines))


def _resolved(then: Made, now: Made) -> Part:
    """Where names led, by the exit's word."""
    before, after = (
        Counter(
            _plain(made, f"{text(stream, 'destination')} at {text(stream, 'resolved')}")
            for stream in tables(made.record, "streams")
            if text(stream, "resolved")
        )
        for made in (then, now)
    )
    lines = () if before == after else (Told(HEAD, "addresses found (they decide nothing)"), *_sides(before, after))
    return Part("addresses", None, lines)


def _written(then: Made, now: Made, clock: Callable[[], float]) -> Iterator[Part]:
    for name in then.pieces:
        if name not in now.pieces:
            continue
        before, after = _piece(then, name), _piece(now, name)
        if after == before:
            yield Part(name, False, ())
        elif name != "pem":  # it stands in stdout, and is told field by field
            sizes = f"{len(before):,} bytes then, {len(after):,} now"
            lines = body_lines(body_difference(after, before, clock), STRETCH_MAX)
            yield Part(name, None, (Told(HEAD, f"{name}: {sizes} (it decides nothing)"), *lines))
    for which, one, other in (("then", then, now), ("now", now, then)):
        alone = ", ".join(name for name in one.pieces if name not in other.pieces)
        if alone:
            yield Part(alone, None, (Told(NOTE, f"kept {which} only: {alone}"),))


def _piece(made: Made, name: str) -> bytes:
    nonce = text(made.record, "nonce").encode()
    return made.pieces[name].replace(nonce, NONCE.encode()) if nonce else made.pieces[name]


def _times(then: Record, now: Record) -> Part:
    told = []
    for label, begin, end in TIMES:
        spans = [_span(record, begin, end) for record in (then, now)]
        if any(spans):
            told.append(f"{label} {spans[0] or 'none'} then, {spans[1] or 'none'} now")
    return Part("times", None, (Told(NOTE, f"times: {'; '.join(told)}"),) if told else ())


def _span(record: Record, begin: str, end: str) -> str:
    times = table(record, "t")
    began, ended = number(times, begin), number(times, end)
    return "" if began is None or ended is None else duration(max(0.0, ended - began))
