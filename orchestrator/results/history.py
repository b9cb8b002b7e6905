"""One exit through all scans: what each tool said of it in each, and since when it has been accused of what. Pure.

A line a scan, with one letter for each tool; scans in which the exit was not asked have none. Called by
`results history`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .standing import ScanTold, Standing

LETTERS = {"tampered": "T", "suspect": "S", "broken": "B", "error": "e", "skipped": "-", "ok": "."}
NOT_ASKED, UNKNOWN = "_", "?"

Question = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Line:
    """One scan. `statuses`: one for each question of the history, in order, None: not asked; `findings`: the gravest
    first."""

    scan: ScanTold
    statuses: tuple[str | None, ...]
    findings: tuple[Standing, ...]

    @property
    def strip(self) -> str:
        """A letter for each question."""
        return "".join(NOT_ASKED if status is None else LETTERS.get(status, UNKNOWN) for status in self.statuses)


@dataclass(frozen=True, slots=True)
class Thread:
    """One question through all scans. `asked`: in so many; `found`: findings among them; `first`, `last`: of these;
    `flips`: how often a finding came after an honest answer, or the other way round; `latest`: what is said now."""

    question: Question
    label: str
    asked: int
    found: int
    first: Standing | None
    last: Standing | None
    flips: int
    latest: Standing


@dataclass(frozen=True, slots=True)
class History:
    """Of one exit. `lines`: the oldest scan first; `threads`: one a question, as the letters of a strip stand."""

    lines: tuple[Line, ...]
    threads: tuple[Thread, ...]


def history_of(standings: Iterable[Standing], scans: Mapping[str, ScanTold]) -> History:
    """`standings`: of one exit, the oldest first; `scans`: by their ids, as far as they are known."""
    by_scan: dict[str, dict[Question, Standing]] = {}
    by_question: dict[Question, list[Standing]] = {}
    for standing in standings:
        by_scan.setdefault(standing.scan_id, {})[standing.question] = standing
        by_question.setdefault(standing.question, []).append(standing)
    questions = sorted(by_question)
    lines = [_line(scans.get(scan_id), told, questions) for scan_id, told in by_scan.items()]
    lines.sort(key=lambda line: line.scan.started)
    labels = _labels(questions)
    return History(tuple(lines), tuple(_thread(q, labels[q], by_question[q]) for q in questions))


def _line(scan: ScanTold | None, told: Mapping[Question, Standing], questions: Sequence[Question]) -> Line:
    one = next(iter(told.values()))
    statuses = tuple(told[question].status if question in told else None for question in questions)
    findings = sorted((standing for standing in told.values() if standing.is_finding), key=lambda s: (s.rank, s.tool))
    return Line(scan or ScanTold(one.scan_id, one.at, "", ""), statuses, tuple(findings))


def _labels(questions: Sequence[Question]) -> dict[Question, str]:
    """The tool's name; where it was asked with several sets of parameters the beginning of their key, too."""
    tools = [tool for tool, _ in questions]
    return {(tool, key): tool if tools.count(tool) == 1 else f"{tool} ({key[:6]})" for tool, key in questions}


def _thread(question: Question, label: str, standings: Sequence[Standing]) -> Thread:
    findings = [standing for standing in standings if standing.is_finding]
    conclusive = [standing.is_finding for standing in standings if standing.is_finding or standing.status == "ok"]
    flips = sum(one is not other for one, other in pairwise(conclusive))
    first, last = (findings[0], findings[-1]) if findings else (None, None)
    return Thread(question, label, len(standings), len(findings), first, last, flips, standings[-1])
