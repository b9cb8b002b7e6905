"""What other vantages saw, and what of it counts: the controls that a run is compared with.

Theory. The exit that carried a control may lie too, so one control proves nothing: what `quorum` of them agree on
counts, and of many controls SHARE of all: two liars with the same lie among twenty are no quorum. What this machine saw
itself (`direct`), and what was known beforehand (`pinned`), needs nobody to agree. A target may have several true
values, so the controls may agree on more than one; it may also have a new one for each visitor, and then they agree on
nothing, and no run can be compared.

Pure; where the samples come from is `controls.py`'s.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from .facts import fact_name, items, look_up, text
from .model import Fingerprint
from .templates import fill, names_in
from .tool import Facts, Value

TRUSTED = ("direct", "pinned")
"""Vantages that no exit has a hand in."""

SHARE = 0.15
"""Of all controls, at least so many must agree. A target that answers in two ways at random stays clear of it: of
twenty controls fewer than three see the one answer once in 5,000 times."""

_Key = tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Control:
    """What one control saw. `vantage`: exit, direct or pinned; `at`: when it ended, in seconds since the epoch."""

    vantage: str
    facts: Facts
    at: float
    run_id: str = ""
    exit: Fingerprint | None = None


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

    @property
    def is_enough(self) -> bool:
        """Whether they could agree on anything."""
        return bool(self.samples) and sum(map(self._weight, self.samples)) >= self.quorum

    def agreed(self, field: str) -> tuple[Value, ...]:
        """The values that count, the most common first."""
        values = self._values(field)
        votes: Counter[_Key] = Counter()
        for value, weight in values:
            votes[_key(value)] += weight
        counted = {_key(value): value for value, _ in values if votes[_key(value)] >= self._needed(values)}
        return tuple(counted[key] for key in sorted(counted, key=lambda key: (-votes[key], key or ())))

    def votes(self, field: str, value: Value) -> int:
        """How many controls saw this value."""
        return sum(_key(seen) == _key(value) for seen, _ in self._values(field))

    def differs(self, field: str, value: Value) -> bool | None:
        """Whether `value` is none of the values that the controls agree on; None: they agree on none."""
        agreed = self.agreed(field)
        return _key(value) not in map(_key, agreed) if agreed else None

    def adds(self, field: str, value: Value) -> bool | None:
        """Whether `value` has an element that fewer than `quorum` of the controls have; None: they themselves have so
        many that nobody else has that one more proves nothing."""
        values = self._values(field)
        if not values:
            return None
        votes = _votes(values)
        if all(votes[element] >= self._needed(values) for element in _elements(value)):
            return False
        return None if self._is_disagreed(values) else True

    def missing(self, field: str, value: Value) -> bool | None:
        """Whether `value` lacks an element that `quorum` and more than half of the controls have."""
        values = self._values(field)
        if not values:
            return None
        votes, half = _votes(values), sum(weight for _, weight in values) / 2
        expected = {element for element, count in votes.items() if count >= self._needed(values) and count > half}
        if not expected and self._is_disagreed(values):
            return None
        return not expected <= _elements(value)

    def _needed(self, values: Sequence[tuple[Value, int]]) -> int:
        """How many votes count as agreement."""
        return max(self.quorum, ceil(SHARE * len(values)))

    def _weight(self, sample: Control) -> int:
        return max(self.quorum, ceil(SHARE * len(self.samples))) if sample.vantage in TRUSTED else 1

    def _values(self, field: str) -> list[tuple[Value, int]]:
        """What each control says of the field, and its weight. Pins don't speak of what they don't name."""
        return [
            (look_up(sample.facts, field), self._weight(sample))
            for sample in self.samples
            if sample.vantage != "pinned" or fact_name(field, sample.facts) in sample.facts
        ]

    def _is_disagreed(self, values: Iterable[tuple[Value, int]]) -> bool:
        """Whether as many controls as could agree (two at least) each have an element that no other has."""
        sets = [_elements(value) for value, _ in values]
        holders = Counter(element for elements in sets for element in elements)
        loners = sum(any(holders[element] == 1 for element in elements) for elements in sets)
        return loners >= max(2, self.quorum)


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


def _votes(values: Iterable[tuple[Value, int]]) -> Counter[str]:
    """How many controls have each element."""
    votes: Counter[str] = Counter()
    for value, weight in values:
        votes.update(dict.fromkeys(_elements(value), weight))
    return votes
