"""Whether a control's own run is something that others can be compared with."""

from dataclasses import replace

import pytest

from exitpin.orchestrator.audit.verdict import Observation, is_usable_control
from exitpin.orchestrator.tool import Command, Condition, Rule

from .test_verdict import ALWAYS_OK, BROKEN, DIFFERS, ERROR, HTTP, OK, PAGE, SUSPECT, TAMPERED, search, seen, tool

DNS = (
    Rule(ERROR, (Condition("exit_code", "is", 9),), reason="no reply"),
    Rule(TAMPERED, (Condition("answers", "differs", True),)),
    Rule(BROKEN, (Condition("rcode", "is", "NXDOMAIN"),), reason="resolver said {{rcode}}"),
    ALWAYS_OK,
)
SAME_IS_OK = (
    Rule(OK, (Condition("body", "differs", False),)),
    Rule(ERROR, (Condition("body", "absent", True),)),
    Rule(BROKEN, (Condition("rcode", "is", "NXDOMAIN"),)),
    Rule(TAMPERED, (Condition("body", "absent", False),)),
    Rule(SUSPECT),
)


@pytest.mark.parametrize(
    ("rules", "run", "why"),
    [
        (DNS, seen(answers=("192.0.2.1",), rcode="NOERROR"), None),
        (DNS, seen(9), "error: no reply"),
        (DNS, seen(rcode="NXDOMAIN"), "broken: resolver said NXDOMAIN"),
        (DNS, seen(1, answers=("192.0.2.1",), rcode="NOERROR"), None),
        (HTTP, seen(**PAGE), None),
        (HTTP, seen(7), "error: curl exit 7"),
        (SAME_IS_OK, seen(body="aa"), None),
        (SAME_IS_OK, seen(), "error"),
        (SAME_IS_OK, seen(body="aa", rcode="NXDOMAIN"), "broken"),
        (SAME_IS_OK, seen(7, body="aa"), "it failed: exit status 7"),
        (
            (Rule(OK, (Condition("code", "is", 200), Condition("body", "differs", False))), Rule(TAMPERED)),
            seen(code=404, body="aa"),
            "tampered",
        ),
        ((Rule(TAMPERED, (DIFFERS,)),), seen(body="aa"), None),
        ((Rule(TAMPERED, (DIFFERS,)),), seen(7), "it failed: exit status 7"),
        ((Rule(TAMPERED, (DIFFERS,)),), seen(None), "it failed: exit status none"),
        ((Rule(SUSPECT, (Condition("word", "is", "evil"),)), ALWAYS_OK), seen(word="evil"), "suspect"),
        ((Rule(OK, (Condition("word", "is", "{{gone}}"),)),), seen(), "error: {{gone}} of a rule has no value"),
    ],
)
def test_a_control_is_usable_unless_it_shows_by_itself_that_it_is_not(
    rules: tuple[Rule, ...], run: Observation, why: str | None
) -> None:
    assert is_usable_control(tool(*rules), run, {}, search) == why


def test_a_tool_may_succeed_with_other_codes_than_0() -> None:
    greps = replace(tool(Rule(TAMPERED, (DIFFERS,))), command=Command(("grep", "x"), ok_codes=(0, 1)))
    assert is_usable_control(greps, seen(1), {}, search) is None
    assert is_usable_control(greps, replace(seen(1), timed_out=True), {}, search) is not None
