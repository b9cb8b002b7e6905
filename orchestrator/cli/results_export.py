"""`exitpin results export`: records for other programs, whole or as anybody may read them."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ..errors import EXIT_USAGE, OperatorError
from ..results.export import chosen, lines, rows
from ..results.stored import STATUSES, Wanted
from .results_find import find_scan, unknown_words
from .results_options import since, statuses
from .results_store import add_store, opened, shown
from .whole_file import STDOUT, is_stdout, whole_file

HELP = """\
Write records for other programs: verdicts, with --runs the runs behind them, too; newest first.

  jsonl     one record a line, as JSON (docs/record.rst says what stands in it)
  parquet   the columns of the store's table, and the record as JSON in the last one; wants pyarrow, and -o

--public leaves out who looked, and keeps the exit, what it did, and the digest of the proof. Dropped are: the vantage's
name and tor's place; local paths, programs, processes, pids and loopback addresses; command lines of tools and what
they wrote; secret parameters, and keys that secrets went into; the hops before the exit; failures that are our own,
but for their kind; and whatever was seen without Tor, for that may tell our address. docs/results.rst has it field by
field. The parameters that are not secret stay: whose server was asked is not hidden.
"""

EPILOG = """\
exit status: 0; 2 misused, or without pyarrow; 125 when the file can't be written

examples:
  exitpin results export --status findings --public > findings.jsonl
  exitpin results export --scan last --runs -o scan.jsonl
  exitpin results export --since 180d --format parquet -o half-a-year.parquet
"""

MODE = 0o600


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "export", help="records for other programs", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--scan", metavar="ID", default="all", help="a scan's id, or how it begins; last; all (default)"
    )
    parser.add_argument("--tool", metavar="ID", help="of this tool")
    parser.add_argument("-e", "--exit", metavar="EXIT", help="of this exit: a nickname, or how its fingerprint begins")
    parser.add_argument(
        "--status", metavar="S,..", type=statuses, default=frozenset(),
        help=f"only these of {', '.join(STATUSES)}; findings stands for the first three",
    )  # fmt: skip
    parser.add_argument("--since", metavar="TIME", type=since, help="ended in the last 90m, 24h, 7d, or since a date")
    parser.add_argument("--runs", action="store_true", help="runs, too")
    parser.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl", help="default: %(default)s")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to FILE, not to stdout")
    parser.add_argument("--public", action="store_true", help="without what tells who looked")
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Write them. Raises OperatorError when that can't be done."""
    if args.format == "parquet" and args.output is None:
        raise OperatorError("a Parquet file is no text.", "Name a file by -o.", EXIT_USAGE)
    with opened(args) as reader:
        wanted = Wanted(
            scan=find_scan(reader, args.scan), tool=args.tool, exit=args.exit, statuses=args.status,
            kind=None if args.runs else "verdict", since=args.since,
        )  # fmt: skip
        records = chosen(reader.query(wanted), is_public=args.public)
        with whole_file(args.output or STDOUT, MODE) as file:
            count = _write(file, records, args.format)
        if not count:
            for words in unknown_words(reader, args.tool, args.exit):
                print(f"exitpin: {words}", file=sys.stderr)
    if not is_stdout(args.output):
        print(f"exitpin: {count} records in {shown(args.output)}", file=sys.stderr)
    return 0


def _write(file: IO[bytes], records: Iterator[Mapping[str, Any]], kind: str) -> int:
    if kind == "parquet":
        from ...wrappers.parquet import write_parquet

        return write_parquet(file, rows(records))
    count = 0
    for line in lines(records):
        file.write(line.encode("ascii"))
        count += 1
    return count
