"""Who is asked first."""

from random import Random

from exitpin.orchestrator.audit.need import Past, by_need
from exitpin.orchestrator.model import Fingerprint

from ..values import fingerprint, relay

NOW, DAY = 1_000_000.0, 86_400.0
OLD = {fingerprint(number): 0.0 for number in range(1, 9)}


def order(numbers: range, first_seen: dict[Fingerprint, float], pasts: dict[int, Past], seed: int = 1) -> list[int]:
    told = {fingerprint(number): past for number, past in pasts.items()}
    exits = [relay(number) for number in numbers]
    found = by_need(exits, first_seen, told, newcomers_since=NOW - 2 * DAY, rng=Random(seed))
    return [int(one.fingerprint, 16) for one in found]


def test_newcomers_come_first_then_suspects_then_who_was_not_asked_for_longest() -> None:
    pasts = {
        1: Past(NOW - 1, is_suspect=False),
        2: Past(NOW - 9, is_suspect=False),
        3: Past(NOW - 2, is_suspect=True),
        4: Past(NOW - 3, is_suspect=False),
    }
    assert order(range(1, 5), {**OLD, fingerprint(4): NOW - DAY}, pasts) == [4, 3, 2, 1]


def test_who_was_never_asked_comes_before_who_was() -> None:
    assert order(range(1, 4), OLD, {1: Past(1.0, is_suspect=False), 3: Past(2.0, is_suspect=False)}) == [2, 1, 3]


def test_who_was_never_seen_is_a_newcomer() -> None:
    assert order(range(8, 10), OLD, {8: Past(1.0, is_suspect=True)}) == [9, 8]


def test_equals_come_in_an_order_of_chance_that_a_seed_repeats() -> None:
    orders = {tuple(order(range(1, 9), OLD, {}, seed)) for seed in range(5)}
    assert len(orders) > 1
    assert order(range(1, 9), OLD, {}, 3) == order(range(1, 9), OLD, {}, 3)
