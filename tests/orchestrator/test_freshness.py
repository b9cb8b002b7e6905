"""How long a consensus may be scanned by."""

import pytest

from exitpin.orchestrator.freshness import epoch_of, is_early, is_fresh, is_over, is_valid, moment_of, patience_s
from exitpin.orchestrator.model import Snapshot

HOURLY = Snapshot(
    "2026-01-02 03:00:00", {}, fresh_until="2026-01-02 04:00:00", valid_until="2026-01-02 06:00:00"
)  # fmt: skip
QUICK = Snapshot(
    "2026-01-02 03:00:00", {}, fresh_until="2026-01-02 03:00:10", valid_until="2026-01-02 03:00:40"
)  # fmt: skip
UNTOLD = Snapshot("2026-01-02 03:00:00", {})


def test_times_of_a_consensus_are_utc() -> None:
    assert epoch_of("1970-01-01 00:01:00") == 60.0
    assert moment_of(epoch_of("2026-01-02 03:00:00")) == "2026-01-02 03:00:00"


@pytest.mark.parametrize(
    ("at", "fresh", "valid"),
    [
        ("2026-01-02 03:59:59", True, True),
        ("2026-01-02 04:00:00", False, True),
        ("2026-01-02 05:59:59", False, True),
        ("2026-01-02 06:00:00", False, False),
    ],
)
def test_a_consensus_is_fresh_and_then_valid_for_as_long_as_it_says(at: str, fresh: bool, valid: bool) -> None:
    now = epoch_of(at)
    assert (is_fresh(HOURLY, now), is_valid(HOURLY, now)) == (fresh, valid)


@pytest.mark.parametrize(
    ("at", "early"),
    [
        ("2026-01-01 03:00:00", True),
        ("2026-01-02 02:29:59", True),
        ("2026-01-02 02:30:00", False),
        ("2026-01-02 03:00:00", False),
        ("2026-01-02 06:00:00", False),
    ],
)
def test_a_consensus_of_the_future_is_not_valid_yet(at: str, early: bool) -> None:
    now = epoch_of(at)
    assert is_early(HOURLY, now) == early
    assert is_valid(HOURLY, now) == (not early and not is_over(HOURLY, now))


def test_a_snapshot_that_does_not_say_never_ends() -> None:
    assert is_fresh(UNTOLD, 1e12) and is_valid(UNTOLD, 1e12) and patience_s(UNTOLD) == 0.0
    assert is_valid(UNTOLD, 0.0)


def test_a_refresh_is_waited_for_as_long_as_the_interval_warrants() -> None:
    assert (patience_s(HOURLY), patience_s(QUICK)) == (300.0, 20.0)
