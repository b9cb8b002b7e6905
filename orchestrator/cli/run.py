"""`exitpin run`: any command through one or more exits."""

import argparse
import asyncio

from ..errors import EXIT_USAGE, OperatorError
from .asked import Asked, Caller
from .containment import add_containment
from .lab_place import folders_of
from .repeats import check_counts
from .selectors import add_selectors
from .vantage import add_vantage, inside

HELP = """\
Run a command through each chosen exit, on a Tor circuit of its own, and prove which exit carried each connection.

With one exit the command has this terminal: its input, output and exit status are its own. With several, its output
lines are tagged with the exit, or come as one JSON record a run with --json.
"""

EPILOG = """\
exit status, one exit:      the command's own; 124 timeout; 125 exitpin, Tor or the attribution failed (even if the
                            command returned 0); 126 not executable; 127 not found; 128+N killed by signal N
                            2 exitpin was misused
exit status, several exits: 0 every command returned 0; 123 a command failed; 125 a run could not be attributed
each:                       128+N exitpin was interrupted by signal N (130: Ctrl-C), which ends all runs at once

examples:
  exitpin run --lab -e exit01 -- curl -sS http://web.test/ip
  exitpin run -e all --to example.org:443 -j 8 --json -- openssl s_client -connect example.org:443
  exitpin run -e FINGERPRINT -- ssh user@example.org
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "run", help="run a command through exits", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add_options(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- CMD ARG...")
    parser.set_defaults(execute=execute, asked=asked)


def add_options(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add what says through which exits, how, and what is recorded. `required`: exits must be named."""
    add_selectors(parser, required=required)
    how = parser.add_argument_group("how")
    how.add_argument("-j", "--jobs", type=int, metavar="N", help="at most N runs at a time")
    how.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="N runs through each exit, each on its own circuit"
    )
    how.add_argument("--timeout", metavar="TIME", help="for each run, e.g. 90s or 5m (120s; none in the foreground)")
    how.add_argument("--build-delay", metavar="TIME", help="between two circuits, e.g. 3s")
    how.add_argument("--build-jitter", metavar="TIME", help="added to it at random, at most")
    how.add_argument("--hops", metavar="N", help="circuits of N relays, the exit among them: 2 (default) to 8")
    how.add_argument(
        "--network-wait", metavar="TIME", help="how long to wait while no first hop answers (60s; then runs fail)"
    )
    how.add_argument(
        "--resolve", choices=("mapped", "exit"), default="mapped",
        help="names: mapped (the exit resolves them as it connects) or exit (the tool gets the exit's answer)",
    )  # fmt: skip
    how.add_argument("--wide", action="store_true", help="on the real network: more than 20 runs at a target not yours")
    add_containment(how)
    shown = parser.add_argument_group("what is recorded")
    shown.add_argument("--json", action="store_true", help="one record a run on stdout, as it ends")
    shown.add_argument("--record", metavar="FILE", help="the same records in a file: the runs' output stays as it is")
    shown.add_argument("--events", metavar="FILE", help="keep Tor's lines and the shim's reports (.gz: compressed)")
    shown.add_argument("--joblog", metavar="FILE", help="a line a run, in the form of GNU parallel")
    add_vantage(parser)


def execute(args: argparse.Namespace) -> int:
    """Carry out the runs."""
    return carry_out(args, asked(args, Caller.of_this_process()))


def asked(args: argparse.Namespace, caller: Caller) -> Asked:
    """The command, as it was typed. Raises OperatorError."""
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise OperatorError(
            "there is no command to run.", "Write it after `--`: exitpin run -e EXIT -- CMD.", EXIT_USAGE
        )
    return Asked(command, caller.environment)


def carry_out(args: argparse.Namespace, asked: Asked) -> int:
    """Run what was asked for as the options say."""
    check_counts(args)
    folders = [*folders_of({"--events": args.events, "--joblog": args.joblog, "--record": args.record})]

    def work(vantage: object) -> int:
        from .run_scan import Scan

        for folder in folders:
            folder.refuse_another()
        return asyncio.run(Scan(args, vantage, asked).execute())  # type: ignore[arg-type]

    return inside(args, work)
