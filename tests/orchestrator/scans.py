"""Whole scans without Tor: the real driver, session, schedule, cases, controls, rules and records on plays."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from exitpin.orchestrator.audit.assessing import Assessor
from exitpin.orchestrator.audit.auditing import Auditor
from exitpin.orchestrator.audit.cases import Case
from exitpin.orchestrator.audit.disclosure import ToolUse
from exitpin.orchestrator.audit.errands import Errand, Terms
from exitpin.orchestrator.audit.ledger import RecordLedger, listening
from exitpin.orchestrator.audit.params import Bound
from exitpin.orchestrator.audit.recalling import KnownVerdict, Recollection, left_to_do, recall, recall_controls
from exitpin.orchestrator.audit.scan_plan import ScanPlan, make_scan_plan
from exitpin.orchestrator.audit.schedule import Limits, Schedule
from exitpin.orchestrator.audit.voiding import PolicyOf
from exitpin.orchestrator.circuits import Pace
from exitpin.orchestrator.evidence import EvidenceLog
from exitpin.orchestrator.first_hops import first_hop_chooser
from exitpin.orchestrator.loop import Session
from exitpin.orchestrator.model import Run
from exitpin.orchestrator.tool import Baseline, Command, Condition, Confirm, Door, Extract, Rule, Status, Tool
from exitpin.orchestrator.witness import Witness
from exitpin.wrappers.stand_in import Port, StandIn, stand_in_snapshot
from exitpin.wrappers.stand_in_launch import Play, StandInLauncher

HONEST = Play(stdout=b"key true\n")
LIE = Play(stdout=b"key false\n")
DEAD = Play(stderr=b"no answer\n", exit_code=7)
SCAN_S = 60.0
NO_ANSWER = Rule(Status.ERROR, (Condition("exit_code", "not", 0),), reason="no answer")
CHANGED = Rule(Status.TAMPERED, (Condition("key", "differs", True),), reason="another key")

Record = dict[str, Any]


def tool(name: str = "key", **changes: Any) -> Tool:
    """A tool that compares one word of its output with that of its controls."""
    given = {
        "id": name,
        "summary": "A play",
        "command": Command((name, "{{run.id}}"), timeout_s=5.0),
        "verdict": (NO_ANSWER, CHANGED, Rule(Status.OK)),
        "extracts": (Extract("key", "stdout", "regex", r"key (\S+)"),),
        "doors": (Door("a.test", "80"),),
        "baseline": Baseline(),
        "confirm": Confirm(),
        "digest": name,
        **changes,
    }
    return Tool(**given)


def number_of(run: Run) -> int:
    """Which of the stand-in's relays a run goes through, from 1."""
    return int(run.exit.fingerprint, 16)


