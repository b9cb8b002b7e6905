"""One exit through all scans: a line each, and since when it is accused of what."""

from exitpin.orchestrator.results.history import history_of
from exitpin.orchestrator.results.standing import ScanTold, Standing


def standing(number: int, status: str, tool: str = "tls-cert", params_key: str = "p1") -> Standing:
    return Standing(f"s{number}-v", f"s{number}", tool, params_key, "d", "A", "evil", status, None, 1000.0 + number)


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
