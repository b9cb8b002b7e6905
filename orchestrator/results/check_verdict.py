"""Whether a verdict agrees with the runs and controls that it names. Pure: what is read is given.

Each run must be of its question, scan and exit, be named once, be none that counts for nothing, and say of itself what
the verdict says of it; what they say together must lead to the verdict (`due.py`). Who accuses an exit must have proof
that anything went through it. Each control must have been one. What is not asked is whether the tool's rules would
judge the same once more. Called by `checking.py` and `unbundling.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .check import MALFORMED, Checked, check_pieces, is_bare, is_same_fact
from .check_claims import network_of, of_controls, of_itself, of_lies, of_run, of_tool
from .commands import SECRET
from .due import LIES, is_unreached, objections, says_nothing, was_left_open
from .pieces import Pieces
from .wanted import FINDINGS

VANTAGES = ("exit", "direct", "pinned")
ASKED = ("probe", "retry", "confirm")
NAMED_MAX = 1_000  # runs, and controls, of one verdict

Json = Mapping[str, Any]
Find = Callable[[str], Json | None]


def check_verdict(record: Json, pieces: Pieces, find: Find, *, is_whole: bool = False) -> Checked:
    """A verdict beside the runs and controls that it names. Raises TooMuch.

    `find`: a run by its id, None: it is not there; `is_whole`: all that findings rest on has to be there, whichever
    version recorded them, as in a bundle.
    """
    found = Checked(verdicts=1)
    case = _Case(record, find, found, is_whole or "interrupted" in record)
    check_pieces(case.name, record, pieces, found)
    try:
        if any(len(record.get(name) or ()) > NAMED_MAX for name in ("runs", "controls")):
            raise ValueError(f"it names more than {NAMED_MAX} runs or controls")
        case.check_runs()
        case.check_controls()
    except MALFORMED as error:
        case.object(f"it can't be read: {error!r:.200}")
    return found


def check_in_scan(record: Json, scan: Json | None) -> Iterator[str]:
    """Why a verdict is none of its scan; None: that is not there, as scans of earlier versions are not."""
    name = record.get("verdict_id")
    if scan is None:
        if "interrupted" in record:
            yield f"{name}: its scan {record.get('scan_id')!r:.80} is missing"
        return
    try:
        exits, tools = scan.get("exits"), scan.get("tools")
        if exits and _fingerprint(record) not in exits:
            yield f"{name}: its exit is none of its scan"
        if tools and not any(_is_tool(tool, record) for tool in tools):
            yield f"{name}: its tool is none of its scan"
        if scan.get("vantage") and network_of(scan) != network_of(record):
            yield f"{name}: its network is not that of its scan"
    except MALFORMED as error:
        yield f"{name}: its scan can't be read: {error!r:.200}"


@dataclass(slots=True)
class _Case:
    """One verdict. `is_strict`: what accuses must have its events."""

    record: Json
    find: Find
    found: Checked
    is_strict: bool

    @property
    def name(self) -> str:
        return str(self.record.get("verdict_id"))

    @property
    def is_finding(self) -> bool:
        return self.record.get("status") in FINDINGS

    def object(self, sentence: str) -> None:
        self.found.problems += (f"{self.name}: {sentence}",)

    def check_runs(self) -> None:
        """Each run, and all of them together."""
        statuses: list[object] = []
        liars: list[Json] = []
        seen: set[str] = set()
        unreached = 0
        for told in self.record.get("runs") or ():
            run_id = str(told["run_id"])
            if run_id in seen:
                self.object(f"it names its run {run_id} twice")
                continue
            seen.add(run_id)
            statuses.append(told["status"])
            run = self.find(run_id)
            if run is None:
                self._miss(f"its run {run_id}")
                unreached += told["status"] in ("broken", "error")
            else:
                unreached += is_unreached(run)
                liars += [run] if told["status"] in LIES else []
                self._compare(run_id, told, run)
        for sentence in (*objections(self.record, statuses, unreached), *of_lies(self.record, liars)):
            self.object(sentence)
        for sentence in of_itself(self.record, is_strict=self.is_strict):
            self.object(sentence)

    def check_controls(self) -> None:
        """Each control; one that went through an exit has a record of its own."""
        seen: set[str] = set()
        if self.is_strict and self.record.get("status") == "broken" and not self.record.get("controls"):
            self.object("it says broken, and names no control that is well")
        for told in self.record.get("controls") or ():
            vantage, run_id = told.get("vantage"), told.get("run_id")
            if vantage not in VANTAGES:
                self.object(f"it names a control of vantage {vantage!r:.40}")
            elif vantage != "exit":
                self._compare_without_exit(told)
            elif not run_id:
                self.object("it names a control through an exit and no run of it")
            elif str(run_id) in seen:
                self.object(f"it names its control {run_id} twice")
            elif (run := self.find(str(run_id))) is None:
                self._miss(f"its control {run_id}")
            else:
                self._compare_control(str(run_id), told, run)
            seen.add(str(run_id))

    def _compare(self, run_id: str, told: Json, run: Json) -> None:
        """One run as the verdict tells of it, and its own record."""
        for what in ("key", "scan_id"):
            if run.get(what) != self.record.get(what):
                self.object(f"its run {run_id} has another {what}")
        if _fingerprint(run) != _fingerprint(self.record):
            self.object(f"its run {run_id} went through {_fingerprint(run)}")
        judged = (run.get("verdict") or {}).get("status")
        if judged != told.get("status"):
            self.object(f"it says that run {run_id} is {told.get('status')}, its record says {judged}")
        self._compare_role(run_id, told, run)
        for sentence in of_run(self.record, told, run):
            self.object(f"its run {run_id} {sentence}")
        status = self.record.get("status")
        if (status in LIES and judged in LIES) or (status == "broken" and is_unreached(run)):
            self._ask_accuser(run_id, run, has_lied=status in LIES)

    def _compare_role(self, run_id: str, told: Json, run: Json) -> None:
        """A run that was asked again counts for nothing; a verdict that waits for that, or did, may name it
        still."""
        role = run.get("role")
        if role == "superseded":
            is_open = was_left_open(self.record) or self.record.get("status") == "error"
            if not is_open:
                self.object(f"its run {run_id} was asked again, and counts for nothing")
        elif role not in ASKED or role != told.get("role"):
            self.object(f"it says that run {run_id} is a {told.get('role')}, its record says {role}")

    def _ask_accuser(self, run_id: str, run: Json, *, has_lied: bool) -> None:
        """A run that accuses. What its events say of it is `check_run`'s."""
        if is_bare(run):
            if self.is_strict:
                self.object(f"it accuses by run {run_id}, of which no events were kept")
        elif run.get("doubts") or (run.get("failure") or {}).get("kind") == "attribution":
            self.object(f"it accuses by run {run_id}, whose own attribution failed")
        elif has_lied and says_nothing(run):
            self.object(f"it accuses by run {run_id}, whose failure says nothing about the exit")
        elif not any(stream.get("stream_id") is not None for stream in run.get("streams") or ()):
            self.object(f"it accuses by run {run_id}, of which nothing went to the exit")
        for sentence in of_controls(self.record, run) if has_lied else ():
            self.object(f"its run {run_id} {sentence}")

    def _compare_without_exit(self, told: Json) -> None:
        """A control that used no exit names none. Nobody can hold it against anything else."""
        vantage, run_id = told.get("vantage"), told.get("run_id")
        run = self.find(str(run_id)) if run_id else None
        if told.get("exit") is not None or (run is not None and str(_fingerprint(run) or "").strip("0")):
            self.object(f"its {vantage} control {run_id} went through an exit")

    def _compare_control(self, run_id: str, told: Json, run: Json) -> None:
        if _fingerprint(run) != told.get("exit"):
            self.object(f"its control {run_id} went through {_fingerprint(run)}")
        if _fingerprint(run) == _fingerprint(self.record):
            self.object(f"its control {run_id} went through the exit that it judges")
        if run.get("role") != "control" or run.get("unusable"):
            self.object(f"its control {run_id} was none")
        if run.get("scan_id") != self.record.get("scan_id") or of_tool(run) != of_tool(self.record):
            self.object(f"its control {run_id} was of another question")
        if network_of(run) != network_of(self.record):
            self.object(f"its control {run_id} was made on another network")
        if told.get("at") != (run.get("t") or {}).get("end"):
            self.object(f"its control {run_id} ended at another time")
        if self.is_finding and self.is_strict and is_bare(run):
            self.object(f"it accuses by control {run_id}, of which no events were kept")
        facts = run.get("facts") or {}
        for fact, value in (told.get("facts") or {}).items():
            if not is_same_fact(value, facts.get(fact)):
                self.object(f"its control {run_id} saw another {fact:.80}")

    def _miss(self, what: str) -> None:
        """A finding without what it rests on is none that can be checked; of other verdicts `gc` removes the runs."""
        if self.is_finding:
            self.object(f"{what} is missing")
        else:
            self.found.gone += 1


def _fingerprint(record: Json) -> object:
    return (record.get("exit") or {}).get("fingerprint")


def _is_tool(tool: Json, record: Json) -> bool:
    """Whether it is the one that a verdict is of. Secret parameters stand in the record by name alone."""
    name, digest, params = of_tool(record)
    return (tool.get("id"), tool.get("digest"), _tellable(tool.get("params"))) == (name, digest, _tellable(params))


def _tellable(params: object) -> Json:
    return {name: value for name, value in params.items() if value != SECRET} if isinstance(params, Mapping) else {}
