"""`exitpin results list`: what was found, the worst first."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from ..counted import counted
from ..report.fields import moment, status_word
from ..results.scan_lock import true_state
from ..results.stored import STATUSES, Reader, Wanted
from ..results.summary import ScanSummary, summaries
from .results_find import find_scan, unknown_words
from .results_options import count, since, statuses
from .results_store import add_store, exit_name, opened, shown, size_shown
from .results_table import print_rows, print_table

VERDICT_COLUMNS = ("status", "severity", "tool", "exit", "lied", "reason", "ended", "id")
RUN_COLUMNS = ("status", "role", "tool", "exit", "reason", "ended", "id")
SCAN_COLUMNS = ("scan", "started", "ended", "tools", "exits", "runs", "state", "verdicts")

HELP = """\
List the verdicts of the latest scan: what accuses an exit first, then what went wrong, then the rest.

  tampered   what came back was changed, and changed again when asked once more
  suspect    changed once, or in a way that has other explanations
  broken     the exit does not carry what it offers to carry
  error      says nothing about the exit: the reason names what failed
  skipped    was not asked
  ok         asked, and found honest

What `exitpin run` did is not kept, and not listed: its records are what its --json prints.
"""

EPILOG = """\
On a terminal it is a table; elsewhere a line each, tab-separated, without a heading:
  verdicts    status severity tool exit lied/of reason ended id
  --runs      status role tool exit reason ended id
  --scans     scan started ended tools exits runs tampered suspect broken error skipped ok state verdicts/planned
state is running, done, interrupted, failed, killed (it says that it runs, and nobody carries it out), earlier (of a
version that did not write down what was planned), or replay (it audited nobody: a run was made again). Runs that were
asked anew when a scan went on are not counted; --runs shows them with their role, superseded. Controls and replays are
`not judged`: the `status` of their records, which --status goes by, tells how the tool and its connections ended.
--json prints each whole record, one a line (docs/record.rst says what stands in it).

examples:
  exitpin results list                                  the latest scan
  exitpin results list --status findings --since 7d     whatever was found in a week, in any scan
  exitpin results list -e 4F0C --scan all --runs        each run through that exit
  exitpin results list --scans                          which scans there are, and how large the store is
  exitpin results show ID                               everything about one of them
"""

Json = dict[str, Any]


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "list", help="what was found", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--scan", metavar="ID", help="a scan's id, or how it begins; last; all (last, with --since all)"
    )
    parser.add_argument("--tool", metavar="ID", help="of this tool")
    parser.add_argument("-e", "--exit", metavar="EXIT", help="of this exit: a nickname, or how its fingerprint begins")
    parser.add_argument(
        "--status", metavar="S,..", type=statuses, default=frozenset(),
        help=f"only these of {', '.join(STATUSES)}; findings stands for the first three",
    )  # fmt: skip
    parser.add_argument("--since", metavar="TIME", type=since, help="ended in the last 90m, 24h, 7d, or since a date")
    parser.add_argument("-n", type=count, default=50, metavar="N", help="at most N of them (50); 0: all")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--runs", action="store_true", help="the runs behind the verdicts, newest first")
    what.add_argument("--scans", action="store_true", help="the scans, newest first, counted")
    parser.add_argument("--json", action="store_true", help="whole records, one JSON object a line")
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print the list; 0 even when nothing is found."""
    with opened(args) as reader:
        if args.scans:
            _print_scans(_true_scans(reader, args.n or None), args.json)
            print(f"exitpin: {_store_words(reader)}", file=sys.stderr)
        else:
            _print_records(reader, args)
    return 0


def _print_records(reader: Reader, args: argparse.Namespace) -> None:
    scan = find_scan(reader, args.scan or ("all" if args.since is not None else "last"))
    wanted = Wanted(
        scan=scan, tool=args.tool, exit=args.exit, statuses=args.status, kind="run" if args.runs else "verdict",
        since=args.since, limit=args.n or None, gravest_first=not args.runs,
    )  # fmt: skip
    records = reader.query(wanted)
    if args.json:
        for record in records:
            print(json.dumps(record, ensure_ascii=True))
    else:
        columns = RUN_COLUMNS if args.runs else VERDICT_COLUMNS
        print_rows(columns, (_cells(record, columns) for record in records))
    _say_how_many(reader, wanted, scan)


