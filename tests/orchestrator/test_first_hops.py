"""First hops are good guards of another family and network than the exit, or the user's own; who fails is spared."""

from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.first_hops import first_hop_chooser, own_first_hops
from exitpin.orchestrator.hop_health import HopHealth
from exitpin.orchestrator.model import Relay, Snapshot

from .values import FLAGS, fingerprint, relay

EXIT = relay(1, family=frozenset({fingerprint(2), fingerprint(3)}))


def network(*relays: Relay, distinct_subnets: bool = True) -> Snapshot:
    return Snapshot("now", {one.fingerprint: one for one in (EXIT, *relays)}, distinct_subnets)


def first_hops(snapshot: Snapshot, *, tried: Iterable[str] = (), **given: object) -> set[int]:
    """Every relay that 40 draws put before the exit."""
    choose = first_hop_chooser(snapshot, **given)  # type: ignore[arg-type]
    paths = [choose(EXIT.fingerprint, frozenset(tried), Random(seed)) for seed in range(40)]  # type: ignore[arg-type]
    return {int(hop, 16) for path in paths for hop in path}


@pytest.mark.parametrize(
    ("one", "fits"),
    [
        (relay(9), True),
        (relay(2, family=frozenset({fingerprint(1)})), False),
        (relay(3), True),
        (relay(9, family=frozenset({fingerprint(1)})), True),
        (relay(9, address="198.1.255.1"), False),
        (relay(9, address="198.2.0.1"), True),
        (relay(9, address="2001:db8::1"), True),
        (relay(9, flags=FLAGS | {"Authority"}), False),
        (relay(9, bandwidth=0), True),
        *((relay(9, flags=FLAGS - {flag}), False) for flag in ("Guard", "Fast", "Stable", "Running", "Valid")),
    ],
)
def test_a_first_hop_is_a_good_guard_of_another_family_and_network(one: Relay, fits: bool) -> None:
    assert first_hops(network(one)) == ({int(one.fingerprint, 16)} if fits else set())


def test_one_network_is_no_reason_where_the_network_says_so() -> None:
    assert first_hops(network(relay(9, address=EXIT.address), distinct_subnets=False)) == {9}


def test_first_hops_that_failed_are_avoided_while_there_are_others() -> None:
    seen = network(relay(8), relay(9))
    assert first_hops(seen) == {8, 9}
    assert first_hops(seen, tried=[fingerprint(8)]) == {9}
    assert first_hops(seen, tried=[fingerprint(8), fingerprint(9)]) == {8, 9}


def test_own_first_hops_need_no_flags_and_exits_under_test_are_shunned() -> None:
    seen = network(relay(8, flags=frozenset({"Running"})), relay(9), relay(10))
    assert first_hops(seen, own=[fingerprint(8)]) == {8}
    assert first_hops(seen, own=[fingerprint(99)]) == set()
    assert first_hops(seen, avoid=[fingerprint(9)]) == {10}
    assert first_hops(seen, own=[fingerprint(8)], avoid=[fingerprint(8)]) == set()


def test_draws_follow_bandwidth() -> None:
    choose = first_hop_chooser(network(relay(8, bandwidth=1), relay(9, bandwidth=1999)))
    rng = Random(7)
    draws = [choose(EXIT.fingerprint, frozenset(), rng)[0] for _ in range(500)]
    assert draws.count(fingerprint(8)) < 10


def test_what_a_relay_says_of_its_own_bandwidth_draws_nobody_to_it() -> None:
    nobody = [replace(one, is_measured=False) for one in (EXIT, relay(8, bandwidth=0), relay(9, bandwidth=1999))]
    choose = first_hop_chooser(Snapshot("now", {one.fingerprint: one for one in nobody}))
    rng = Random(7)
    draws = [choose(EXIT.fingerprint, frozenset(), rng)[0] for _ in range(500)]
    assert 200 < draws.count(fingerprint(8)) < 300


@given(st.integers(0, 2**32), st.integers(2, 4))
def test_no_two_relays_of_a_path_know_each_other(seed: int, hops: int) -> None:
    kin = [relay(n, address=f"198.{n // 2}.0.{n}", family=frozenset({fingerprint(n ^ 1)})) for n in range(10, 22)]
    seen = network(*kin)
    path = first_hop_chooser(seen, hops=hops)(EXIT.fingerprint, frozenset(), Random(seed))
    assert len(path) == hops - 1
    networks = [seen.relays[hop].address.split(".")[1] for hop in (*path, EXIT.fingerprint)]
    assert len(set(networks)) == hops


def test_a_guard_that_nobody_has_measured_is_none_where_others_are_measured() -> None:
    assert first_hops(network(relay(8, is_measured=False), relay(9))) == {9}
    nobody = [replace(one, is_measured=False) for one in (EXIT, relay(8), relay(9))]
    assert first_hops(Snapshot("now", {one.fingerprint: one for one in nobody})) == {8, 9}


def well_but(*aside: int, doubted: Iterable[int] = ()) -> HopHealth:
    health = HopHealth()
    health.aside = frozenset(map(fingerprint, aside))
    health.doubted = frozenset(map(fingerprint, doubted))
    return health


def test_who_is_put_aside_is_spared_while_there_are_others() -> None:
    seen = network(relay(8), relay(9), relay(10))
    assert first_hops(seen, health=well_but(8)) == {9, 10}
    assert first_hops(seen, health=well_but(8, doubted=[9])) == {10}
    assert first_hops(seen, health=well_but(8, doubted=[9, 10])) == {9, 10}
    assert first_hops(seen, health=well_but(8, 9), tried=[fingerprint(10)]) == {10}


def test_when_all_are_put_aside_it_is_the_one_that_may_be_tried_first() -> None:
    seen, health = network(relay(8), relay(9)), HopHealth()
    for number, now in ((8, 5.0), (9, 1.0)):
        for _ in range(2):
            health.failed(fingerprint(number), now, now)
    health.look_round(6.0)
    assert first_hops(seen, health=health) == {9}


def test_nobody_stands_in_for_ones_own_first_hops_unless_that_is_wanted() -> None:
    seen, own = network(relay(8), relay(9), relay(10)), [fingerprint(8), fingerprint(9)]
    assert first_hops(seen, own=own, health=well_but(8)) == {9}
    assert first_hops(seen, own=own, health=well_but(8, 9)) <= {8, 9}
    assert first_hops(seen, own=own, health=well_but(8), or_guards=True) == {9}
    assert first_hops(seen, own=own, health=well_but(8, 9), or_guards=True) == {10}
    assert first_hops(seen, own=own, tried=own, or_guards=True) == {8, 9}, "a confirmation is no reason"


def test_between_ones_own_first_hop_and_the_exit_stand_guards() -> None:
    seen = network(relay(8, flags=frozenset({"Running"})), relay(9), relay(10, flags=FLAGS - {"Guard"}))
    path = first_hop_chooser(seen, [fingerprint(8)], hops=3)(EXIT.fingerprint, frozenset(), Random(1))
    assert path == (fingerprint(8), fingerprint(9))


def test_own_first_hops_that_are_not_there_are_told_with_the_reason() -> None:
    seen = network(relay(8), relay(9, flags=FLAGS - {"Running"}))
    own = own_first_hops(seen, [fingerprint(n) for n in (7, 8, 9, 8)])
    assert own.usable == (fingerprint(8),)
    assert own.missing == {fingerprint(7): "not in the consensus", fingerprint(9): "not running, says the consensus"}
