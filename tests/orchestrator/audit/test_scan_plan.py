"""Which exits a plan asks for what, by their policies."""

from dataclasses import replace

import pytest

from exitpin.orchestrator.audit.params import Bound
from exitpin.orchestrator.audit.scan_plan import make_scan_plan
from exitpin.orchestrator.policy import parse_policy
from exitpin.orchestrator.tool import Door
from exitpin.wrappers.stand_in import stand_in_snapshot

from ..scans import tool


@pytest.mark.parametrize(
    ("policy", "is_asked", "why"),
    [
        ("accept *:443\nreject *:*", True, ""),
        ("reject *:80\naccept *:*", True, ""),
        ("reject *:*", False, "its policy refuses everything, and so it looks up no name"),
    ],
)
def test_a_relay_that_lets_nothing_out_is_asked_for_no_name(policy: str, is_asked: bool, why: str) -> None:
    """It refuses to look one up, whatever authorities call it, and would be a control that fails."""
    snapshot = stand_in_snapshot(20)
    odd = next(relay for relay in snapshot.relays.values() if relay.could_exit)
    odd = replace(odd, policy=parse_policy(policy))
    snapshot = replace(snapshot, relays={**snapshot.relays, odd.fingerprint: odd})
    looks_up = tool(doors=(Door("a.test", "0"),))
    plan = make_scan_plan(
        snapshot, [odd], [(looks_up, Bound(looks_up, {}), "key")], unmet={}, repeat=1, is_direct_allowed=False
    )
    assert (odd in plan.audits[0].candidates) == is_asked == bool(plan.pairs)
    assert [one.reason for one in plan.skipped] == ([why] if why else [])
    assert all(relay.could_exit for relay in plan.audits[0].candidates)
