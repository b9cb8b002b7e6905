"""A scan at work: session, launcher, evidence and auditor, put together and taken apart again.

Used by `exitpin audit` and by the lab's demo; says nothing to anybody.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

from ...shim import bindings
from ...wrappers.directory import read_policy
from ...wrappers.household import Household
from ...wrappers.launch import ToolLauncher
from ...wrappers.redaction import redactor
from ...wrappers.runtime import scratch_directory
from ..allowance import Starts, Unlimited
from ..circuits import FirstHops, Pace
from ..containment import Containment
from ..errors import OperatorError
from ..evidence import SCHEMA, EvidenceLog
from ..loop import Session
from ..model import Fingerprint
from ..network import Network, Vantage
from ..surroundings import Surroundings
from ..tool import Status
from ..witness import Witness
from .assessing import Assessor
from .auditing import DRAINED, Auditor
from .cases import Case, Conclusion
from .disclosure import ToolUse
from .errands import Audit, Errand, Terms
from .keys import key_of
from .ledger import Disk, Keep, RecordLedger
from .recalling import Recollection, recall_controls
from .scan_plan import ScanPlan
from .schedule import Limits, Schedule


@dataclass(frozen=True, slots=True)
class Work:
    """How a scan is carried out. `ranks`: which exits come first (`Schedule`). By tool id: `given`, the parameters that
    somebody gave a value; `words`, how the tool was named, where that is not by its id; `versions`, of the programs
    that it requires."""

    scan_id: str
    vantage: Vantage
    environment: Mapping[str, str]
    containment: Containment
    jobs: int
    per_exit: int
    spacing_s: float
    jitter_s: float
    pace: Pace
    first_hops: FirstHops
    rng: Random
    timeout_max_s: float | None = None
    events: Path | None = None
    ranks: Mapping[Fingerprint, int] = field(default_factory=dict)
    given: Mapping[str, frozenset[str]] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    surroundings: Surroundings = field(default_factory=Surroundings)
    starts: Starts = field(default_factory=Unlimited)


class Scan:
    """One scan. `keepers` get every record, runs and verdicts, as each is known; `recollection`: what an earlier
    session left of it; `disk`: what waits to be written there may hold up runs."""

    def __init__(
        self,
        work: Work,
        network: Network,
        plan: ScanPlan,
        keepers: Sequence[Keep],
        recollection: Recollection | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._work = work
        self._network = network
        self._plan = plan
        self._keepers = keepers
        self._known = recollection or Recollection()
        self._disk = disk
        self._session: Session | None = None
        self.auditor: Auditor | None = None
        limits = Limits(work.jobs, work.per_exit, work.spacing_s, work.jitter_s)
        self.schedule = Schedule[Errand](limits, work.rng, work.ranks, starts=work.starts)
        self.trust_lost: str | None = None
        self._is_drained = False
        self._distrust: str | None = None
        self.guests: set[int] = set()
        """Children of this process that are none of the scan's, and outlive it: no orphans of its `Household`."""

    async def run(self) -> None:
        """Carry out the plan. Returns when every pair has its verdict, or the scan was ended."""
        work, network, plan = self._work, self._network, self._plan
        header, shared = events_header(work, network), shared_part(work, network)
        uses = {audit.tool.id: tool_use(work, audit) for audit in plan.audits}
        ledger = RecordLedger(uses, shared, self._keepers, network.snapshot.descriptors, self._disk)
        self._write_skipped(ledger)
        witness = Witness({"schema": SCHEMA, **header}, in_use=self._circuits_in_use)
        evidence = _open_evidence(work.events, header, witness)
        with scratch_directory() as scratch:
            launcher = ToolLauncher(
                scratch, bindings.PRELOAD, network.socks, work.environment, containment=work.containment,
                household=Household(self.guests),
            )  # fmt: skip
            assessor = Assessor(work.environment.get("PATH", os.defpath), launcher.household.guests, uses)
            terms = Terms(work.scan_id, str(scratch), shared, work.timeout_max_s, self._known.first_index)
            self.auditor = auditor = Auditor(
                terms, self.schedule, assessor, witness, ledger, work.rng, partial(read_policy, network.channel)
            )
            self._session = session = Session(
                network.channel, launcher, pace=work.pace, first_hops=work.first_hops, rng=work.rng,
                evidence=evidence, on_finished=auditor.finished, around=work.surroundings, starts=work.starts,
                on_begun=auditor.begun,
            )  # fmt: skip
            recall_controls(plan.audits, self._known)
            self._obey()
            try:
                cases = [(a, Case(a.tool, r, plan.repeat_of(r))) for a, r in plan.pairs]
                await auditor.serve(session, cases, self._known)
                await launcher.household.settle()
            finally:
                self.trust_lost = session.trust_lost
                assessor.close()
                evidence.close()

    def _circuits_in_use(self) -> set[int]:
        return set() if self._session is None else self._session.circuit_ids

    @property
    def under_way(self) -> int:
        """Runs that have begun and not ended."""
        return 0 if self._session is None else self._session.active_count

    def drain(self, why: str = DRAINED) -> None:
        """Start nothing new; tools that run may end. Before `run`: nothing will be started."""
        self._is_drained = True
        if self.auditor is not None:
            self.auditor.drain(why)

    def interrupt(self, why: str) -> None:
        """End what runs. Before `run`: nothing will be started."""
        self.drain(why)
        if self._session is not None:
            self._session.interrupt(why)

    def lose_trust(self, why: str) -> None:
        """Something inside went wrong: no verdict may rest on what comes now."""
        self._distrust = why
        if self._session is not None and self.auditor is not None:
            self._session.lose_trust(why)
            self.auditor.abort()

    def _obey(self) -> None:
        """What was asked for before there was anybody to hear it."""
        if self._distrust is not None:
            self.lose_trust(self._distrust)
        elif self._is_drained:
            self.drain()

    def _write_skipped(self, ledger: RecordLedger) -> None:
        """Who is not asked has a verdict, too: that there is none; or the finding that an earlier session left open."""
        for one in self._plan.skipped:
            known = self._known.findings.get(key_of(one.audit, one.relay))
            if known is not None and known.whole is not None:
                why = "its exit has left the network" if one.layer == "gone" else one.reason
                ledger.close_finding(known.whole, one.layer, why)
                continue
            conclusion = Conclusion(Status.SKIPPED, f"{one.layer}: {one.reason}", None, one.layer, "local")
            ledger.verdict(one.audit, Case(one.audit.tool, one.relay), conclusion, [])


