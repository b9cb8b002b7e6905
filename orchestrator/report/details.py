"""Everything about one verdict, laid out for a page: what differs, its runs with their streams, its controls, its past.

Reads the records that a verdict names, and their evidence (`exhibition.py`); what differs is `differences.py`'s and
`bodies.py`'s to find. Each part is capped: no exit fills a report. What was capped says so. Called by `html.py`.
"""

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..observation import WITNESSES
from ..results.public import has_secrets, public_id
from ..results.stored import PastVerdict, Reader
from ..results.wanted import FINDINGS
from .bodies import BodyDifference, body_difference
from .charts import duration
from .differences import CertificateDifference, FactDifference, certificate_difference, fact_differences
from .exhibition import ARTIFACT, Exhibition, artifacts, digests
from .fields import Record, clipped, in_one_line, items, moment, number, table, tables, text, whole
from .survey import Verdict, exit_words

RUNS_MAX = 12  # shown of one verdict, those that lied first
STREAMS_MAX = 8  # of one run
CIRCUITS_MAX = 8
HOPS_MAX = 8
DENIED_MAX = 5
CONTROLS_MAX = 40
BODIES_MAX = 3
OUTPUT_LINES = 16
OUTPUT_LINE = 200
PAST_MAX = 24  # earlier verdicts, of this tool with these parameters on this exit
PAST_READ = 400
REASON_MAX = 600


class Stream(NamedTuple):
    """One connection or look-up, and by which witnesses its exit is known, in words."""

    name: str
    circuit: str
    destination: str
    resolved: str
    outcome: str
    bytes_up: int
    bytes_down: int
    source: str
    witnesses: str


@dataclass(frozen=True, slots=True)
class RunShown:
    """A run. `circuits`: id, path and why it ended; `is_gone`: its own record is not in the store."""

    run_id: str
    role: str
    status: str
    reason: str
    doubts: tuple[str, ...]
    outcome: str
    times: tuple[tuple[str, str], ...]
    circuits: tuple[tuple[str, tuple[str, ...], str], ...]
    streams: tuple[Stream, ...]
    streams_left_out: int
    denied: tuple[str, ...]
    is_gone: bool


class ControlShown(NamedTuple):
    who: str
    at: str
    run_id: str


class BodyShown(NamedTuple):
    """A file that the tool left. `there_count` of `there_of` controls were given what it is compared with."""

    name: str
    difference: BodyDifference | None
    here_count: int
    here_of: int
    there_count: int
    there_of: int
    note: str


