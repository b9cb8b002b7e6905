"""A declared tool, as a frozen value: what to run, where it may go, what to read from it, and how to judge that.

Pure. Made once from a validated file (`wrappers/tool_schema.py`) and never changed; texts still hold `{{name}}`
placeholders (`templates.py`). Nothing here reads files, runs anything, or decides a verdict (`verdict.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SCHEMA = "exitpin.tool/1"

Scalar = str | int | float | bool | None
Value = Scalar | tuple[str, ...]
"""What an extraction yields: one value, or several texts. None: it was looked for and not found."""

Facts = Mapping[str, Value]


class Status(StrEnum):
    """What a verdict says. `tampered`, `suspect` and `broken` are findings: they accuse the exit."""

    OK = "ok"
    TAMPERED = "tampered"
    SUSPECT = "suspect"
    BROKEN = "broken"
    ERROR = "error"
    SKIPPED = "skipped"

    @property
    def is_lie(self) -> bool:
        """Whether it says that what came back was changed: one such run is never outweighed by honest ones."""
        return self in (Status.TAMPERED, Status.SUSPECT)

    @property
    def is_finding(self) -> bool:
        return self in (Status.TAMPERED, Status.SUSPECT, Status.BROKEN)


GRAVEST_FIRST = (Status.TAMPERED, Status.SUSPECT, Status.BROKEN, Status.ERROR, Status.SKIPPED, Status.OK)
"""In what order people want to read statuses."""

SEVERITIES = ("info", "low", "medium", "high", "critical")
"""Of a `tampered` verdict, the mildest first."""

PARAM_TYPES = (
    "str", "int", "float", "bool", "host", "ip", "port", "url", "path", "enum", "duration", "fingerprint",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Requirement:
    """A program that must be there. `argv` prints its version on `stream`, where `regex` (group 1) finds it; without
    `argv` it is enough that `name` is on the PATH."""

    name: str
    argv: tuple[str, ...] = ()
    stream: str = "stdout"
    regex: str = ""
    minimum: str = ""
    maximum: str = ""


@dataclass(frozen=True, slots=True)
class Param:
    """A named argument. `default` None: the user has to give it (`-p`, or `[params]` of the configuration); `lab`: the
    default on the lab's network. All are texts, checked against `type`."""

    name: str
    type: str = "str"
    default: str | None = None
    lab: str | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    schemes: tuple[str, ...] = ()
    is_list: bool = False
    is_secret: bool = False
    help: str = ""


