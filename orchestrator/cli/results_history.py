"""`exitpin results history`: one exit through all scans, a line each."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from ..counted import counted
from ..errors import EXIT_USAGE, OperatorError
from ..report.fields import moment
from ..results.history import History, Line, Thread, history_of
from ..results.standing import Why, exits_named, of_exit, scans_told, whys
from ..results.stored import Reader
from .results_find import unknown_words
from .results_options import count, since
from .results_store import add_store, opened, shown
from .results_table import print_rows

COLUMNS = ("when", "consensus", "strip", "reason", "scan")

HELP = """\
Show what became of one exit in each scan, the oldest first, a line a scan: a letter for each tool, and the reasons of
what accused it. The tools stand in the order that stderr tells, with the first and the last time that each accused the
exit, and of each finding by itself: the same status by the same rule of the same tool.

  T tampered   S suspect   B broken   e error   - skipped   . ok   _ not asked
"""

EPILOG = """\
EXIT is a nickname, or how a fingerprint begins, as for `results list -e`.

On a terminal it is a table; elsewhere a line a scan, tab-separated, without a heading:
  when consensus strip findings scan
when is the start of the scan, UTC; findings are `tool status: reason`, with semicolons between them.
--json prints an object a scan, with each tool's status by its name, how many times in a row up to that scan a tool had
ended without an answer (failures: error, broken) or accused (findings), and of each finding when it was seen first and
last, and how often. Failures pass over `skipped`, findings `skipped` and `error`. --since and -n choose which scans are
shown, and change none of these numbers.

exit status: 0; 2 when there is no such exit, or more than one

examples:
  exitpin results history 4F0C
  exitpin results history evil --tool tls-cert --since 30d
"""

Json = dict[str, Any]
NOTHING = Why("", "")


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "history", help="one exit through all scans", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("exit", metavar="EXIT", help="a nickname, or how a fingerprint begins")
    parser.add_argument("--tool", metavar="ID", help="by this tool only")
    parser.add_argument("--since", metavar="TIME", type=since, help="in the last 90m, 24h, 7d, or since a date")
    parser.add_argument("-n", type=count, default=0, metavar="N", help="the latest N scans only; 0: all (the default)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line and a scan")
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print it. Raises OperatorError when the name is no exit's, or several exits'."""
    with opened(args) as reader:
        fingerprint, nickname = _exit(reader, args.exit)
        standings = of_exit(reader, fingerprint, args.tool)
        why = whys(reader, [standing.record_id for standing in standings if standing.is_finding])
        rules = {name: told.rule for name, told in why.items()}
        history = history_of(standings, scans_told(reader, [standing.scan_id for standing in standings]), rules)
        recent = {standing.scan_id for standing in standings if args.since is None or standing.at >= args.since}
        lines = [line for line in history.lines if line.scan.scan_id in recent]
        lines = lines[-args.n :] if args.n else lines
        if args.json:
            for line in lines:
                print(json.dumps(_plain(line, history, why), ensure_ascii=True))
        else:
            print_rows(COLUMNS, (_cells(line, why) for line in lines))
        unknown = () if standings else list(unknown_words(reader, args.tool))
    for sentence in [*_summary(history, f"{nickname}/{fingerprint}"), *unknown]:
        print(f"exitpin: {shown(sentence)}", file=sys.stderr)
    return 0


def _exit(reader: Reader, name: str) -> tuple[str, str]:
    """Fingerprint and nickname of the one exit that is meant."""
    found = exits_named(reader, name)
    if not found:
        raise OperatorError(
            f"no verdict names an exit {shown(name)}.", "`exitpin results list` shows exits.", EXIT_USAGE
        )
    if len(found) > 1:
        some = ", ".join(f"{shown(nickname)}/{shown(fingerprint)}" for fingerprint, nickname in found[:10])
        more = ", ..." if len(found) > 10 else "."
        raise OperatorError(f"{shown(name)} may be several exits.", f"Say a fingerprint of {some}{more}", EXIT_USAGE)
    return found[0]


def _cells(line: Line, why: dict[str, Why]) -> list[str]:
    findings = "; ".join(f"{s.tool} {s.status}: {why.get(s.record_id, NOTHING).reason}" for s in line.findings)
    return [
        moment(line.scan.started),
        shown(line.scan.consensus),
        line.strip,
        shown(findings),
        shown(line.scan.scan_id),
    ]


def _plain(line: Line, history: History, why: dict[str, Why]) -> Json:
    labels = [thread.label for thread in history.threads]
    rows = {label: row._asdict() for label, row in zip(labels, line.in_a_row, strict=True) if row is not None}
    findings = []
    for finding in line.findings:
        told, seen = why.get(finding.record_id), history.seen[finding.record_id]
        findings.append(
            {"verdict_id": finding.record_id, "tool": finding.tool, "status": finding.status,
             "severity": finding.severity, "reason": told.reason if told is not None else None,
             "rule": seen.rule or None, "seen": {"first": seen.first.at, "last": seen.last.at, "times": seen.times}}
        )  # fmt: skip
    return {
        **line.scan._asdict(), "statuses": dict(zip(labels, line.statuses, strict=True)), "strip": line.strip,
        "in_a_row": rows, "findings": findings,
        "asked": {"first": history.first_asked, "last": history.last_asked},
    }  # fmt: skip


def _summary(history: History, name: str) -> Iterator[str]:
    """Who it is, how to read a strip, and since when it is accused of what."""
    asked = ""
    if history.first_asked is not None:
        asked = f", first asked {moment(history.first_asked)}, last {moment(history.last_asked)}"
    yield f"{name}: {counted(len(history.lines), 'scan')}{asked}; the tools of a strip, from the left:"
    for place, thread in enumerate(history.threads, start=1):
        yield f"{place} {thread.label}: {_thread_words(thread)}"
        for seen in thread.seen:
            words = f"{seen.status}{f' ({seen.rule})' if seen.rule else ''}: seen {counted(seen.times, 'time')}"
            yield f"  {words}, first {moment(seen.first.at)}, last {moment(seen.last.at)}"


def _thread_words(thread: Thread) -> str:
    asked = f"asked {counted(thread.asked, 'time')}"
    latest = f"last {thread.latest.status}"
    row = thread.in_a_row
    told = ((row.failures, "failure"), (row.findings, "finding"))
    rows = "".join(f", {counted(count, what)} in a row" for count, what in told if count > 1)
    if thread.first is None or thread.last is None:
        return f"{asked}, no finding; {latest}{rows}"
    flips = f", {counted(thread.flips, 'flip')}" if thread.flips else ""
    return (
        f"{asked}, {counted(thread.found, 'finding')}: first {moment(thread.first.at)}"
        f" ({thread.first.status}), last {moment(thread.last.at)} ({thread.last.status}){flips}; {latest}{rows}"
    )