class Output(NamedTuple):
    name: str
    lines: tuple[str, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Detail:
    """One verdict on one exit. `told`: further words about it, by name; `commands`: where else to look, by what for."""

    verdict: Verdict
    reason: str
    told: tuple[tuple[str, str], ...]
    exit: tuple[tuple[str, str], ...]
    facts: tuple[FactDifference, ...]
    certificate: CertificateDifference | None
    bodies: tuple[BodyShown, ...]
    outputs: tuple[Output, ...]
    runs: tuple[RunShown, ...]
    runs_left_out: int
    controls: tuple[ControlShown, ...]
    past: tuple[PastVerdict, ...]
    reproduce: str
    commands: tuple[tuple[str, str], ...]


class Details:
    """Lays out verdicts of one store. `clock`: as time.monotonic."""

    def __init__(self, reader: Reader, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._kept = Exhibition(reader)
        self._clock = clock

    def of(self, verdict: Verdict) -> Detail | None:
        """One of them; None: its record has gone meanwhile."""
        record = self._reader.record(verdict.verdict_id)
        return None if record is None else self.laid_out(verdict, record)

    def laid_out(self, verdict: Verdict, record: Record) -> Detail:
        """One whose record is at hand; it may be made of a single run's."""
        runs = [(told, self._kept.run(text(told, "run_id"))) for told in tables(record, "runs")]
        runs.sort(key=lambda run: text(run[0], "status") not in FINDINGS)
        own = [full for _, full in runs if full is not None]
        lies = [full for told, full in runs if full is not None and text(told, "status") in FINDINGS] or own
        controls = [self._control(each) for each in tables(record, "controls")]
        return Detail(
            verdict=verdict,
            reason=clipped(in_one_line(text(record, "reason")), REASON_MAX),
            told=_told(record),
            exit=exit_words(table(record, "exit")),
            facts=fact_differences(own, controls),
            certificate=certificate_difference(
                [self._kept.chain(run) for run in lies], [self._kept.chain(control) for control in controls]
            ),
            bodies=tuple(self._body(name, lies, controls) for name in _names(lies)[:BODIES_MAX]),
            outputs=tuple(self._outputs(lies[:1])),
            runs=tuple(_run(told, full) for told, full in runs[:RUNS_MAX]),
            runs_left_out=max(0, len(runs) - RUNS_MAX),
            controls=tuple(map(_control_shown, controls[:CONTROLS_MAX])),
            past=self._past(record),
            reproduce=text(record, "reproduce"),
            commands=_commands(record),
        )

    def _control(self, told: Record) -> Record:
        """A control with all facts of its own run, where that is in the store; the verdict names the compared ones."""
        full = self._kept.run(text(told, "run_id")) or {}
        facts = {**table(full, "facts"), **table(told, "facts")}
        return {**full, "facts": facts, "vantage": text(told, "vantage"), "exit": text(told, "exit"),
                "at": told.get("at"), "run_id": text(told, "run_id")}  # fmt: skip

    def _body(self, name: str, lies: Sequence[Record], controls: Sequence[Record]) -> BodyShown:
        """What most of the runs that lied were given beside what most controls were. Not beside what the machine that
        looked was given without Tor: pages tell their visitors' addresses."""
        own = Counter(sha256 for run in lies if (sha256 := digests(run).get(name)))
        others = Counter(sha256 for one in controls if one["vantage"] == "exit" and (sha256 := digests(one).get(name)))
        here, count = max(own.items(), key=lambda one: (one[0] not in others, one[1], one[0]))
        counts = count, own.total()
        shown = name.removeprefix(ARTIFACT)
        if not others:
            return BodyShown(shown, None, *counts, 0, 0, "no control's was kept: nothing to compare it with")
        there, there_count = max(others.items(), key=lambda one: (one[1], one[0]))
        contents = [self._kept.content(sha256) for sha256 in (here, there)]
        if why := "; ".join(why for _, why in contents if why):
            return BodyShown(shown, None, *counts, there_count, others.total(), why)
        difference = body_difference(contents[0][0], contents[1][0], self._clock)
        return BodyShown(shown, difference, *counts, there_count, others.total(), "")

    def _outputs(self, runs: Sequence[Record]) -> list[Output]:
        """What the tool wrote, of one run."""
        found: list[Output] = []
        for run in runs:
            for name in ("stdout", "stderr"):
                if written := text(table(run, "process"), name).rstrip("\n"):
                    lines = written.split("\n")
                    shown = tuple(clipped(line, OUTPUT_LINE) for line in lines[:OUTPUT_LINES])
                    found.append(Output(name, shown, max(0, len(lines) - OUTPUT_LINES)))
        return found

    def _past(self, record: Record) -> tuple[PastVerdict, ...]:
        """Verdicts on this exit by the same question, the oldest first, this one included."""
        past = self._reader.past(text(table(record, "exit"), "fingerprint"), PAST_READ)
        tool = text(table(record, "tool"), "id")
        keys = {one.params_key for one in past if one.scan_id == text(record, "scan_id") and one.tool == tool}
        same = [one for one in past if one.tool == tool and one.params_key in keys]
        return tuple(same[:PAST_MAX][::-1]) if len(same) > 1 else ()


def _names(runs: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in artifacts(run)))


def _told(record: Record) -> tuple[tuple[str, str], ...]:
    failure = table(record, "failure")
    words = " ".join(filter(None, (text(failure, "kind"), text(failure, "detail"))))
    kept = Counter(text(item, "name") for item in tables(record, "evidence"))
    told = (
        ("rule", f"{whole(record, 'rule') + 1}: {text(record, 'when')}" if text(record, "when") else ""),
        ("undecided", ", ".join(map(str, items(record, "undecided")))),
        ("layer", text(record, "layer")),
        ("failure", clipped(words, REASON_MAX)),
        ("blame", text(record, "blame")),
        ("asked", f"{moment(number(record, 'started'))} to {moment(number(record, 'ended'))} UTC"),
        ("evidence", ", ".join(name for name in kept if name)),
        ("id", public_id(record)),
    )
    return tuple((name, value) for name, value in told if value)


def _commands(record: Record) -> tuple[tuple[str, str], ...]:
    """For whoever has the store. An id that must not be told is found by what was asked of whom."""
    if has_secrets(record):
        scan, tool = text(record, "scan_id"), text(table(record, "tool"), "id")
        words = shlex.join(["--scan", scan, "--tool", tool, "-e", text(table(record, "exit"), "fingerprint")])
        return (("its id", f"exitpin results list {words}"),)
    name = shlex.quote(text(record, "verdict_id"))
    return (("all of it", f"exitpin results show {name}"), ("against its evidence", f"exitpin results verify {name}"))


def _run(told: Record, full: Record | None) -> RunShown:
    run = full or {}
    failure = table(run, "failure")
    reason = text(told, "reason") or " ".join(filter(None, (text(failure, "kind"), text(failure, "detail"))))
    streams = tables(run, "streams")
    return RunShown(
        run_id=text(told, "run_id"),
        role=text(told, "role"),
        status=text(told, "status") or "not judged",
        reason=clipped(in_one_line(reason), REASON_MAX),
        doubts=tuple(map(str, items(told, "doubts"))),
        outcome=_outcome(table(run, "process")),
        times=_times(run),
        circuits=tuple(
            (text(circuit, "id"), tuple(map(str, items(circuit, "path")[:HOPS_MAX])), text(circuit, "reason"))
            for circuit in tables(run, "circuits")[-CIRCUITS_MAX:]
        ),
        streams=tuple(map(_stream, streams[:STREAMS_MAX])),
        streams_left_out=max(0, len(streams) - STREAMS_MAX),
        denied=tuple(
            clipped(f"{text(each, 'reason')} {text(each, 'what')}", OUTPUT_LINE)
            for each in tables(run, "denied")[:DENIED_MAX]
        ),
        is_gone=full is None,
    )


def _outcome(process: Record) -> str:
    if process.get("timed_out"):
        return "timed out"
    if process.get("signal") is not None:
        return f"signal {text(process, 'signal')}"
    return "" if process.get("rc") is None else f"exit status {text(process, 'rc')}"


def _times(run: Record) -> tuple[tuple[str, str], ...]:
    """How long after it was queued each step came."""
    times = table(run, "t")
    queued = number(times, "queue")
    told = [("circuit", "circuit"), ("first_stream", "first stream"), ("first_byte", "first byte"), ("end", "end")]
    moments = [(label, number(times, name)) for name, label in told]
    if queued is None:
        return ()
    return tuple((label, duration(max(0.0, at - queued))) for label, at in moments if at is not None)


def _stream(stream: Record) -> Stream:
    destination = text(stream, "destination")
    why = " ".join(filter(None, (text(stream, "reason"), text(stream, "remote_reason"))))
    return Stream(
        name=text(stream, "stream_id") or "-",
        circuit=text(stream, "circuit_id") or "-",
        destination=clipped(f"look-up of {destination}" if stream.get("is_lookup") else destination, OUTPUT_LINE),
        resolved=clipped(text(stream, "resolved"), OUTPUT_LINE),
        outcome=f"{text(stream, 'status')}{f' ({why})' if why else ''}",
        bytes_up=whole(stream, "bytes_up"),
        bytes_down=whole(stream, "bytes_down"),
        source=_source(text(stream, "source_address"), text(stream, "source_port")),
        witnesses=_witnesses(items(stream, "witnesses")),
    )


def _source(address: str, port: str) -> str:
    """A run's own loopback address; one that the tool chose may be this machine's, and stands in no report."""
    is_loopback = address.removeprefix("::ffff:").startswith("127.")
    return f"{address}:{port}" if is_loopback else f"port {port} of an address that the tool chose"


def _witnesses(names: list[object]) -> str:
    """Which agreed; the three of them are the rule."""
    missing = [name for name in WITNESSES if name not in names]
    return "all three witnesses" if not missing else f"witnesses: {', '.join(map(str, names)) or 'none'}"


def _control_shown(control: Record) -> ControlShown:
    names = {"exit": text(control, "exit"), "direct": "the machine that looked, without Tor"}
    vantage = text(control, "vantage")
    return ControlShown(names.get(vantage, vantage), moment(number(control, "at"))[11:], text(control, "run_id"))
