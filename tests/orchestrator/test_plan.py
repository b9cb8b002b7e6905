"""The plan: every exit once a repetition, a seeded order, an address and a nonce of each run's own."""

import ipaddress
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.model import Run
from exitpin.orchestrator.plan import RUN_ADDRESSES, make_plan, run_address

from .values import relay

EXITS = [relay(number) for number in range(1, 9)]


def plan(seed: int, exits: int = 8, repeat: int = 1) -> list[Run]:
    return make_plan(EXITS[:exits], ["true"], scan_id="s", timeout_s=5.0, rng=Random(seed), repeat=repeat)


@given(st.integers(0, 2**32), st.integers(0, 8), st.integers(1, 4))
def test_every_exit_has_its_runs_and_every_run_its_own_address_nonce_and_name(
    seed: int, exits: int, repeat: int
) -> None:
    runs = plan(seed, exits, repeat)
    assert Counter(run.exit.fingerprint for run in runs) == {one.fingerprint: repeat for one in EXITS[:exits]}
    for own in ("address", "nonce", "run_id", "index"):
        assert len({getattr(run, own) for run in runs}) == len(runs)
    assert all(ipaddress.ip_address(run.address) in RUN_ADDRESSES for run in runs)
    assert all(len(run.nonce) == 16 and run.argv == ("true",) and run.timeout_s == 5.0 for run in runs)


def test_a_seed_gives_the_same_plan_and_another_seed_another_order() -> None:
    assert plan(7) == plan(7)
    orders = {tuple(run.exit.fingerprint for run in plan(seed)) for seed in range(20)}
    assert len(orders) > 10


@pytest.mark.parametrize(
    ("number", "address"),
    [
        (0, "127.64.0.0"),
        (1, "127.64.0.1"),
        (2**22 - 1, "127.127.255.255"),
        (2**22, "127.64.0.0"),
        (2**22 + 5, "127.64.0.5"),
    ],
)
def test_addresses_wrap_within_their_range(number: int, address: str) -> None:
    assert run_address(number) == address
