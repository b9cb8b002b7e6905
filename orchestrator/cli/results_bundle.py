"""`exitpin results bundle`: findings and all that they rest on, in one file for a third person."""

import argparse
import sys
from pathlib import Path

from ..errors import EXIT_USAGE, OperatorError
from ..results.stored import STATUSES, Reader, Wanted
from ..results.wanted import FINDINGS
from .results_find import find_record, find_scan
from .results_options import statuses
from .results_store import add_store, opened, shown
from .whole_file import is_stdout, whole_file

HELP = """\
Write one archive with verdicts, their runs and controls, and the evidence of all of them. Somebody else can check it
with exitpin alone (exitpin results verify FILE), or read it: it is a tar in gzip, and its README.txt explains it.

What that shows is that records and evidence are consistent. It proves nothing: whoever made them could have made them
up, and nobody signed them.

--public leaves out of the records what tells who looked, as `results export --public` does, and of the evidence error
output and what was seen without Tor. What is left of the evidence is raw: loopback addresses, process ids, times, the
relays before the exit, and what came through the exit, as the tool wrote it. Look before you publish.
"""

EPILOG = """\
Without ids: the findings of the last scan; --scan and --status choose others. The same choice from the same store makes
the same bytes, so that a hash names it.

exit status: 0; 2 when there is no such verdict; 125 when evidence is missing, or the file can't be written

examples:
  exitpin results bundle -o findings.tar.gz
  exitpin results bundle 20260501T120000-3f9a2b-v91f2 -o evil.tar.gz --public
  exitpin results verify evil.tar.gz
"""

MODE = 0o600


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "bundle", help="findings and their evidence in one file", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("ids", metavar="ID", nargs="*", help="of verdicts, or how they begin")
    parser.add_argument("--scan", metavar="ID", help="a scan's id, or how it begins; last (the default); all")
    parser.add_argument(
        "--status", metavar="S,..", type=statuses, default=frozenset(FINDINGS),
        help=f"only these of {', '.join(STATUSES)}; findings (the default) stands for the first three",
    )  # fmt: skip
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="the archive; -: to stdout")
    parser.add_argument("--public", action="store_true", help="without what tells who looked")
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Write it, and say what is in it. Raises OperatorError."""
    from exitpin import __version__

    from ..results.bundling import write_bundle  # with it comes all that checks records

    if is_stdout(args.output) and sys.stdout.isatty():
        raise OperatorError("an archive is nothing for a terminal.", "Say -o FILE, or -o - | ...", EXIT_USAGE)
    with opened(args) as reader:
        verdicts = _verdicts(reader, args)
        if not verdicts:
            hint = "`exitpin results list` shows what there is; --status chooses more than findings."
            raise OperatorError("there is no verdict like that.", hint, EXIT_USAGE)
        with whole_file(args.output, MODE) as file:
            found = write_bundle(file, reader, verdicts, is_public=args.public, exitpin=__version__)
    size = f", {args.output.stat().st_size:,} bytes" if args.output.is_file() else ""
    print(
        f"exitpin: {shown(args.output)}: {found.verdicts} verdicts, {found.runs} runs,"
        f" {found.pieces} pieces of evidence{size}",
        file=sys.stderr,
    )
    return 0


def _verdicts(reader: Reader, args: argparse.Namespace) -> list[str]:
    if not args.ids:
        wanted = Wanted(scan=find_scan(reader, args.scan or "last"), statuses=args.status, kind="verdict")
        return reader.names(wanted)
    if args.scan:
        raise OperatorError("say ids, or --scan, not both.", "", EXIT_USAGE)
    found = []
    for name in args.ids:
        record = find_record(reader, name)
        if "verdict_id" not in record:
            raise OperatorError(f"{shown(name)} is a run.", "Say the verdict that it belongs to.", EXIT_USAGE)
        found.append(str(record["verdict_id"]))
    return found
