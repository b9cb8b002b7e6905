"""What a watch does next."""

import math
from dataclasses import replace

import pytest

from exitpin.orchestrator.watch.agenda import BUSY_S, LATE_MIN_S, LONGEST_WAIT_S, Agenda, Due, Iteration, Outcome
from exitpin.orchestrator.watch.plan import PlannedScan, WatchPlan

NOW = 1_000_000.0
CERTS = PlannedScan("certs", 3600.0, 600.0, ("tls-cert",))
WEB = PlannedScan("web", 600.0, 0.0, ("http-body",))
PLAN = WatchPlan("nightly", (CERTS, WEB))


def iteration(number: int, started: float, *, is_done: bool = True) -> Iteration:
    return Iteration(number, started, f"scan-{number}", is_done)


def only(scan: PlannedScan, latest: Iteration | None = None, *, is_once: bool = False) -> Agenda:
    return Agenda(WatchPlan("nightly", (scan,)), {} if latest is None else {scan.name: latest}, is_once=is_once)


def test_what_was_never_scanned_is_due_at_once() -> None:
    due = only(CERTS).next(NOW)
    assert (due.number, due.resumes, due.at <= NOW) == (1, None, True)


def test_the_next_iteration_begins_an_interval_and_some_jitter_after_the_one_before() -> None:
    due = only(CERTS, iteration(4, NOW)).next(NOW)
    assert (due.number, due.resumes) == (5, None)
    assert NOW + 3600 <= due.at <= NOW + 4200


def test_a_watch_that_is_started_anew_waits_as_long_as_the_one_before_would_have() -> None:
    assert only(CERTS, iteration(4, NOW)).next(NOW) == only(CERTS, iteration(4, NOW)).next(NOW + 60)


def test_the_jitter_of_each_iteration_is_another() -> None:
    waits = {only(CERTS, iteration(number, NOW)).next(NOW).at for number in range(20)}
    assert len(waits) == 20


def test_what_was_missed_while_nobody_watched_is_made_up_for_once() -> None:
    agenda = only(WEB, iteration(4, NOW - 100_000))
    due = agenda.next(NOW)
    assert (due.number, due.at <= NOW) == (5, True)
    agenda.began(due, iteration(5, NOW))
    agenda.ended(due, Outcome.DONE, NOW + 10)
    assert agenda.next(NOW + 10).at == NOW + 600


def test_of_several_that_are_due_the_one_comes_first_that_has_waited_longest() -> None:
    agenda = Agenda(PLAN, {"certs": iteration(1, NOW - 9000), "web": iteration(1, NOW - 700)})
    assert agenda.next(NOW).scan is CERTS
    assert [due.scan for due in agenda.all(NOW)] == [CERTS, WEB]


def test_an_iteration_that_was_cut_short_is_gone_on_with() -> None:
    assert only(CERTS, iteration(4, NOW - 60, is_done=False)).next(NOW) == Due(CERTS, 4, 0.0, "scan-4")


def test_alerts_that_nobody_heard_are_tried_again_until_the_next_iteration_is_due() -> None:
    agenda = only(WEB, replace(iteration(4, NOW), is_told=False))
    due = agenda.next(NOW)
    assert due == Due(WEB, 4, 0.0, "scan-4")
    waits = [agenda.ended(due, Outcome.UNTOLD, NOW) - NOW for _ in range(3)]
    assert waits == [5.0, 10.0, 20.0]
    assert agenda.next(NOW + 10) == Due(WEB, 4, NOW + 20, "scan-4")
    assert agenda.next(NOW + 600) == Due(WEB, 5, NOW + 600)


def test_alerts_that_somebody_else_tells_are_asked_about_again_after_a_while() -> None:
    agenda = only(WEB, replace(iteration(4, NOW), is_told=False))
    agenda.taken(agenda.next(NOW), NOW)
    assert agenda.next(NOW) == Due(WEB, 4, NOW + BUSY_S, "scan-4")
    agenda.ended(agenda.next(NOW), Outcome.UNTOLD, NOW + 10)
    agenda.taken(agenda.next(NOW + 14), NOW + 14)
    assert agenda.next(NOW + 14) == Due(WEB, 4, NOW + 14 + BUSY_S, "scan-4")


def test_alerts_that_somebody_else_tells_hold_no_iteration_up() -> None:
    agenda = only(WEB, replace(iteration(4, NOW), is_told=False))
    agenda.taken(agenda.next(NOW + 599), NOW + 599)
    assert agenda.next(NOW + 599) == Due(WEB, 5, NOW + 599 + BUSY_S)


def test_alerts_that_always_fail_hold_no_iteration_up() -> None:
    agenda = only(WEB)
    for number in range(1, 12):
        due = agenda.next(NOW + 600 * number)
        assert (due.number, due.resumes) == (number, None) and due.at <= NOW + 600 * number
        agenda.began(due, replace(iteration(number, NOW + 600 * number), is_told=False))
        at = agenda.ended(due, Outcome.UNTOLD, NOW + 600 * number)
        while (again := agenda.next(at)).resumes is not None:
            at = agenda.ended(again, Outcome.UNTOLD, max(at, again.at))


