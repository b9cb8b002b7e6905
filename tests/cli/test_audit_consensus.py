"""By which consensus an audit does not judge, and what is said then."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exitpin.orchestrator.cli.audit_consensus import Expiry, valid_network
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.freshness import moment_of
from exitpin.orchestrator.model import Snapshot
from exitpin.orchestrator.network import Vantage

OWN = Vantage("own", Path("/x"))
HOUR_S = 3600.0


def hourly(ahead_s: float) -> Snapshot:
    """A consensus whose valid-after is so far in the future."""
    begin = time.time() + ahead_s
    return Snapshot(
        moment_of(begin), {}, fresh_until=moment_of(begin + HOUR_S), valid_until=moment_of(begin + 3 * HOUR_S)
    )


def asked(snapshot: Snapshot) -> Any:
    network: Any = SimpleNamespace(snapshot=snapshot)
    return asyncio.run(valid_network(network, OWN, "say it again", is_waiting=False)).snapshot


@pytest.mark.parametrize("ahead_s", [-2.9 * HOUR_S, 0.0, 0.45 * HOUR_S])
def test_one_that_is_valid_or_soon_is_taken(ahead_s: float) -> None:
    snapshot = hourly(ahead_s)
    assert asked(snapshot) is snapshot


def test_one_that_is_over_is_not() -> None:
    with pytest.raises(OperatorError, match=r"was valid until .* nobody may be judged by it"):
        asked(hourly(-3.1 * HOUR_S))


def test_of_one_of_the_future_it_is_said_that_it_or_the_clock_is_wrong() -> None:
    with pytest.raises(OperatorError) as told:
        asked(hourly(0.6 * HOUR_S))
    assert "is valid from then on, and the clock of this machine says" in told.value.message
    assert "one of them is wrong, and nobody may be judged by it" in told.value.message
    assert "Then say it again." in told.value.hint


def test_a_scan_is_not_told_that_its_consensus_is_over_when_its_clock_was_set_back() -> None:
    drained: list[bool] = []

    async def look() -> bool:
        expiry = Expiry(hourly(HOUR_S), lambda: drained.append(True))
        expiry.cancel()
        return expiry.has_come

    assert asyncio.run(look()) is False and drained == []
