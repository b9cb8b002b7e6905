"""Runs that say nothing about their exit, since something else failed: they are made again, as if they never had been.

Theory. A run that failed may have failed for what stands before the exit: a first hop that died, a network that is
gone. Tor does not tell a hop that is silent from an exit that is. So of each run that failed it is asked whether the
hops before its exit answered others meanwhile, or do when they are asked now; if not, it is void. So is one whose
circuit could not be built for a hop before the exit, and one during which the clock jumped.

Called by `auditing.py`.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from ..errors import OperatorError
from ..model import Failure, Fingerprint, Relay
from ..policy import ExitPolicy
from ..tool import Status
from .cases import Case, says_nothing

AGAIN_MAX = 5
"""So often a run is made again for this; then its case is told."""
HEARD_S = 5.0
"""Hops that answered so shortly before the end of a run are well."""


class HopsAsked(Protocol):
    """A session, as far as it knows whether hops answer."""

    async def are_well(self, path: tuple[Fingerprint, ...], since: float) -> bool: ...


class OnCircuits(Protocol):
    """A run, as far as it is known what stood before its exit."""

    @property
    def first_hops(self) -> tuple[Fingerprint, ...]: ...

    run_id: str


async def why_void(
    session: HopsAsked, failure: Failure | None, path: tuple[Fingerprint, ...], now: float
) -> Failure | None:
    """What a run failed for, if that says nothing about its exit. `failure`: as it seemed; `path`: of its last circuit;
    `now`: when it ended, by the loop's time."""
    if failure is None:
        return None
    if failure.kind == "clock" or failure.blame == "first-hop":
        return failure
    is_lost = failure.kind == "circuit-lost"
    if says_nothing(failure) and not is_lost:
        return None
    if await session.are_well(path, now if is_lost else now - HEARD_S):
        return None
    return Failure("circuit-lost", "first-hop", True, f"its first hop does not answer any more: {failure.detail}")


PolicyOf = Callable[[Fingerprint], Awaitable[ExitPolicy | None]]
"""The exit policy that a relay has declared last, as far as tor knows; None: it knows none. Raises OperatorError."""


async def why_not_broken(exit: Relay, policy_of: PolicyOf) -> str | None:
    """Why it is not said of an exit that it carries nothing: it may have changed its policy since the snapshot, and is
    right to refuse. None: it is said."""
    if exit.policy is None:
        return None
    try:
        policy = await policy_of(exit.fingerprint)
    except OperatorError as error:
        return f"tor does not tell whether its exit policy is still that of the snapshot ({error.message})"
    if policy is None:
        return "tor has no descriptor of it any more"
    return None if policy.text == exit.policy.text else "its exit policy is another one than that of the snapshot"


def is_circuit_well(failure: Failure | None, *, was_built: bool) -> bool | None:
    """Whether the circuit of a run could be built and held; None: that was not tried, or is not known."""
    kind = failure.kind if failure is not None else ""
    if not was_built and kind in ("tor", "interrupted", "shim", "clock"):
        return None
    return was_built and kind not in ("circuit", "circuit-lost")


def hops_in_doubt(case: Case, runs: Iterable[OnCircuits]) -> frozenset[Fingerprint]:
    """The hops before the exit of all runs that were not well: a confirmation does without them."""
    if not case.tool.confirm.new_circuit:
        return frozenset()
    well = {attempt.run_id for attempt in case.attempts if attempt.status is Status.OK}
    return frozenset(hop for run in runs if run.run_id not in well for hop in run.first_hops)
