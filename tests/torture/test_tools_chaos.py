"""Our own tools against dead ports, given all the time that they would take: what they make of their own timeouts."""

import pytest

from ..cli.test_tools_chaos import chaos

pytestmark = pytest.mark.torture


@pytest.mark.timeout(600)
def test_every_tool_of_ours_takes_a_silent_port_for_what_it_is_however_long_it_waits() -> None:
    status, out, err = chaos("@all", timeout_s=240.0, patience_s=500.0)
    assert status == 0, out + err