def test_each_failure_in_a_row_doubles_the_wait_up_to_its_longest() -> None:
    agenda = only(CERTS, iteration(4, NOW, is_done=False))
    waits = []
    for _ in range(12):
        due = agenda.next(NOW)
        waits.append(agenda.ended(due, Outcome.CUT_SHORT, NOW) - NOW)
    assert waits[:4] == [5.0, 10.0, 20.0, 40.0]
    assert waits[-1] == LONGEST_WAIT_S
    assert agenda.next(NOW).at == NOW + LONGEST_WAIT_S


def test_after_a_success_failures_are_forgotten() -> None:
    agenda = only(WEB)
    for _ in range(5):
        agenda.ended(agenda.next(NOW), Outcome.NOT_BEGUN, NOW)
    due = agenda.next(NOW)
    agenda.began(due, iteration(1, NOW))
    agenda.ended(due, Outcome.DONE, NOW)
    due = agenda.next(NOW + 600)
    assert agenda.ended(due, Outcome.NOT_BEGUN, NOW + 600) == NOW + 605


def test_an_iteration_that_took_longer_than_its_interval_is_given_up_for_the_next_one() -> None:
    due = only(WEB, iteration(4, NOW - 601, is_done=False)).next(NOW)
    assert (due.number, due.resumes, due.at <= NOW) == (5, None, True)


@pytest.mark.parametrize(
    ("age", "web_began", "is_late"),
    [
        (3599, NOW, False),
        (3601, NOW, False),  # nobody waits yet: the next one has some jitter
        (3601, NOW - 601, True),
        (4201, NOW, True),
        (3599, NOW - 601, False),
    ],
)
def test_an_iteration_is_late_when_it_is_older_than_its_interval_and_somebody_waits_for_it(
    age: float, web_began: float, is_late: bool
) -> None:
    agenda = Agenda(PLAN, {"certs": iteration(4, NOW - age, is_done=False), "web": iteration(1, web_began)})
    assert agenda.is_late(Due(CERTS, 4, 0.0, "scan-4"), NOW - age, NOW) is is_late


def certs_and_web(web: Iteration | None) -> tuple[Agenda, Due]:
    """An agenda by which `certs` is older than its interval, and its next iteration not due yet; and what `web` is."""
    known = {"certs": iteration(4, NOW - 3601, is_done=False)} | ({} if web is None else {"web": web})
    agenda = Agenda(PLAN, known)
    return agenda, agenda.all(NOW)[1]


@pytest.mark.parametrize("web", [iteration(2, NOW - 60, is_done=False), replace(iteration(2, NOW - 60), is_told=False)])
def test_what_somebody_else_carries_out_does_not_wait(web: Iteration) -> None:
    agenda, due = certs_and_web(web)
    assert agenda.is_late(Due(CERTS, 4, 0.0, "scan-4"), NOW - 3601, NOW)
    agenda.taken(due, NOW - 30)
    assert not agenda.is_late(Due(CERTS, 4, 0.0, "scan-4"), NOW - 3601, NOW)


def test_the_next_iteration_of_what_somebody_else_carries_out_waits() -> None:
    agenda, due = certs_and_web(iteration(2, NOW - 590, is_done=False))
    agenda.taken(due, NOW - 30)
    assert agenda.is_late(Due(CERTS, 4, 0.0, "scan-4"), NOW - 3601, NOW + 10)


def test_what_somebody_else_carried_out_waits_when_its_process_is_over() -> None:
    agenda, due = certs_and_web(iteration(2, NOW - 60, is_done=False))
    agenda.taken(due, NOW - 30)
    agenda.ended(due, Outcome.CUT_SHORT, NOW - 10)
    assert agenda.is_late(Due(CERTS, 4, 0.0, "scan-4"), NOW - 3601, NOW)


@pytest.mark.parametrize("web", [None, iteration(2, NOW - 700)])
def test_what_is_refused_each_time_does_not_wait_until_it_is_not_refused(web: Iteration | None) -> None:
    agenda, due = certs_and_web(web)
    agenda.ended(due, Outcome.REFUSED, NOW - 10)
    assert not agenda.is_late(Due(CERTS, 4, 0.0, "scan-4"), NOW - 3601, NOW)
    agenda.ended(due, Outcome.NOT_BEGUN, NOW - 10)
    assert agenda.is_late(Due(CERTS, 4, 0.0, "scan-4"), NOW - 3601, NOW)


def test_the_next_iteration_of_a_scan_that_could_not_be_gone_on_with_waits() -> None:
    agenda, due = certs_and_web(iteration(2, NOW - 590, is_done=False))
    agenda.ended(due, Outcome.REFUSED, NOW - 10)
    assert agenda.is_late(Due(CERTS, 4, 0.0, "scan-4"), NOW - 3601, NOW + 10)


def test_a_short_interval_makes_no_iteration_late_that_has_just_begun() -> None:
    agenda = only(PlannedScan("often", 1.0, 0.0, ()), iteration(4, NOW - 30, is_done=False))
    due = agenda.next(NOW - 30)
    assert not agenda.is_late(due, NOW - 30, NOW)
    assert agenda.is_late(due, NOW - LATE_MIN_S, NOW)


