"""What may come of a tool's run against a dead port, and what must not.

  a   the port is as dead for the controls   only `error`: nobody knows whose fault it is
  b   it is dead for the exit's run alone    `error` or `broken`: it may be the exit's fault, but nothing was changed

For (a) the run itself is offered as a control, as the audit would: most tools see that it is none. For (b) the controls
are as healthy as those in the tool's fixtures. A run that never came to the port has shown nothing, and fails both.

Behind `garbage`, a tool that only looks up names is left out: to be given a wrong address is what it is there to find.
A tool that only connects is not: that a port let it in is the exit's word, and an exit can say so of any port.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...wrappers.extraction import Harvest, search
from ...wrappers.stand_in import Port, stand_in_relay
from ..audit.assessing import Ended, judge_all
from ..audit.cases import WITHOUT_OTHERS, says_nothing
from ..audit.controls import Control, Controls
from ..audit.errands import Errand
from ..audit.verdict import Judgement, is_usable_control
from ..errors import EXIT_USAGE, OperatorError
from ..tool import Facts, Status, Tool

ALIKE, ALONE = "a", "b"
ALLOWED = {ALIKE: (Status.ERROR,), ALONE: (Status.ERROR, Status.BROKEN)}
WHERE = {ALIKE: "dead for run and control alike", ALONE: "dead for the exit's run alone"}
NOT_THE_TOOL = ("attribution", "circuit", "circuit-lost", "clock", "exec", "interrupted", "shim", "tor")


@dataclass(slots=True)
class Trial:
    """One tool against one port. `ended` None: it was not run. `lookups`: how many of its connections were for names
    alone; `denied`: what the run was refused; `entries`: its evidence; `healthy`: the facts of a control that is well,
    None if nobody knows them."""

    errand: Errand
    port: Port
    directory: str
    values: Mapping[str, str]
    ended: Ended | None = None
    connections: int = 0
    lookups: int = 0
    denied: tuple[str, ...] = ()
    entries: Sequence[Mapping[str, object]] = ()
    healthy: Facts | None = None

    @property
    def tool(self) -> Tool:
        return self.errand.audit.tool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial by one rule. `status` None: it has shown nothing; `place`: the tool's rule that spoke, from
    1; `problem`: why it fails, as a sentence, empty if it passes."""

    tool: str
    port: Port
    rule: str
    status: Status | None
    reason: str
    place: int | None = None
    problem: str = ""

    @property
    def shown_status(self) -> str:
        return str(self.status) if self.status is not None else "untested"

    def table(self) -> dict[str, object]:
        """The JSON object for it."""
        return {
            "tool": self.tool,
            "port": str(self.port),
            "rule": self.rule,
            "status": None if self.status is None else str(self.status),
            "passed": not self.problem,
            "reason": self.reason,
            "verdict_rule": self.place,
            "problem": self.problem or None,
        }


def judge_trial(trial: Trial) -> list[Outcome]:
    """Its outcomes by both rules; by (a) alone for a tool whose fixtures show no healthy control; none where the port
    is not dead to such a tool."""
    ended = trial.ended
    assert ended is not None
    if trial.port is Port.GARBAGE and trial.connections and trial.lookups == trial.connections:
        return []
    untested = _untested(trial, ended)
    if untested is not None:
        problem = f"{trial.port} port: nothing was tested: {untested}"
        return [Outcome(trial.tool.id, trial.port, rule, None, untested, None, problem) for rule in ALLOWED]
    if ended.observation is None:
        unread = Judgement(Status.ERROR, "; ".join(ended.problems), None, "parse")
        return [_outcome(trial, rule, unread) for rule in ALLOWED]
    outcomes = [_outcome(trial, ALIKE, _judge_alike(trial, ended))]
    controls = _healthy_controls(trial, ended)
    if controls is not None:
        outcomes.append(_outcome(trial, ALONE, judge_all(trial.tool, [ended], controls)[ended.run_id]))
    return outcomes