@dataclass(slots=True)
class Scan:
    """One scan of `exits` exits by `tools`. `play`: how each run goes, `control`: each control run, if otherwise;
    `chosen`: the exits that are judged (all); `earlier`: the records of a session that this one goes on with.

    `spoil` is called with each run's `Ended` in the assessor's thread, `note` with each record, `before` when all is
    there and nothing has begun. After `carry_out`:
    what came of it, and what the driver still holds.
    """

    play: Callable[[Run], Play]
    exits: int = 12
    tools: Sequence[Tool] = field(default_factory=lambda: (tool(),))
    seed: int = 1
    repeat: int = 1
    jobs: int = 32
    circuit_s: float = 0.0
    circuit_failures: float = 0.0
    chosen: Sequence[int] = ()
    earlier: Sequence[Record] = ()
    retry_failed: bool = False
    control: Callable[[Run], Play] | None = None
    policy_of: PolicyOf | None = None
    spoil: Callable[[Any], None] = lambda ended: None
    note: Callable[[Record], None] = lambda record: None
    before: Callable[["Scan"], None] = lambda scan: None
    began: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    auditor: Auditor = field(init=False)
    session: Session = field(init=False)
    schedule: Schedule[Errand] = field(init=False)
    witness: Witness = field(init=False)

    def carry_out(self) -> "Scan":
        """From the plan to the last verdict. Fails when it does not end."""

        async def script() -> None:
            with tempfile.TemporaryDirectory() as directory:
                await asyncio.wait_for(self._carry_out(Path(directory)), SCAN_S)

        asyncio.run(script())
        return self

    @property
    def stored(self) -> list[Record]:
        """The last record of each id, of this session and the earlier one: what the store would hold."""
        records = (*self.earlier, *self.records)
        return list({record.get("run_id") or record["verdict_id"]: record for record in records}.values())

    @property
    def verdicts(self) -> list[Record]:
        return [record for record in self.records if record["schema"] == "exitpin.verdict/1"]

    @property
    def runs(self) -> list[Record]:
        """The last record of each run."""
        return list({r["run_id"]: r for r in self.records if r["schema"] == "exitpin.run/1"}.values())

    @property
    def statuses(self) -> Counter[str]:
        return Counter(verdict["status"] for verdict in self.verdicts)

    def accused(self) -> set[int]:
        """The exits of which something bad is said."""
        return {exit_of(verdict) for verdict in self.verdicts if Status(verdict["status"]).is_finding}

    def lose_trust(self, why: str) -> None:
        """As `Scan.lose_trust` does."""
        self.problems.append(why)
        self.session.lose_trust(why)
        self.auditor.abort()

    async def _carry_out(self, directory: Path) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.lose_trust(f"{context.get('exception')!r}"))
        rng, snapshot = Random(self.seed), stand_in_snapshot(self.exits)
        relays = [relay for n, relay in enumerate(snapshot.relays.values(), 1) if not self.chosen or n in self.chosen]
        prepared = [(tool, Bound(tool, {}), tool.digest) for tool in self.tools]
        plan = make_scan_plan(snapshot, relays, prepared, unmet={}, repeat=self.repeat, is_direct_allowed=False)
        known = self._recall(plan)
        plan = left_to_do(plan, known, retry_failed=self.retry_failed)
        header = {"session": "play", "tor": "stand-in", "started": "now"}
        shared: dict[str, object] = {"scan_id": "play", "consensus": "", "vantage": {"kind": "lab"}}
        keep = [listening(self.records.append), listening(self.note)]
        ledger = RecordLedger({tool.id: ToolUse(tool, {}) for tool in self.tools}, shared, keep)  # type: ignore[arg-type]
        self.witness = Witness({"schema": "exitpin.events/1", **header})
        evidence = EvidenceLog(None, header, self.witness.note)
        tor = StandIn(Port.CLOSED, self.seed, circuit_s=self.circuit_s, circuit_failures=self.circuit_failures)
        assessor = Spoiled(self.spoil)
        self.schedule = Schedule[Errand](Limits(self.jobs, 24, 0.0, 0.0), rng)
        terms = Terms("play", str(directory), shared, first_index=known.first_index)
        self.auditor = Auditor(terms, self.schedule, assessor, self.witness, ledger, rng, self.policy_of)
        self.session = Session(
            tor, StandInLauncher(self._begin), pace=Pace(0.0, 0.0, self.jobs, retry_s=0.02),
            first_hops=first_hop_chooser(snapshot), rng=rng, evidence=evidence, on_finished=self.auditor.finished,
        )  # fmt: skip
        try:
            cases = [(audit, Case(audit.tool, relay, self.repeat)) for audit, relay in plan.pairs]
            self.records += known.superseded
            recall_controls(plan.audits, known)
            self.before(self)
            await self.auditor.serve(self.session, cases, known)
        finally:
            tor.close()
            assessor.close()
            evidence.close()

    def _recall(self, plan: ScanPlan) -> Recollection:
        verdicts = [KnownVerdict.of(record) for record in self.earlier if record["schema"] == "exitpin.verdict/1"]
        runs = [record for record in self.earlier if record["schema"] == "exitpin.run/1"]
        controls = [(audit, relay) for audit in plan.audits for relay in audit.candidates]
        return recall(
            plan.pairs, controls, verdicts, runs, lambda record: record["facts"],
            now=time.time(), retry_failed=self.retry_failed,
        )  # fmt: skip

    def _begin(self, run: Run) -> Play:
        self.began.append(f"{run.run_id} {run.argv[0]} {number_of(run)}")
        errand, _, _ = self.auditor._errands[run.run_id]
        return self.control(run) if self.control is not None and errand.case is None else self.play(run)


class Spoiled(Assessor):
    """An assessor with which something may go wrong."""

    def __init__(self, spoil: Callable[[Any], None]) -> None:
        super().__init__("/usr/bin:/bin")
        self._spoil = spoil

    def _observe(self, tool: Tool, ended: Any) -> None:
        self._spoil(ended)
        super()._observe(tool, ended)


def exit_of(record: Record) -> int:
    """The number of a record's exit."""
    return int(record["exit"]["fingerprint"], 16)


def pairs(records: Sequence[Record]) -> Counter[tuple[str, int]]:
    """How many records there are of each tool and exit."""
    return Counter((record["tool"]["id"], exit_of(record)) for record in records)


def by_exit(**plays: Sequence[Play]) -> Callable[[Run], Play]:
    """A play for each run through the exit `eN`, the last one again and again; all other exits are honest."""
    made: Counter[int] = Counter()

    def play(run: Run) -> Play:
        number = number_of(run)
        known = plays.get(f"e{number}", [HONEST])
        made[number] += 1
        return known[min(made[number], len(known)) - 1]

    return play


def honest(run: Run) -> Play:
    return HONEST


def roles(scan: Scan, number: int) -> Counter[str]:
    """What the runs through an exit were made for, controls left out."""
    return Counter(run["role"] for run in scan.runs if exit_of(run) == number and run["role"] != "control")


def verdict_on(scan: Scan, number: int) -> Record:
    (found,) = [verdict for verdict in scan.verdicts if exit_of(verdict) == number]
    return found


def assert_nothing_is_held(scan: Scan) -> None:
    """Whatever the driver knew of cases and runs is forgotten."""
    held = scan.auditor
    assert (held.running, held.open_cases, scan.schedule.waiting, scan.schedule.running) == (0, 0, 0, 0)
    assert not held._ended and not held._judging and not held._warden._wishes
    assert not scan.witness._runs and not scan.witness._run_of_stream


def assert_told_once(scan: Scan, exits: Sequence[int]) -> None:
    """One verdict for each pair, and a record of each run that it names."""
    assert pairs(scan.verdicts) == Counter((one.id, number) for one in scan.tools for number in exits)
    named = [attempt["run_id"] for verdict in scan.verdicts for attempt in verdict["runs"]]
    assert len(named) == len(set(named))
    assert set(named) == {run["run_id"] for run in scan.runs if run["role"] != "control"}
    assert scan.session.active_count == 0
