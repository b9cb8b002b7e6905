"""The types of records, for those who read them in Python: what stands in them is told by docs/record.rst.

Types alone: a record is the JSON object that `exitpin run --record` and `exitpin audit --json` write.
"""

from typing import Any, Literal, TypedDict


class ExitTable(TypedDict):
    """The exit of a run, as the consensus told of it. `observed_address`: only a target can tell."""

    fingerprint: str
    nickname: str
    addresses: list[str]
    observed_address: str | None
    flags: list[str]
    family: list[str]
    contact: str
    consensus: str | None


class CircuitTable(TypedDict):
    """`path`: fingerprints, the exit's last; `reason`: why it ended, None while it lived."""

    id: int
    path: list[str]
    reason: str | None


class UnbuiltTable(TypedDict):
    """A circuit that could not be built. `id` None: Tor did not even begin; `reached`: how many relays of it answered;
    `suspects`: one of these has failed."""

    id: int | None
    path: list[str]
    reached: int
    reason: str
    suspects: list[str]
    blame: str


class StreamTable(TypedDict):
    """One connect or look-up. `witnesses`: what agreed about it; nothing if it never became a stream."""

    pid: int
    source_address: str
    source_port: int
    tag: str
    destination: str
    is_lookup: bool
    resolved: str | None
    stream_id: int | None
    circuit_id: int | None
    status: str
    closed: bool
    reason: str | None
    remote_reason: str | None
    bytes_up: int
    bytes_down: int
    witnesses: list[str]


class ProcessTable(TypedDict):
    """How the tool ended: `rc`, or `signal`. `stdout`, `stderr`: None where the tool had the caller's own."""

    rc: int | None
    signal: int | None
    timed_out: bool
    cpu_s: float | None
    maxrss_kib: int | None
    swept: int | None
    truncated: bool
    stdout: str | None
    stderr: str | None


class FailureTable(TypedDict):
    """What went wrong, and who may be blamed for it."""

    kind: str
    blame: str
    retryable: bool
    detail: str


class RunRecord(TypedDict):
    """A run, `exitpin.run/1`. Times in seconds since the epoch; a `status` of `ok` is no verdict on the exit."""

    schema: Literal["exitpin.run/1"]
    run_id: str
    scan_id: str
    attempt: int
    status: Literal["ok", "broken", "error"]
    vantage: dict[str, str]
    start: float | None
    t: dict[str, float | None]
    exit: ExitTable
    source_address: str
    circuits: list[CircuitTable]
    unbuilt: list[UnbuiltTable]
    streams: list[StreamTable]
    denied: list[dict[str, Any]]
    denied_count: int
    processes: list[dict[str, Any]]
    containment: dict[str, Any]
    tool: dict[str, Any]
    process: ProcessTable
    failure: FailureTable | None
    facts: dict[str, Any] | None
    evidence: list[dict[str, Any]]
    reproduce: str


class VerdictRecord(TypedDict):
    """A verdict on one exit by one tool, `exitpin.verdict/1`; docs/audits.rst tells what the words mean. `lied` of `of`
    runs were lied to; `rule`: the place of the one that decided in the tool's file, from 0; `when`: what that asks for;
    `undecided`: facts on which the controls do not agree; `started`, `ended`: seconds since the epoch."""

    schema: Literal["exitpin.verdict/1"]
    verdict_id: str
    scan_id: str
    key: str
    status: Literal["ok", "tampered", "suspect", "broken", "error", "skipped"]
    severity: str | None
    rule: int | None
    when: str | None
    reason: str
    lied: int
    of: int
    undecided: list[str]
    layer: str | None
    blame: str | None
    retryable: bool
    interrupted: bool
    tool: dict[str, Any]
    exit: ExitTable
    vantage: dict[str, str]
    started: float
    ended: float
    runs: list[dict[str, Any]]
    controls: list[dict[str, Any]]
    failure: FailureTable | None
    evidence: list[dict[str, Any]]
    reproduce: str
