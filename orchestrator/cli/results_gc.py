"""`exitpin results gc`: what nobody needs any more goes from the store; findings stay."""

import argparse
import json
import os
import sys
from dataclasses import asdict

from ..errors import EXIT_FAILED, EXIT_USAGE, OperatorError
from ..results.store import store_path
from ..results.sweep import Keep, Swept, sweep
from .results_options import since
from .results_store import add_store, opened, shown, size_shown

HELP = """\
Remove evidence that no record names, and what was left when a writing exitpin was killed. With --older-than, of scans
that ended before that, records too:

  --keep verdicts    (the default) runs go that no finding rests on: what was concluded stays, for diff and history
  --keep findings    verdicts that accuse nobody go, too
  --even-findings    nothing of these scans stays

A finding (tampered, suspect, broken) keeps its runs, its controls and all their evidence, unless --even-findings is
said. A scan that is running is never touched. Whoever writes to the store meanwhile waits.
"""

EPILOG = """\
Room within the file is used by what comes next; when a tenth of it is free, and the disk has room for a copy, the file
is written anew and gets smaller. --json prints one object.

exit status: 0; 2 misused; 125 when something could not be removed

examples:
  exitpin results gc --dry-run
  exitpin results gc --older-than 180d
  exitpin results gc --older-than 2026-01-01 --keep findings
"""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "gc", help="remove what nobody needs any more", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--older-than", metavar="TIME", type=since, help="of scans that ended more than 180d, 26w ago, or before a date"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--keep", choices=(Keep.VERDICTS, Keep.FINDINGS), help="what stays of them (verdicts)")
    what.add_argument("--even-findings", action="store_true", help="nothing of them stays")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, and say what would go")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Remove it, and say what went. Raises OperatorError."""
    if args.older_than is None and (args.keep is not None or args.even_findings):
        raise OperatorError("of which scans?", "Say --older-than 180d, for instance.", EXIT_USAGE)
    opened(args).close()  # a store that is not there is not made here
    keep = Keep.NOTHING if args.even_findings else Keep(args.keep or Keep.VERDICTS)
    path = args.store or store_path(os.environ)
    try:
        found = sweep(path, args.older_than, keep, is_trial=args.dry_run)
    except OSError as error:
        raise OperatorError(f"{path}: evidence can't be removed: {error}.", "", EXIT_FAILED) from error
    if args.json:
        print(json.dumps({"dry_run": args.dry_run, **asdict(found)}))
    else:
        _print(found, "would go" if args.dry_run else "removed")
    if found.problem:
        print(f"exitpin: the file could not be made smaller: {shown(found.problem)}", file=sys.stderr)
    return 0


def _print(found: Swept, word: str) -> None:
    print(
        f"{word}: {found.verdicts:,} verdicts and {found.runs:,} runs of {found.scans:,} scans"
        f" ({size_shown(found.record_bytes)})"
    )
    print(f"{word}: {found.pieces:,} pieces of evidence that no record names ({size_shown(found.piece_bytes)})")
    if found.leftovers:
        print(f"{word}: {found.leftovers:,} files of interrupted writes ({size_shown(found.leftover_bytes)})")
    before, after = found.file_bytes
    was = f", it had {size_shown(before)}" if before != after else ""
    print(f"the file of records has {size_shown(after)}{was}; {size_shown(found.free_bytes)} in it are free")
