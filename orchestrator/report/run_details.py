"""One run, laid out for a page: how it went, when, over which circuits, and who witnessed the exit of each stream.

Pure. Each part is capped: no exit fills a report. Called by `details.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..observation import WITNESSES
from .charts import duration
from .fields import NOT_JUDGED, Record, clipped, in_one_line, items, number, table, tables, text, whole

STEPS = ("circuit", "first_stream", "first_byte", "end")
STREAMS_MAX = 8
CIRCUITS_MAX = 8
HOPS_MAX = 8
DENIED_MAX = 5
OUTPUT_LINE = 200
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


def run_shown(told: Record, full: Record | None) -> RunShown:
    """A run as its verdict tells of it, and its own record, where that is there."""
    run = full or {}
    failure = table(run, "failure")
    reason = text(told, "reason") or " ".join(filter(None, (text(failure, "kind"), text(failure, "detail"))))
    streams = tables(run, "streams")
    return RunShown(
        run_id=text(told, "run_id"),
        role=text(told, "role"),
        status=text(told, "status") or NOT_JUDGED,
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
    return tuple((name.replace("_", " "), duration(after)) for name, after in steps(table(run, "t")))


def steps(times: Record) -> Iterator[tuple[str, float]]:
    """Each step of a run that it came to, and how many seconds after the run was queued. None comes after its end, as
    some did by the clock of earlier versions: Tor tells of a first byte late."""
    queued, ended = number(times, "queue"), number(times, "end")
    for name in STEPS:
        at = number(times, name)
        if queued is not None and at is not None:
            yield name, max(0.0, min(at, at if ended is None else ended) - queued)


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
