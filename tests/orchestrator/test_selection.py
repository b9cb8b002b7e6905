"""Selections account for every relay that they drop."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.model import Destination, Snapshot
from exitpin.orchestrator.policy import parse_policy
from exitpin.orchestrator.selection import Selection, Wanted, allowed, find_relay, select

from .values import FLAGS, fingerprint, relay

WEB = parse_policy("accept *:80\naccept *:443\nreject *:*")
NOTHING = parse_policy("reject *:*")
RELAYS = (
    relay(1, contact="ops <ops@example.com>", family=frozenset({fingerprint(2)})),
    relay(2, policy=WEB, family=frozenset({fingerprint(1)})),
    relay(3, flags=FLAGS | {"BadExit"}),
    relay(4, flags=FLAGS - {"Running"}),
    relay(5, policy=NOTHING, flags=FLAGS - {"Exit"}),
    relay(6, policy=None),
    relay(7, policy=None, flags=FLAGS - {"Exit"}),
    relay(8, nickname="twin", flags=FLAGS - {"Guard"}),
    relay(9, nickname="Twin"),
)
SNAPSHOT = Snapshot("2026-01-02 03:00:00", {one.fingerprint: one for one in RELAYS})
SSH = (Destination("example.com", 22),)
HTTPS = Destination("example.org", 443)


def chosen(selection: Selection) -> list[int]:
    return [int(one.fingerprint, 16) for one in selection.exits]


@pytest.mark.parametrize(
    ("wanted", "exits", "dropped"),
    [
        (Wanted(), [1, 2, 6, 8, 9], {"BadExit": 1, "not running": 1}),
        (Wanted(with_bad_exits=True), [1, 2, 3, 6, 8, 9], {"not running": 1}),
        (
            Wanted(destinations=SSH),
            [1, 8, 9],
            {"BadExit": 1, "not running": 1, "no descriptor that can be read": 1, "policy": 1},
        ),
        (Wanted(flags=("Guard",)), [1, 2, 6, 9], {"BadExit": 1, "not running": 1, "no Guard flag": 1}),
        (Wanted(not_flags=("Guard",)), [8], {"BadExit": 1, "not running": 1, "Guard flag": 4}),
        (Wanted(families=("$" + fingerprint(1).lower(),)), [1, 2], {"BadExit": 1, "not running": 1, "family": 3}),
        (Wanted(contact=lambda line: "example" in line), [1], {"BadExit": 1, "not running": 1, "contact": 4}),
        (Wanted(names=("relay3",)), [3], {}),
        (Wanted(names=(fingerprint(5), "relay4", "relay4")), [5], {"not running": 1}),
        (Wanted(names=("relay2",), destinations=SSH), [], {"policy": 1}),
        (Wanted(names=("relay1", "relay2", "relay5"), either=(*SSH, HTTPS)), [1, 2], {"policy": 1}),
        (Wanted(names=("relay1", "relay2"), either=(HTTPS,), destinations=SSH), [1], {"policy": 1}),
    ],
)
def test_a_selection_says_why_each_of_the_others_was_dropped(
    wanted: Wanted, exits: list[int], dropped: dict[str, int]
) -> None:
    selection = select(SNAPSHOT, wanted, Random(7))
    assert chosen(selection) == exits
    assert selection.dropped == dropped
    assert selection.considered == len(exits) + sum(dropped.values())


@given(st.integers(0, 10), st.integers(0, 2**32))
def test_a_sample_is_accounted_for_and_keeps_the_consensus_order(count: int, seed: int) -> None:
    selection = select(SNAPSHOT, Wanted(sample=count), Random(seed))
    assert len(selection.exits) == min(count, 5)
    assert chosen(selection) == sorted(chosen(selection))
    assert selection.considered == len(selection.exits) + sum(selection.dropped.values())
    assert chosen(select(SNAPSHOT, Wanted(sample=count), Random(seed))) == chosen(selection), "seeded"


def test_a_sample_hardly_changes_when_the_network_does() -> None:
    many = {one.fingerprint: one for one in (relay(n) for n in range(100, 200))}
    before = select(Snapshot("then", many), Wanted(sample=20), Random(5))
    more = {**many, fingerprint(7): relay(7)}
    gone = dict(list(more.items())[3:])
    for now in (more, gone):
        after = select(Snapshot("now", now), Wanted(sample=20), Random(5))
        assert len({one.fingerprint for one in before.exits} - {one.fingerprint for one in after.exits}) <= 3


def test_a_limit_takes_the_first_ones_of_a_sample() -> None:
    sampled = chosen(select(SNAPSHOT, Wanted(sample=4), Random(3)))
    limited = select(SNAPSHOT, Wanted(sample=4, limit=3), Random(3))
    assert chosen(limited) == sampled[:3]
    assert limited.dropped == {"BadExit": 1, "not running": 1, "not sampled": 1, "behind the first 3": 1}
    assert select(SNAPSHOT, Wanted(limit=99), Random(3)).dropped == {"BadExit": 1, "not running": 1}


def test_an_order_says_who_are_the_first_ones() -> None:
    backwards = select(SNAPSHOT, Wanted(limit=2), Random(3), in_order=lambda relays: relays[::-1])
    assert chosen(backwards) == [9, 8]
    assert backwards.dropped["behind the first 2"] == 3


def test_any_is_one_of_them() -> None:
    draws = {chosen(select(SNAPSHOT, Wanted(names=("any",)), Random(seed)))[0] for seed in range(60)}
    assert draws == {1, 2, 6, 8, 9}


def test_the_account_reads_as_a_sentence() -> None:
    assert select(SNAPSHOT, Wanted(flags=("Guard",), not_flags=("Fast",)), Random(1)).account() == (
        "0 of 7 exits (4: Fast flag, 1: BadExit, 1: not running, 1: no Guard flag)"
    )
    assert Selection(()).account() == "0 of 0 exits"


@pytest.mark.parametrize(
    "name", [fingerprint(1), fingerprint(1).lower(), f"${fingerprint(1)}~relay1", "relay1", "RELAY1"]
)
def test_a_relay_is_found_by_fingerprint_and_by_nickname(name: str) -> None:
    assert find_relay(SNAPSHOT, name).fingerprint == fingerprint(1)


@pytest.mark.parametrize(
    ("name", "words"),
    [(fingerprint(99), "no relay"), ("nobody", "neither"), ("twin", "2 relays are called"), ("", "neither")],
)
def test_a_name_that_means_nobody_or_two_is_the_operators_to_mend(name: str, words: str) -> None:
    with pytest.raises(OperatorError, match=words) as caught:
        find_relay(SNAPSHOT, name)
    assert caught.value.hint


def test_what_a_relay_allows_of_several_destinations_is_told() -> None:
    assert allowed(RELAYS[0], (*SSH, HTTPS)) == (*SSH, HTTPS)
    assert allowed(RELAYS[1], (*SSH, HTTPS)) == (HTTPS,)
    assert allowed(RELAYS[5], (HTTPS,)) == ()
