"""What is said of a network that goes and comes, and of clocks that jump, while runs are made."""

import time
from collections.abc import Callable

from ...wrappers.clocks import read_clocks
from ..clocks import Jump
from ..effects import NetworkChanged
from ..hop_health import HopHealth
from ..settings import Settings
from ..surroundings import Surroundings


def of_a_scan(
    settings: Settings, wait_s: float, say: Callable[[str], None], stop: Callable[[str], None]
) -> Surroundings:
    """The surroundings of a scan: changes are told, and clocks looked at. `wait_s`: how long no first hop may answer;
    `stop`: ends the scan, for this reason."""

    def network(told: NetworkChanged) -> None:
        if told.state == "given up":
            stop(network_sentence(settings, wait_s, told))
        else:
            say(network_sentence(settings, wait_s, told))

    def jumped(jump: Jump) -> None:
        if jump.set_s < 0:
            stop(f"{jump}, and what came after what can't be told any more")

    return Surroundings(HopHealth(), network, read_clocks, jumped)


def of_runs(settings: Settings, wait_s: float, say: Callable[[str], None]) -> Surroundings:
    """The surroundings of runs that nobody judges: whoever sits there sees for himself what a clock does."""
    return Surroundings(HopHealth(), lambda told: say(network_sentence(settings, wait_s, told)))


def network_sentence(settings: Settings, wait_s: float, told: NetworkChanged) -> str:
    """What is said when the network is gone, in doubt, back, or given up."""
    now = time.strftime("%H:%M:%S")
    if told.state == "gone":
        wait = f"nothing more is started until one does, for {wait_s:g} s at most"
        return f"{now}: {_nobody(settings)} ({told.reason}): {wait}{_remedy(settings)}"
    if told.state == "given up":
        return f"{now}: {_nobody(settings)} for {told.lasted_s:.0f} s ({told.reason})"
    if told.state == "back":
        return f"{now}: circuits can be built, after {told.lasted_s:.0f} s: going on"
    return f"{now}: {told.reason}: nothing more is started until a circuit is seen to work"


def _nobody(settings: Settings) -> str:
    if settings.first_hops and settings.first_hops_fallback == "none":
        return "none of your first hops has answered"
    return "no first hop has answered"


def _remedy(settings: Settings) -> str:
    if settings.first_hops and settings.first_hops_fallback == "none":
        return '; first_hops_fallback = "guards" would let others stand in'
    return ""
