"""What fits into a page: every lie before any error, a line before nothing, and nothing left out unsaid."""

from collections import Counter
from typing import Any, cast

import pytest
from markupsafe import Markup

from exitpin.orchestrator.report.budget import ARTICLE_SIZE, DETAIL_MIN, SMALL, Budget
from exitpin.orchestrator.report.details import Detail, Details
from exitpin.orchestrator.report.survey import ExitRow, Survey, Verdict

LINE, FULL, ABOUT = 100, 2000, 50


class Macros:
    """Pieces of a known size."""

    def brief(self, verdict: Verdict) -> Markup:
        return Markup("b" * LINE)

    def detail(self, detail: Detail) -> Markup:
        return Markup("d" * FULL)

    def about(self, words: object) -> Markup:
        return Markup("a" * ABOUT)


class Records:
    """Stands in for `Details`: every verdict has a record but those named."""

    def __init__(self, gone: tuple[int, ...] = ()) -> None:
        self.asked: list[int] = []
        self._gone = gone

    def of(self, verdict: Verdict) -> Detail | None:
        self.asked.append(verdict.place)
        return None if verdict.place in self._gone else cast(Any, type("D", (), {"exit": ()}))


def survey(*exits: tuple[str, ...]) -> Survey:
    """Exits with verdicts of these statuses, the gravest first in each."""
    rows, place = [], 0
    for number, statuses in enumerate(exits):
        verdicts = []
        for tool, status in enumerate(statuses):
            verdicts.append(
                Verdict(place, f"v{place}", f"t{tool}", f"{number:040X}", status, "", "", 1, 1, False, f"v{place}")
            )
            place += 1
        rows.append(ExitRow(number, f"{number:040X}", "x", tuple(verdicts), tuple(verdicts)))
    counts = Counter(status for statuses in exits for status in statuses)
    return Survey("s1", *[""] * 7, place, 0, (), tuple(rows), counts)


def spent(found: Survey, room: int, gone: tuple[int, ...] = ()) -> tuple[Budget, Records]:
    records = Records(gone)
    budget = Budget(found, cast(Details, records), Macros(), room)
    budget.spend()
    return budget, records


def test_with_room_for_all_nothing_is_left_out() -> None:
    budget, _ = spent(survey(("tampered", "error"), ("ok",)), 100_000)
    assert (budget.brief, budget.silent, len(budget.drafts)) == (0, 0, 2)


def test_an_error_of_one_exit_keeps_out_no_lie_of_another() -> None:
    found = survey(("tampered", "error", "error", "error"), ("suspect",), ("broken",), ("error",))
    lines = 3 * ARTICLE_SIZE + 6 * LINE
    budget, records = spent(found, lines + 3 * (FULL + ABOUT - LINE))
    assert [sorted(draft.full) for draft in budget.drafts] == [[0], [0], [0]]
    assert records.asked[:3] == [0, 4, 5]
    assert (budget.brief, budget.silent) == (3, 1)


def test_lines_come_before_details_and_the_rest_is_counted() -> None:
    budget, records = spent(survey(*[("tampered",)] * 10), 4 * (ARTICLE_SIZE + LINE) + DETAIL_MIN - 1)
    assert (len(budget.drafts), budget.brief, budget.silent) == (7, 7, 3)
    assert records.asked == []


@pytest.mark.parametrize("room", [-5, 0, 50, 400, 3000, 9999])
def test_no_more_is_spent_than_there_is(room: int) -> None:
    found = survey(*[("tampered", "error")] * 3, *[("error",)] * 3)
    budget, _ = spent(found, room)
    used = sum(draft.size + len(draft.about) for draft in budget.drafts)
    assert used <= max(room, 0)
    assert sum(len(draft.told) for draft in budget.drafts) + budget.silent == 9


def test_in_a_large_scan_what_is_ok_is_not_told() -> None:
    assert spent(survey(*[("ok",)] * (SMALL + 1)), 10**7)[0].drafts == []
    assert len(spent(survey(*[("ok",)] * SMALL), 10**7)[0].drafts) == SMALL


def test_a_verdict_whose_record_has_gone_keeps_its_line() -> None:
    budget, _ = spent(survey(("tampered", "suspect")), 100_000, gone=(0,))
    assert (budget.drafts[0].full, budget.brief) == ({1}, 1)