def _untested(trial: Trial, ended: Ended) -> str | None:
    """Why the run says nothing about the tool."""
    failure = ended.failure
    if says_nothing(failure) and failure is not None and failure.kind in NOT_THE_TOOL:
        return f"{failure.kind}: {failure.detail}"
    if not trial.connections:
        said = ended.harvest.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
        hint = f"; refused: {trial.denied[0]}" if trial.denied else f"; it said: {said[-1]}" if said else ""
        return f"it opened no connection{hint}"
    return None


def _outcome(trial: Trial, rule: str, judgement: Judgement) -> Outcome:
    status, place = judgement.status, None if judgement.rule is None else judgement.rule + 1
    problem = ""
    if status not in ALLOWED[rule]:
        allowed = " or ".join(ALLOWED[rule])
        by = f"rule {place} of its verdict" if place is not None else "no rule of its verdict"
        reason = f" ({judgement.reason})" if judgement.reason else ""
        problem = f"{trial.port} port, {WHERE[rule]} (rule {rule}): {status} by {by}{reason}; it must be {allowed}"
    return Outcome(trial.tool.id, trial.port, rule, status, judgement.reason, place, problem)


def _judge_alike(trial: Trial, ended: Ended) -> Judgement:
    """The audit asks for controls first, and a run that is none leaves nothing to compare with."""
    tool = trial.tool
    assert ended.observation is not None
    if tool.baseline.mode in WITHOUT_OTHERS:
        return judge_all(tool, [ended], _own_controls(trial, ended))[ended.run_id]
    if ended.is_cut_off:
        return Judgement(Status.ERROR, "no control: no answer in time", None, "control")
    why = is_usable_control(tool, ended.observation, ended.values, search)
    if why is not None:
        return Judgement(Status.ERROR, f"no control: {why}", None, "control")
    return judge_all(tool, [ended], _agreeing(tool, ended.facts, ended.at))[ended.run_id]


def _healthy_controls(trial: Trial, ended: Ended) -> Controls | None:
    """The controls of a run that alone is dead; None: the tool has no fixture that shows them. One that judges for
    itself compares nothing with them."""
    if trial.tool.command.parse:
        return Controls((), trial.tool.baseline.quorum)
    if trial.tool.baseline.mode in WITHOUT_OTHERS:
        return _own_controls(trial, ended)
    return None if trial.healthy is None else _agreeing(trial.tool, trial.healthy, ended.at)


def _own_controls(trial: Trial, ended: Ended) -> Controls:
    """Of a tool that asks no other exits: its pins, or none."""
    return trial.errand.audit.pool.view(ended.at, trial.errand.relay)


def _agreeing(tool: Tool, facts: Facts, at: float) -> Controls:
    """As many controls as have to agree, which all saw this."""
    exits = [stand_in_relay(number).fingerprint for number in range(1, tool.baseline.quorum + 1)]
    return Controls(tuple(Control("exit", facts, at, "", exit) for exit in exits), tool.baseline.quorum)


def healthy_harvest(tool: Tool) -> Harvest | None:
    """What a control left in the tool's first fixture that has one; else what an `ok` run left.

    Raises OperatorError when a fixture's file can't be read.
    """
    folder = Path(tool.path).parent
    try:
        for fixture in tool.fixtures:
            if fixture.control or fixture.control_artifacts or fixture.control_facts:
                return _harvest(folder, fixture.control, "", fixture.control_artifacts, fixture.control_facts)
        for fixture in tool.fixtures:
            if fixture.expect is Status.OK:
                return _harvest(folder, fixture.stdout, fixture.stderr, fixture.artifacts, fixture.facts)
    except OSError as error:
        hint = "Nothing was started."
        raise OperatorError(f"{tool.id}: {error.filename} can't be read: {error.strerror}.", hint, EXIT_USAGE) from None
    return None


def _harvest(folder: Path, stdout: str, stderr: str, artifacts: tuple[tuple[str, str], ...], facts: str) -> Harvest:
    def content(name: str) -> bytes:
        return (folder / name).read_bytes() if name else b""

    return Harvest(content(stdout), content(stderr), {name: content(file) for name, file in artifacts}, content(facts))
