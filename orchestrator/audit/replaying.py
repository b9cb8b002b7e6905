"""A recorded run made again: the same tool, parameters and exit, one run after the other, each on a fresh circuit.

No controls, no rules, no verdict: whoever asked compares what came of it (`report/rerun.py`). Each is recorded with its
evidence like any other run, in the role `replay`. Called by `exitpin replay`.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from ...shim import bindings
from ...wrappers.launch import ToolLauncher
from ...wrappers.runtime import scratch_directory
from ..allowance import Starts
from ..evidence import SCHEMA, EvidenceLog
from ..loop import Session
from ..model import Relay
from ..network import Network
from ..ports import Launch
from ..runs import Life
from ..witness import Witness
from .assessing import Assessor, Ended, ended_run
from .cases import Role
from .errands import Audit, Errand, Place, Places, Terms, make_run
from .ledger import Keep, RecordLedger
from .params import run_destinations
from .scanning import Work, events_header, shared_part, tool_use
from .tasks import Tasks


class Replayer:
    """Makes `times` runs of one tool through one exit, and keeps what became of each in `ended`."""

    def __init__(
        self,
        audit: Audit,
        relay: Relay,
        times: int,
        terms: Terms,
        places: Places,
        assessor: Assessor,
        witness: Witness,
        ledger: RecordLedger,
        starts: Starts,
    ) -> None:
        self._audit = audit
        self._relay = relay
        self._left = times
        self._terms = terms
        self._places = places
        self._assessor = assessor
        self._witness = witness
        self._ledger = ledger
        self._starts = starts
        self._waiting: asyncio.TimerHandle | None = None
        self._has_begun = False
        self._tasks = Tasks(asyncio.get_running_loop())
        self._session: Session | None = None
        self._under_way: tuple[Errand, Place, dict[str, str]] | None = None
        self.ended: list[Ended] = []

    async def serve(self, session: Session) -> None:
        """Make them. Returns when all have ended."""
        self._session = session
        self._next()
        try:
            await session.serve()
        finally:
            self._tasks.cancel()

    def interrupt(self, why: str) -> None:
        """End the run that is under way, and begin no other."""
        self._left = 0
        if self._session is not None:
            self._session.interrupt(why)
        if self._waiting is not None:
            self._next()

    def lose_trust(self, why: str) -> None:
        """Something inside went wrong: nothing of it is proven."""
        self._left = 0
        if self._session is not None:
            self._session.lose_trust(why)
            self._session.finish()

    def begun(self, run_id: str) -> None:
        """The session's word that the tool of the run is about to start."""
        if not self._has_begun:
            self._has_begun = True
            self._starts.began(self._audit.destinations)

    def finished(self, life: Life, launch: Launch | None) -> None:
        """The session's word that the run is over."""
        assert self._under_way is not None
        errand, place, values = self._under_way
        self.begun(life.run.run_id)  # or it never will
        ended = ended_run(life, launch, values, self._terms.shared)
        entries = self._witness.of(life.run.run_id, [circuit.circuit_id for circuit in life.circuits])
        self._tasks.spawn(self._assess(errand, place, ended, entries))

    def _next(self) -> None:
        assert self._session is not None
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        if not self._left:
            self._session.finish()
            return
        if waits := self._starts.take_run(self._audit.destinations):
            self._waiting = asyncio.get_running_loop().call_later(max(waits.values()), self._next)
            return
        self._has_begun = False
        self._left -= 1
        errand = Errand(self._audit, self._relay, Role.REPLAY, repetition=len(self.ended) + 1)
        place, values = self._places.next(errand)
        doors = run_destinations(self._audit.tool, values, self._relay)
        self._under_way = errand, place, values
        self._session.start(make_run(errand, place, values, doors, self._terms.timeout_max_s))

    async def _assess(self, errand: Errand, place: Place, ended: Ended, entries: Sequence[Any]) -> None:
        """Whatever the tool keeps at all is kept: it is there to be compared."""
        await self._assessor.read(self._audit.tool, ended, entries, place.directory, is_control=True)
        self._ledger.run(errand, ended)
        self.ended.append(ended)
        self._next()


async def replay(
    work: Work,
    network: Network,
    audit: Audit,
    relay: Relay,
    times: int,
    keep: Keep,
    guard: Callable[[Replayer], AbstractContextManager[object]],
) -> tuple[list[Ended], str | None]:
    """Make the runs: what became of each, and why nothing of it is proven, if so. `keep` gets each record and its
    evidence, as it ends; `guard` looks after signals meanwhile."""
    header, uses = events_header(work, network), {audit.tool.id: tool_use(work, audit)}
    shared = shared_part(work, network)
    witness = Witness({"schema": SCHEMA, **header})
    evidence = EvidenceLog(None, header, witness.note)
    with scratch_directory() as scratch:
        launcher = ToolLauncher(
            scratch, bindings.PRELOAD, network.socks, work.environment, containment=work.containment
        )
        assessor = Assessor(work.environment.get("PATH", os.defpath), launcher.household.guests, uses)
        terms = Terms(work.scan_id, str(scratch), shared, work.timeout_max_s)
        places = Places(work.scan_id, str(scratch), work.rng)
        ledger = RecordLedger(uses, shared, [keep])
        replayer = Replayer(audit, relay, times, terms, places, assessor, witness, ledger, work.starts)
        session = Session(
            network.channel, launcher, pace=work.pace, first_hops=work.first_hops, rng=work.rng,
            evidence=evidence, on_finished=replayer.finished, around=work.surroundings, starts=work.starts,
            on_begun=replayer.begun,
        )  # fmt: skip
        try:
            with guard(replayer):
                await replayer.serve(session)
            await launcher.household.settle()
        finally:
            assessor.close()
            evidence.close()
    return replayer.ended, session.trust_lost
