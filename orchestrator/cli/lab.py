"""`exitpin lab`: start, look at, enter and end the private Tor network."""

import argparse
import json
import os
import sys

from ..errors import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_USAGE, OperatorError
from ..lab import start
from ..lab import state as lab_state
from . import lab_change, lab_up
from .lab_status import has_ended, name_option, print_status, status_of

DESCRIPTION = """\
The lab is a private Tor network with a small internet of its own, on this machine, in namespaces that no packet can
leave. It needs no root where user namespaces are allowed. Each exit leaves from an address of its own, so a target
sees which exit a connection came through, and writes it down.
"""

EXAMPLES = """\
examples:
  exitpin lab up                                  start it (a few seconds; the first time about twenty)
  exitpin lab status                              relays with their behaviours, targets, files
  exitpin run --lab -e all -- curl -sS http://web.test/ip
  exitpin lab exec dig web.test                   any command inside, without Tor
  exitpin lab exec sh                             a shell inside
  exitpin lab up --name mine --exits 40 --host www.example.org=web
  exitpin lab up --name evil --profile hostile --seed 7
  exitpin lab up --name live --voting 10s         one whose authorities vote, and whose exits you may change
  exitpin lab change add newcomer --name live --wait
  exitpin lab down
"""

EXIT_NO_CLIENT = 1

STATUS_EPILOG = """\
exit status: 0 it is running; 1 it is, but the tor of its client has ended; 2 exitpin was misused; 3 it is not running

examples:
  exitpin lab status
  exitpin lab status --json | jq -r '.relays[].nickname'
"""

EXEC_EPILOG = """\
exit status: the command's own; 2 exitpin was misused
             125 there is no such lab; 126 the command can't be executed; 127 it was not found

examples:
  exitpin lab exec dig web.test
  exitpin lab exec -- ip -brief addr
"""

DOWN_EPILOG = """\
exit status: 0 whether it was running or not; 2 exitpin was misused

examples:
  exitpin lab down
  exitpin lab down --name evil
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb `lab`."""
    formatter = argparse.RawDescriptionHelpFormatter
    lab = subparsers.add_parser(
        "lab",
        help="a private Tor network to try things on",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=formatter,
    )
    verbs = lab.add_subparsers(dest="lab_verb", required=True, metavar="VERB")

    up = lab_up.register(verbs)
    status = verbs.add_parser(
        "status",
        help="what is running, with addresses, behaviours and files; 3 if it is not",
        formatter_class=formatter,
        epilog=STATUS_EPILOG,
    )
    status.add_argument("--json", action="store_true", help="as JSON")
    status.set_defaults(execute=execute_status)

    run = verbs.add_parser(
        "exec",
        help="run a command inside the lab, as its root and not through Tor",
        formatter_class=formatter,
        epilog=EXEC_EPILOG,
    )
    run.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="CMD ARG...", help="the command; its exit status is ours"
    )
    run.set_defaults(execute=execute_exec)

    down = verbs.add_parser(
        "down", help="end the lab and remove its state", formatter_class=formatter, epilog=DOWN_EPILOG
    )
    down.set_defaults(execute=execute_down)

    changes = lab_change.register(verbs)

    for parser in (up, status, *changes, run, down):
        parser.add_argument(
            "--name",
            default=os.environ.get(lab_state.ENV_NAME, lab_state.DEFAULT_NAME),
            help="which lab (default %(default)s)",
        )


def execute_status(args: argparse.Namespace) -> int:
    """Print what is known of the lab; 3 when it is not running, as init scripts do."""
    state = lab_state.find(args.name)
    if state is None:
        option = name_option(args.name)
        print(f"exitpin: The lab {args.name} is not running. Start it with `exitpin lab up{option}`.", file=sys.stderr)
        return 3
    if args.json:
        print(json.dumps(status_of(state), indent=1))
    else:
        print_status(state)
    return EXIT_NO_CLIENT if has_ended(state) else 0


def execute_exec(args: argparse.Namespace) -> int:
    """Run a command inside; its status, or 126 and 127 as a shell has them."""
    from exitpin.wrappers.namespaces import run_inside

    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise OperatorError("There is no command to run.", "Try `exitpin lab exec dig web.test`.", EXIT_USAGE)
    state = lab_state.load(args.name)
    environment = {**os.environ, **state.environment()}

    def become_command() -> int:
        try:
            os.execvpe(command[0], command, environment)
        except FileNotFoundError:
            print(f"exitpin: {command[0]}: not found", file=sys.stderr)
            return EXIT_NOT_FOUND
        except OSError as error:
            print(f"exitpin: {command[0]}: {error.strerror}", file=sys.stderr)
            return EXIT_NOT_EXECUTABLE

    return run_inside(state.supervisor_pid, become_command)


def execute_down(args: argparse.Namespace) -> int:
    """End it; no complaint when there is none."""
    if not start.down(args.name):
        print(f"exitpin: The lab {args.name} was not running.", file=sys.stderr)
    return 0
