"""Two scans beside each other: which findings are new, which are gone, and what can't be compared. Pure.

A verdict has its counterpart where the same tool asked the same exit with the same parameters. What was asked in one
of the scans only has none, and is counted. An `error` and a `skipped` say nothing about an exit: a finding that is
followed by one of them is `unseen`, never `gone`. Called by `results diff`.

  new           a finding, where there was none
  flipped       another status, neither new nor gone: a finding has become another one, an error an answer
  unseen        a finding that was not seen again, because nobody could look, or nobody did
  gone          a finding that is none any more: asked, and found honest
  new-exit      was not in the plan of the earlier scan
  gone-exit     is not in the plan of the later scan
  incomparable  the tool's file has changed meanwhile: both verdicts stand, and say nothing about each other
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .standing import Standing
from .wanted import BY_SEVERITY, STATUSES

NEW, FLIPPED, UNSEEN, GONE = "new", "flipped", "unseen", "gone"
NEW_EXIT, GONE_EXIT, INCOMPARABLE = "new-exit", "gone-exit", "incomparable"
KINDS = (NEW, FLIPPED, UNSEEN, GONE, NEW_EXIT, GONE_EXIT, INCOMPARABLE)

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Side:
    """One scan. `exits`: whom it was to ask; None: nobody wrote that down, those with a verdict are taken for it."""

    scan_id: str
    exits: frozenset[str] | None
    standings: tuple[Standing, ...]

    def all_exits(self) -> frozenset[str]:
        """Whom it was to ask, as far as that is known."""
        asked = frozenset(standing.exit for standing in self.standings)
        return asked if self.exits is None else self.exits | asked


@dataclass(frozen=True, slots=True)
class Change:
    """What is not as it was. `before`, `after`: the verdicts, None: there is none; of a new or a gone exit the gravest
    that it has, and `tool` is empty."""

    kind: str
    tool: str
    exit: str
    nickname: str
    before: Standing | None
    after: Standing | None

    @property
    def is_worse(self) -> bool:
        """Whether it accuses an exit of what it was not accused of, or more gravely."""
        if self.kind != FLIPPED or self.before is None or self.after is None:
            return self.kind == NEW
        return self.after.is_finding and self.after.rank < self.before.rank


@dataclass(frozen=True, slots=True)
class Difference:
    """`changes`: the gravest first. `counts`: by kind; `unchanged`: verdicts that say the same; `unmatched`: verdicts
    without a counterpart, by tool, of what only one of the scans asked."""

    before: str
    after: str
    changes: tuple[Change, ...]
    counts: Mapping[str, int]
    unchanged: int
    unmatched: Mapping[str, int]

    @property
    def is_worse(self) -> bool:
        return any(change.is_worse for change in self.changes)


def compare(before: Side, after: Side) -> Difference:
    """What has changed from one scan to the other."""
    old, new = _by_key(before.standings), _by_key(after.standings)
    common = {s.question for s in before.standings} & {s.question for s in after.standings}
    exits_before, exits_after = before.all_exits(), after.all_exits()
    changes, unmatched, unchanged = [], Counter[str](), 0
    for key in {**old, **new}:
        one, other = old.get(key), new.get(key)
        if key[:2] not in common:
            unmatched[key[0]] += 1
        elif (kind := _kind(one, other, is_asked=key[2] in exits_after)) is not None:
            told = other or one
            assert told is not None
            changes.append(Change(kind, told.tool, told.exit, told.nickname, one, other))
        elif one is not None and other is not None:
            unchanged += 1
    changes += _exit_changes(NEW_EXIT, exits_after - exits_before, new.values())
    changes += _exit_changes(GONE_EXIT, exits_before - exits_after, old.values())
    counts = Counter(change.kind for change in changes)
    return Difference(
        before.scan_id, after.scan_id, tuple(sorted(changes, key=_gravity)),
        {kind: counts[kind] for kind in KINDS}, unchanged, dict(sorted(unmatched.items())),
    )  # fmt: skip


def _by_key(standings: Iterable[Standing]) -> dict[Key, Standing]:
    return {(standing.tool, standing.params_key, standing.exit): standing for standing in standings}


def _kind(before: Standing | None, after: Standing | None, *, is_asked: bool) -> str | None:
    """`is_asked`: whether the later scan was to ask this exit. None: nothing has changed that one of the verdicts tells
    of; what an exit that came or went brings with it is told of the exit."""
    if before is None or after is None:
        if after is not None:
            return NEW if after.is_finding else None
        return UNSEEN if before is not None and before.is_finding and is_asked else None
    if before.digest != after.digest:
        return INCOMPARABLE
    if before.status == after.status:
        return None
    if after.is_finding:
        return FLIPPED if before.is_finding else NEW
    if before.is_finding:
        return GONE if after.status == "ok" else UNSEEN
    return FLIPPED


def _exit_changes(kind: str, exits: Iterable[str], standings: Iterable[Standing]) -> Iterator[Change]:
    gravest: dict[str, Standing] = {}
    for standing in standings:
        held = gravest.setdefault(standing.exit, standing)
        if standing.rank < held.rank:
            gravest[standing.exit] = standing
    for fingerprint in exits:
        told = gravest.get(fingerprint)
        nickname = "" if told is None else told.nickname
        sides = (None, told) if kind == NEW_EXIT else (told, None)
        yield Change(kind, "", fingerprint, nickname, *sides)


def _gravity(change: Change) -> tuple[object, ...]:
    """By what kind of change it is, then by what is said now, or was."""
    told = change.after or change.before
    status, severity = (told.rank, told.severity) if told is not None else (len(STATUSES), None)
    grave = BY_SEVERITY.index(severity) if severity in BY_SEVERITY else len(BY_SEVERITY)
    return (not change.is_worse, KINDS.index(change.kind), status, grave, change.tool, change.exit)
