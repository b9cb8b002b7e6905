"""`exitpin watch`: scans by schedule, unattended."""

import argparse
import os
from pathlib import Path

from ..errors import EXIT_USAGE, OperatorError
from .vantage import add_vantage, is_of_a_lab

HELP = """\
Make the scans of a plan again and again, each by a schedule of its own, one after the other, until it is told to end.

Each iteration is one `exitpin audit`: by a consensus of its own, that tor has refreshed meanwhile; recorded like any
other; gone on with when Tor, the network or the machine failed, and when the watch itself was killed and started anew.
What a scan asks, and of whom, is said in the words of `exitpin audit` and its options.
"""

EPILOG = """\
a plan:
  schema = "exitpin.watch/1"

  [[scan]]
  name = "certificates"
  tools = ["tls-cert"]
  interval = "12h"               # from one beginning to the next
  jitter = "30m"                 # up to that much later, at random
  order = "need"                 # newcomers first, then suspects, then who was not asked for longest
  params = { "tls-cert.host" = "www.example.org" }
  select = { flag = ["Stable"], sample = 200 }           # the options that choose exits
  alert = { on = ["tampered"], command = ["/usr/local/bin/page-me"] }    # the record comes on its stdin

  [output]
  prometheus = "/var/lib/prometheus/node-exporter/exitpin.prom"
  status = "/run/user/1000/exitpin-watch.json"           # for `exitpin report status --watch-state`

A signal ends it: SIGINT lets running jobs end, SIGTERM (or a second SIGINT) ends them; what was open is gone on with.

exit status: 0 it was told to end, or has made as many iterations as it should; 2 the plan is wrong
             with --once and --iterations as `exitpin audit`: 1 findings, 3 not every exit could be judged, 125 failed
             130 interrupted

examples:
  exitpin watch plan.toml --dry-run            what each scan would do, and its load
  exitpin watch plan.toml --iterations 3
  exitpin watch plan.toml --once               what is due, and no scan twice: for cron
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "watch", help="scans by schedule, unattended", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("plan", type=Path, metavar="PLAN.toml", help="what to scan, how often, and how")
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("--once", action="store_true", help="make what is due, begin no scan twice, and end")
    how_long.add_argument("--iterations", type=int, metavar="N", help="end after so many")
    how_long.add_argument("--dry-run", action="store_true", help="print what each scan would do, and its load")
    parser.add_argument("--store", metavar="FILE", help="keep the records there instead of where the plan says")
    add_vantage(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Watch; the exit status. Raises OperatorError for a plan that is wrong, or that somebody watches by already."""
    import asyncio

    from .watch_checks import check_plan
    from .watch_loop import WatchLoop
    from .watch_plan import load_plan

    if args.iterations is not None and args.iterations < 1:
        raise OperatorError("--iterations wants a number from 1.", "", EXIT_USAGE)
    is_lab, plan = is_of_a_lab(args), load_plan(args.plan)
    check_plan(args.plan, plan, os.environ, is_lab=is_lab)
    return asyncio.run(WatchLoop(plan, args, dict(os.environ)).execute())
