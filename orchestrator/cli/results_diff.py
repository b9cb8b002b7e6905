"""`exitpin results diff`: what has changed from one scan to another, the gravest first."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..results.changed_exits import ExitChange
from ..results.difference import INCOMPARABLE, Change, Difference, Side, compare
from ..results.scan_lock import true_state
from ..results.standing import Standing, in_scan, planned_exits, reasons
from ..results.stored import Reader
from .results_diff_network import changes_between, network_rows, plain
from .results_find import unknown_words
from .results_pair import iteration_words, two_scans
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
  policy        an exit that both were to ask declares another exit policy
  flags         the authorities gave it other flags

Without arguments the last two scans of one job that have ended are compared; stderr says which. A job is the same tools
with the same parameters on the same network, or one scan of a watch.
"""

EPILOG = """\
On a terminal it is a table; elsewhere a line a change, tab-separated, without a heading:
  change tool exit before after severity reason id
before and after are statuses; reason and id are those of the later verdict, of the earlier one where there is none. Of
policy and flags before is what is no more, after what is new. Those two, and exits that come and go, are no worse.
What is unchanged, what only one scan asked, and what is incomparable but says the same, is only counted, on stderr.
--json prints one object: before, after, counts, unmatched, changes, network (policies and flags).

exit status: 0 nothing has changed for the worse; 1 something has: a new finding, or a graver one; 2 misused

examples:
  exitpin results diff                              the last scan and the one before
  exitpin results diff 20260501T12 20260508T12      two scans by how their ids begin
  exitpin results diff last~7 last                  the last scan and the one seven before it, of the same job
  exitpin results diff --watch nightly 41 42        two iterations of a watch
  exitpin results diff --tool tls-cert || mail -s "exits that lie" me < /dev/null
"""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "diff", help="what has changed from one scan to another", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "scans", metavar="SCAN", nargs="*",
        help="the earlier scan and the later one: ids, or how they begin; last, last~N; with --watch numbers",
    )  # fmt: skip
    parser.add_argument("--watch", metavar="NAME", help="iterations of this watch, or of one scan of it: NAME/SCAN")
    parser.add_argument("--tool", metavar="ID", help="of this tool only")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """0 when nothing has changed for the worse, 1 when something has."""
    with opened(args) as reader:
        before, after = two_scans(reader, args.scans, args.tool, args.watch)
        of_watch = iteration_words(reader, (before, after))
        print(f"exitpin: {shown(before)} -> {shown(after)}{shown(of_watch)}", file=sys.stderr)
        one, other = (_side(reader, scan, args.tool) for scan in (before, after))
        difference = compare(one, other)
        network, untold = changes_between(reader, before, after, one.all_exits() & other.all_exits())
        if args.json:
            print(json.dumps({**_plain(reader, difference), "network": plain(network)}, ensure_ascii=True))
        else:
            changes = [change for change in difference.changes if not _says_the_same(change)]
            print_rows(COLUMNS, [*_rows(reader, changes), *network_rows(network)])
        unknown = unknown_words(reader, args.tool)
        said = [*_incomplete(reader, before, after), *_summary(difference, network), *filter(None, [untold]), *unknown]
        for sentence in said:
            print(f"exitpin: {shown(sentence)}", file=sys.stderr)
    return 1 if difference.is_worse else 0


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


def _summary(difference: Difference, network: list[ExitChange]) -> Iterator[str]:
    counts = {**difference.counts, **Counter(change.kind for change in network)}
    words = [f"{count} {kind}" for kind, count in counts.items() if count]
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
