"""Targets with many answers: an honest exit that is given a rare one is not called a liar for it."""

from collections.abc import Callable
from random import Random

import pytest

from exitpin.orchestrator.audit.agreement import Control, Controls
from exitpin.orchestrator.audit.cases import RECHECK_CONTROLS
from exitpin.orchestrator.tool import Value

EXITS = 250
POOL = tuple(f"192.0.2.{number}" for number in range(24))

Draw = Callable[[Random], Value]


def controls(*counts: tuple[Value, int]) -> Controls:
    """So many that saw each value."""
    values = [value for value, count in counts for _ in range(count)]
    return Controls(tuple(Control("exit", {"fact": value}, 0.0) for value in values))


def one_of(answers: int) -> Draw:
    return lambda rng: rng.choice(POOL[:answers])


def all_but_one_of(answers: int) -> Draw:
    return lambda rng: tuple(sorted(rng.sample(POOL[:answers], answers - 1)))


def share_of_accused(matcher: str, draw: Draw) -> float:
    """Of exits that pass on what they are given: who shows twice in three runs what no control agrees on."""
    rng, accused = Random(1), 0
    for _ in range(EXITS):
        many = controls(*((draw(rng), 1) for _ in range(RECHECK_CONTROLS)))
        accused += sum(getattr(many, matcher)("fact", draw(rng)) is True for _ in range(3)) >= 2
    return accused / EXITS


@pytest.mark.parametrize("answers", [2, 3, 4, 5, 6, 8, 12, 24])
@pytest.mark.parametrize("matcher", ["differs", "adds"])
def test_whoever_passes_on_one_of_many_equal_answers_is_hardly_ever_accused(matcher: str, answers: int) -> None:
    assert share_of_accused(matcher, one_of(answers)) <= 0.02


@pytest.mark.parametrize("answers", [4, 6, 8, 10, 12, 24])
def test_nor_is_whoever_is_given_all_answers_but_one(answers: int) -> None:
    assert share_of_accused("missing", all_but_one_of(answers)) <= 0.02


def test_what_a_quorum_saw_proves_nothing_where_there_are_two_answers_to_agree_on() -> None:
    many = controls(("a", 14), ("b", 10), ("c", 2))
    assert many.differs("fact", "c") is None and many.adds("fact", "c") is None
    assert many.differs("fact", "d") is True and many.adds("fact", "d") is True


def test_two_liars_with_the_same_lie_do_not_make_a_second_answer() -> None:
    many = controls(("a", 24), ("lie", 2))
    assert many.differs("fact", "lie") is True and many.adds("fact", "lie") is True


def test_where_more_than_half_are_given_their_own_answer_one_more_proves_nothing() -> None:
    many = controls(("cached", 6), *((f"own {number}", 1) for number in range(20)))
    assert many.differs("fact", "mine") is None
    assert many.differs("fact", "cached") is False


def test_a_few_liars_with_a_lie_each_hide_nobody() -> None:
    many = controls(("a", 20), *((f"lie {number}", 1) for number in range(3)), ("b", 3))
    assert many.differs("fact", "mine") is True


def test_headers_that_some_of_the_controls_lack_are_lacked_by_chance() -> None:
    pages = [tuple(name for name in "abcdefgh" if name != lacked) for lacked in "aabbccdd"]
    many = controls((tuple("abcdefgh"), 18), *((page, 1) for page in pages))
    assert many.missing("fact", tuple("bcdefgh")) is None
    assert many.missing("fact", tuple("abcdefg")) is None, "one more of that kind"
    assert controls((tuple("abcdefgh"), 24), (tuple("ab"), 2)).missing("fact", tuple("abcdefg")) is True
