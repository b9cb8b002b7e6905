"""What a run left behind, assessed in threads: facts read, attribution recomputed, rules asked.

Bytes of suspects are parsed here and not on the loop: a pattern may take half a second, a filter five. Decides nothing
of its own: `extraction`, `verify` and `verdict` do. Called by `auditing.py`.
"""

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...wrappers.direct import run_directly
from ...wrappers.extraction import ExtractionTimeout, Harvest, extract, search
from ...wrappers.filters import kill_guests
from ...wrappers.harvest import FACTS_BYTES, read_artifact
from ...wrappers.runtime import remove_tree
from ...wrappers.values import Unreadable
from ..containment import of_run
from ..model import Failure, Fingerprint, Run
from ..observation import failure_of, fold
from ..ports import Launch
from ..results.exhibit import Exhibit
from ..runs import Life
from ..tool import Facts, Rule, Status, Tool
from ..witness import doubts
from .cases import Attempt, Role, says_nothing
from .controls import Controls
from .disclosure import ToolUse, facts_shown, is_tellable
from .keeping import events_exhibit, facts_exhibit, kept_exhibits, read_files
from .verdict import Judgement, Observation, is_usable_control, judge

THREADS = 2
POSITIVE = ("adds", "matches", "in_cidr", "is", "in")
LIMIT_SIGNALS = (signal.SIGXCPU, signal.SIGXFSZ)

Json = Mapping[str, object]


@dataclass(slots=True, eq=False)
class Ended:
    """A run that is over, kept until its case has its verdict. `record`: what `observation.fold` made of it; `values`:
    its placeholders; `harvest`: what it left, and `files`: what its folder held of what is to be kept; `exhibits`: its
    evidence, by name; `is_exact`: whether its facts can be kept as they were judged; `unusable`: why a control is none;
    `told`: the record of a run of an earlier session, as it was written then."""

    run_id: str
    at: float
    record: Json
    values: Mapping[str, str]
    failure: Failure | None
    exit_code: int | None
    signal: int | None
    timed_out: bool
    harvest: Harvest = field(default_factory=Harvest)
    facts: Facts = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    observation: Observation | None = None
    judgement: Judgement | None = None
    controls: Controls | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    exhibits: dict[str, Exhibit] = field(default_factory=dict)
    is_exact: bool = True
    unusable: str | None = None
    told: dict[str, Any] | None = None

    @property
    def first_hops(self) -> tuple[Fingerprint, ...]:
        """The relays before the exit on its circuits."""
        circuits = self.record.get("circuits")
        paths = [circuit["path"] for circuit in circuits] if isinstance(circuits, list) else []
        return tuple(Fingerprint(hop) for path in paths for hop in path[:-1])

    @property
    def last_path(self) -> tuple[Fingerprint, ...]:
        """Of its last circuit, with its exit."""
        circuits = self.record.get("circuits")
        return tuple(map(Fingerprint, circuits[-1]["path"])) if isinstance(circuits, list) and circuits else ()

    def attempt(self, role: Role, repetition: int) -> Attempt:
        """The run as its case knows it."""
        seen, failure = self.observation, self.failure
        return Attempt(self.run_id, role, self.at, seen, failure, self.judgement, self.doubts, repetition)

    @property
    def is_cut_off(self) -> bool:
        """Whether it was ended before it had said what it had to say."""
        return self.timed_out or (
            self.failure is not None and self.failure.kind == "timeout" and self.exit_code is None
        )


def ended_run(life: Life, launch: Launch | None, values: Mapping[str, str], shared: Mapping[str, object]) -> Ended:
    """A run that has just ended, unread. `shared`: the scan's part of its record (`observation.fold`)."""
    out, err = (getattr(launch, name, None) for name in ("stdout", "stderr"))
    harvest = Harvest(
        bytes(out.kept) if out is not None else b"",
        bytes(err.kept) if err is not None else b"",
        values["artifacts"],
    )
    written = {"truncated": any(o is not None and o.is_truncated for o in (out, err))}
    return Ended(
        run_id=life.run.run_id,
        at=life.times.end or time.time(),
        record=fold(life, of_run(shared, launch), written),
        values=values,
        harvest=harvest,
        failure=failure_of(life),
        exit_code=life.exited.rc if life.exited else None,
        signal=life.exited.signal if life.exited else None,
        timed_out=life.timed_out,
    )


