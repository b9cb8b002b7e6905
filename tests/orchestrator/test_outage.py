"""An outage begins when nobody answers, and ends with whoever does; while it lasts circuits are built one at a time."""

from exitpin.orchestrator.effects import Effect, NetworkChanged
from exitpin.orchestrator.outage import LOOK_MAX_S, ON_ITS_WAY_S, SILENT_HOPS, Outage

from .values import fingerprint


def states(told: list[Effect]) -> list[str]:
    return [one.state for one in told if isinstance(one, NetworkChanged)]


def begun(limit_s: float = 100.0, now: float = 0.0) -> Outage:
    outage = Outage(limit_s)
    for number in range(SILENT_HOPS):
        outage.silent(fingerprint(number), now, "TIMEOUT", now)
    assert outage.is_on
    return outage


def test_it_begins_when_so_many_different_first_hops_are_silent() -> None:
    outage = Outage(100.0)
    told = [states(outage.silent(fingerprint(number), 0.0, "TIMEOUT", 1.0)) for number in (1, 1, 1, 2, 2, 3)]
    assert told == [[], [], [], [], [], ["gone"]]


def test_it_does_not_while_anybody_answers() -> None:
    outage = Outage(100.0)
    for now in range(60):
        assert outage.silent(fingerprint(now), now, "TIMEOUT", now) == []
        assert now % 2 or outage.heard(now, now) == []
    assert not outage.is_on


def test_what_was_launched_before_somebody_answered_is_no_sign() -> None:
    outage = Outage(100.0)
    outage.heard(5.0, 5.0)
    for number in range(9):
        assert outage.silent(fingerprint(number), 4.0, "TIMEOUT", 6.0) == []


def test_where_only_one_may_be_used_that_one_is_enough() -> None:
    outage = Outage(100.0)
    assert outage.nobody_left(0.0) == [], "nobody has failed: it was put aside while others answered"
    outage.silent(fingerprint(1), 0.0, "CHANNEL_CLOSED", 0.0)
    assert states(outage.nobody_left(0.0)) == ["gone"]
    assert outage.nobody_left(0.0) == []


def test_while_it_lasts_one_circuit_at_a_time_looks_with_growing_pauses() -> None:
    outage, now, pauses = begun(), 0.0, []
    for _ in range(8):
        assert outage.may_launch(now, 0) and not outage.may_launch(now, 1)
        outage.looked(now)
        assert not outage.may_launch(now, 0)
        pauses.append(outage.look_at() - now)
        now = outage.look_at()
    assert pauses == sorted(pauses) and pauses[0] < pauses[-1] == LOOK_MAX_S


def test_the_next_answer_ends_it_and_says_how_long_it_lasted() -> None:
    outage = begun(now=10.0)
    assert outage.heard(50.0, 52.0) == [NetworkChanged("back", "TIMEOUT", 42.0)]
    assert not outage.is_on and outage.may_launch(52.0, 9)
    assert outage.heard(50.0, 53.0) == []


def test_what_was_on_its_way_when_the_network_went_does_not_end_it() -> None:
    outage = begun(now=10.0)
    assert outage.heard(9.0, 10.1) == [], "the first hop had sent it before"
    assert outage.is_on and outage.silent(fingerprint(9), 9.5, "TIMEOUT", 10.2) == []
    assert states(outage.heard(10.1, 10.3)) == ["back"], "whoever was asked since then answers now"


def test_what_comes_later_over_a_circuit_of_before_ends_it_as_well() -> None:
    outage = begun(now=10.0)
    assert states(outage.heard(9.0, 10.0 + ON_ITS_WAY_S)) == ["back"]


def test_it_is_given_up_once_after_the_limit_and_an_answer_ends_that_as_well() -> None:
    outage = begun(limit_s=100.0)
    assert outage.silent(fingerprint(9), 90.0, "TIMEOUT", 99.0) == []
    assert states(outage.silent(fingerprint(9), 90.0, "TIMEOUT", 100.0)) == ["given up"]
    assert outage.silent(fingerprint(9), 101.0, "TIMEOUT", 110.0) == []
    assert states(outage.heard(0.0, 120.0)) == ["back"]
    assert not outage.is_given_up


def test_a_doubt_is_an_outage_until_one_circuit_is_seen_to_work() -> None:
    outage = Outage(100.0)
    assert states(outage.doubt("it slept", 7.0)) == ["doubted"]
    assert outage.may_launch(7.0, 0) and not outage.may_launch(7.0, 1)
    assert states(outage.doubt("and again", 8.0)) == ["doubted"], "whoever listens hears of each"
    assert outage.heard(7.0, 9.0) == [NetworkChanged("back", "it slept", 2.0)]
