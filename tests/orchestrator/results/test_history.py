"""One exit through all scans: a line each, and since when it is accused of what."""

import pytest

from exitpin.orchestrator.results.history import InARow, history_of
from exitpin.orchestrator.results.standing import ScanTold, Standing


def standing(number: int, status: str, tool: str = "tls-cert", params_key: str = "p1") -> Standing:
    name = f"s{number}-v" if tool == "tls-cert" else f"s{number}-v-{tool}"
    return Standing(name, f"s{number}", tool, params_key, "d", "A", "evil", status, None, 1000.0 + number)


def told(*numbers: int) -> dict[str, ScanTold]:
    return {f"s{n}": ScanTold(f"s{n}", 900.0 + n, f"consensus {n}", "own") for n in numbers}


def test_a_line_has_a_letter_for_each_tool_in_one_order() -> None:
    history = history_of(
        [standing(1, "ok"), standing(1, "error", "dns-exit"), standing(2, "tampered"), standing(3, "broken", "smtp")],
        told(1, 2, 3),
    )
    assert [thread.label for thread in history.threads] == ["dns-exit", "smtp", "tls-cert"]
    assert [line.strip for line in history.lines] == ["e_.", "__T", "_B_"]
    assert [line.scan.consensus for line in history.lines] == ["consensus 1", "consensus 2", "consensus 3"]


def test_each_status_has_its_letter_and_an_unknown_one_is_seen() -> None:
    statuses = ("tampered", "suspect", "broken", "error", "skipped", "ok", "later")
    history = history_of([standing(n, status) for n, status in enumerate(statuses)], {})
    assert "".join(line.strip for line in history.lines) == "TSBe-.?"


def test_lines_go_by_the_start_of_their_scans() -> None:
    scans = told(1, 2)
    scans["s1"] = scans["s1"]._replace(started=5000.0)
    history = history_of([standing(1, "ok"), standing(2, "ok")], scans)
    assert [line.scan.scan_id for line in history.lines] == ["s2", "s1"]


def test_a_scan_of_which_nothing_is_known_stands_where_its_verdict_does() -> None:
    (line,) = history_of([standing(7, "ok")], {}).lines
    assert line.scan == ScanTold("s7", 1007.0, "", "")


def test_findings_of_a_scan_stand_the_gravest_first() -> None:
    (line,) = history_of([standing(1, "broken", "a"), standing(1, "tampered", "b"), standing(1, "ok", "c")], {}).lines
    assert [finding.status for finding in line.findings] == ["tampered", "broken"]


def test_a_thread_tells_first_last_and_flips_and_passes_over_what_says_nothing() -> None:
    statuses = ("ok", "tampered", "error", "suspect", "ok", "skipped", "ok", "tampered", "error")
    (thread,) = history_of([standing(n, status) for n, status in enumerate(statuses)], {}).threads
    assert (thread.asked, thread.found, thread.flips) == (9, 3, 3)
    assert thread.first is not None and thread.last is not None
    assert (thread.first.scan_id, thread.last.scan_id, thread.latest.status) == ("s1", "s7", "error")


def test_an_exit_without_a_finding_has_no_first_one() -> None:
    (thread,) = history_of([standing(1, "ok"), standing(2, "error")], {}).threads
    assert (thread.found, thread.first, thread.last, thread.flips) == (0, None, None, 0)


def test_one_tool_with_several_parameters_is_several_questions() -> None:
    history = history_of([standing(1, "ok", params_key="aaaaaaaa"), standing(1, "broken", params_key="bbbbbbbb")], {})
    assert [thread.label for thread in history.threads] == ["tls-cert (aaaaaa)", "tls-cert (bbbbbb)"]
    assert [line.strip for line in history.lines] == [".B"]


@pytest.mark.parametrize(
    ("statuses", "failures", "findings"),
    [
        (("ok", "error", "broken", "error"), 3, 1),
        (("error", "broken", "skipped", "broken"), 3, 2),
        (("broken", "suspect"), 0, 2),
        (("tampered", "error", "suspect", "skipped", "error"), 1, 2),
        (("tampered", "broken", "ok"), 0, 0),
        (("skipped", "skipped"), 0, 0),
    ],
)
def test_a_row_is_of_what_came_last_and_passes_over_what_says_nothing(
    statuses: tuple[str, ...], failures: int, findings: int
) -> None:
    (thread,) = history_of([standing(n, status) for n, status in enumerate(statuses)], {}).threads
    assert thread.in_a_row == InARow(failures, findings)


def test_each_line_tells_the_row_up_to_then_of_what_was_asked() -> None:
    asked = [standing(1, "broken"), standing(1, "ok", "a"), standing(2, "broken"), standing(3, "ok")]
    first, second, third = history_of(asked, told(1, 2, 3)).lines
    assert first.in_a_row == (InARow(), InARow(1, 1))
    assert (second.in_a_row, third.in_a_row) == ((None, InARow(2, 2)), (None, InARow()))


def test_a_finding_is_the_same_one_by_tool_parameters_status_and_rule() -> None:
    asked = [
        standing(1, "tampered"), standing(2, "tampered"), standing(3, "suspect"), standing(4, "tampered"),
        standing(5, "ok"), standing(6, "tampered", "a"),
    ]  # fmt: skip
    rules = {"s1-v": "code is not 0", "s2-v": "another chain", "s4-v": "code is not 0"}
    history = history_of(asked, {}, rules)
    other, thread = history.threads
    assert [(one.status, one.rule, one.times, one.first.scan_id, one.last.scan_id) for one in thread.seen] == [
        ("tampered", "code is not 0", 2, "s1", "s4"),
        ("suspect", "", 1, "s3", "s3"),
        ("tampered", "another chain", 1, "s2", "s2"),
    ]
    assert [one.times for one in other.seen] == [1]
    assert history.seen["s1-v"] is history.seen["s4-v"] is thread.seen[0]


def test_an_exit_was_asked_whenever_it_was_not_skipped() -> None:
    history = history_of([standing(n, status) for n, status in enumerate(("skipped", "error", "ok", "skipped"))], {})
    assert (history.first_asked, history.last_asked) == (1001.0, 1002.0)
    never = history_of([standing(1, "skipped")], {})
    assert (never.first_asked, never.last_asked) == (None, None)
