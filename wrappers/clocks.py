"""The clocks of this machine."""

import time

from ..orchestrator.clocks import Clocks


def read_clocks() -> Clocks:
    """What they show now, one right after the other."""
    return Clocks(time.time(), time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))
