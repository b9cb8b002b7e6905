"""What one run may take of what all of them have: calls that wait, which hold descriptors of ours, and reports that are
kept in the evidence. Called by `reports.py`, and for Unix sockets by `unix_look_ups.py` and `unix_connects.py`.
"""

import math
import resource
from collections.abc import Callable

from ..orchestrator.events import ReportsCrowded
from ..orchestrator.runs import REPORTS_MAX
from .report_calls import WaitingCall

CALLS_MAX = 1000
LIMIT_SHARE = 8
SCARCE_FROM = 0.75
"""Of the descriptors that we may open: the rest is for runs that have few calls."""
FEW_CALLS = 4
ROOM = 64
"""So many more there has to be room for, where a ticket is out: others may come before its report."""
DOUBTFUL_MAX = 10_000
"""As many reports are kept of whom may not be of the run: other runs may have such a flood, each of them."""


class Kept:
    """What the evidence is given of a run's reports: REPORTS_MAX of its processes, over which it is told once that they
    are too many, and DOUBTFUL_MAX of strangers and of whom nobody can name any more, who can't make a run fail."""

    def __init__(self, on_report: Callable[[bytes, int], None], post: Callable[[object], None]) -> None:
        self._on_report = on_report
        self._post = post
        self._is_told = False
        self._left = {True: REPORTS_MAX, False: DOUBTFUL_MAX}

    def has_room(self) -> bool:
        """Whether there is room for some more of the run's processes."""
        return self._left[True] > ROOM

    def keep(self, packet: bytes, pid: int, *, is_member: bool) -> bool:
        """Whether there was room for it."""
        if self._left[is_member]:
            self._left[is_member] -= 1
            self._on_report(packet, pid)
            return True
        if is_member and not self._is_told:
            self._is_told = True
            self._post(ReportsCrowded())
        return False


def max_calls() -> int:
    """How many calls of one run may wait at a time: CALLS_MAX, or a share of the descriptors that we may open."""
    return int(min(CALLS_MAX, max(1, _max_descriptors() // LIMIT_SHARE)))


def _max_descriptors() -> float:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


class Share:
    """Of a run: how many calls of it may wait at a time; no more than FEW_CALLS once descriptors become scarce by what
    all runs hold together."""

    def __init__(self) -> None:
        self.calls = max_calls()
        self._scarce_from = _max_descriptors() * SCARCE_FROM

    def has_room(self, waiting: int, call: WaitingCall) -> bool:
        """For this call beside so many that wait. The kernel gives out the lowest number that is free."""
        came_with = (one.fileno() for one in (call.connection, call.tool_socket) if one is not None)
        return waiting < min(self.calls, FEW_CALLS) or (
            waiting < self.calls and max(came_with, default=0) < self._scarce_from
        )