class Assessor:
    """A few threads. `path`: where filters are found; `guests`: the children of ours that are not to be reaped; `uses`:
    how each tool is used, by its id."""

    def __init__(self, path: str, guests: set[int] | None = None, uses: Mapping[str, ToolUse] | None = None) -> None:
        self._path = path
        self._uses = uses or {}
        self._guests = set() if guests is None else guests
        self._threads = ThreadPoolExecutor(THREADS, "assess")

    def close(self) -> None:
        """End what runs: nobody waits for it any more."""
        kill_guests(self._guests)
        self._threads.shutdown(cancel_futures=True)

    async def read(
        self, tool: Tool, ended: Ended, entries: Sequence[Json], directory: str, *, is_control: bool = False
    ) -> None:
        """Fill in facts, doubts and evidence of a run, and remove its directory."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self._read, tool, ended, entries, directory, is_control)

    def _read(self, tool: Tool, ended: Ended, entries: Sequence[Json], directory: str, is_control: bool) -> None:
        try:
            ended.files = read_files(tool, ended.harvest, directory)
            ended.exhibits["events"] = events_exhibit(entries)
            if not says_nothing(ended.failure):
                ended.doubts = doubts(entries, ended.record)
                self._observe(tool, ended)
            if ended.doubts:  # whose run it was is not proven: it says nothing about anybody
                ended.failure, ended.observation = Failure("attribution", "local", True, ended.doubts[0]), None
            self._keep(tool, ended, is_finding=is_control)
        finally:
            remove_tree(directory)

    def _keep(self, tool: Tool, ended: Ended, *, is_finding: bool) -> None:
        """Add the evidence that is to be kept of this run. Controls are what findings are held against."""
        use = self._uses.get(tool.id) or ToolUse(tool, {})
        for one in kept_exhibits(use, ended.harvest, ended.files, is_finding=is_finding):
            ended.exhibits.setdefault(one.name, one)
        ended.is_exact = is_tellable(use, ended.facts)
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in ended.facts.items()}
        if ended.is_exact and facts_shown(use, ended.facts) != plain:
            ended.exhibits.setdefault("facts", facts_exhibit(plain))

    def _observe(self, tool: Tool, ended: Ended) -> None:
        facts = Path(ended.harvest.artifacts).parent / "facts" if isinstance(ended.harvest.artifacts, str) else None
        try:
            found = extract(tool, _with_facts(ended.harvest, facts), path=self._path, guests=self._guests)
        except OSError as error:
            ended.failure = Failure("parse", "local", True, f"what it left can't be read: {error.strerror}")
            return
        ended.facts, ended.problems = found.facts, found.problems
        if found.failure:
            ended.failure = Failure("parse", "unknown", False, "; ".join(found.problems) or "a fact can't be read")
            return
        kind = ended.failure.kind if ended.failure is not None and ended.failure.kind != "tool" else ""
        ended.observation = Observation(ended.exit_code, ended.signal, ended.timed_out, kind, found.facts)

    async def judge(
        self, tool: Tool, runs: Sequence[Ended], controls: Controls | None, fresh: Controls | None = None
    ) -> dict[str, Judgement]:
        """The judgement of each run that has an observation, by run id. `fresh`: those of the controls that are younger
        than a finding; what is well by them is well, for the target may have changed meanwhile."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._judge, tool, runs, controls, fresh)

    def _judge(
        self, tool: Tool, runs: Sequence[Ended], controls: Controls | None, fresh: Controls | None
    ) -> dict[str, Judgement]:
        judgements = judge_all(tool, runs, controls, fresh)
        for ended in runs:
            if ended.told is None and ended.run_id in judgements and judgements[ended.run_id].status.is_finding:
                self._keep(tool, ended, is_finding=True)
        return judgements

    async def see_directly(self, tool: Tool, run: Run, values: Mapping[str, str]) -> tuple[Ended, str | None]:
        """Run the tool without Tor: what it saw, and why that is no control (None: it is one)."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, run_directly, run, self._path, self._guests)
        setup = run.setup
        assert setup is not None
        failure = Failure("tool", "local", True, found.problem) if found.problem is not None else None
        harvest = Harvest(found.stdout, found.stderr, f"{setup.directory}/artifacts")
        ended = Ended(run.run_id, time.time(), {}, values, failure, found.exit_code, None, False, harvest)
        await loop.run_in_executor(self._threads, self._observe, tool, ended)
        await loop.run_in_executor(self._threads, remove_tree, setup.directory)
        if found.problem is not None:
            return ended, found.problem
        return ended, await self.control_problem(tool, ended)

    async def control_problem(self, tool: Tool, ended: Ended) -> str | None:
        """Why this run is no control; None: it is one."""
        if ended.observation is None or ended.is_cut_off:
            return ended.failure.detail if ended.failure is not None else "it timed out"
        if ended.doubts:
            return f"its attribution is in doubt: {ended.doubts[0]}"
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._threads, is_usable_control, tool, ended.observation, ended.values, search
            )
        except ExtractionTimeout as error:
            return f"a pattern took too long: {error}"


def judge_all(
    tool: Tool, runs: Sequence[Ended], controls: Controls | None, fresh: Controls | None = None
) -> dict[str, Judgement]:
    """As `Assessor.judge`, here and now."""
    judgements = {ended.run_id: _judge(tool, ended, controls) for ended in runs if ended.observation is not None}
    if fresh is not None and fresh.is_enough:
        for ended in runs:
            if ended.run_id in judgements and judgements[ended.run_id].status.is_lie:
                younger = _judge(tool, ended, fresh)
                if younger.status is Status.OK:
                    judgements[ended.run_id] = younger
    return judgements


def _judge(tool: Tool, ended: Ended, controls: Controls | None) -> Judgement:
    """A run that was ended had no chance to say what rules would look for: then only what it did say accuses."""
    assert ended.observation is not None
    if ended.signal in LIMIT_SIGNALS:
        return Judgement(Status.ERROR, f"it used more than it may: {signal.strsignal(ended.signal)}", None, "tool")
    asks_for_time = any(c.subject == "timed_out" for rule in tool.verdict for c in (*rule.when, *rule.any))
    is_unheard = ended.is_cut_off and not asks_for_time
    rules = tuple(rule for rule in tool.verdict if is_positive(rule)) if is_unheard else tool.verdict
    try:
        judgement = judge(replace(tool, verdict=rules), ended.observation, controls, ended.values, search)
    except ExtractionTimeout as error:
        return Judgement(Status.ERROR, f"a pattern took too long: {error}", None, "parse")
    if not is_unheard:
        return judgement
    if judgement.status.is_lie and judgement.rule is not None:
        return replace(judgement, rule=tool.verdict.index(rules[judgement.rule]))
    return Judgement(Status.ERROR, "no answer in time", None, "tool" if tool.command.parse else "")


def is_positive(rule: Rule) -> bool:
    """Whether a rule accuses by what is there, and by nothing that is missing or only different."""
    conditions = (*rule.when, *rule.any)
    return rule.status.is_lie and bool(conditions) and all(c.matcher in POSITIVE and c.operand for c in conditions)


def _with_facts(harvest: Harvest, path: Path | None) -> Harvest:
    """The harvest with the facts file, if the run has one: a plain file, and no more of it than is ever read.

    Raises OSError where this machine could not read it.
    """
    if path is None:
        return harvest
    try:
        content = read_artifact(str(path.parent), path.name, FACTS_BYTES + 1) or b""
    except Unreadable:  # the tool made something else of it, so it emitted nothing
        content = b""
    return Harvest(harvest.stdout, harvest.stderr, harvest.artifacts, content)
