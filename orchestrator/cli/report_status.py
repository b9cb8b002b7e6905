"""`exitpin report status`: a check for Nagios, Icinga and their kin."""

import argparse
import sys
import time
from pathlib import Path

from ..errors import OperatorError
from .ending import OutputLost
from .report_options import add_watch_state, age_s, statuses, watch_told
from .results_store import add_store, opened

HELP = """\
One line and an exit status about the last scan of each job (the same tools with the same parameters), as monitoring
plugins give them: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.

  CRITICAL  a finding of --critical; or no scan has ended within --max-age: nobody watches any more
  WARNING   a finding of --warning; or a scan is incomplete: it was interrupted, killed, or lacks verdicts
  UNKNOWN   no scan is recorded; or one judged nobody; or the store can't be read

With --watch-state FILE a watch that has stopped, has written nothing for 5 minutes, or whose next iteration is 15
minutes late, is CRITICAL, too, and one that is paused is WARNING.
"""

EPILOG = """\
A scan that is under way counts when it has ended. Without --lab only scans of the Tor network count.

exit status: 0 OK; 1 WARNING; 2 CRITICAL, and also when exitpin was misused; 3 UNKNOWN

examples:
  exitpin report status
  exitpin report status --tool tls-cert --max-age 8d --warning suspect
  command[exitpin]=/usr/local/bin/exitpin report status --store /var/lib/exitpin/results.sqlite     for NRPE
"""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "status", help="a check for monitoring: one line, and an exit status", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--tool", metavar="ID", help="only scans with this tool")
    parser.add_argument("--lab", action="store_true", help="look at scans of labs, and not of the Tor network")
    parser.add_argument(
        "--warning", metavar="S,..", default="suspect,broken", help="statuses that warn (suspect,broken); none: none"
    )
    parser.add_argument("--critical", metavar="S,..", default="tampered", help="statuses that are critical (tampered)")
    parser.add_argument("--max-age", metavar="TIME", default="26h", help="when the last scan should have ended (26h)")
    add_watch_state(parser)
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print the line; the plugin's exit status. Whatever goes wrong is UNKNOWN: a traceback is no line. Raises
    OperatorError when the line can't be printed."""
    from ..report.status import Said, State, line

    try:
        state, words = check(args)
    except OperatorError as error:
        state, words = line(Said(State.UNKNOWN, str(error)))
    except Exception as error:
        state, words = line(Said(State.UNKNOWN, f"internal error: {error!r}"))
    try:
        print(words)
        sys.stdout.flush()
    except OutputLost as error:
        raise OperatorError(error.message, error.hint, State.UNKNOWN) from error
    return int(state)


def check(args: argparse.Namespace) -> tuple[int, str]:
    """As `report.status.plugin`. Raises OperatorError."""
    from ..report.status import Terms, plugin
    from ..report.watch import watched

    terms = Terms(statuses(args.warning, "--warning"), statuses(args.critical, "--critical"), age_s(args.max_age))
    watch = watch_told(args)
    jobs = []
    if watch is None or args.store is None or Path(args.store).exists():  # a watch may have recorded nothing yet
        with opened(args) as reader:
            jobs = watched(reader, tool=args.tool)
    network = "a lab" if args.lab else "the Tor network"
    return plugin([job for job in jobs if bool(job.lab) is args.lab], time.time(), terms, network, watch)
