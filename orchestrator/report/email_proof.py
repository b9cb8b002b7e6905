"""The parts of a mail that say when it was seen, how it is known which relay it was, and where the evidence is. Pure.

"Consistent" is the word: it is the events of our own tor, open to recomputation, and no signature.
"""

from collections import Counter

from ..counted import counted
from ..results.public import public_id
from .fields import Record, items, moment, number, table, tables, text, whole
from .finding import Finding
from .plain import cut, paragraph, section

RUNS_MAX = 14
PIECES_RUNS = 4  # whose evidence is listed; of the others their number
CAME = {"tampered": "changed", "suspect": "differs", "ok": "as others", "broken": "no answer", "error": "no answer"}


def when(finding: Finding) -> list[str]:
    """Each run: its time, what came of it, the hop before the exit."""
    record = finding.record
    first_hops = {text(run, "run_id"): _first_hop(run) for run in finding.runs}
    attempts = tables(record, "runs")
    lines = []
    for attempt in attempts[:RUNS_MAX]:
        came = CAME.get(text(attempt, "status"), "no word")
        hop = first_hops.get(text(attempt, "run_id"), "")
        lines.append(cut(f"  {moment(number(attempt, 't')):<19} {came:<9} {hop}".rstrip()))
    if len(attempts) > RUNS_MAX:
        lines.append(f"  and {len(attempts) - RUNS_MAX} more")
    times = [at for one in tables(record, "controls") if (at := number(one, "at")) is not None]
    controls = f"What it is compared with was asked from {moment(min(times))} to {moment(max(times))}." if times else ""
    title = "Times are UTC. Each run had a new circuit of two hops: the first hop named here, and this relay."
    return section("WHEN", paragraph(title), lines, paragraph(controls))


def _first_hop(run: Record) -> str:
    """The hop before the exit, of the circuit that carried something."""
    used = {text(stream, "circuit_id") for stream in tables(run, "streams")}
    paths = [items(circuit, "path") for circuit in tables(run, "circuits") if not used or text(circuit, "id") in used]
    return " ".join(str(path[0]) for path in paths[-1:] if len(path) > 1)


def proof(finding: Finding) -> list[str]:
    """By what it is known that this relay carried it."""
    streams = [
        stream for run in finding.runs for stream in tables(run, "streams") if stream.get("stream_id") is not None
    ]
    doubts = sum(bool(items(attempt, "doubts")) for attempt in tables(finding.record, "runs"))
    tor = text(table(finding.record, "vantage"), "tor")
    told = (
        f"Our own tor{f' ({tor})' if tor else ''} carried {counted(len(streams), 'connection')} in"
        f" {counted(len(finding.runs), 'run')}. Each was tied to its run's circuit before tor saw it, by its source"
        " address, its source port and a SOCKS user name of its own; tor's CIRC and STREAM events then had to name the"
        " same circuit, ending at this relay, and nothing else. Anything that did not agree would have been refused."
    )
    limits = (
        "That is consistent, and anybody can recompute it from the events. It is no signature: who writes the evidence"
        " could write all of it. And it says which relay carried the connections, not that they left from the address"
        " above."
    )
    blocks = [paragraph(told), paragraph(limits)]
    if doubts:
        blocks.append(paragraph(f"In {counted(doubts, 'run')} something did not agree; that counted for nothing."))
    return section("HOW WE KNOW THAT IT WAS THIS RELAY", *blocks)


def evidence(finding: Finding) -> list[str]:
    """What is kept, by SHA-256."""
    record, tool = finding.record, table(finding.record, "tool")
    lines: list[str] = []
    holders = [(whose, pieces) for whose, pieces in finding.evidence if pieces]
    for whose, pieces in holders[: 1 + PIECES_RUNS]:
        for piece in pieces:
            size = f"{whole(piece, 'size_bytes'):,} bytes{', cut' if piece.get('is_cut') else ''}"
            lines.append(cut(f"  {whose}: {text(piece, 'name')}, {size}"))
            lines.append(cut(f"    {text(piece, 'sha256')}"))
    rest = sum(len(pieces) for _, pieces in holders[1 + PIECES_RUNS :])
    if rest:
        lines.append(f"  and {rest} pieces of other runs")
    kinds = Counter(text(one, "vantage") for one in tables(record, "controls"))
    told = f"{counted(kinds['exit'], 'run')} through other exits are kept, too." if kinds["exit"] else ""
    severity = f", severity {text(record, 'severity')}" if text(record, "severity") else ""
    ids = [f"  finding  {public_id(record)}", f"  verdict  {finding.status}{severity}"]
    if text(tool, "digest"):
        ids += [f"  test     {text(tool, 'id')}, a file with the SHA-256", f"    {text(tool, 'digest')}"]
    intro = "We keep it and send it on request. `events` are tor's own lines of a run. The SHA-256 of each piece:"
    blocks = [paragraph(intro), lines, paragraph(told)] if lines else [paragraph("None was kept.")]
    return section("EVIDENCE", *blocks, list(map(cut, ids)))