def test_what_was_given_up_is_followed_by_the_next_iteration_in_its_time() -> None:
    agenda = only(WEB, iteration(4, NOW - 700, is_done=False))
    given_up = Due(WEB, 4, 0.0, "scan-4")
    agenda.ended(given_up, Outcome.GIVEN_UP, NOW)
    due = agenda.next(NOW)
    assert (due.number, due.resumes, due.at) == (5, None, NOW - 100)


def test_a_scan_that_can_not_be_gone_on_with_is_begun_anew_at_its_time() -> None:
    agenda = only(WEB, iteration(4, NOW, is_done=False))
    agenda.ended(agenda.next(NOW), Outcome.REFUSED, NOW)
    due = agenda.next(NOW)
    assert (due.number, due.resumes, due.at) == (5, None, NOW + 600)


def test_one_scan_that_fails_does_not_hold_up_another() -> None:
    agenda = Agenda(PLAN, {})
    agenda.ended(agenda.next(NOW), Outcome.NOT_BEGUN, NOW)
    assert agenda.next(NOW).scan is WEB


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_jumps_makes_nobody_wait_longer_than_an_interval(jump: float) -> None:
    agenda = only(WEB, iteration(4, NOW))
    assert agenda.next(NOW + jump).at <= NOW + jump + 600


def test_what_was_begun_by_a_clock_that_was_ahead_is_followed_an_interval_after_that_is_noticed() -> None:
    agenda = only(WEB, iteration(4, NOW + 86_400))
    assert [agenda.next(NOW + passed).at for passed in (0, 30, 599)] == [NOW + 600] * 3


def test_what_was_begun_by_a_clock_that_was_ahead_is_given_up_an_interval_after_that_is_noticed() -> None:
    agenda = only(WEB, iteration(4, NOW + 86_400, is_done=False))
    due = agenda.next(NOW)
    agenda.began(due, iteration(4, NOW + 86_400, is_done=False))
    agenda.ended(due, Outcome.CUT_SHORT, NOW)
    assert agenda.next(NOW + 599).number == 4
    assert agenda.next(NOW + 600).number == 5


def test_a_clock_that_goes_back_after_a_failure_makes_nobody_wait_longer_than_the_longest_wait() -> None:
    agenda = only(WEB, iteration(4, NOW, is_done=False))
    agenda.ended(agenda.next(NOW), Outcome.CUT_SHORT, NOW)
    assert agenda.next(NOW - 86_400).at <= NOW - 86_400 + LONGEST_WAIT_S


def test_once_ends_though_each_scan_is_due_again_when_the_other_is_done() -> None:
    certs, web = (replace(scan, interval_s=3600.0, jitter_s=0.0) for scan in (CERTS, WEB))
    agenda, made, now = Agenda(WatchPlan("nightly", (certs, web)), {}, is_once=True), [], NOW
    while len(made) < 9 and (due := agenda.next(now)).at <= now:
        made.append((due.scan.name, due.number))
        agenda.began(due, iteration(due.number, now))
        now += 4000
        agenda.ended(due, Outcome.DONE, now)
    assert made == [("certs", 1), ("web", 1)]
    assert agenda.next(now).at == math.inf


@pytest.mark.parametrize("outcome", [Outcome.NOT_BEGUN, Outcome.REFUSED])
def test_what_once_could_not_begin_is_left_for_the_next_time(outcome: Outcome) -> None:
    agenda = only(WEB, is_once=True)
    agenda.ended(agenda.next(NOW), outcome, NOW)
    assert agenda.next(NOW + 60).at == math.inf


def test_what_once_began_is_gone_on_with_until_it_is_older_than_its_interval() -> None:
    agenda = only(WEB, is_once=True)
    due = agenda.next(NOW)
    agenda.began(due, iteration(1, NOW, is_done=False))
    agenda.ended(due, Outcome.CUT_SHORT, NOW + 10)
    assert agenda.next(NOW + 20) == Due(WEB, 1, NOW + 15, "scan-1")
    assert agenda.next(NOW + 600) == Due(WEB, 2, math.inf)


def test_once_goes_on_with_what_was_cut_short_and_then_makes_the_next_iteration_if_that_is_due() -> None:
    agenda = only(WEB, iteration(4, NOW - 60, is_done=False), is_once=True)
    due = agenda.next(NOW)
    assert (due.number, due.resumes) == (4, "scan-4")
    agenda.began(due, iteration(4, NOW - 60))
    agenda.ended(due, Outcome.DONE, NOW + 900)
    assert agenda.next(NOW + 900) == Due(WEB, 5, NOW + 540)


def test_once_makes_what_becomes_due_meanwhile() -> None:
    agenda = Agenda(PLAN, {"web": iteration(1, NOW - 60)}, is_once=True)
    due = agenda.next(NOW)
    agenda.began(due, iteration(1, NOW))
    agenda.ended(due, Outcome.DONE, NOW + 900)
    assert agenda.next(NOW + 900) == Due(WEB, 2, NOW + 540)
