"""The demo's first act: four everyday tools through every exit at once, each run to a target address of its own.

What must come of a run stands in `demo_plan.py`; whether it did is judged by `ground_truth.py`, from what the targets,
and the men in the middle before them, wrote down. So every connection names its run and its exit by itself.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from ...shim import bindings
from ...wrappers.launch import ToolLaunch, ToolLauncher
from ...wrappers.machine import abilities
from ..circuits import Pace
from ..containment import contain, of_run
from ..evidence import EvidenceLog
from ..first_hops import first_hop_chooser
from ..loop import Session
from ..network import Network
from ..observation import failure_of, fold
from ..ports import Launch
from ..runs import Life
from ..verify import read_evidence, verify
from .demo_plan import TOOLS, Case, plan_cases, seen_as
from .ground_truth import read_arrivals, read_claims, score
from .network import PROBE_ADDRESS
from .state import LabState

PENDING = 64
JOBS = 64
HOPS = 2

Say = Callable[[str, str], None]
"""(sentence, style)"""


class Attribution:
    """The runs of the first act."""

    def __init__(self, lab: LabState, scan_id: str, say: Say) -> None:
        self._lab = lab
        self._scan_id = scan_id
        self._say = say
        self._cases: dict[str, Case] = {}
        self._records: list[dict[str, object]] = []
        self._as_declared = 0
        self._surprises: list[str] = []
        self._containment = contain(None, abilities())
        self.is_interrupted = False

    async def execute(self, network: Network, directory: Path, rng: Random) -> bool:
        """Run everything and judge it; whether all was as it had to be."""
        cases = plan_cases(self._lab, network.snapshot, self._scan_id, rng)
        self._cases = {case.run.run_id: case for case in cases}
        exits = len({case.exit.nickname for case in cases})
        self._say(f"{exits} exits, {len(TOOLS)} tools: {len(cases)} runs, each to a target address of its own", "")
        began, seen_before = time.monotonic(), self._lab.log_file.stat().st_size
        events = directory / "attribution.ndjson"
        await self._carry_out(network, directory, events, rng)
        took = time.monotonic() - began
        return self._judge(self._lab.log_file.read_bytes()[seen_before:].splitlines(), events, took)

    async def _carry_out(self, network: Network, directory: Path, events: Path, rng: Random) -> None:
        runs = [case.run for case in self._cases.values()]
        evidence = EvidenceLog(events, {"session": self._scan_id, "tor": network.tor_version})
        launcher = ToolLauncher(
            directory, bindings.PRELOAD, network.socks, dict(os.environ), containment=self._containment
        )
        session = Session(
            network.channel,
            launcher,
            pace=Pace(0.0, 0.0, PENDING),
            first_hops=first_hop_chooser(network.snapshot, (), {run.exit.fingerprint for run in runs}, HOPS),
            rng=rng,
            evidence=evidence,
            on_finished=self._finished,
        )
        loop = asyncio.get_running_loop()
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(signo, self._interrupt, session)
        try:
            await session.run(runs, JOBS)
            await launcher.household.settle()
        finally:
            evidence.close()
            for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(signo)

    def _interrupt(self, session: Session) -> None:
        self.is_interrupted = True
        session.interrupt()

    def _finished(self, life: Life, launch: Launch | None) -> None:
        assert isinstance(launch, ToolLaunch)
        case = self._cases[life.run.run_id]
        self._records.append(fold(life, of_run({"scan_id": self._scan_id}, launch), {}))
        if not case.is_predictable:
            return
        output = "".join(bytes(o.kept).decode("utf-8", "replace") for o in (launch.stdout, launch.stderr) if o)
        failure = failure_of(life)
        found = failure.kind if failure else "" if case.tool.is_good(output, case.exit.address) else "answer"
        if found == case.refusal:
            self._as_declared += bool(found)
            return
        reason = failure.detail if failure else "not the answer that was due"
        self._surprises.append(f"{case.exit.nickname}, {case.tool.title}: {reason}")

    def _judge(self, lines: list[bytes], events: Path, took: float) -> bool:
        refusals = Counter(case.exit.behaviour for case in self._cases.values() if case.is_predictable and case.refusal)
        owners = {case.target: run_id for run_id, case in self._cases.items()}
        arrivals = read_arrivals(lines, frozenset({PROBE_ADDRESS}))
        truth = score(read_claims(self._records), arrivals, relays=seen_as(self._lab.relays), owners=owners)
        with open(events, encoding="utf-8") as evidence:
            proof = verify(read_evidence(evidence), self._records)
        for sentence in (*self._surprises, *truth.problems, *proof.problems):
            self._say(f"exitpin: {sentence}", "red")
        each = ", ".join(f"{behaviour} {count}" for behaviour, count in refusals.items())
        self._say(
            f"{len(self._records)} runs in {took:.1f} s; recomputed from Tor's raw lines: "
            f"{proof.consistent}/{proof.streams} streams consistent; "
            f"policy refusals {self._as_declared}/{refusals.total()} as declared ({each})",
            "",
        )
        seen = truth.right + truth.wrong + truth.unknown + truth.missing  # what arrived and was then cut is right, too
        is_good = truth.is_perfect(seen) and seen > 0
        self._say(truth.summary(seen), "bold green" if is_good else "bold red")
        return is_good and not self._surprises and not proof.problems