def events_header(work: Work, network: Network) -> dict[str, object]:
    """The first line of a session's evidence, but for its schema."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return {"session": work.scan_id, "tor": network.tor_version, "started": started}


def shared_part(work: Work, network: Network) -> dict[str, object]:
    """What all records of a scan share (`observation.fold`)."""
    return {
        "scan_id": work.scan_id,
        "containment": work.containment.told(),
        "consensus": network.snapshot.valid_after,
        "events": str(work.events) if work.events else None,
        "vantage": {"kind": work.vantage.kind, "name": work.vantage.name, "tor": network.tor_version},
    }


def tool_use(work: Work, audit: Audit) -> ToolUse:
    """How a scan uses a tool."""
    tool = audit.tool
    binary = shutil.which(tool.command.argv[0], path=work.environment.get("PATH")) or ""
    given, word = work.given.get(tool.id, frozenset()), work.words.get(tool.id, "")
    version = work.versions.get(tool.id, "")
    return ToolUse(tool, audit.bound.values, given, binary, version, redactor(tool.redact), word)


def _open_evidence(path: Path | None, header: Mapping[str, object], witness: Witness) -> EvidenceLog:
    try:
        return EvidenceLog(path, header, witness.note)
    except OSError as error:
        raise OperatorError(f"{path} can't be written: {error.strerror}.", "Nothing was started.") from error
