"""Scores an audit of the lab: its verdicts against what was planted, pair by pair of exit and tool.

Theory. Each exit declares what must come of which tool; a tool that it does not name must find nothing, and to accuse
it there is what must never happen. A pair that may come out either way (it is declared as `ok` or something) counts
for nothing. Pure; called by the demo and by tests, after all verdicts are known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..tool import Status
from .state import RelayState

Pair = tuple[str, str]
"""(fingerprint, tool id)"""

NOTHING = (Status.OK.value,)
QUIET = (Status.OK, Status.SKIPPED)


@dataclass(frozen=True, slots=True)
class AuditScore:
    """What came of it. `problems` has a sentence for each pair that is not as declared, `errors` for each that could
    not be judged."""

    planted: int
    right: int
    accused: int
    honest_exits: int
    accused_exits: int
    problems: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def precision(self) -> float:
        """Of the findings, those that were planted so."""
        return self.right / (self.right + self.accused) if self.right + self.accused else 1.0

    @property
    def recall(self) -> float:
        """Of what was planted, what was found."""
        return self.right / self.planted if self.planted else 1.0

    @property
    def is_perfect(self) -> bool:
        return not self.problems and not self.errors

    def summary(self) -> str:
        """One line."""
        return (
            f"precision {self.precision:.2f} recall {self.recall:.2f} ({self.right + self.accused} findings, "
            f"{self.honest_exits} honest exits, {self.accused_exits} accused)"
        )


def score_audit(exits: Sequence[RelayState], verdicts: Iterable[Mapping[str, Any]]) -> AuditScore:
    """Compare. `verdicts`: records of `exitpin.verdict/1`, one for each pair."""
    by_fingerprint = {exit.fingerprint: exit for exit in exits}
    planted = right = accused = 0
    problems, errors, wronged = [], [], set()
    for verdict in verdicts:
        exit = by_fingerprint[verdict["exit"]["fingerprint"]]
        tool, status = verdict["tool"]["id"], Status(verdict["status"])
        expected = exit.expect.get(tool, NOTHING)
        is_planted = Status.OK.value not in expected
        planted += is_planted
        where = f"{exit.nickname} ({exit.behaviour}), {tool}: {status}, planted {' or '.join(expected)}"
        if status.is_finding:
            if status.value in expected:
                right += is_planted
            else:
                accused += 1
                problems.append(f"{where}: {verdict['reason']}")
                wronged.add(exit.fingerprint)
        elif is_planted:
            problems.append(f"{where}: {verdict['reason']}")
        elif status not in QUIET:
            errors.append(f"{where}: {verdict['reason']}")
    honest = {exit.fingerprint for exit in exits if not exit.expect}
    return AuditScore(planted, right, accused, len(honest), len(honest & wronged), tuple(problems), tuple(errors))
