"""Which verdicts somebody is told of, once each, and when."""

import json
from typing import Any

import pytest

from exitpin.orchestrator.audit.alerts import ALERTS_MAX, AT_ONCE, FAILURES_MAX, SUMMARY, Alert, Alerts

AGAIN = "exitpin audit --resume s1"


def record(number: int = 1, status: str = "tampered", **changes: object) -> dict[str, Any]:
    return {
        "schema": "exitpin.verdict/1", "verdict_id": f"s1-v{number}", "status": status, "interrupted": False,
        "tool": {"id": "tls-cert"}, **changes,
    }  # fmt: skip


def alerts(*records: dict[str, Any], on: tuple[str, ...] = ("tampered",), told: dict[str, str] | None = None) -> Alerts:
    """That have been recorded."""
    found = Alerts("s1", on, told)
    for one in records:
        found.judged(one)
        found.recorded([one.get("verdict_id", "")])
    return found


def take_all(of: Alerts, problem: str | None = None) -> list[Alert]:
    """Tell as long as there is something to be told."""
    found = []
    while (alert := of.take()) is not None:
        found.append(alert)
        of.ended(alert, problem)
    return found


def test_a_verdict_is_told_when_it_is_on_disk_and_not_before() -> None:
    of = Alerts("s1", ["tampered"])
    of.judged(record())
    assert (of.take(), of.is_waiting_for_disk) == (None, True)
    of.recorded(["s1-v9", "s1-v1"])
    alert = of.take()
    assert alert is not None and not of.is_waiting_for_disk
    assert json.loads(alert.line) == record()
    of.ended(alert, None)
    assert of.told == {"s1-v1": "tampered"}


@pytest.mark.parametrize(
    "other",
    [
        record(status="suspect"),
        record(status="ok"),
        record(interrupted=True),
        {**record(), "schema": "exitpin.run/1", "run_id": "s1-v1"},
    ],
)
def test_what_nobody_asked_for_is_not_told(other: dict[str, Any]) -> None:
    assert alerts(other).take() is None


def test_the_line_is_ascii_with_one_end_whatever_a_suspect_wrote() -> None:
    alert = alerts(record(reason="\n\udc80\u202e é")).take()
    assert alert is not None
    assert alert.line.isascii() and alert.line.count(b"\n") == 1 and alert.line.endswith(b"\n")


def test_who_was_told_is_not_told_again_but_of_another_status() -> None:
    told = {"s1-v1": "tampered", "s1-v2": "error"}
    of = alerts(record(1), record(2), record(3), on=("tampered", "error"), told=told)
    assert [alert.verdicts for alert in take_all(of)] == [{"s1-v2": "tampered"}, {"s1-v3": "tampered"}]
    assert of.told == {f"s1-v{number}": "tampered" for number in (1, 2, 3)}


def test_so_many_at_a_time() -> None:
    of = alerts(*(record(number) for number in range(9)))
    running = [of.take() for _ in range(AT_ONCE)]
    assert None not in running and of.take() is None and not of.is_idle
    assert running[0] is not None
    of.ended(running[0], "exit status 1")
    assert of.take() is not None


def test_beyond_the_limit_they_are_told_together_at_the_end() -> None:
    many = [record(number, "tampered" if number % 2 else "suspect") for number in range(ALERTS_MAX + 7)]
    of = alerts(*many, on=("tampered", "suspect"))
    assert len(take_all(of)) == ALERTS_MAX
    of.close()
    (last,) = take_all(of)
    assert json.loads(last.line) == {
        "schema": SUMMARY, "scan_id": "s1", "count": 7, "statuses": {"suspect": 4, "tampered": 3},
        "tools": {"tls-cert": 7}, "verdict_ids": [f"s1-v{number}" for number in range(ALERTS_MAX, ALERTS_MAX + 7)],
    }  # fmt: skip
    assert len(of.told) == len(many) and of.sentences(AGAIN) == [f"alerts: {ALERTS_MAX + 1} told"]


def test_the_limit_is_of_the_scan_and_not_of_a_session() -> None:
    told = {f"s0-v{number}": "tampered" for number in range(ALERTS_MAX)}
    of = alerts(record(), told=told)
    assert of.take() is None
    of.close()
    alert = of.take()
    assert alert is not None and json.loads(alert.line)["count"] == 1


def test_after_failures_in_a_row_no_more_are_tried_and_the_rest_is_to_be_told_later() -> None:
    of = alerts(*(record(number) for number in range(9)))
    assert len(take_all(of, "exit status 1: no route")) == FAILURES_MAX
    of.judged(record(9))
    of.recorded(["s1-v9"])
    of.close()
    assert (of.take(), of.is_idle, of.told) == (None, True, {})
    assert of.sentences(AGAIN) == [
        "alerts: 0 told, 3 failed, the last: exit status 1: no route; 10 verdicts were not told; to tell: " + AGAIN
    ]


def test_a_success_begins_a_new_row() -> None:
    of = alerts(*(record(number) for number in range(2 * FAILURES_MAX)))
    for number in range(2 * FAILURES_MAX):
        alert = of.take()
        assert alert is not None
        of.ended(alert, None if number == FAILURES_MAX - 1 else "exit status 1")
    assert (of.succeeded, of.failed, of.untold) == (1, 5, 5)


def test_who_stops_leaves_the_rest_to_be_told() -> None:
    of = alerts(record(1), record(2), record(3))
    alert = of.take()
    of.stop()
    assert alert is not None and of.take() is None and not of.is_idle
    of.ended(alert, "it was ended by signal 15")
    assert of.is_idle and "3 verdicts were not told" in of.sentences(AGAIN)[0]


def test_what_the_disk_lost_is_waited_for_no_more() -> None:
    of = Alerts("s1", ["tampered"])
    of.judged(record())
    of.lost()
    of.recorded(["s1-v1"])
    assert (of.is_waiting_for_disk, of.take(), of.sentences(AGAIN)) == (False, None, [])


def test_what_comes_after_the_disk_was_lost_is_not_waited_for_either() -> None:
    of = Alerts("s1", ["tampered"])
    of.lost()
    of.judged(record())
    assert not of.is_waiting_for_disk
