"""What of a scan's details fits into a page: the gravest verdicts in full, of others a line, of the rest nothing.

First every exit with a finding has a line for each of its verdicts; then its findings are told in full, the gravest
of all exits first; then the exits with nothing worse than an error have their lines; then whatever is left is told in
full while there is room. So no exit's errors keep out another one's lie. What was left out is counted: the page says
so. Called by `html.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from ..results.wanted import FINDINGS
from .details import Details
from .survey import ExitRow, Survey, Verdict

SMALL = 120  # verdicts: in a scan of no more than that what is ok is told, too
ARTICLE_SIZE = 300  # bytes of markup and names around the verdicts of one exit, at most
DETAIL_MIN = 1500  # bytes: less room than that is not worth reading another record for


@dataclass(slots=True)
class Draft:
    """The details of one exit, as far as they go: `lines` has one piece a verdict, `full` says which tell all."""

    row: ExitRow
    told: Sequence[Verdict]
    lines: list[Markup]
    full: set[int] = field(default_factory=set)
    about: str = ""

    @property
    def size(self) -> int:
        """In bytes, with what stands around it."""
        return ARTICLE_SIZE + sum(len(line.encode()) for line in self.lines)


class Budget:
    """The room for details, and what it was used for. `macros`: those of details.html.j2; `room`: bytes."""

    def __init__(self, survey: Survey, details: Details, macros: Any, room: int) -> None:
        self.drafts: list[Draft] = []
        self.silent = 0  # verdicts that have not even a line
        self._survey = survey
        self._details = details
        self._macros = macros
        self._room = room

    @property
    def brief(self) -> int:
        """How many verdicts are told in one line."""
        return sum(len(draft.told) - len(draft.full) for draft in self.drafts)

    def spend(self) -> None:
        """Use the room."""
        accused = [row for row in self._survey.exits if row.worst.status in FINDINGS]
        self._open(accused)
        self._fill(findings_only=True)
        self._open(row for row in self._survey.exits if row.worst.status not in FINDINGS)
        self._fill(findings_only=False)

    def _open(self, rows: Iterable[ExitRow]) -> None:
        """A line for each verdict of these exits, while there is room."""
        for row in rows:
            told = told_of(self._survey, row)
            draft = Draft(row, told, [self._macros.brief(verdict) for verdict in told])
            if told and draft.size <= self._room:
                self._room -= draft.size
                self.drafts.append(draft)
            else:
                self.silent += len(told)

    def _fill(self, findings_only: bool) -> None:
        """All about the gravest in place of their lines."""
        waiting = [
            (verdict.rank, n, place)
            for n, draft in enumerate(self.drafts)
            for place, verdict in enumerate(draft.told)
            if place not in draft.full and (not findings_only or verdict.status in FINDINGS)
        ]
        for _, n, place in sorted(waiting):
            if self._room < DETAIL_MIN:
                break
            self._tell(self.drafts[n], place)

    def _tell(self, draft: Draft, place: int) -> None:
        detail = self._details.of(draft.told[place])
        if detail is None:
            return
        html = self._macros.detail(detail)
        about = draft.about or self._macros.about(detail.exit)
        cost = len((html + about).encode()) - len((draft.lines[place] + draft.about).encode())
        if cost <= self._room:
            self._room -= cost
            draft.lines[place], draft.about = html, about
            draft.full.add(place)


def told_of(survey: Survey, row: ExitRow) -> list[Verdict]:
    """What stands under an exit: in a large scan only what is not ok."""
    return [verdict for verdict in row.verdicts if verdict.status != "ok" or survey.verdicts <= SMALL]
