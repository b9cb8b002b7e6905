"""What an exit gave beside what the controls were given: which values of each fact, which fields of a certificate.

Pure. Every fact is treated as a set of values (one that is no list, as a set of one), with how many saw each; so an
address among DNS answers, a header and a hash are compared in the same way. A value counts as the controls' when as
many of them have it as `agreement.py` asks for: some controls lie, too. This only decides what is marked; which
difference accuses an exit is for the tool's rules to say.

The address of the machine that looked stands in no report. What a direct control saw, without Tor, may hold it: an
address that nobody else saw is left out (`ONLY_HERE`).
"""

import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from ...wrappers.certificates import Certificate
from ..audit.agreement import SHARE
from .fields import Record, clipped, table, text

VALUES_MAX = 12  # of one fact, shown on each side
QUORUM = 2  # of controls, as tools ask for if they say nothing
VALUE_MAX = 300  # characters of one
NAMES_MAX = 40  # facts
ABSENT = "(not there)"
ONLY_HERE = "(an address that only the machine that looked was given)"

_ADDRESS_LIKE = re.compile(r"[0-9A-Fa-f:.]{2,64}")

Chain = tuple[Certificate, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A value, and how many saw it. `is_odd`: it is not the other side's. `is_absent`: it stands for none."""

    text: str
    count: int
    is_odd: bool
    is_absent: bool = False

    @property
    def is_shared(self) -> bool:
        return not self.is_odd


@dataclass(frozen=True, slots=True)
class Side:
    """What one side saw of a fact. `of`: how many looked; `left_out`: how many more values there are."""

    values: tuple[Value, ...]
    of: int
    left_out: int = 0

    @property
    def is_odd(self) -> bool:
        return any(value.is_odd for value in self.values)


@dataclass(frozen=True, slots=True)
class FactDifference:
    """A fact on both sides. `there` None: no control was asked for it. `is_agreed`: the controls say something."""

    name: str
    here: Side
    there: Side | None
    is_agreed: bool = True

    @property
    def is_different(self) -> bool:
        return self.there is not None and (self.here.is_odd or self.there.is_odd)


class Field(NamedTuple):
    """A field of a certificate on both sides."""

    name: str
    here: str
    there: str

    @property
    def is_different(self) -> bool:
        return self.here != self.there


@dataclass(frozen=True, slots=True)
class CertificateDifference:
    """The leaf on both sides, field by field, and the chains above it. `there_of` 0: no control's was kept."""

    fields: tuple[Field, ...]
    above_here: tuple[str, ...]
    above_there: tuple[str, ...]
    here_count: int
    here_of: int
    there_count: int
    there_of: int
    others: tuple[str, ...]


def fact_differences(here: Sequence[Record], there: Sequence[Record]) -> tuple[FactDifference, ...]:
    """Of runs of an exit and of its controls: those that differ first. Each has `facts`; of a control that asked
    without Tor, `vantage` is `direct`."""
    own = [table(run, "facts") for run in here if isinstance(run.get("facts"), Mapping)]
    seen = {text for facts in own for value in facts.values() for text in _texts(value)}
    seen |= {text for one in there if not _is_direct(one) for v in table(one, "facts").values() for text in _texts(v)}
    others = [_without_own_address(one, seen) for one in there]
    names = list(dict.fromkeys(str(name) for facts in (*others, *own) for name in facts))[:NAMES_MAX]
    found = [_difference(name, own, others) for name in names]
    found = [one for one in found if one.here.of or one.is_different]
    return tuple(sorted(found, key=lambda one: (not one.is_different, one.there is None)))


def _difference(name: str, own: Sequence[Record], others: Sequence[Record]) -> FactDifference:
    here = [facts[name] for facts in own if name in facts]
    there = [facts[name] for facts in others if name in facts]
    here_counts, there_counts = _counts(here), _counts(there)
    if not there:
        return FactDifference(name, _side(here_counts, len(here), set()), None)
    needed = min(len(there), max(QUORUM, ceil(SHARE * len(there))))
    agreed = {text for text, count in there_counts.items() if count >= needed}
    new = {text for text in here_counts if text not in agreed} if agreed else set()
    gone: set[str] = set()
    if new or any(isinstance(value, list) for value in (*here, *there)):  # of single values one can't be missing
        gone = {text for text in agreed if text not in here_counts and there_counts[text] * 2 > len(there)}
    sides = _side(here_counts, len(here), new), _side(there_counts, len(there), gone)
    return FactDifference(name, *sides, is_agreed=bool(agreed))


def _counts(values: Iterable[object]) -> Counter[str]:
    return Counter(text for value in values for text in set(_texts(value)))


def _side(counts: Counter[str], of: int, odd: set[str]) -> Side:
    """What the other side lacks comes first, then what was seen most."""
    ranked = sorted(counts, key=lambda text: (text not in odd, -counts[text], text))
    values = tuple(
        Value(clipped(text, VALUE_MAX), counts[text], text in odd, text == ABSENT) for text in ranked[:VALUES_MAX]
    )
    return Side(values, of, len(ranked) - len(values))


def _texts(value: object) -> Iterator[str]:
    """The values of a fact as text."""
    if isinstance(value, list):
        yield from map(_text, value) if value else ("(empty)",)
    else:
        yield _text(value)


def _text(value: object) -> str:
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def _is_direct(control: Record) -> bool:
    return text(control, "vantage") == "direct"


def _without_own_address(control: Record, seen: set[str]) -> Record:
    facts = table(control, "facts")
    if not _is_direct(control):
        return facts
    return {name: _hidden(value, seen) for name, value in facts.items()}


def _hidden(value: object, seen: set[str]) -> object:
    if isinstance(value, list):
        return [_hidden(item, seen) for item in value]
    return ONLY_HERE if isinstance(value, str) and value not in seen and _holds_address(value) else value


def _holds_address(words: str) -> bool:
    """Whether an IP address stands in it, alone or before a port."""
    for word in _ADDRESS_LIKE.findall(words):
        for part in (word.strip("."), word.rpartition(":")[0]):
            try:
                ipaddress.ip_address(part)
            except ValueError:
                continue
            return True
    return False


def certificate_difference(here: Sequence[Chain], there: Sequence[Chain]) -> CertificateDifference | None:
    """The chain that most runs were given beside the one that most controls were; None: no run has one."""
    own, others = Counter(filter(None, here)), Counter(filter(None, there))
    if not own:
        return None
    # Of two that as many runs saw, the one that no control knows is what people want to look at.
    chain = max(own, key=lambda one: (one not in others, own[one], one[0].sha256))
    usual = max(others, key=lambda one: (others[one], one[0].sha256), default=())
    rest = [f"{own[one]} of {own.total()} runs: {_named(one)}" for one in own if one != chain]
    rest += [f"{others[one]} of {others.total()} controls: {_named(one)}" for one in others if one != usual]
    return CertificateDifference(
        fields=tuple(_fields(chain[0], usual[0] if usual else None)),
        above_here=tuple(map(_line, chain[1:])),
        above_there=tuple(map(_line, usual[1:])),
        here_count=own[chain],
        here_of=own.total(),
        there_count=others[usual] if usual else 0,
        there_of=others.total(),
        others=tuple(rest[:VALUES_MAX]),
    )


def _fields(here: Certificate, there: Certificate | None) -> Iterator[Field]:
    names = (
        ("subject", "subject"), ("issuer", "issuer"), ("names", "names"), ("not before", "not_before"),
        ("not after", "not_after"), ("serial", "serial"), ("kind of key", "key"),
        ("signature algorithm", "signature"),
        ("SHA-256", "sha256"), ("problem", "problem"),
    )  # fmt: skip
    for label, name in names:
        told = [_plain(getattr(one, name)) if one is not None else "" for one in (here, there)]
        if any(told):
            yield Field(label, *told)


def _plain(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _line(certificate: Certificate) -> str:
    """One certificate in a line."""
    if certificate.problem:
        return f"{certificate.problem} (SHA-256 {certificate.sha256[:16]})"
    return f"{certificate.subject}, by {certificate.issuer} (SHA-256 {certificate.sha256[:16]})"


def _named(chain: Chain) -> str:
    return _line(chain[0])
