"""`exitpin results show`: everything about one verdict, or one run, for somebody who was not there."""

import argparse
import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..results.commands import blanks, command_shown
from ..results.exhibit import BlobError, exhibits
from ..results.stored import Reader
from ..results.wanted import FINDINGS
from .page import Line, print_page
from .results_find import find_record
from .results_head import head_lines
from .results_runs import output_lines, run_lines
from .results_store import add_store, opened

HELP = """\
Show everything about a verdict or a run: who was asked what, how many runs lied, what differs from what the controls
were given, which circuit and exit carried each connection and by which witnesses that is known, what evidence there is,
and how to see it again. On a terminal with colour (not with NO_COLOR), elsewhere plain text.
"""

EPILOG = """\
ID is what `results list` shows in its last column, or how it begins, if nothing else begins so. What the exit may have
written is shown escaped. --json prints the record itself, whole (docs/record.rst).

examples:
  exitpin results show 20260501T1200-3f9a2b-v0001
  exitpin results show 20260501T1200-3f9a2b-v0001 --json | jq .exit
"""

CONSISTENT = "consistent: the events of our own tor name this exit, and anybody can recompute it; it is no signature"
EVIDENCE_RUNS = 4  # whose pieces are listed, those that lied first

Json = dict[str, Any]


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "show", help="everything about one of them", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("id", metavar="ID", help="of a verdict or a run, or how it begins")
    parser.add_argument("--json", action="store_true", help="the record as one JSON object")
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print it. Raises OperatorError when the id is nobody's, or several records'."""
    with opened(args) as reader:
        record = find_record(reader, args.id)
        if args.json:
            print(json.dumps(record, ensure_ascii=True, indent=2))
        else:
            print_page(page(reader, record))
    return 0


def page(reader: Reader, record: Json) -> Iterator[Line]:
    """The lines of the whole page, not yet escaped."""
    from ..report.details import Details
    from ..report.survey import verdict_row
    from .results_facts import facts_page

    is_run = "run_id" in record
    runs = [record] if is_run else [_run(reader, told) for told in record.get("runs") or ()]
    verdict: Json = (record.get("verdict") or {}) if is_run else record
    as_verdict = {**record, "runs": [record]} if is_run else record
    detail = Details(reader, time.monotonic).laid_out(verdict_row(as_verdict), as_verdict)
    yield from head_lines(record, verdict, is_run=is_run)
    yield from facts_page(detail, str(verdict.get("when") or ""), record.get("controls") or [])
    yield Line()
    yield Line("runs" if len(runs) != 1 else "run", "bold")
    names = _nicknames(reader, record, runs)
    for run in runs:
        yield from run_lines(run, names)
    if any(run.get("streams") for run in runs) and not any(run.get("doubts") for run in runs):
        yield Line(CONSISTENT, "dim", 2)
    if is_run or (len(runs) == 1 and runs[0].get("process")):
        yield from output_lines(runs[0].get("process") or {})
    yield from _evidence(reader, record, runs, is_run=is_run)
    yield from _next(record, runs, is_run=is_run)


def _run(reader: Reader, told: Json) -> Json:
    """A run of a verdict, from its own record; what the verdict tells of it, if that is gone."""
    found = reader.record(str(told.get("run_id")))
    return {**told, "is_gone": True} if found is None else {**found, "doubts": told.get("doubts")}


def _nicknames(reader: Reader, record: Json, runs: Sequence[Json]) -> Mapping[str, str]:
    """Of the relays on the circuits, by the scan's own consensus."""
    from ..report.nicknames import nicknames

    of_exit = record.get("exit") or {}
    known = {str(of_exit.get("fingerprint")): str(of_exit.get("nickname"))}
    wanted = {str(hop) for run in runs for circuit in run.get("circuits") or () for hop in circuit.get("path") or ()}
    scan = reader.scan(str(record.get("scan_id"))) or {}
    for piece in exhibits(scan):
        if piece.get("name") == "consensus":
            try:
                known = {**nicknames(reader.blobs.read(str(piece["sha256"])), wanted), **known}
            except BlobError:
                continue  # it was swept: then there are fingerprints
    return known


def _evidence(reader: Reader, record: Json, runs: Sequence[Json], *, is_run: bool) -> Iterator[Line]:
    """What is kept, and where."""
    ranked = sorted(runs, key=lambda run: run.get("status") not in FINDINGS)
    holders = [("", record)] if is_run else [("", record), *((str(run.get("run_id")), run) for run in ranked)]
    kept = [(whose, list(exhibits(one))) for whose, one in holders]
    kept = [(whose, pieces) for whose, pieces in kept if pieces]
    plain = [str(item) for item in record.get("evidence") or () if isinstance(item, str)]
    if not kept and not plain:
        return
    yield Line()
    yield Line(f"evidence, in {reader.blobs.directory}" if kept else "evidence", "bold")
    for path in plain:
        yield Line(path, "", 2)
    for whose, pieces in kept[: 1 + EVIDENCE_RUNS]:
        if whose:
            yield Line(whose, "dim", 2)
        for piece in pieces:
            cut = ", cut" if piece.get("is_cut") else ""
            yield Line(f"{piece.get('name')}  {piece.get('size_bytes')} bytes{cut}", "", 4)
            yield Line(str(piece["sha256"]), "dim", 6)  # alone: on 80 columns it stays in one piece, to be copied
    if len(kept) > 1 + EVIDENCE_RUNS:
        yield Line(f"and that of {len(kept) - 1 - EVIDENCE_RUNS} runs more (--json)", "dim", 2)


def _next(record: Json, runs: Sequence[Json], *, is_run: bool) -> Iterator[Line]:
    """What one may do now."""
    name = record.get("run_id") or record.get("verdict_id")
    run = next((run for run in runs if run.get("status") in FINDINGS), runs[0] if runs else None)
    is_finding = record.get("status") in FINDINGS and not is_run
    fingerprint = (record.get("exit") or {}).get("fingerprint")
    again = command_shown(record)
    steps = [
        ("to see it again", shlex.join(again) or "not known"),
        ("one run again", shlex.join(["exitpin", "replay", str(run.get("run_id")), *blanks(again)]) if run else ""),
        ("this exit", f"exitpin results history {fingerprint}"),
        ("to report it", f"exitpin report email {name}" if is_finding else ""),
        ("to hand it on", f"exitpin results bundle {name} -o FILE" if not is_run else ""),
        ("to check it", f"exitpin results verify {name}"),
    ]
    yield Line()
    yield Line("next", "bold")
    for label, command in steps:
        if command:
            yield Line(str(command), "", 2, f"{label:<16}", "dim")
