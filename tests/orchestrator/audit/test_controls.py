"""Which exits are asked for controls, how many, and whose word counts for whom."""

from random import Random

import pytest

from exitpin.orchestrator.audit.controls import VIEW_MAX, Control, ControlPool
from exitpin.orchestrator.model import Fingerprint, Relay
from exitpin.orchestrator.tool import Baseline

from ..values import fingerprint, relay

NOBODY: frozenset[Fingerprint] = frozenset()
RELAYS = tuple(relay(number) for number in range(1, 31))
CROWDED = tuple(relay(number, address="10.0.0.1") for number in range(1, 9))
MINE = relay(99)


def ask(pool: ControlPool, exit: Relay, at: float, **facts: str) -> None:
    """A control that goes well."""
    pool.started(exit)
    pool.add(Control("exit", facts or {"body": "x"}, at, "", exit.fingerprint))


def filled(count: int = 3, at: float = 100.0, **baseline: object) -> ControlPool:
    pool = ControlPool(Baseline(**baseline))  # type: ignore[arg-type]
    for exit in RELAYS[:count]:
        ask(pool, exit, at)
    return pool


def choose(pool: ControlPool, candidates: tuple[Relay, ...] = RELAYS, seed: int = 7) -> Relay | None:
    return pool.choose(candidates, NOBODY, Random(seed))


def asked(pool: ControlPool, now: float = 100.0, exit: Relay | None = None, after: float | None = None) -> set[int]:
    return {int(sample.exit or "0", 16) for sample in pool.view(now, exit, after).samples}


# How many.


def test_as_many_as_the_baseline_says_are_wanted_and_those_under_way_count() -> None:
    pool = ControlPool(Baseline(exits=3))
    assert pool.wanted(100.0) == 3
    pool.started(RELAYS[0])
    assert pool.wanted(100.0) == 2
    ask(pool, RELAYS[1], 101.0)
    assert pool.wanted(102.0) == 1
    pool.failed(RELAYS[0], "refused")
    assert pool.wanted(103.0) == 2


def test_a_quorum_is_wanted_at_least() -> None:
    assert ControlPool(Baseline(exits=1, quorum=3)).wanted(0.0) == 3


def test_more_can_be_asked_for() -> None:
    pool = filled(3)
    assert pool.wanted(100.0) == 0
    assert pool.wanted(100.0, more=4) == 4
    assert pool.wanted(100.0, at_least=16) == 13
    assert pool.wanted(100.0, more=4, at_least=5) == 4


def test_a_finding_wants_samples_younger_than_itself() -> None:
    pool = filled(3, at=100.0)
    assert pool.wanted(110.0, fresh_after=105.0) == 3
    assert pool.wanted(110.0, fresh_after=100.0) == 3
    assert pool.wanted(110.0, fresh_after=99.0) == 0
    assert pool.wanted(110.0, fresh_after=105.0, at_least=5) == 3
    assert pool.wanted(110.0, fresh_after=105.0, at_least=9) == 6
    pool.started(RELAYS[5])
    assert pool.wanted(110.0, fresh_after=105.0) == 2


def test_an_old_sample_is_replaced() -> None:
    pool = filled(3, at=100.0, max_age_s=60.0)
    assert pool.wanted(160.0) == 0
    assert pool.wanted(160.1) == 3
    assert asked(pool, 160.1) == set()


def test_what_judges_an_exit_is_not_its_own_word() -> None:
    pool = filled(3)
    assert pool.wanted(100.0, exit=MINE) == 0
    assert pool.wanted(100.0, exit=RELAYS[0]) == 1
    pool.started(RELAYS[3])
    assert pool.wanted(100.0, exit=RELAYS[3]) == 0


def test_where_there_are_too_few_exits_for_a_finding_they_are_asked_again() -> None:
    pool = filled(3)
    assert pool.wanted_again(100.0, 10) == 7
    assert pool.wanted_again(100.0, 10, RELAYS[0]) == 8
    pool.started(RELAYS[1])
    assert pool.wanted_again(100.0, 10) == 6
    assert pool.wanted_again(100.0, 3) == 0
    assert ControlPool(Baseline(mode="pinned")).wanted_again(100.0, 10) == 0


@pytest.mark.parametrize(
    ("mode", "exits", "direct"),
    [("none", 0, False), ("pinned", 0, False), ("direct", 0, True), ("exits", 3, False), ("direct+exits", 3, True)],
)
def test_the_mode_says_what_is_run(mode: str, exits: int, direct: bool) -> None:
    pool = ControlPool(Baseline(mode=mode))
    assert pool.wanted(0.0) == exits
    assert pool.wants_direct(0.0) is direct
    assert pool.exhausted() is None