def _say_how_many(reader: Reader, wanted: Wanted, scan: str | None) -> None:
    """How complete the list is: a scan must not look better for what was not shown."""
    found = reader.count(wanted)
    where = f" of scan {shown(scan)}" if scan else ""
    cut = f"; {wanted.limit} shown, -n 0 shows all" if wanted.limit and found > wanted.limit else ""
    words = f"{counted(found, str(wanted.kind))}{where}{cut}"
    if not found and wanted.kind == "verdict" and (runs := reader.count(Wanted(scan=scan, kind="run"))):
        words += f" like that; --runs lists {counted(runs, 'run')}"
    if not found:
        words = "; ".join([words, *unknown_words(reader, wanted.tool, wanted.exit)])
    if scan:
        words += _unfinished_words(reader, scan)
    print(f"exitpin: {words}", file=sys.stderr)


def _unfinished_words(reader: Reader, scan: str) -> str:
    state, there, planned = reader.progress(scan)
    state = true_state(reader.blobs.directory, scan, state)
    return "" if state in ("done", "earlier") else f"; it is {shown(state)}, with {there} of {planned} verdicts"


def _true_scans(reader: Reader, limit: int | None) -> Iterator[ScanSummary]:
    for scan in summaries(reader, limit):
        yield replace(scan, state=true_state(reader.blobs.directory, scan.scan_id, scan.state))


def reason_of(record: Json) -> str:
    """Why a record says what it says, in a few words."""
    verdict, failure = record.get("verdict") or {}, record.get("failure") or {}
    return shown(record.get("reason") or verdict.get("reason") or failure.get("detail") or "")


def _cells(record: Json, columns: Sequence[str]) -> list[str]:
    told = {
        "status": shown(status_word(record)),
        "exit": exit_name(record),
        "tool": shown((record.get("tool") or {}).get("id")),
        "lied": f"{record.get('lied')}/{record.get('of')}" if record.get("of") else "",
        "reason": reason_of(record),
        "ended": moment(record.get("ended") or (record.get("t") or {}).get("end")),
        "id": shown(record.get("verdict_id") or record.get("run_id")),
    }
    return [told[name] if name in told else shown(record.get(name)) for name in columns]


def _store_words(reader: Reader) -> str:
    """How large the store has become. Its evidence is not counted here: there may be a million pieces of it."""
    parts = [reader.path.with_name(f"{reader.path.name}{suffix}") for suffix in ("", "-wal", "-shm")]
    size = sum(path.stat().st_size for path in parts if path.exists())
    return f"the file of records has {size_shown(size)}; `exitpin report prom` counts the evidence, too"


def _print_scans(scans: Iterable[ScanSummary], as_json: bool) -> None:
    if as_json:
        for scan in scans:
            print(json.dumps(asdict(scan)))
        return
    if sys.stdout.isatty():
        print_table(
            (*SCAN_COLUMNS, "reason"),
            [[*_scan_cells(scan), *_progress_cells(scan), _counts_words(scan)] for scan in scans],
        )
        return
    for scan in scans:
        counts = (str(scan.counts.get(status, 0)) for status in STATUSES)
        print("\t".join([*_scan_cells(scan), *counts, *_progress_cells(scan)]))


def _scan_cells(scan: ScanSummary) -> list[str]:
    about = [shown(scan.scan_id), moment(scan.started), moment(scan.ended), shown(", ".join(scan.tools))]
    return [*about, str(scan.exits), str(scan.runs)]


def _progress_cells(scan: ScanSummary) -> list[str]:
    state = "replay" if scan.replays is not None else scan.state
    return [shown(state), f"{scan.verdicts - scan.open_ones}/{'?' if scan.planned is None else scan.planned}"]


def _counts_words(scan: ScanSummary) -> str:
    if scan.replays is not None:
        return f"{shown(scan.replays)} made again"
    return ", ".join(f"{count} {status}" for status, count in scan.counts.items()) or "no verdict yet"
