"""`exitpin audit`: declared tools through many exits, compared with controls, confirmed, judged, recorded."""

import argparse
import asyncio
import os
import signal
from typing import TYPE_CHECKING

from ..audit.need import ORDERS, RANDOM
from ..errors import EXIT_USAGE, OperatorError
from .alert_options import add_alerts, check_alerts
from .containment import add_containment
from .repeats import REPEAT_MAX, check_counts
from .selectors import add_selectors
from .vantage import add_vantage, inside

if TYPE_CHECKING:
    from ..network import Vantage
    from .audit_resume import Resumed

OF_WATCH = "EXITPIN_WATCH_PID"
"""In the environment of an audit: who has started it."""

HELP = """\
Run declared tools through every chosen exit, compare what they see with controls, confirm what looks wrong, and give a
verdict on each exit: ok, tampered, suspect, broken, error or skipped.

A tool is an id of `exitpin tools list`, @TAG (@all for every tool), or the path of a tool file or script of your own.
`tampered`, `suspect` and `broken` are findings: each was asked for again on fresh circuits, its controls asked anew and
its attribution recomputed; what was not seen again is `suspect`. `error` says nothing about the exit.
"""

EPILOG = """\
exit status: 0 no finding from --fail-on on (`suspect` and `broken` are below its default); 1 there is one
             2 exitpin was misused; 3 not every exit could be judged (an error, or a program that is missing here)
             125 exitpin or Tor failed; 130 interrupted (once: running jobs end; twice: they are ended)
             a command of --on that fails changes none of these: the last lines on stderr tell

examples:
  exitpin audit --lab @all
  exitpin audit --lab tls-cert http-body -e exit01,exit02 --repeat 3
  exitpin audit tls-cert -p host=www.example.org --sample 50 --dry-run
  exitpin audit ./my-check.sh -p host=www.example.org -e FINGERPRINT --json
  exitpin audit --resume            go on with the last scan that was interrupted
  exitpin audit --retry-failed      ask again what ended in an error
  exitpin audit tls-cert -p host=www.example.org --on tampered -- mail -s "an exit lies" me@example.org
  exitpin results list              what the last scan found
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "audit", help="judge exits with declared tools", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("tools", nargs="*", metavar="TOOL", help="ids, @tags, ./paths of tools")
    add_selectors(parser, required=False)
    _add_what(parser)
    add_how(parser)
    _add_going_on(parser)
    _add_outcome(parser)
    add_vantage(parser)
    add_alerts(parser)
    parser.set_defaults(execute=execute)


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what")
    what.add_argument(
        "-p", "--param", dest="params", action="append", default=[], metavar="[TOOL.]NAME=VALUE",
        help="a tool's parameter (`exitpin tools show TOOL`); repeatable",
    )  # fmt: skip
    what.add_argument("--dry-run", action="store_true", help="print the plan and its load, and start no run")


def add_how(parser: argparse.ArgumentParser) -> None:
    """Add what the plan of a watch may say of each of its scans, too."""
    how = parser.add_argument_group("how")
    how.add_argument(
        "--repeat", type=int, metavar="N", help=f"N probes of each exit by each tool (1; {REPEAT_MAX} at most)"
    )
    how.add_argument(
        "--order", choices=ORDERS, default=RANDOM,
        help="who comes first: random, or need: newcomers, then who was found out, then who was not asked for longest",
    )  # fmt: skip
    how.add_argument("--newcomers", metavar="TIME", default="48h", help="for how long an exit is one (48h)")
    how.add_argument("-j", "--jobs", type=int, metavar="N", help="at most N runs at a time")
    how.add_argument("--rate", metavar="N/m", help="at most N circuits in a second, minute or hour, e.g. 20/m")
    how.add_argument(
        "--per-destination", metavar="N/m",
        help="at most N runs towards one destination, e.g. 120/h (the default; none in the lab, and for yours)",
    )  # fmt: skip
    how.add_argument("--build-delay", metavar="TIME", help="between two circuits, e.g. 3s")
    how.add_argument("--build-jitter", metavar="TIME", help="added to it at random, at most")
    how.add_argument("--hops", metavar="N", help="circuits of N relays, the exit among them: 2 (default) to 8")
    how.add_argument(
        "--network-wait", metavar="TIME", help="how long to wait while no first hop answers (10m; then stop)"
    )
    how.add_argument("--timeout", metavar="TIME", help="for each run, if the tool does not say less (45s in the lab)")
    how.add_argument(
        "--direct-control", action="store_true",
        help="allow tools to ask for controls without Tor: connections from this machine in the clear",
    )  # fmt: skip
    add_containment(how)
    how.add_argument(
        "--wide",
        action="store_true",
        help="on the real network: more than 20 runs at a target not yours (docs/ethics.rst)",
    )


def _add_going_on(parser: argparse.ArgumentParser) -> None:
    again = parser.add_argument_group("going on")
    again.add_argument(
        "--resume", nargs="?", const="last", metavar="SCAN",
        help="go on with a scan that was interrupted or killed: by its id, or the last one",
    )  # fmt: skip
    again.add_argument(
        "--retry-failed", action="store_true",
        help="ask again what ended in an error, and nothing else: of --resume SCAN, or of the last scan",
    )  # fmt: skip


def _add_outcome(parser: argparse.ArgumentParser) -> None:
    out = parser.add_argument_group("what comes of it")
    out.add_argument(
        "--fail-on", choices=("tampered", "suspect", "broken"), default="tampered", metavar="STATUS",
        help="exit status 1 from this on: tampered (default), suspect, or broken",
    )  # fmt: skip
    out.add_argument("--json", action="store_true", help="a JSON record a verdict, as each is known, on stdout")
    out.add_argument("--runs", action="store_true", help="with --json: also a record of each run")
    out.add_argument("--events", metavar="FILE", help="keep the evidence there (.gz: compressed)")
    out.add_argument("--store", metavar="FILE", help="keep the records there instead of in your own store")
    out.add_argument("--iteration", type=iteration, help=argparse.SUPPRESS)  # `exitpin watch` says it


def iteration(text: str) -> dict[str, object]:
    """Which iteration of which scan of which watch, as the record of a scan tells it. Raises ValueError."""
    watch, scan, number = text.split("/")
    return {"watch": watch, "scan": scan, "number": int(number)}


def execute(args: argparse.Namespace) -> int:
    """Carry out the scan; its exit status."""
    from ..results.store import store_path
    from .audit_resume import find
    from .lab_place import folders_of

    if OF_WATCH in os.environ:
        _end_with_the_watch()
    check_counts(args)
    check_alerts(args, os.environ)
    resumed = find(args, os.environ) if args.resume is not None or args.retry_failed else None
    if resumed is None and not args.tools:
        raise OperatorError("no tool is named.", "`exitpin tools list` shows all; @all is all of them.", EXIT_USAGE)

    folders = [*folders_of({"--store": args.store or store_path(os.environ)})]

    def work(vantage: "Vantage") -> int:
        for folder in folders:
            folder.refuse_another()
        return _carry_out(args, vantage, resumed)

    return inside(args, work)


def _end_with_the_watch() -> None:
    """Be told to end when the watch that has started us ends. Raises OperatorError when it has ended already."""
    from ...shim import bindings

    bindings.set_death_signal(signal.SIGTERM)
    if os.environ.pop(OF_WATCH) != str(os.getppid()):
        raise OperatorError("the watch that started this audit has ended.", "The next one goes on with it.")


def _carry_out(args: argparse.Namespace, vantage: "Vantage", resumed: "Resumed | None") -> int:
    """One scan, by as many consensuses as it lives through."""
    from . import audit_resume
    from .audit_scan import AuditScan

    is_waiting = args.iteration is not None
    while True:
        scan = AuditScan(args, vantage, dict(os.environ), resumed, is_waiting=is_waiting)
        status = asyncio.run(scan.execute())
        if not scan.has_outlived:
            return status
        resumed, is_waiting = audit_resume.as_it_stands(scan.scan_id, scan.store, is_retry=scan.is_retry), True
