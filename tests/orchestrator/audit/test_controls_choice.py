"""Whom a pool asks for controls, what it gives up where the network is small, and when it gives up itself."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.audit.controls import FORGIVEN_S, Control, ControlPool
from exitpin.orchestrator.model import Relay
from exitpin.orchestrator.tool import Baseline

from ..values import fingerprint, relay
from .test_controls import CROWDED, NOBODY, RELAYS, ask, asked, choose, filled


def test_nobody_is_asked_twice() -> None:
    pool = ControlPool(Baseline())
    chosen = []
    while (exit := choose(pool)) is not None:
        chosen.append(exit)
        ask(pool, exit, 100.0)
    assert sorted(chosen, key=lambda each: each.fingerprint) == list(RELAYS)
    assert not pool.relaxed


def test_those_under_way_those_that_failed_and_those_to_avoid_are_left_out() -> None:
    pool = ControlPool(Baseline())
    pool.wanted(0.0)
    pool.started(RELAYS[0])
    pool.started(RELAYS[1])
    pool.failed(RELAYS[1], "refused")
    for seed in range(20):
        assert pool.choose(RELAYS[:4], frozenset({RELAYS[2].fingerprint}), Random(seed)) is RELAYS[3]
    assert pool.choose(RELAYS[:3], frozenset({RELAYS[2].fingerprint}), Random(0)) is None


def test_the_choice_is_by_chance() -> None:
    assert len({choose(ControlPool(Baseline()), seed=seed).fingerprint for seed in range(40)}) > 10  # type: ignore[union-attr]


def test_controls_are_of_distinct_networks_and_families() -> None:
    kin = frozenset({fingerprint(1), fingerprint(2)})
    one, sister = relay(1, family=kin), relay(2, family=kin)
    neighbour, claims_kin, stranger = relay(3, address="198.1.77.7"), relay(4, family=kin), relay(5)
    for seed in range(20):
        pool = ControlPool(Baseline())
        ask(pool, one, 100.0)
        assert choose(pool, (sister, neighbour, stranger), seed) is stranger
        assert not pool.relaxed
    # A family is what both declare: else anybody could keep a control from being asked.
    assert choose(pool, (sister, neighbour, claims_kin)) is claims_kin


def test_where_all_exits_share_a_network_that_is_given_up_first_and_remembered() -> None:
    kin = frozenset({fingerprint(1), fingerprint(2)})
    one, sister, other = (relay(n, address="10.0.0.1", family=kin if n < 3 else frozenset()) for n in (1, 2, 3))
    pool = ControlPool(Baseline())
    ask(pool, one, 100.0)
    assert choose(pool, (sister, other)) is other
    assert pool.relaxed == {"subnet"}
    ask(pool, other, 100.0)
    assert choose(pool, (sister, other)) is sister
    assert pool.relaxed == {"subnet", "family"}


def test_what_the_baseline_does_not_demand_is_not_given_up() -> None:
    pool = ControlPool(Baseline(distinct=("family",)))
    ask(pool, CROWDED[0], 100.0)
    assert choose(pool, CROWDED[:2]) is CROWDED[1]
    assert pool.relaxed == NOBODY
    kin = frozenset({fingerprint(1), fingerprint(2)})
    one, sister = relay(1, family=kin), relay(2, family=kin)
    pool = ControlPool(Baseline(distinct=("family",)))
    ask(pool, one, 100.0)
    assert choose(pool, (sister,)) is sister
    assert pool.relaxed == {"family"}


def test_when_younger_samples_are_wanted_exits_may_be_asked_anew_but_others_first() -> None:
    pool = filled(3, at=100.0)
    assert choose(pool, RELAYS[:3]) is None
    assert pool.wanted(110.0, fresh_after=105.0) == 3
    assert choose(pool, RELAYS[:4]) is RELAYS[3]
    ask(pool, RELAYS[3], 111.0)
    for n in (2, 1, 0):
        again = choose(pool, RELAYS[:4])
        assert again in RELAYS[:3]
        ask(pool, again, 112.0)
        assert pool.wanted(113.0, fresh_after=105.0) == max(0, n - 1)
    assert choose(pool, RELAYS[:4]) is None


def test_who_is_asked_again_was_asked_least_and_is_free() -> None:
    pool = filled(4)
    ask(pool, RELAYS[0], 101.0)
    pool.started(RELAYS[1])
    pool.failed(RELAYS[2], "refused")
    assert {pool.choose_again(Random(seed)) for seed in range(20)} == {RELAYS[3]}
    ask(pool, RELAYS[3], 102.0)
    assert {pool.choose_again(Random(seed)) for seed in range(20)} == {RELAYS[0], RELAYS[3]}
    assert ControlPool(Baseline()).choose_again(Random(0)) is None


# When to give up.


def test_when_all_others_failed_nobody_is_left() -> None:
    pool = ControlPool(Baseline())
    pool.wanted(0.0)
    for exit in RELAYS[:3]:
        pool.started(exit)
    assert pool.exhausted() is None
    for exit, why in zip(RELAYS, ("refused", "dns", "refused"), strict=False):
        pool.failed(exit, why)
    assert pool.exhausted() is None
    assert choose(pool, RELAYS[:3]) is None
    assert pool.exhausted() == "2 of 3 controls failed: refused; nobody else is left to ask"
    assert choose(pool, RELAYS[:4]) is RELAYS[3]
    assert pool.exhausted() is None


def test_where_there_is_only_one_exit_nobody_is_left_to_ask() -> None:
    pool = ControlPool(Baseline())
    assert choose(pool, ()) is None
    assert pool.exhausted() == "no other exit is left to ask"


def test_after_many_failures_nobody_is_asked_until_they_are_forgotten() -> None:
    pool = ControlPool(Baseline(exits=3))
    assert pool.attempts_max == 20
    for number in range(21):
        assert pool.wanted(100.0) == 3
        pool.started(RELAYS[number])
        pool.failed(RELAYS[number], "timeout")
    assert pool.wanted(100.0) == 0
    assert pool.exhausted() == "21 of 21 controls failed: timeout"
    assert pool.wanted(101.0 + FORGIVEN_S) == 3
    assert pool.exhausted() is None


def test_a_failure_does_not_take_an_older_sample_away() -> None:
    pool = filled(3)
    pool.started(RELAYS[0])
    pool.failed(RELAYS[0], "refused")
    assert asked(pool) == {1, 2, 3}


# However it goes.


@given(
    st.lists(st.tuples(st.sampled_from(["well", "badly", "late"]), st.floats(0, 400)), max_size=60),
    st.booleans(), st.integers(1, 4), st.sampled_from([RELAYS[:8], CROWDED]), st.integers(0, 9),
)  # fmt: skip
def test_a_pool_asks_each_exit_once_at_a_time_and_comes_to_an_end(
    course: list[tuple[str, float]], is_recheck: bool, exits: int, candidates: tuple[Relay, ...], seed: int
) -> None:
    pool, rng, under_way, now = ControlPool(Baseline(exits=exits)), Random(seed), [], 0.0
    after = 1.0 if is_recheck else None
    for end, step in [*course, *[("well", 1.0)] * 200]:
        now += step
        for _ in range(pool.wanted(now, after, at_least=6)):
            exit = pool.choose(candidates, NOBODY, rng)
            if exit is None:
                break
            assert exit not in under_way
            pool.started(exit)
            under_way.append(exit)
        if under_way and end != "late":
            ended = under_way.pop(0)
            if end == "well":
                pool.add(Control("exit", {}, now, "", ended.fingerprint))
            else:
                pool.failed(ended, "refused")
        view = pool.view(now, candidates[0], after)
        names = [sample.exit for sample in view.samples]
        assert candidates[0].fingerprint not in names
    assert not under_way or pool.wanted(now, after) == 0
    assert len(pool.view(now, None, after).samples) >= exits or pool.exhausted()
