"""Which level comes of what was asked for and what the kernel has; none is ever given up silently."""

import pytest

from exitpin.orchestrator.containment import ADDRESSES, DAEMONS, Abilities, contain
from exitpin.orchestrator.errors import OperatorError

NO = "the kernel has no seccomp user notification"
OLD, NEW, ASKING = Abilities(0, NO), Abilities(4), Abilities(0)


@pytest.mark.parametrize(
    ("asked", "abilities", "level"),
    [
        (None, NEW, "guard"),
        ("guard", NEW, "guard"),
        ("shim", NEW, "shim"),
        (None, OLD, "shim"),
        ("shim", OLD, "shim"),
        (None, ASKING, "notify"),
        ("guard", ASKING, "notify"),
        ("notify", NEW, "notify"),
    ],
)
def test_without_a_word_it_is_the_firmest_that_there_is(asked: str | None, abilities: Abilities, level: str) -> None:
    containment = contain(asked, abilities)
    assert (containment.level, containment.asked) == (level, asked)
    assert bool(containment.warning) == (level == "shim")


@pytest.mark.parametrize(
    ("asked", "abi", "why"),
    [
        ("guard", 0, "the kernel has no Landlock, and network rules come with ABI 4"),
        ("guard", 3, "Landlock has ABI 3, and network rules come with ABI 4"),
        ("notify", 7, "the kernel has no seccomp user notification"),
    ],
)
def test_less_than_was_asked_for_is_refused_with_the_reason(asked: str, abi: int, why: str) -> None:
    with pytest.raises(OperatorError, match=f"containment level {asked} is not there: {why}"):
        contain(asked, Abilities(abi, NO))


def test_a_record_says_what_stays_open() -> None:
    assert contain(None, NEW).told() == {
        "level": "guard",
        "asked": None,
        "open": [DAEMONS, "inherited unix sockets", ADDRESSES],
    }
    assert "listening sockets" in contain(None, NEW, may_listen=True).open
    assert "raw system calls" in contain("shim", NEW).open


def test_a_level_satisfies_those_below_it() -> None:
    guard = contain(None, NEW)
    assert [guard.satisfies(level) for level in ("shim", "guard", "notify")] == [True, True, False]


def test_what_wants_a_supervisor_gets_one_unless_somebody_said_otherwise() -> None:
    assert contain(None, NEW, wanted=["shim", "notify"]).level == "notify"
    assert contain(None, Abilities(4, NO), wanted=["notify"]).level == "guard"
    assert contain("guard", NEW, wanted=["notify"]).level == "guard"


def test_the_guard_hides_daemons_where_it_can_and_a_supervisor_is_asked_for_each() -> None:
    assert contain("guard", Abilities(4, has_namespaces=True)).open == ("inherited unix sockets", ADDRESSES)
    assert contain("notify", Abilities(4, has_namespaces=True)).open == ("inherited unix sockets", ADDRESSES)
    assert contain("notify+netns", Abilities(4, has_namespaces=True)).open == ("inherited unix sockets",)
    assert not contain("notify", Abilities(4, has_namespaces=True)).is_hiding
