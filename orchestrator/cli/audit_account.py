"""The account of a scan: what it will do, what came of each exit and tool, and the exit status. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..audit import scan_record
from ..audit.load import Load
from ..audit.scan_plan import ScanPlan, chances
from ..errors import EXIT_FAILED
from ..settings import Settings
from ..tool import GRAVEST_FIRST, Status

EXIT_INCOMPLETE = 3
SHOWN_LOAD = 8
GRAVITY = tuple(status for status in GRAVEST_FIRST if status.is_finding)

Json = Mapping[str, Any]


@dataclass(slots=True)
class Account:
    """Every pair of tool and exit, once. `findings`: their records; `unmet`: for how many a program is missing here, or
    the exit is gone; `problems`: what the user must hear of; `again`: what to type to go on; `retry`: to ask again what
    ended in an error; `is_retry`: whether this scan does just that; `known`: the verdicts of earlier sessions;
    `unfinished`: verdicts that an interruption left open; `recorded`: ids of the verdicts that the store has, where it
    has not all of them."""

    plan: ScanPlan
    store: Path
    scan_id: str
    statuses: Counter[Status] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    unmet: int = 0
    findings: list[Json] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    again: str = ""
    retry: str = ""
    is_retry: bool = False
    known: Sequence[Json] = ()
    unfinished: int = 0
    recorded: frozenset[str] | None = None

    def __post_init__(self) -> None:
        for record in self.known:
            self.add(record)

    @property
    def findings_recorded(self) -> list[Json]:
        """The findings that can be looked up."""
        return [one for one in self.findings if self.recorded is None or one["verdict_id"] in self.recorded]

    @property
    def planned(self) -> int:
        """How many verdicts there are to be."""
        return len(self.plan.pairs) + len(self.plan.skipped) + len(self.known)

    def state(self, trust_lost: str | None) -> str:
        """How the scan ended, in the words of `exitpin.scan/1`."""
        if trust_lost is not None or self.problems:
            return scan_record.FAILED
        is_whole = self.statuses.total() == self.planned and not self.unfinished
        return scan_record.DONE if is_whole else scan_record.INTERRUPTED

    def add(self, record: Json) -> None:
        """A record of the scan; only verdicts count."""
        if record["schema"] != "exitpin.verdict/1":
            return
        status = Status(record["status"])
        self.statuses[status] += 1
        self.unfinished += bool(record.get("interrupted"))
        if status.is_finding:
            self.findings.append(record)
        elif status is Status.ERROR:
            self.errors[str(record["layer"])] += 1
        elif record["layer"] in ("requirement", "gone"):
            self.unmet += 1

    def problem(self, sentence: str) -> None:
        """Something that makes the scan less than it seems."""
        if sentence not in self.problems:
            self.problems.append(sentence)

    def outlived(self, valid_after: str) -> str:
        """What to say when the scan goes on by another consensus."""
        return (
            f"scan {self.scan_id}: {self.statuses.total() - self.unfinished} of {self.planned} verdicts; the consensus"
            f" of {valid_after} is no longer valid: going on by the next one"
        )

    def sentences(self, *, interrupted: int | None, trust_lost: str | None) -> list[str]:
        """What to say at the end."""
        if self.recorded is not None:
            said = [f"scan {self.scan_id}: {len(self.recorded)} of {self.planned} verdicts are recorded"]
            said += [f"stopped: {trust_lost}"] if trust_lost is not None else []
            said += self.problems
            if self.again:
                again = self.retry if self.is_retry else self.again  # nobody wrote down what a retry has left open
                said.append(f"what is recorded stays; when it can be written again, to go on: {again}")
            return said
        told = ", ".join(f"{self.statuses[status]} {status}" for status in GRAVEST_FIRST if self.statuses[status])
        said = [f"scan {self.scan_id}: {self.statuses.total()} of {self.planned} verdicts: {told or 'none'}"]
        if self.errors:
            layers = ", ".join(f"{count} {layer}" for layer, count in self.errors.most_common())
            said.append(f"errors by layer: {layers} (an error says nothing about the exit)")
        if trust_lost is not None:
            said.append(f"stopped: {trust_lost}")
        said += self.problems
        if self.again and self.state(trust_lost) != scan_record.DONE:
            word = "interrupted: " if interrupted is not None else ""
            said.append(f"{word}what was known is recorded; to go on: {self.again}")
        elif self.again and self.statuses[Status.ERROR]:
            said.append(f"to ask again what ended in an error: {self.retry}")
        said.append(f"`exitpin results list --scan {self.scan_id}` shows all of it, `results show ID` one verdict")
        return said


def exit_status(account: Account, fail_on: str, interrupted: int | None, trust_lost: str | None) -> int:
    """0 no finding from `fail_on` on; 1 there is one; 3 not every exit could be judged, be it that a program is missing
    here or the exit is gone; 125 failed; 130 interrupted."""
    if interrupted is not None:
        return 128 + interrupted
    if trust_lost is not None or account.problems:
        return EXIT_FAILED
    if any(account.statuses[status] for status in GRAVITY[: GRAVITY.index(Status(fail_on)) + 1]):
        return 1
    return EXIT_INCOMPLETE if account.statuses[Status.ERROR] or account.unmet else 0


def plan_sentences(
    plan: ScanPlan, settings: Settings, load: Load | None = None, *, is_lab: bool, is_rehearsal: bool = False
) -> list[str]:
    """The plan and its load, before anything is started. In a lab it is nobody's load: it is told where it is limited,
    or where only the plan was asked for."""
    exits = len({relay.fingerprint for _, relay in plan.pairs})
    tools = len({audit.tool.id for audit, _ in plan.pairs})
    times = f", {plan.repeat} times each" if plan.repeat > 1 else ""
    said = [
        f"plan: {exits} exits, {tools} tools{times}: {plan.probes} probes, {plan.controls()} controls at least;"
        f" {settings.jobs} at a time" + ("" if is_lab else f", a circuit every {settings.build_delay_s:g} s or more")
    ]
    reasons = Counter((one.audit.tool.id, one.layer) for one in plan.skipped)
    said += [f"skipped: {tool}: {count} exits ({layer})" for (tool, layer), count in sorted(reasons.items())]
    if not plan.pairs:
        return said
    runs = plan.load()
    shown = ", ".join(f"{count} to {place}" for place, count in runs[:SHOWN_LOAD])
    said.append(f"load: {shown}{f' and {len(runs) - SHOWN_LOAD} more' if len(runs) > SHOWN_LOAD else ''}")
    if load is not None and (not is_lab or is_rehearsal or load.circuits_an_hour is not None):
        said += load.sentences()
    said += [
        f"{count} clear-net connections from this machine to {place}, and more to confirm a finding"
        for place, count in plan.clear_net()
    ]
    said.append(chances(plan.repeat))
    return said
