"""`exitpin results diff`: what has changed from one scan to another, the gravest first."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from ..errors import EXIT_USAGE, OperatorError
from ..results.difference import INCOMPARABLE, Change, Difference, Side, compare
from ..results.scan_lock import true_state
from ..results.standing import Standing, in_scan, planned_exits, reasons
from ..results.stored import Reader
from .results_find import find_scan, unknown_words
from .results_store import add_store, opened, shown
from .results_table import print_rows

COLUMNS = ("change", "tool", "exit", "before", "after", "severity", "reason", "id")

HELP = """\
Compare two scans, verdict by verdict: the same tool, with the same parameters, through the same exit.

  new           a finding (tampered, suspect, broken) where there was none
  flipped       another status: one finding has become another, an error an answer
  unseen        a finding that was not seen again, because nobody could look: it is not gone
  gone          a finding that is none any more: asked again, and found honest
  new-exit      was not in the plan of the earlier scan
  gone-exit     is not in the plan of the later scan
  incomparable  the tool's file has changed: its verdicts of before and after say nothing about each other

Without arguments the two latest scans of one network that have a tool in common are compared; stderr says which.
"""

EPILOG = """\
On a terminal it is a table; elsewhere a line a change, tab-separated, without a heading:
  change tool exit before after severity reason id
before and after are statuses; reason and id are those of the later verdict, of the earlier one where there is none.
What is unchanged, what only one scan asked, and what is incomparable but says the same, is only counted, on stderr.
--json prints one object: before, after, counts, unmatched, changes.

exit status: 0 nothing has changed for the worse; 1 something has: a new finding, or a graver one; 2 misused

examples:
  exitpin results diff                              the last scan and the one before
  exitpin results diff 20260501T12 20260508T12      two scans by how their ids begin
  exitpin results diff --tool tls-cert || mail -s "exits that lie" me < /dev/null
"""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "diff", help="what has changed from one scan to another", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "scans", metavar="SCAN", nargs="*", help="the earlier scan and the later one: ids, or how they begin"
    )
    parser.add_argument("--tool", metavar="ID", help="of this tool only")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """0 when nothing has changed for the worse, 1 when something has."""
    with opened(args) as reader:
        before, after = _scans(reader, args.scans, args.tool)
        print(f"exitpin: {shown(before)} -> {shown(after)}", file=sys.stderr)
        difference = compare(*(_side(reader, scan, args.tool) for scan in (before, after)))
        if args.json:
            print(json.dumps(_plain(reader, difference), ensure_ascii=True))
        else:
            changes = [change for change in difference.changes if not _says_the_same(change)]
            print_rows(COLUMNS, _rows(reader, changes))
        unknown = unknown_words(reader, args.tool)
        for sentence in [*_incomplete(reader, before, after), *_summary(difference), *unknown]:
            print(f"exitpin: {shown(sentence)}", file=sys.stderr)
    return 1 if difference.is_worse else 0


def _scans(reader: Reader, names: list[str], tool: str | None) -> tuple[str, str]:
    """The ids of the earlier scan and the later one. Raises OperatorError."""
    if len(names) == 2:
        before, after = (find_scan(reader, name) for name in names)
        if before is not None and after is not None:
            return before, after
    elif not names:
        found = reader.latest_pair(tool)
        if found is not None:
            return found
        raise OperatorError(
            "there are no two scans of one network that have a tool in common.",
            "`exitpin results list --scans` shows all; say two of them.", EXIT_USAGE,
        )  # fmt: skip
    raise OperatorError("say two scans, or none.", "`exitpin results list --scans` shows all.", EXIT_USAGE)


def _side(reader: Reader, scan: str, tool: str | None) -> Side:
    return Side(scan, planned_exits(reader, scan), tuple(in_scan(reader, scan, tool)))


def _says_the_same(change: Change) -> bool:
    statuses = {None if told is None else told.status for told in (change.before, change.after)}
    return change.kind == INCOMPARABLE and len(statuses) == 1


def _rows(reader: Reader, changes: list[Change]) -> Iterator[list[str]]:
    told = [change.after or change.before for change in changes]
    why = reasons(reader, [standing.record_id for standing in told if standing is not None])
    for change, standing in zip(changes, told, strict=True):
        yield [
            change.kind, shown(change.tool), f"{shown(change.nickname)}/{shown(change.exit)[:8]}",
            _status(change.before), _status(change.after),
            shown(standing.severity if standing is not None else None),
            shown(why.get(standing.record_id) if standing is not None else None),
            shown(standing.record_id if standing is not None else None),
        ]  # fmt: skip


def _status(standing: Standing | None) -> str:
    return "" if standing is None else shown(standing.status)


def _incomplete(reader: Reader, *scans: str) -> Iterator[str]:
    """What makes a scan less than it seems."""
    for scan_id in scans:
        state, there, planned = reader.progress(scan_id)
        state = true_state(reader.blobs.directory, scan_id, state)
        if state not in ("done", "earlier"):
            yield f"scan {scan_id} is {state}: {there} of {planned} verdicts"


def _summary(difference: Difference) -> Iterator[str]:
    words = [f"{count} {kind}" for kind, count in difference.counts.items() if count]
    yield f"{', '.join(words) or 'no change'}; {difference.unchanged} unchanged"
    for tool, count in difference.unmatched.items():
        yield f"{tool}: {count} verdicts of what only one of the scans asked"


def _plain(reader: Reader, difference: Difference) -> dict[str, Any]:
    told = [standing for change in difference.changes for standing in (change.before, change.after) if standing]
    why = reasons(reader, [standing.record_id for standing in told])

    def verdict(standing: Standing | None) -> dict[str, Any] | None:
        if standing is None:
            return None
        return {
            "verdict_id": standing.record_id, "tool": standing.tool, "digest": standing.digest,
            "status": standing.status, "severity": standing.severity, "ended": standing.at,
            "reason": why.get(standing.record_id),
        }  # fmt: skip

    changes = [
        {
            "change": change.kind, "is_worse": change.is_worse, "tool": change.tool or None,
            "exit": {"fingerprint": change.exit, "nickname": change.nickname or None},
            "before": verdict(change.before), "after": verdict(change.after),
        }
        for change in difference.changes
    ]  # fmt: skip
    counts = {**difference.counts, "unchanged": difference.unchanged}
    return {"before": difference.before, "after": difference.after, "counts": counts,
            "unmatched": dict(difference.unmatched), "changes": changes}  # fmt: skip
