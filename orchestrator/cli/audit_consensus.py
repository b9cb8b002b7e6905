"""By which consensus an audit judges: one that is valid, the newest if it was waited for, and no longer than it is.

Called by `audit_scan.py`.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import OperatorError
from ..freshness import is_early, is_fresh, is_over, is_valid, moment_of, patience_s
from ..model import Snapshot
from ..network import Network, Vantage, await_refresh
from ..network_change import NetworkChange
from ..results.sightings import note_snapshot
from .say import say

LOOK_S = 0.5


async def valid_network(network: Network, vantage: Vantage, next_step: str, *, is_waiting: bool) -> Network:
    """The network with a consensus that may be scanned by. `is_waiting`: the one that should be there by now is waited
    for, for a while; `next_step`: what to do when there is one again. Raises OperatorError where there is none."""
    is_due = is_waiting and vantage.is_voted_on
    if is_due and not is_fresh(network.snapshot, time.time()):
        network = await await_refresh(network, patience_s(network.snapshot))
    snapshot, now = network.snapshot, time.time()
    if not is_valid(snapshot, now):
        raise _unusable(snapshot, now, next_step)
    if is_due and not is_fresh(snapshot, now):
        say(
            f"tor could not refresh its consensus of {snapshot.valid_after} (fresh until {snapshot.fresh_until} UTC);"
            f" it is used as long as it is valid, until {snapshot.valid_until} UTC"
        )
    return network


def _unusable(snapshot: Snapshot, now: float, next_step: str) -> OperatorError:
    if is_early(snapshot, now):
        return OperatorError(
            f"the consensus of {snapshot.valid_after} UTC is valid from then on, and the clock of this machine says"
            f" {moment_of(now)} UTC: one of them is wrong, and nobody may be judged by it.",
            f"Set the clock (`timedatectl` shows it), or see where tor has that consensus from. Then {next_step}.",
        )
    return OperatorError(
        f"the consensus of {snapshot.valid_after} was valid until {snapshot.valid_until} UTC, and tor has no later"
        " one: nobody may be judged by it.",
        f"Can tor reach the network, and is the clock right? Then {next_step}.",
    )


def noted(snapshot: Snapshot, vantage: Vantage, store: Path, patience_s: float) -> NetworkChange | None:
    """Remember in a store whom the network has now; what has changed since the snapshot before, which is said, too.
    `patience_s`: how long somebody else's lock is waited for. Raises OperatorError when the store can't be written."""
    change = note_snapshot(store, vantage.network, snapshot, patience_s)
    if change is not None and change.is_any:
        say(change.sentence())
    return change


class Expiry:
    """Calls `drain` when a snapshot is valid no longer, by the clock on the wall: that may jump. (One that was set
    back ends a scan without this.) On the loop, until `cancel`."""

    def __init__(self, snapshot: Snapshot, drain: Callable[[], None]) -> None:
        self._snapshot = snapshot
        self._drain = drain
        self.has_come = False
        self._look()

    def cancel(self) -> None:
        """It is of no interest any more."""
        self._timer.cancel()

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        if is_over(self._snapshot, time.time()):
            self._timer.cancel()
            self.has_come = True
            self._drain()
