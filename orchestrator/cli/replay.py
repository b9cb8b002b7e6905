"""`exitpin replay`: a recorded run once more, and what differs."""

import argparse
import asyncio
import os
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_USAGE, OperatorError
from ..settings import load_settings
from .containment import add_containment
from .results_find import find_record
from .results_store import add_store, opened, shown
from .vantage import add_vantage, inside

if TYPE_CHECKING:
    from ..network import Vantage

TIMES_MAX = 20

HELP = """\
Make a recorded run again: the same tool with the same parameters through the same exit, on a fresh circuit; then print
in what the two differ: the facts, how the tool ended, its failure, its connections; and, for information, what it wrote
and how long it took. Nothing is judged, and no other exit is asked. The new run is recorded, too.
"""

EPILOG = """\
RUN_ID is that of a run (`exitpin results list --runs`; `results show` names those of a verdict), or how it begins. The
network is the recorded one. Secret parameters were not kept: give them again by -p. Another secret, or none, is
refused: the run's key tells. --anyway asks all the same, and says that the parameters may differ.

exit status: 0 the same; 1 different; 2 exitpin was misused
             125 it could not be made, or its attribution failed; 130 interrupted

examples:
  exitpin replay 20261122T173557-00cbea-00042
  exitpin replay 20261122T173557-00cbea-00042 --repeat 5
"""

Json = dict[str, Any]


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "replay", help="make a recorded run again, and say what differs", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("run_id", metavar="RUN_ID", help="of a recorded run, or how it begins")
    parser.add_argument(
        "-p", "--param", dest="params", action="append", default=[], metavar="NAME=VALUE",
        help="a secret parameter, as it was then; repeatable",
    )  # fmt: skip
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help=f"N runs, one by one (1 to {TIMES_MAX})")
    parser.add_argument("--anyway", action="store_true", help="even if the tool's file or a secret is another one")
    parser.add_argument(
        "--timeout", metavar="TIME", help="for each run, if the tool does not say less (45s in the lab)"
    )
    parser.add_argument("--build-delay", metavar="TIME", help="between two circuits, e.g. 3s")
    parser.add_argument("--build-jitter", metavar="TIME", help="added to it at random, at most")
    add_containment(parser)
    parser.add_argument("--json", action="store_true", help="a JSON object for each: both records, and what differs")
    add_store(parser)
    add_vantage(parser)
    parser.set_defaults(execute=execute, jobs=1)


def execute(args: argparse.Namespace) -> int:
    """Make the runs, and compare; the exit status."""
    from ..results.store import store_path
    from .lab_place import folders_of

    if not 1 <= args.repeat <= TIMES_MAX:
        raise OperatorError(f"--repeat wants a number from 1 to {TIMES_MAX}.", "", EXIT_USAGE)
    with opened(args) as reader:
        record = recorded_run(find_record(reader, args.run_id))
        scan = reader.scan(str(record.get("scan_id"))) or {}
    choose_network(args, record.get("vantage") or {})
    folders = [*folders_of({"--store": args.store or store_path(os.environ)})]

    def work(vantage: "Vantage") -> int:
        from .replay_run import ReplayRun

        for folder in folders:
            folder.refuse_another()
        return asyncio.run(ReplayRun(args, vantage, dict(os.environ), record, scan).execute())

    return inside(args, work)


def recorded_run(record: Json) -> Json:
    """The record, if it is of a run that can be made again. Raises OperatorError."""
    if "run_id" not in record:
        runs = ", ".join(shown(run.get("run_id")) for run in record.get("runs") or ()) or "none"
        raise OperatorError("that is a verdict, and only a run can be made again.", f"Its runs: {runs}.", EXIT_USAGE)
    if not (record.get("tool") or {}).get("id"):
        hint = f"Its own command line: {shown(record.get('reproduce'))}."
        raise OperatorError("it was not made by a declared tool.", hint, EXIT_USAGE)
    return record


def choose_network(args: argparse.Namespace, vantage: Json) -> None:
    """The recorded network, unless the command line names one. Raises OperatorError for one that nobody names."""
    if args.lab or args.control:
        return
    if vantage.get("kind") == "lab":
        args.lab, args.name = True, args.name or vantage.get("name")
    elif vantage.get("kind") == "control" and not load_settings(os.environ).control:
        raise OperatorError("it was made with a tor of yours.", "Say which: --control SOCKET.", EXIT_USAGE)
