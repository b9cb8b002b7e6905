"""What other vantages saw, and what of it counts: the controls that a run is compared with.

Theory. The exit that carried a control may lie too, so one control proves nothing: what `quorum` of them agree on
counts, and of many controls SHARE of all: two liars with the same lie among twenty are no quorum. What this machine saw
itself (`direct`), and what was known beforehand (`pinned`), needs nobody to agree. A target may have several true
values, so the controls may agree on more than one; and rare ones, which a quorum sees and less than that share. Where
much is rare, what nobody else saw may be one more of them. It may also have a new one for each visitor: then they agree
on nothing. Where it is so, no run can be compared.

An exit that was asked several times has one vote for each value that it showed: so a few exits tell all answers of a
target, and one that lies is never two.

Pure; where the samples come from is `controls.py`'s.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple, TypeVar

from ..model import Fingerprint
from ..tool import Facts, Value
from .facts import fact_name, items, look_up, text
from .templates import fill, names_in

TRUSTED = ("direct", "pinned")
"""Vantages that no exit has a hand in."""

SHARE = 0.15
"""Of all who were asked, at least so many must agree. A target that answers in two ways at random stays clear of it: of
26 exits fewer than four see the one answer once in 22,000 times."""

_Key = tuple[str, ...] | None
_Choice = TypeVar("_Choice")
_Given = defaultdict[_Choice, dict[object, int]]
"""By what was seen (or lacked): the voters, and their weights."""


@dataclass(frozen=True, slots=True)
class Control:
    """What one control saw. `vantage`: exit, direct or pinned; `at`: when it ended, in seconds since the epoch."""

    vantage: str
    facts: Facts
    at: float
    run_id: str = ""
    exit: Fingerprint | None = None


class _Seen(NamedTuple):
    """What one sample says of a field. `voter`: who says it; `weight`: how many votes that one has."""

    voter: object
    value: Value
    weight: int


@dataclass(frozen=True, slots=True)
class Controls:
    """The controls of one comparison. A value counts once `quorum` of them agree on it, or a trusted one has it.

    A field is a fact's name, or one item (`chain.0`), or the number of items (`chain.count`). A fact that a control
    looked for and did not find is a value like others: controls may agree that there is none.
    """

    samples: tuple[Control, ...]
    quorum: int = 2

    def filled(self, values: Mapping[str, str]) -> "Controls":
        """The same for one run: with its own values in what is pinned. A pin that lacks one says nothing."""
        return replace(self, samples=tuple(_filled(sample, values) for sample in self.samples))

    def by_majority(self) -> "Controls":
        """The same, where more than half of them have to agree."""
        return replace(self, quorum=max(self.quorum, self.voters // 2 + 1))

    @property
    def voters(self) -> int:
        """How many there are to agree, however often each was asked."""
        return len(set(self._voters()))

    @property
    def is_enough(self) -> bool:
        """Whether they could agree on anything."""
        weights = {voter: self._weight(sample) for voter, sample in zip(self._voters(), self.samples, strict=True)}
        return bool(weights) and sum(weights.values()) >= self.quorum

    def agreed(self, field: str) -> tuple[Value, ...]:
        """The values that count, the most common first."""
        seen = self._seen(field)
        values = {_key(one.value): one.value for one in reversed(seen)}
        votes = _votes(_given_values(seen))
        needed = self._needed(seen)
        counted = [key for key in values if votes[key] >= needed]
        exits = [one for one in seen if one.voter not in TRUSTED]
        told = {_key(one.value) for one in exits}
        if len({one.voter for one in exits}) >= self.quorum and not told.intersection(counted):
            # Exits are told this and that, and this machine something else: that is how the target answers.
            return ()
        return tuple(values[key] for key in sorted(counted, key=lambda key: (-votes[key], key or ())))

    def votes(self, field: str, value: Value) -> int:
        """How many saw this value."""
        return len({one.voter for one in self._seen(field) if _key(one.value) == _key(value)})

    def differs(self, field: str, value: Value) -> bool | None:
        """Whether `value` is none of the values that the controls agree on; None: they agree on none, or the target has
        so many that one more proves nothing."""
        agreed, seen = self.agreed(field), self._seen(field)
        if not agreed:
            return None
        if _key(value) in map(_key, agreed):
            return False
        given = _given_values(seen)
        return None if self._is_manifold(given, seen, given[_key(value)]) else True

    def adds(self, field: str, value: Value) -> bool | None:
        """Whether `value` has an element that too few of the controls have to agree; None: they themselves have so many
        that nobody else has, or few, that one more proves nothing."""
        seen = self._seen(field)
        if not seen:
            return None
        given, needed = _given_elements(seen), self._needed(seen)
        unknown = [given[e] for e in _elements(value) if sum(given[e].values()) < needed]
        if not unknown:
            return False
        is_manifold = self._is_manifold(given, seen, min(unknown, key=len))
        return None if is_manifold or self._is_disagreed(seen) else True

    def missing(self, field: str, value: Value) -> bool | None:
        """Whether `value` lacks an element that more than half of the controls have, and that too few to agree lack;
        None: they themselves lack so many that one more proves nothing."""
        seen = self._seen(field)
        if not seen:
            return None
        votes, needed, half = _votes(_given_elements(seen)), self._needed(seen), sum(one.weight for one in seen) / 2
        times: Counter[str] = Counter()
        for one in seen:
            times.update(dict.fromkeys(_elements(one.value), one.weight))
        usual = {e for e in votes if votes[e] >= needed and times[e] > half}
        lacking = _given((one.voter, e, one.weight) for one in seen for e in usual - _elements(one.value))
        expected = {e for e in usual if sum(lacking[e].values()) < needed}
        if not expected and self._is_disagreed(seen):
            return None
        unknown = [lacking[e] for e in expected - _elements(value)]
        if not unknown:
            return False
        return None if self._is_manifold(lacking, seen, min(unknown, key=len)) else True

    def _is_manifold(self, given: _Given[_Choice], seen: Sequence[_Seen], like: Mapping[object, int]) -> bool:
        """Whether the target answers in so many ways that one which too few saw to agree proves nothing. `given`: who
        saw what (or lacked it); `like`: those who saw the same.

        As many as could agree saw what a quorum saw, and too few to agree; or more than half what nobody else did; or
        there are two answers to agree on, and a quorum saw the same.
        """
        needed, sizes = self._needed(seen), [(those, sum(those.values())) for those in given.values()]
        rare = set[object]().union(*(those for those, size in sizes if self.quorum <= size < needed))
        alone = set[object]().union(*(those for those, _ in sizes if len(those) == 1)).difference(TRUSTED)
        is_split = any(needed <= size <= self.voters - needed for _, size in sizes)
        return (
            len(rare) >= needed
            or (2 * len(alone) > self.voters and len(alone) >= max(2, needed))
            or (is_split and sum(like.values()) >= self.quorum)
        )

    def _needed(self, seen: Sequence[_Seen]) -> int:
        """How many votes count as agreement."""
        return max(self.quorum, ceil(SHARE * len({one.voter for one in seen})))

    def _weight(self, sample: Control) -> int:
        return max(self.quorum, ceil(SHARE * len(self.samples))) if sample.vantage in TRUSTED else 1

    def _voters(self) -> list[object]:
        """Whose word each sample is: of an exit that is not named, its own."""
        return [
            sample.vantage if sample.vantage in TRUSTED else sample.exit or number
            for number, sample in enumerate(self.samples)
        ]

    def _seen(self, field: str) -> list[_Seen]:
        """What each sample says of the field. Pins don't speak of what they don't name."""
        return [
            _Seen(voter, look_up(sample.facts, field), self._weight(sample))
            for voter, sample in zip(self._voters(), self.samples, strict=True)
            if sample.vantage != "pinned" or fact_name(field, sample.facts) in sample.facts
        ]

    def _is_disagreed(self, seen: Sequence[_Seen]) -> bool:
        """Whether as many of them as could agree (two at least) each have an element that no other has."""
        elements: defaultdict[object, set[str]] = defaultdict(set)
        for one in seen:
            elements[one.voter] |= _elements(one.value)
        holders = Counter(element for own in elements.values() for element in own)
        loners = sum(any(holders[element] == 1 for element in own) for own in elements.values())
        return loners >= max(2, self._needed(seen))


def _filled(sample: Control, values: Mapping[str, str]) -> Control:
    if sample.vantage != "pinned":
        return sample  # what somebody else printed is no template
    pins = {name: pin for name, pin in sample.facts.items() if values.keys() >= set(names_in(text(pin)))}
    return replace(sample, facts={n: fill(pin, values) if isinstance(pin, str) else pin for n, pin in pins.items()})


def _key(value: Value) -> _Key:
    """By what values are told apart: their texts, so that a pinned `443` is the number that a run shows. An empty list
    is nothing found."""
    return tuple(map(text, items(value))) or None


def _elements(value: Value) -> frozenset[str]:
    return frozenset(map(text, items(value)))


def _given_values(seen: Iterable[_Seen]) -> _Given[_Key]:
    return _given((one.voter, _key(one.value), one.weight) for one in seen)


def _given_elements(seen: Iterable[_Seen]) -> _Given[str]:
    return _given((one.voter, element, one.weight) for one in seen for element in _elements(one.value))


def _given(cast: Iterable[tuple[object, _Choice, int]]) -> _Given[_Choice]:
    """From (voter, what it was given, weight): nobody votes twice for the same."""
    given: _Given[_Choice] = defaultdict(dict)
    for voter, one, weight in cast:
        given[one][voter] = weight
    return given


def _votes(given: _Given[_Choice]) -> Counter[_Choice]:
    """The votes for each choice."""
    return Counter({one: sum(voters.values()) for one, voters in given.items()})
