"""Relays that fail before exits are put aside, and come back by one circuit at a time."""

from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.hop_health import ASIDE_MAX_S, ASIDE_S, BEYOND_MAX, TRIAL_S, HopHealth

from .values import EXIT, GUARD, fingerprint


def aside(health: HopHealth, now: float) -> bool:
    health.look_round(now)
    return GUARD in health.aside


def failed_twice(now: float = 0.0) -> HopHealth:
    health = HopHealth()
    for _ in range(2):
        health.failed(GUARD, now, now)
    return health


def test_one_failure_is_none_and_two_put_a_relay_aside_for_a_while() -> None:
    health = HopHealth()
    health.failed(GUARD, 0.0, 1.0)
    assert not aside(health, 1.0)
    health.failed(GUARD, 0.0, 1.0)
    assert aside(health, 1.0) and aside(health, ASIDE_S)
    assert not aside(health, 1.0 + ASIDE_S)


def test_an_answer_in_between_makes_a_failure_the_first_again() -> None:
    health = HopHealth()
    for now in range(9):
        health.failed(GUARD, now, now)
        health.heard(GUARD, now)
    assert not aside(health, 9.0)


def test_a_relay_whose_time_is_over_is_tried_by_one_circuit_which_decides() -> None:
    health = failed_twice()
    health.launched([GUARD, EXIT], ASIDE_S)
    assert aside(health, ASIDE_S), "another one may not follow until it is known"
    health.failed(GUARD, ASIDE_S, ASIDE_S + 1)
    assert health.due_at(GUARD) == ASIDE_S + 1 + 2 * ASIDE_S
    health.launched([GUARD], 200.0)
    health.heard(GUARD, 201.0)
    assert not aside(health, 201.0)


def test_a_trial_of_which_nothing_is_heard_makes_room_for_the_next() -> None:
    health = failed_twice()
    health.launched([GUARD], ASIDE_S)
    assert aside(health, ASIDE_S + TRIAL_S - 1)
    assert not aside(health, ASIDE_S + TRIAL_S)


def test_circuits_that_were_launched_before_say_nothing_new() -> None:
    health = failed_twice(10.0)
    due = health.due_at(GUARD)
    for _ in range(30):
        health.failed(GUARD, 10.0, 12.0)
    assert health.due_at(GUARD) == due


@given(st.integers(1, 40))
def test_however_often_it_fails_it_is_tried_again_some_day(times: int) -> None:
    health, now = failed_twice(), 0.0
    for _ in range(times):
        now = health.due_at(GUARD)
        health.launched([GUARD], now)
        health.failed(GUARD, now, now)
        assert 0 < health.due_at(GUARD) - now <= ASIDE_MAX_S


def test_a_relay_from_which_nothing_leads_on_is_doubted_until_something_does() -> None:
    health = HopHealth()
    for number in range(BEYOND_MAX):
        health.look_round(0.0)
        assert not health.doubted
        health.not_beyond(GUARD, fingerprint(number))
    health.look_round(0.0)
    assert health.doubted == {GUARD} and not health.aside
    health.heard(GUARD, 1.0)
    health.look_round(1.0)
    assert health.doubted == {GUARD}, "it answers, as it did before"
    health.went_beyond(GUARD)
    health.look_round(1.0)
    assert not health.doubted


def test_one_exit_that_nobody_reaches_makes_no_relay_doubtful() -> None:
    health = HopHealth()
    for _ in range(9 * BEYOND_MAX):
        health.not_beyond(GUARD, EXIT)
    health.look_round(0.0)
    assert not health.doubted


def test_it_is_known_who_answered_since_when() -> None:
    health = HopHealth()
    health.heard(GUARD, 5.0)
    assert health.heard_since([GUARD], 5.0) and not health.heard_since([GUARD], 5.1)
    assert not health.heard_since([GUARD, EXIT], 0.0)


def test_what_failed_for_the_network_is_forgiven() -> None:
    health = failed_twice(10.0)
    health.forgive(11.0)
    assert aside(health, 11.0)
    health.forgive(9.0)
    assert not aside(health, 11.0)