@dataclass(frozen=True, slots=True)
class Door:
    """A destination that the tool may open: `host` and `port` as templates, or a `url` that names both. `port` "0":
    a look-up of the name and no connection. A list parameter stands for one destination an item."""

    host: str = ""
    port: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use. Bytes, seconds of CPU, processes in the tree; None: no limit."""

    stdout: int = 256 << 10
    stderr: int = 64 << 10
    artifacts: int = 2 << 20
    memory: int | None = 512 << 20
    cpu_s: float | None = 20.0
    procs: int | None = 32


@dataclass(frozen=True, slots=True)
class Command:
    """The `run` table. `argv` is never given to a shell. `resolve`: `mapped` or `exit` (network.dns). `cwd`: a
    template; empty: the run's own folder. `parse`: in which form the command judges for itself (`audit/said.py`);
    empty: it does not."""

    argv: tuple[str, ...]
    stdin: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 45.0
    kill_after_s: float = 2.0
    retries: int = 2
    ok_codes: tuple[int, ...] = (0,)
    limits: Limits = field(default_factory=Limits)
    resolve: str = "mapped"
    containment: str = "shim"
    cwd: str = ""
    parse: str = ""


FOLD_ALL = "(?s).+"
"""What `fold = true` stands for."""


@dataclass(frozen=True, slots=True)
class Extract:
    """One fact. `source`: stdout, stderr, artifact:F, or facts (lines NAME=VALUE in $EXITPIN_FACTS).

    `how`: text, regex (`argument`: the pattern; group 1, or the whole match), json (an RFC 6901 pointer), pem (the
    label), lines, tap (not_ok or passed). `form`: text, sha256, size, set. `every`: all matches, not only the first.
    `type`: str, int, float, bool. `filter`: an offline command that the source's bytes go through first. `fold`: a
    pattern; in what it matches capitals and blanks do not count. Empty: in nothing.
    """

    name: str
    source: str = "stdout"
    how: str = "text"
    argument: str = ""
    form: str = "text"
    every: bool = False
    type: str = "str"
    filter: tuple[str, ...] = ()
    fold: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """One matcher. `subject`: a fact (with `.N` one item of it, `.count` their number), or one of `exit_code`,
    `signal`, `timed_out`, `failure` (a failure's kind). `matcher` is one of MATCHERS."""

    subject: str
    matcher: str
    operand: Value = None


RUN_SUBJECTS = ("exit_code", "signal", "timed_out", "failure")
FACT_MATCHERS = ("is", "not", "in", "matches", "absent", "empty", "gt", "lt", "in_cidr")
CONTROL_MATCHERS = ("differs", "adds", "missing")
MATCHERS = FACT_MATCHERS + CONTROL_MATCHERS


@dataclass(frozen=True, slots=True)
class Rule:
    """The verdict `status` when all of `when` and (if there are any) one of `any` hold. `reason` is a template over
    facts and built-in variables."""

    status: Status
    when: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    reason: str = ""


BASELINE_MODES = ("none", "pinned", "exits", "direct", "direct+exits")


@dataclass(frozen=True, slots=True)
class Baseline:
    """What runs are compared with. `exits`: how many other exits are asked; `quorum`: how many controls must agree on
    a value before it counts; `pins`: facts that are known beforehand (mode pinned), as templates."""

    mode: str = "exits"
    exits: int = 3
    quorum: int = 2
    max_age_s: float = 900.0
    distinct: tuple[str, ...] = ("family", "subnet")
    pins: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Confirm:
    """How a finding is confirmed: `runs` more through the same exit, each on a fresh circuit with other first hops."""

    runs: int = 2
    statuses: tuple[Status, ...] = (Status.TAMPERED, Status.SUSPECT, Status.BROKEN)
    new_circuit: bool = True
    recheck_baseline: bool = True


@dataclass(frozen=True, slots=True)
class Fixture:
    """A test without network: what the tool printed (and what the control printed), and the status that must come of
    it. `stdout` and `stderr` are file names beside the tool's file; `facts` and `artifacts` name files likewise.
    `failure`: the kind of the run's failure, empty if it had none."""

    expect: Status
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    failure: str = ""
    artifacts: tuple[tuple[str, str], ...] = ()
    facts: str = ""
    control: str = ""
    control_exit_code: int = 0
    control_artifacts: tuple[tuple[str, str], ...] = ()
    control_facts: str = ""
    params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """One audit. `digest`: SHA-256 of the merged file (and its script), by which results compare; `path`: the file.

    `select`: an exit is chosen when its policy allows `all` of the doors, or `any` of them (then the others are shut).
    `by_hand`: what people type to see the same without exitpin; empty: the command itself.
    """

    id: str
    summary: str
    command: Command
    verdict: tuple[Rule, ...]
    description: str = ""
    severity: str = "high"
    tags: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()
    params: tuple[Param, ...] = ()
    doors: tuple[Door, ...] = ()
    select: str = "all"
    extracts: tuple[Extract, ...] = ()
    baseline: Baseline = field(default_factory=Baseline)
    confirm: Confirm = field(default_factory=Confirm)
    keep: tuple[tuple[str, str], ...] = ()
    redact: tuple[str, ...] = ()
    fixtures: tuple[Fixture, ...] = ()
    path: str = ""
    script: str = ""
    digest: str = ""

    def param(self, name: str) -> Param | None:
        """The declared parameter of that name."""
        return next((param for param in self.params if param.name == name), None)