def test_one_direct_run_is_enough_until_it_is_old_or_a_finding_wants_another() -> None:
    pool = ControlPool(Baseline(mode="direct", max_age_s=60.0))
    pool.started(None)
    assert not pool.wants_direct(0.0)
    pool.add(Control("direct", {}, 10.0), None)
    assert not pool.wants_direct(20.0)
    assert pool.wants_direct(20.0, fresh_after=15.0)
    assert pool.wants_direct(71.0)


def test_without_others_this_machine_looks_as_often_as_a_finding_needs() -> None:
    for mode, is_wanted in (("direct", True), ("direct+exits", False)):
        pool = ControlPool(Baseline(mode=mode))
        pool.add(Control("direct", {}, 10.0))
        assert pool.wants_direct(20.0, at_least=2) is is_wanted
        pool.add(Control("direct", {}, 11.0))
        assert not pool.wants_direct(20.0, at_least=2)


def test_a_direct_run_is_tried_three_times() -> None:
    pool = ControlPool(Baseline(mode="direct"))
    for _ in range(3):
        assert pool.wants_direct(0.0)
        assert pool.exhausted() is None
        pool.started(None)
        pool.failed(None, "refused")
    assert not pool.wants_direct(0.0)
    assert pool.exhausted() == "3 of 3 controls failed: refused; nobody else is left to ask"


def test_with_exits_beside_it_a_failed_direct_run_is_not_the_end() -> None:
    pool = ControlPool(Baseline(mode="direct+exits"))
    assert pool.wants_direct(0.0)
    for _ in range(3):
        pool.failed(None, "refused")
    assert pool.exhausted() is None
    assert pool.wanted(0.0) == 3


# What counts.


def test_who_is_asked_again_shows_more_and_is_still_one() -> None:
    pool = filled(2, at=100.0)
    ask(pool, RELAYS[0], 110.0, body="y")
    view = pool.view(120.0, None)
    assert [(sample.at, sample.facts["body"]) for sample in view.samples] == [(100.0, "x"), (100.0, "x"), (110.0, "y")]
    assert view.voters == 2
    assert view.agreed("body") == ("x",)


def test_a_view_has_the_youngest_of_each_exit_before_second_ones() -> None:
    pool = ControlPool(Baseline())
    for at in range(40):
        ask(pool, RELAYS[0], 100.0 + at)
    for exit in RELAYS[1:30]:
        ask(pool, exit, 50.0)
    view = pool.view(150.0, None)
    assert (len(view.samples), view.voters) == (VIEW_MAX, 30)
    assert [sample.at for sample in view.samples if sample.exit == RELAYS[0].fingerprint] == [137.0, 138.0, 139.0]


def test_a_view_leaves_out_the_exit_itself_and_its_family() -> None:
    kin = frozenset({fingerprint(1), fingerprint(2)})
    one, sister, other = relay(1, family=kin), relay(2, family=kin), relay(3)
    pool = ControlPool(Baseline(distinct=()))
    for exit in (one, sister, other):
        ask(pool, exit, 100.0)
    assert asked(pool) == {1, 2, 3}
    assert asked(pool, exit=MINE) == {1, 2, 3}
    assert asked(pool, exit=one) == {3}
    assert asked(pool, exit=other) == {1, 2}
    # Who declares everybody its family, and is declared by nobody, does not get rid of its controls.
    assert asked(pool, exit=relay(9, family=frozenset(map(fingerprint, range(10))))) == {1, 2, 3}


def test_a_view_leaves_out_what_is_too_old_for_its_reader() -> None:
    pool = filled(2, at=100.0)
    ask(pool, RELAYS[2], 110.0)
    assert asked(pool, 120.0, after=105.0) == {3}
    assert asked(pool, 120.0) == {1, 2, 3}


def test_the_relay_may_be_told_with_its_sample() -> None:
    pool = ControlPool(Baseline())
    pool.add(Control("exit", {}, 100.0, "", CROWDED[0].fingerprint), CROWDED[0])
    choose(pool, CROWDED[1:])
    assert pool.relaxed == {"subnet"}


@pytest.mark.parametrize(("mode", "quorum"), [("none", 2), ("pinned", 1), ("direct", 1), ("exits", 2)])
def test_each_mode_has_its_quorum(mode: str, quorum: int) -> None:
    assert ControlPool(Baseline(mode=mode)).view(0.0, MINE).quorum == quorum


def test_pins_are_one_sample_that_is_enough() -> None:
    view = ControlPool(Baseline(mode="pinned", pins=(("code", "301"),))).view(50.0, MINE)
    assert view.is_enough
    assert view.samples == (Control("pinned", {"code": "301"}, 50.0),)
    assert view.differs("code", 302) is True


def test_the_direct_sample_counts_beside_exits() -> None:
    pool = filled(2, mode="direct+exits")
    pool.add(Control("direct", {"body": "y"}, 100.0))
    assert set(pool.view(100.0, MINE).agreed("body")) == {"x", "y"}
