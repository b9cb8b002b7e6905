"""One exit through all scans: what each tool said of it in each, and since when it has been accused of what. Pure.

A line a scan, with one letter for each tool; scans in which the exit was not asked have none. Called by
`results history`.

  failures in a row   the latest askings that ended in `error` or `broken`: nobody got an answer. `skipped` does not
                      count, for nobody asked; any other answer ends the row
  findings in a row   the latest answers that accuse (`tampered`, `suspect`, `broken`). `skipped` and `error` do not
                      count, for they say nothing about the exit; `ok` ends the row
  one finding         the same tool, parameters, status, and words of the rule that accused (the place of a rule changes
                      with its file, and a reason holds what was seen that day): *seen* so many times, first and last
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

from .standing import ScanTold, Standing

LETTERS = {"tampered": "T", "suspect": "S", "broken": "B", "error": "e", "skipped": "-", "ok": "."}
NOT_ASKED, UNKNOWN = "_", "?"
UNANSWERED = ("error", "broken")

Question = tuple[str, str]


class InARow(NamedTuple):
    """How many askings up to here, in a row, ended without an answer; how many answers in a row accused."""

    failures: int = 0
    findings: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """One finding, `times` seen. `rule`: what the rule that accused asks for; empty: no rule did, as where nothing was
    ever answered."""

    status: str
    rule: str
    times: int
    first: Standing
    last: Standing


@dataclass(frozen=True, slots=True)
class Line:
    """One scan. `statuses`: one for each question of the history, in order, None: not asked; `in_a_row`: likewise, as
    it was then; `findings`: the gravest first."""

    scan: ScanTold
    statuses: tuple[str | None, ...]
    in_a_row: tuple[InARow | None, ...]
    findings: tuple[Standing, ...]

    @property
    def strip(self) -> str:
        """A letter for each question."""
        return "".join(NOT_ASKED if status is None else LETTERS.get(status, UNKNOWN) for status in self.statuses)


@dataclass(frozen=True, slots=True)
class Thread:
    """One question through all scans. `asked`: in so many; `found`: findings among them; `first`, `last`: of these;
    `flips`: how often a finding came after an honest answer, or the other way round; `latest`: what is said now;
    `in_a_row`: up to now; `seen`: its findings, those that were seen last first."""

    question: Question
    label: str
    asked: int
    found: int
    first: Standing | None
    last: Standing | None
    flips: int
    latest: Standing
    in_a_row: InARow
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class History:
    """Of one exit. `lines`: the oldest scan first; `threads`: one a question, as the letters of a strip stand;
    `first_asked`, `last_asked`: when it answered, or should have, seconds since the epoch, None: it was only skipped;
    `seen`: the finding that a verdict is one of, by its id."""

    lines: tuple[Line, ...]
    threads: tuple[Thread, ...]
    first_asked: float | None
    last_asked: float | None
    seen: Mapping[str, Seen]


def history_of(
    standings: Sequence[Standing], scans: Mapping[str, ScanTold], rules: Mapping[str, str] | None = None
) -> History:
    """`standings`: of one exit, the oldest first; `scans`: by their ids, as far as they are known; `rules`: in words,
    by the ids of the verdicts that they accused in."""
    by_scan: dict[str, dict[Question, Standing]] = {}
    by_question: dict[Question, list[Standing]] = {}
    for standing in standings:
        by_scan.setdefault(standing.scan_id, {})[standing.question] = standing
        by_question.setdefault(standing.question, []).append(standing)
    questions = sorted(by_question)
    rows = {question: list(accumulate(asked, _next, initial=InARow()))[1:] for question, asked in by_question.items()}
    so_far = {one.record_id: row for q in questions for one, row in zip(by_question[q], rows[q], strict=True)}
    lines = [_line(scans.get(scan_id), told, questions, so_far) for scan_id, told in by_scan.items()]
    lines.sort(key=lambda line: line.scan.started)
    labels, seen = _labels(questions), _seen(standings, rules or {})
    threads = tuple(_thread(q, labels[q], by_question[q], rows[q][-1], seen) for q in questions)
    asked = [standing.at for standing in standings if standing.status != "skipped"]
    return History(tuple(lines), threads, min(asked, default=None), max(asked, default=None), seen)


def _next(row: InARow, standing: Standing) -> InARow:
    if standing.status == "skipped":
        return row
    failures = row.failures + 1 if standing.status in UNANSWERED else 0
    if standing.status == "error":
        return InARow(failures, row.findings)
    return InARow(failures, row.findings + 1 if standing.is_finding else 0)


def _seen(standings: Sequence[Standing], rules: Mapping[str, str]) -> dict[str, Seen]:
    """By the ids of the verdicts."""
    same: dict[tuple[Question, str, str], list[Standing]] = {}
    for one in standings:
        if one.is_finding:
            same.setdefault((one.question, one.status, rules.get(one.record_id, "")), []).append(one)
    return {
        one.record_id: seen
        for (_, status, rule), found in same.items()
        for seen in [Seen(status, rule, len(found), found[0], found[-1])]
        for one in found
    }


def _line(
    scan: ScanTold | None,
    told: Mapping[Question, Standing],
    questions: Sequence[Question],
    so_far: Mapping[str, InARow],
) -> Line:
    one = next(iter(told.values()))
    statuses = tuple(told[question].status if question in told else None for question in questions)
    findings = sorted((standing for standing in told.values() if standing.is_finding), key=lambda s: (s.rank, s.tool))
    in_a_row = tuple(so_far[told[question].record_id] if question in told else None for question in questions)
    return Line(scan or ScanTold(one.scan_id, one.at, "", ""), statuses, in_a_row, tuple(findings))


def _labels(questions: Sequence[Question]) -> dict[Question, str]:
    """The tool's name; where it was asked with several sets of parameters the beginning of their key, too."""
    tools = [tool for tool, _ in questions]
    return {(tool, key): tool if tools.count(tool) == 1 else f"{tool} ({key[:6]})" for tool, key in questions}


def _thread(
    question: Question, label: str, standings: Sequence[Standing], in_a_row: InARow, seen: Mapping[str, Seen]
) -> Thread:
    findings = [standing for standing in standings if standing.is_finding]
    conclusive = [standing.is_finding for standing in standings if standing.is_finding or standing.status == "ok"]
    flips = sum(one is not other for one, other in pairwise(conclusive))
    first, last = (findings[0], findings[-1]) if findings else (None, None)
    mine = {id(seen[one.record_id]): seen[one.record_id] for one in reversed(findings)}
    return Thread(
        question, label, len(standings), len(findings), first, last, flips, standings[-1], in_a_row,
        tuple(mine.values()),
    )  # fmt: skip
