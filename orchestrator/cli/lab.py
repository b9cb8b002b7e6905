"""`exitpin lab`: start, look at, enter and end the private Tor network."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable

from ..errors import EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_USAGE, OperatorError
from ..lab import network, start
from ..lab import state as lab_state
from .lab_status import print_status, status_of

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
  exitpin lab down
"""

UP_EXAMPLES = """\
examples:
  exitpin lab up --exits 40
  exitpin lab up --name evil --profile hostile --seed 7
  exitpin lab up --host www.example.org=web        any name can be a target

"""

STATUS_EPILOG = """\
exit status: 0 it is running; 2 exitpin was misused; 3 it is not running

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

PROFILES = """\
profiles, for --profile:
  plain       exits that do as they should, and four special ones behind them: one rejects port 443, one allows
              port 80 alone, one has a name server that is silent, one is slow
  hostile     every behaviour that an audit has to tell apart: men in the middle, injections, block pages, liars,
              broken exits, honest but odd ones, and some that do it only at times
  ./FILE      your own composition, a table for each behaviour:

                good = 3

                [[exit]]
                behaviour = "at-times"
                kind = "hostile"
                meddle = [{ with = "inject-html", when = { host = "web.test", every = 3 } }]
                expect = { http-body = ["ok", "tampered"] }

              All keys and all that an exit may do stand in docs/profiles.rst; a mistake in a file is told with its
              place and what is valid there.
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

    up = verbs.add_parser(
        "up",
        help="start the lab; returns when every exit has carried a stream",
        formatter_class=formatter,
        epilog=f"{UP_EXAMPLES}{PROFILES}\n{_kinds()}",
    )
    up.add_argument(
        "--exits",
        type=int,
        default=None,
        metavar="N",
        help=f"how many exits in all (of the profile plain: {network.EXITS_DEFAULT} unless told)",
    )
    up.add_argument(
        "--profile",
        default=network.PROFILE_DEFAULT,
        metavar="NAME|FILE",
        help="how the exits conduct themselves: plain (the default), hostile, or a TOML file of yours",
    )
    up.add_argument(
        "--seed", type=_seed, metavar="N", help="shuffle which exit has which behaviour; the same N, the same cast"
    )
    up.add_argument(
        "--host",
        action="append",
        default=[],
        type=_host,
        metavar="NAME=KIND",
        help="let a name of yours be a target, in DNS and in the certificate; may be repeated",
    )
    up.add_argument("--foreground", action="store_true", help="stay, and end the lab on Ctrl-C")
    up.add_argument("--json", action="store_true", help="print the status as JSON when it is ready")
    up.set_defaults(execute=execute_up)

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

    for parser in (up, status, run, down):
        parser.add_argument(
            "--name",
            default=os.environ.get(lab_state.ENV_NAME, lab_state.DEFAULT_NAME),
            help="which lab (default %(default)s)",
        )


def execute_up(args: argparse.Namespace) -> int:
    """Start, or say that it runs."""
    progress = Progress(is_shown=sys.stderr.isatty())
    try:
        state, was_running, supervisor = start.up(
            args.name,
            args.exits,
            tuple(args.host),
            profile=args.profile,
            seed=args.seed,
            stay=args.foreground,
            progress=progress,
        )
    finally:
        progress.clear()

    def announce() -> None:
        if args.json:
            print(json.dumps(status_of(state), indent=1), flush=True)
        else:
            _say_next(state, was_running)

    if supervisor is not None:
        return _stay(state.name, supervisor, announce)
    announce()
    return 0


def execute_status(args: argparse.Namespace) -> int:
    """Print what is known of the lab; 3 when it is not running, as init scripts do."""
    state = lab_state.find(args.name)
    if state is None:
        option = _name_option(args.name)
        print(f"exitpin: The lab {args.name} is not running. Start it with `exitpin lab up{option}`.", file=sys.stderr)
        return 3
    if args.json:
        print(json.dumps(status_of(state), indent=1))
    else:
        print_status(state)
    return 0


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


class Progress:
    """One line on the terminal that is written over."""

    def __init__(self, is_shown: bool) -> None:
        self.is_shown = is_shown

    def __call__(self, phase: str, done: int, of: int) -> None:
        if self.is_shown:
            count = f" {done}/{of}" if of > 1 else ""
            sys.stderr.write(f"\r\x1b[Klab: {phase}{count}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self.is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _host(text: str) -> tuple[str, str]:
    name, equals, kind = text.partition("=")
    if not (name and equals and kind):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=KIND, such as www.example.org=web")
    return name, kind


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _kinds() -> str:
    lines = [f"  {target.kind:<12} {target.name:<17} {target.note}" for target in network.BUILT_IN_TARGETS]
    return "\n".join(["kinds of targets, for --host:", *lines])


def _name_option(name: str) -> str:
    return "" if name == lab_state.DEFAULT_NAME else f" --name {name}"


def _say_next(state: lab_state.LabState, was_running: bool) -> None:
    option = _name_option(state.name)
    verb = "is running already" if was_running else f"is up, after {state.start_s:.1f} s"
    print(
        f"The lab {state.name} {verb}: {state.exits} exits, each seen by a target under its own address.\n"
        f"Next:  exitpin lab status{option}    exitpin run --lab{option} -e all -- curl -s http://web.test/ip    "
        f"exitpin lab down{option}",
        flush=True,
    )


def _stay(name: str, supervisor: "subprocess.Popen[bytes]", announce: Callable[[], None]) -> int:
    """Announce the lab and end with it; Ctrl-C ends it, from the first word of the announcement on."""
    try:
        announce()
        status = supervisor.wait()
    except KeyboardInterrupt:
        start.down(name)
        supervisor.wait()
        return 0
    start.down(name)
    return 0 if status == 0 else 125
