"""The runs of a page of `results show`: how each went, its circuits, and by which witnesses its exit is known. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..report.charts import duration
from ..report.fields import status_word
from ..report.run_details import steps
from .page import Line
from .results_table import STYLES

OUTPUT_LINES = 12
STREAMS_MAX = 20
STEPS = {"first_stream": "first connect", "first_byte": "first byte"}

Json = dict[str, Any]


def run_lines(run: Json, names: Mapping[str, str]) -> Iterator[Line]:
    """One run. `names`: nicknames of relays by fingerprint."""
    status = status_word(run)
    verdict = run.get("verdict") or run
    yield Line(f"{run.get('role') or 'run'}, {status}", STYLES.get(status, ""), 2, f"{run.get('run_id')} ")
    if verdict.get("reason"):
        yield Line(str(verdict["reason"]), "", 4)
    for doubt in run.get("doubts") or ():
        yield Line(str(doubt), "magenta", 4, "in doubt:")
    if run.get("is_gone"):
        yield Line("(its own record is not in the store)", "dim", 4)
        return
    if run.get("failure"):
        yield Line(failure_words(run["failure"], verdict.get("layer")), "", 4)
    yield Line("; ".join([_end_words(run.get("process") or {}), *_times(run.get("t") or {})]), "", 4, "the tool:")
    for circuit in run.get("circuits") or ():
        why = f"  (ended: {circuit['reason']})" if circuit.get("reason") else ""
        path = " > ".join(_hop(str(hop), names) for hop in circuit.get("path") or ())
        yield Line(f"{path}{why}", "", 4, f"circuit {circuit.get('id')}:")
    streams = run.get("streams") or []
    for stream in streams[:STREAMS_MAX]:
        yield from _stream_lines(stream)
    if len(streams) > STREAMS_MAX:
        yield Line(f"and {len(streams) - STREAMS_MAX} streams more (--json has all)", "dim", 4)
    for denied in run.get("denied") or ():
        yield Line(f"{denied.get('reason')} {denied.get('what')} (pid {denied.get('pid')})", "dim", 4, "refused:")


def _hop(fingerprint: str, names: Mapping[str, str]) -> str:
    return f"{fingerprint} {names[fingerprint]}" if fingerprint in names else fingerprint


def failure_words(failure: Json, layer: object) -> str:
    """A failure, in a sentence."""
    again = "may pass if tried again" if failure.get("retryable") else "not worth another try"
    where = f", layer {layer}" if layer else ""
    return f"{failure.get('kind')} (blame: {failure.get('blame')}{where}; {again}): {failure.get('detail')}"


def _end_words(process: Json) -> str:
    if process.get("timed_out"):
        return "timed out"
    if process.get("signal") is not None:
        return f"ended by signal {process['signal']}"
    return "did not end" if process.get("rc") is None else f"exit status {process['rc']}"


def _times(times: Json) -> Iterator[str]:
    """When each step came, from when the run was queued."""
    return (f"{STEPS.get(name, name)} after {duration(after)}" for name, after in steps(times))


def _stream_lines(stream: Json) -> Iterator[Line]:
    what = "look-up of " if stream.get("is_lookup") else ""
    found = f" ({stream['resolved']})" if stream.get("resolved") else ""
    why = " ".join(str(stream[name]) for name in ("reason", "remote_reason") if stream.get(name))
    witnesses = ", ".join(stream.get("witnesses") or ()) or "none"
    yield Line(
        f"{what}{stream.get('destination')}{found} {stream.get('status')}{f', {why}' if why else ''};"
        f" {stream.get('bytes_up')} bytes up, {stream.get('bytes_down')} down",
        "", 4, f"stream {stream.get('stream_id')} on circuit {stream.get('circuit_id')}:",
    )  # fmt: skip
    yield Line(
        f"from {stream.get('source_address')}:{stream.get('source_port')} of pid {stream.get('pid')};"
        f" witnesses: {witnesses}",
        "dim", 6,
    )  # fmt: skip


def output_lines(process: Json) -> Iterator[Line]:
    """What the tool wrote, of one run."""
    for name in ("stdout", "stderr"):
        written = process.get(name)
        if written:
            parts = str(written).split("\n")
            yield Line()
            yield Line(f"{name}, as the tool wrote it", "bold")
            for part in parts[:OUTPUT_LINES]:
                yield Line(part, "", 2, "|")
            if len(parts) > OUTPUT_LINES:
                yield Line(f"and {len(parts) - OUTPUT_LINES} lines more (--json has all that was kept)", "dim", 2)
