"""What an interrupted scan left, recalled: which questions are answered, which runs need not be made again, which
controls still have a say.

By content, never by position: a question is its key (tool digest, parameters, exit), a run its role and repetition
within that. A run is recalled as it was recorded, and judged as if it had just ended, as long as the controls that it
would be held against can be of its time: after `baseline.max_age` it is *superseded*, which is to say asked again. What
it was found to be without any comparison holds at any age; so does an answer that was the target's own at its time, and
a lie that had been held against as many controls as a finding wants.

No finding is lost by going on: one that an interruption left open stands until its case is closed anew. When its exit
can't be asked any more, since it has left the network or its policy refuses that now, the finding itself is closed: it
stays what it was, and nobody waits for more.

Does no I/O; called by `exitpin audit --resume`, which reads the records, and handed to `auditing.py`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..model import Failure, Fingerprint, Relay
from ..tool import Facts, Status
from .assessing import Ended
from .cases import WITHOUT_OTHERS, Role
from .controls import Control
from .errands import Audit
from .keys import key_of
from .params import run_values
from .records import Record
from .scan_plan import ScanPlan
from .verdict import Judgement, Observation, compares


@dataclass(frozen=True, slots=True)
class Recalled:
    """A run that is not made again."""

    role: Role
    repetition: int
    ended: Ended


CUT_SHORT = ("interrupted", "tor", "shim")
"""How runs end that have not come to their end by themselves, and may when they are made again."""

SHOWN = ("schema", "verdict_id", "status", "interrupted", "layer", "tool", "exit", "lied", "of", "reason")


@dataclass(frozen=True, slots=True)
class KnownVerdict:
    """A verdict that an earlier session wrote. `last_index`: the highest number of its runs; `record`: what is shown of
    it at the end of a scan, and no more: there may be many thousands, and each has all of its controls in it; `whole`:
    all of a finding that was left open."""

    key: str
    status: Status
    is_interrupted: bool
    last_index: int
    record: Record
    whole: Record | None = None

    @property
    def is_open_finding(self) -> bool:
        return self.is_interrupted and self.status.is_finding

    @classmethod
    def of(cls, record: Record) -> "KnownVerdict":
        """From its record."""
        known = cls(
            key=str(record["key"]),
            status=Status(record["status"]),
            is_interrupted=bool(record.get("interrupted")),
            last_index=max((_index(str(run["run_id"])) for run in record.get("runs") or ()), default=0),
            record={name: record.get(name) for name in SHOWN},
        )
        return replace(known, whole=record) if known.is_open_finding else known


@dataclass(slots=True)
class Recollection:
    """What is known of a scan. By key: `verdicts`, the closed cases; `runs`; `controls`, the samples; `control_runs`,
    how many were made; `findings`, those that an interruption left open. `failed`: the keys that are asked again since
    they ended in an error; `superseded`: records that count for nothing any more; `first_index`: the number of the next
    run."""

    verdicts: dict[str, KnownVerdict] = field(default_factory=dict)
    runs: defaultdict[str, list[Recalled]] = field(default_factory=lambda: defaultdict(list))
    controls: defaultdict[str, list[Control]] = field(default_factory=lambda: defaultdict(list))
    control_runs: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    failed: frozenset[str] = frozenset()
    findings: dict[str, KnownVerdict] = field(default_factory=dict)
    superseded: list[Record] = field(default_factory=list)
    first_index: int = 1


def recall(
    pairs: Iterable[tuple[Audit, Relay]],
    audits: Iterable[tuple[Audit, Relay]],
    verdicts: Iterable[KnownVerdict],
    runs: Iterable[Record],
    exact_facts: Callable[[Record], Mapping[str, object] | None],
    *,
    now: float,
    retry_failed: bool = False,
    consensus: str = "",
) -> Recollection:
    """What there is of `pairs`, all of the scan's, and of controls through `audits`, tool and relay. `exact_facts`: the
    facts of a run as they were judged, None where they were not kept; `now`: seconds since the epoch; `consensus`: the
    valid-after of the snapshot by which the scan goes on, if it is known."""
    told = list(verdicts)
    known = Recollection(_closed(told, retry_failed=retry_failed))
    errors = [verdict for verdict in told if retry_failed and verdict.status is Status.ERROR]
    known.failed = frozenset(verdict.key for verdict in errors)
    wiped = {verdict.key for verdict in errors if not verdict.is_interrupted}
    known.findings = {verdict.key: verdict for verdict in told if verdict.is_open_finding}
    known.first_index = max((verdict.last_index + 1 for verdict in told), default=1)
    by_key = {key_of(audit, relay): (audit, relay) for audit, relay in (*audits, *pairs)}
    for record in runs:
        known.first_index = max(known.first_index, _index(str(record["run_id"])) + 1)
        key, role = str(record.get("key")), Role(record.get("role") or Role.PROBE)
        if key not in by_key or role in (Role.SUPERSEDED, Role.REPLAY):
            continue
        audit, relay = by_key[key]
        if role is Role.CONTROL:
            known.control_runs[key] += 1
            if (control := _control(record, audit, exact_facts, now)) is not None:
                known.controls[key].append(control)
        elif key not in known.verdicts:
            ended = _ended(record, audit, relay, exact_facts, now)
            is_certain = key in known.findings
            is_old = ended is not None and _is_of_another_time(ended, consensus)
            if key in wiped or ended is None or is_old or not _is_of_use(ended, audit, now, is_certain=is_certain):
                known.superseded.append({**record, "role": Role.SUPERSEDED.value})
            else:
                known.runs[key].append(Recalled(role, int(record.get("repetition") or 1), ended))
    for found in known.runs.values():
        found.sort(key=lambda one: one.ended.at)
    return known


def recall_controls(audits: Iterable[Audit], known: Recollection) -> None:
    """Give controls of an earlier session that are young enough a say in this one."""
    for audit in audits:
        for relay in audit.candidates:
            key = key_of(audit, relay)
            audit.made[relay.fingerprint] = known.control_runs.get(key, 0)
            for control in known.controls.get(key, ()):
                audit.pool.add(control, relay)


def left_to_do(plan: ScanPlan, known: Recollection, *, retry_failed: bool = False) -> ScanPlan:
    """The plan without what is answered; of a retry only what ended in an error. Where a program is missing here, and a
    finding was left open, it is left out: the finding stays open."""

    def is_left(audit: Audit, relay: Relay) -> bool:
        key = key_of(audit, relay)
        return key not in known.verdicts and (not retry_failed or key in known.failed)

    left = plan.only(is_left)
    open_ones = known.findings
    skipped = tuple(one for one in left.skipped if one.is_for_good or key_of(one.audit, one.relay) not in open_ones)
    return replace(left, skipped=skipped)


def standing(plan: ScanPlan, known: Recollection) -> list[KnownVerdict]:
    """The verdicts that stay while `plan` is carried out."""
    closed = {key_of(audit, relay) for audit, relay in plan.pairs}
    closed |= {key_of(one.audit, one.relay) for one in plan.skipped}
    return [*known.verdicts.values(), *(one for key, one in known.findings.items() if key not in closed)]


def _closed(verdicts: Iterable[KnownVerdict], *, retry_failed: bool) -> dict[str, KnownVerdict]:
    """By key, the verdicts that need not be asked for again. `retry_failed`: errors are."""
    return {
        verdict.key: verdict
        for verdict in verdicts
        if not verdict.is_interrupted and not (retry_failed and verdict.status is Status.ERROR)
    }


def _index(run_id: str) -> int:
    """The number of a run within its scan."""
    number = run_id.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _control(
    record: Record, audit: Audit, exact_facts: Callable[[Record], Mapping[str, object] | None], now: float
) -> Control | None:
    """The sample of a control run, if it was a usable one and is young enough."""
    at, facts = _ended_at(record), _facts(exact_facts(record))
    if facts is None or record.get("unusable") or not now - audit.tool.baseline.max_age_s <= at <= now:
        return None
    return Control("exit", facts, at, str(record["run_id"]), Fingerprint(record["exit"]["fingerprint"]))


def _ended(
    record: Record, audit: Audit, relay: Relay, exact_facts: Callable[[Record], Mapping[str, object] | None], now: float
) -> Ended | None:
    """A run as it was when it ended; None where too little of it was kept, or where it did not end by itself. None has
    ended after `now`: a clock that was set back says so, and controls of today would be too old for it."""
    failure, process = _failure(record), record.get("process") or {}
    if failure is not None and failure.kind in CUT_SHORT:
        return None
    facts = _facts(exact_facts(record))
    if facts is None and record.get("facts") is not None:
        return None
    nonce = str(record.get("nonce") or "")
    ended = Ended(
        run_id=str(record["run_id"]),
        at=min(now, _ended_at(record)),
        record=record,
        values=run_values(audit.bound, relay, run_id=str(record["run_id"]), nonce=nonce, artifacts=""),
        failure=failure,
        exit_code=process.get("rc"),
        signal=process.get("signal"),
        timed_out=bool(process.get("timed_out")),
        facts=facts or {},
        doubts=tuple(map(str, record.get("doubts") or ())),
        told=record,
    )
    if facts is not None:
        kind = failure.kind if failure is not None and failure.kind != "tool" else ""
        ended.observation = Observation(ended.exit_code, ended.signal, ended.timed_out, kind, facts)
    ended.judgement = _judgement(record.get("verdict")) if facts is not None else None
    return ended


def _is_of_use(ended: Ended, audit: Audit, now: float, *, is_certain: bool) -> bool:
    """Whether the run can still be judged, or its judgement holds. Forgets a judgement that is to be made again."""
    baseline, judgement = audit.tool.baseline, ended.judgement
    if ended.observation is None:
        return True
    if judgement is not None and _holds(judgement, audit, is_certain=is_certain):
        return True
    ended.judgement = None
    return baseline.mode in WITHOUT_OTHERS or ended.at >= now - baseline.max_age_s


def _is_of_another_time(ended: Ended, consensus: str) -> bool:
    """Whether it did not reach its target by another snapshot than that by which the scan goes on: the exit's policy
    may be another one by now. What did is of use at any time."""
    exit, seen, judgement = ended.record.get("exit"), ended.observation, ended.judgement
    made_by = exit.get("consensus") if isinstance(exit, Mapping) else None
    if not consensus or not made_by or made_by == consensus or seen is None:
        return False
    is_heard = judgement is not None and (judgement.status is Status.OK or judgement.status.is_lie)
    return not is_heard and (seen.failure != "" or seen.timed_out or seen.exit_code != 0)


def _holds(judgement: Judgement, audit: Audit, *, is_certain: bool) -> bool:
    """Whether a judgement stands, whatever controls would see today."""
    if judgement.status.is_lie and is_certain:
        return True
    if judgement.status is Status.OK:
        return True
    rule = None if judgement.rule is None else audit.tool.verdict[judgement.rule]
    return rule is not None and not compares(rule)


def _judgement(told: Mapping[str, object] | None) -> Judgement | None:
    if not told or not told.get("status"):
        return None
    rule, undecided = told.get("rule"), told.get("undecided")
    return Judgement(
        Status(str(told["status"])),
        str(told.get("reason") or ""),
        rule if isinstance(rule, int) else None,
        str(told.get("layer") or ""),
        tuple(map(str, undecided)) if isinstance(undecided, list) else (),
    )


def _failure(record: Record) -> Failure | None:
    told = record.get("failure")
    if not told:
        return None
    return Failure(str(told["kind"]), str(told["blame"]), bool(told["retryable"]), str(told["detail"]))


def _facts(told: Mapping[str, object] | None) -> Facts | None:
    """Facts as rules know them: lists are tuples."""
    if told is None:
        return None
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}  # type: ignore[misc]


def _ended_at(record: Record) -> float:
    times = record.get("t") or {}
    return float(times.get("end") or record.get("start") or times.get("queue") or 0.0)
