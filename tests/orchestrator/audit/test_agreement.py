"""What controls agree on, and what a run that shows something else is then said to do."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.audit.controls import Control, Controls
from exitpin.orchestrator.model import Fingerprint
from exitpin.orchestrator.tool import Value

from .test_matchers import values

A, B, C, D, E = ("a",), ("b",), ("c",), ("d",), ("e",)
NONE = None


def controls(*seen: Value, quorum: int = 2, direct: Value | str = "not asked") -> Controls:
    samples = [Control("exit", {"fact": value}, float(n)) for n, value in enumerate(seen)]
    if direct != "not asked":
        samples.append(Control("direct", {"fact": direct}, 99.0))
    return Controls(tuple(samples), quorum)


@pytest.mark.parametrize(
    ("seen", "quorum", "agreed"),
    [
        (("x", "x", "x"), 2, ("x",)),
        (("x", "x", "y"), 2, ("x",)),
        (("x", "y", "x", "y", "y"), 2, ("y", "x")),
        (("x", "y", "z"), 2, ()),
        (("x",), 2, ()),
        ((), 2, ()),
        (("x", "y"), 1, ("x", "y")),
        (("x", "x", "y", "y", "y"), 3, ("y",)),
        ((NONE, NONE, "x"), 2, (NONE,)),
        ((A + B, A + B, B + A), 2, (A + B,)),
    ],
)
def test_a_value_counts_once_a_quorum_of_controls_has_it(
    seen: tuple[Value, ...], quorum: int, agreed: tuple[Value, ...]
) -> None:
    assert controls(*seen, quorum=quorum).agreed("fact") == agreed


@pytest.mark.parametrize(
    ("seen", "value", "differs"),
    [
        (("x", "x", "x"), "x", False),
        (("x", "x", "x"), "y", True),
        (("x", "x", "x"), NONE, True),
        (("x", "x", "y"), "y", True),
        (("x", "x", "y", "y"), "y", False),
        (("x", "y", "z"), "x", None),
        (("x", "y", "z"), "w", None),
        ((NONE, NONE, "x"), NONE, False),
        ((NONE, NONE, "x"), "x", True),
        ((NONE, NONE), (), False),
        ((200, 200), 200, False),
        ((200, 200), "200", False),
        ((200, 200), 404, True),
        ((), "x", None),
    ],
)
def test_a_value_differs_when_the_controls_agree_on_others_only(
    seen: tuple[Value, ...], value: Value, differs: bool | None
) -> None:
    assert controls(*seen).differs("fact", value) is differs


@pytest.mark.parametrize(
    ("seen", "value", "adds"),
    [
        ((A, A, A), A, False),
        ((A, A, A), A + B, True),
        ((A, A, A), NONE, False),
        ((A, A, A), "a", False),
        ((NONE, NONE, NONE), A, True),
        ((NONE, NONE, NONE), NONE, False),
        # One control has it: it may be the liar's friend.
        ((A, A, A + B), A + B, True),
        ((A, A + B, A + B), A + B, False),
        # A new element for each visitor proves nothing; but that of which a quorum speaks can't have been added.
        ((A + B, A + C, A + D), A + E, None),
        ((A + B, A + C, A + D), A, False),
        ((A + B, A + C, A), A + E, None),
        ((A + B, A, A), A + E, True),
        ((), A, None),
    ],
)
def test_an_element_is_added_when_fewer_than_a_quorum_have_it(
    seen: tuple[Value, ...], value: Value, adds: bool | None
) -> None:
    assert controls(*seen).adds("fact", value) is adds


@pytest.mark.parametrize(
    ("seen", "value", "missing"),
    [
        ((A + B, A + B, A + B), A, True),
        ((A + B, A + B, A + B), A + B + C, False),
        ((A + B, A + B, A + B), NONE, True),
        ((NONE, NONE, NONE), NONE, False),
        # A quorum has it, but not more than half of them: one of the target's several answers.
        ((A + B, A + B, A, A), A, False),
        ((A + B, A + B, A), A, True),
        ((A + B, A, A), A, False),
        # They share nothing.
        ((A, B, C), NONE, None),
        ((A, B, C), A, None),
        ((A, NONE, NONE), NONE, False),
        # They share one thing, and each has more: that one can be missed.
        ((A + B, A + C, A + D), B, True),
        ((A + B, A + C, A + D), A, False),
        ((), A, None),
    ],
)
def test_an_element_is_missing_when_more_than_half_of_the_controls_have_it(
    seen: tuple[Value, ...], value: Value, missing: bool | None
) -> None:
    assert controls(*seen).missing("fact", value) is missing


def test_where_one_control_is_a_quorum_it_does_not_disagree_with_itself() -> None:
    assert controls(A, quorum=1).adds("fact", A + B) is True
    assert controls(A, C, quorum=1).adds("fact", A + B) is None
    assert controls(A, quorum=1).missing("fact", B) is True


def test_what_this_machine_saw_itself_counts_alone() -> None:
    alone = controls(direct="x")
    assert alone.is_enough
    assert alone.agreed("fact") == ("x",)
    assert alone.differs("fact", "y") is True
    assert alone.adds("fact", "y") is True
    assert alone.missing("fact", "y") is True


def test_what_this_machine_saw_itself_counts_beside_what_exits_agree_on() -> None:
    both = controls("x", "x", "z", direct="y")
    assert set(both.agreed("fact")) == {"x", "y"}
    assert [both.differs("fact", value) for value in ("x", "y", "z")] == [False, False, True]


def test_a_pin_says_nothing_of_facts_that_it_does_not_name() -> None:
    pinned = Controls((Control("pinned", {"code": "301"}, 0.0),), 1)
    assert pinned.differs("code", 301) is False
    assert pinned.differs("code", 302) is True
    assert (pinned.differs("body", "x"), pinned.adds("body", "x"), pinned.missing("body", "x")) == (None, None, None)
    assert pinned.differs("body.0", "x") is None


@pytest.mark.parametrize(("seen", "is_enough"), [((), False), (("x",), False), (("x", "y"), True)])
def test_fewer_controls_than_a_quorum_could_never_agree(seen: tuple[Value, ...], is_enough: bool) -> None:
    assert controls(*seen).is_enough is is_enough


def test_no_controls_are_never_enough() -> None:
    assert not controls(quorum=0).is_enough


def test_items_and_their_number_are_compared_like_facts() -> None:
    three = controls(("leaf", "root"), ("leaf", "other"), ("leaf", "more", "root"))
    assert three.differs("fact.0", "leaf") is False
    assert three.differs("fact.0", "forged") is True
    assert three.differs("fact.1", "root") is None
    assert three.differs("fact.count", 2) is False
    assert three.differs("fact.count", 3) is True


def test_votes_tell_how_rare_a_value_is() -> None:
    assert [controls("x", "x", "y").votes("fact", value) for value in ("x", "y", "z")] == [2, 1, 0]


# Who is asked more than once.


def by_exit(*seen: tuple[str, Value], quorum: int = 2) -> Controls:
    """Controls of named exits."""
    return Controls(tuple(Control("exit", {"fact": v}, 0.0, "", Fingerprint(name)) for name, v in seen), quorum)


def test_an_exit_has_one_vote_for_each_value_that_it_showed() -> None:
    assert by_exit(("1", "x"), ("1", "x"), ("1", "x")).is_enough is False
    assert by_exit(("1", "x"), ("1", "x"), ("2", "y")).agreed("fact") == ()
    both = by_exit(("1", "x"), ("1", "y"), ("2", "y"), ("2", "x"))
    assert set(both.agreed("fact")) == {"x", "y"}
    assert (both.voters, both.votes("fact", "x")) == (2, 2)


def test_a_liar_who_is_asked_often_is_no_quorum() -> None:
    seen = by_exit(*[("1", A + B)] * 9, ("2", A), ("3", A))
    assert (seen.differs("fact", A), seen.differs("fact", A + B)) == (False, True)
    assert (seen.adds("fact", A + B), seen.missing("fact", A)) == (True, False)


def test_what_is_new_each_time_is_no_agreement_of_an_exit_with_itself() -> None:
    assert by_exit(("1", A + B), ("1", A + C), ("2", A + D), ("2", A)).adds("fact", A + E) is None
    assert by_exit(("1", A + B), ("1", A + C), ("2", A), ("3", A)).adds("fact", A + E) is True


def test_an_element_that_a_quorum_lacks_at_times_is_not_missing() -> None:
    assert controls(A + B, A + B, A + B, A, A).missing("fact", A) is False
    seen = by_exit(("1", A + B), ("1", A), ("2", A + B), ("2", A), ("3", A + B), ("4", A + B))
    assert seen.missing("fact", A) is False
    assert seen.missing("fact", B) is True


seen_lists = st.lists(values, max_size=6)
ASKED = ("differs", "adds", "missing")


@given(seen_lists, values, st.integers(0, 4))
def test_any_values_can_be_compared(seen: list[Value], value: Value, quorum: int) -> None:
    against = controls(*seen, quorum=quorum)
    for field in ("fact", "fact.0", "fact.count", "other"):
        assert {getattr(against, name)(field, value) for name in ASKED} <= {True, False, None}


@given(st.text(), st.text(), st.integers(2, 6), st.data())
def test_a_lie_that_one_control_tells_is_not_agreed(truth: str, lie: str, honest: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, honest))
    seen: list[Value] = [truth] * honest
    seen.insert(place, lie)
    against = controls(*seen)
    assert against.agreed("fact") == (truth,)
    assert against.differs("fact", truth) is False
    assert against.adds("fact", (truth, lie)) is (truth != lie)
    assert against.missing("fact", truth) is False


@given(seen_lists, values, st.randoms())
def test_the_order_of_samples_does_not_matter(seen: list[Value], value: Value, random: Random) -> None:
    shuffled = list(seen)
    random.shuffle(shuffled)
    for name in ASKED:
        assert getattr(controls(*seen), name)("fact", value) == getattr(controls(*shuffled), name)("fact", value)


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=12), st.sampled_from("abcd"))
def test_what_a_quorum_saw_never_differs(seen: list[str], value: str) -> None:
    if seen.count(value) >= 2:
        assert controls(*seen).differs("fact", value) is False


def test_two_liars_with_the_same_lie_are_no_quorum_among_many() -> None:
    honest = [Control("exit", {"answers": ("192.0.2.10",)}, float(n)) for n in range(18)]
    liars = [Control("exit", {"answers": ("192.0.2.66",)}, float(n)) for n in range(2)]
    controls = Controls((*honest, *liars))
    assert controls.differs("answers", ("192.0.2.66",)) is True
    assert controls.adds("answers", ("192.0.2.66",)) is True


def test_a_true_answer_that_few_controls_got_counts_among_many() -> None:
    common = [Control("exit", {"leaf": "A"}, float(n)) for n in range(17)]
    rare = [Control("exit", {"leaf": "B"}, float(n)) for n in range(3)]
    assert Controls((*common, *rare)).differs("leaf", "B") is False


def test_one_trusted_sample_weighs_as_much_as_it_takes() -> None:
    exits = [Control("exit", {"leaf": "A"}, float(n)) for n in range(30)]
    assert Controls((*exits, Control("direct", {"leaf": "B"}, 1.0))).differs("leaf", "B") is False


def test_where_a_target_answers_everybody_differently_this_machines_answer_is_one_of_many() -> None:
    exits = [Control("exit", {"body": name}, float(n)) for n, name in enumerate("abc")]
    alone = Controls((*exits, Control("direct", {"body": "d"}, 4.0)))
    assert alone.differs("body", "e") is None
    assert Controls((exits[0], Control("direct", {"body": "d"}, 4.0))).differs("body", "e") is True
