"""`exitpin report html`: one scan as one page, a single file that asks nothing of any network."""

import argparse
import sys
from pathlib import Path

from ..errors import EXIT_USAGE, OperatorError
from ..results.stored import Reader
from .results_find import find_scan
from .results_store import add_store, opened, shown
from .whole_file import STDOUT, is_stdout, whole_file

HELP = """\
Write a scan as one HTML file: a table of all exits and tools to filter, sort and search; what differs between each exit
with a finding and its controls (certificates field by field, bodies line by line, the values of every fact); runs,
circuits and streams; strips of verdicts over tools and scans, histograms of times.

The file holds everything and loads nothing: it can be mailed, archived, printed, and read with scripts turned off.
Whatever an exit wrote stands in it as text. The address of this machine does not.
"""

EPILOG = """\
It stays under 2 MB. Where details would make it larger the gravest come first, and the page says what was left out.

examples:
  exitpin report html -o scan.html                       the last scan
  exitpin report html --scan 20261122T173557 > scan.html
  exitpin report html --tool tls-cert -o certificates.html
"""

MODE = 0o600


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "html", help="a scan as one page", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--scan", metavar="ID", default="last", help="a scan's id, or how it begins (the last one)")
    parser.add_argument("--tool", metavar="ID", default="", help="only this tool's verdicts")
    parser.add_argument("--title", metavar="TEXT", default="", help="what stands at the top (the scan's id)")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write it there, by rename, readable by you alone (stdout)"
    )
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print or write the page. Raises OperatorError when there is no such scan, or nothing of that tool in it."""
    if is_stdout(args.output) and sys.stdout.isatty():
        raise OperatorError("a page of HTML is nothing for a terminal.", "Say -o FILE, or > FILE.", EXIT_USAGE)
    with opened(args) as reader:
        scan_id = _scan(reader, args.scan)
        _check_tool(reader, scan_id, args.tool)
        from ..report.html import page

        content = page(reader, scan_id, tool=args.tool, title=args.title).encode()
    with whole_file(args.output or STDOUT, MODE) as file:
        file.write(content)
    where = "" if is_stdout(args.output) else f" in {shown(str(args.output))}"
    print(f"exitpin: scan {shown(scan_id)}{where}: {len(content) / 1e6:.2f} MB", file=sys.stderr)
    return 0


def _scan(reader: Reader, name: str) -> str:
    found = find_scan(reader, name) if name != "all" else None
    if found is None:
        raise OperatorError("a report is about one scan.", "`exitpin results list --scans` shows all.", EXIT_USAGE)
    if (replayed := (reader.scan(found) or {}).get("replays")) is not None:
        hint = f"`exitpin results show {shown(replayed)}` tells of that run."
        raise OperatorError(
            f"scan {shown(found)} is a replay of {shown(replayed)}: it judged nobody.", hint, EXIT_USAGE
        )
    return found


def _check_tool(reader: Reader, scan_id: str, tool: str) -> None:
    """A page without a verdict would look like a scan that found nothing."""
    names = sorted({name for name, _ in reader.tally(scan_id)})
    if tool and tool not in names:
        hint = f"It has {', '.join(map(shown, names))}." if names else "It has none at all yet."
        raise OperatorError(f"scan {shown(scan_id)} has no verdict of {shown(tool)}.", hint, EXIT_USAGE)
