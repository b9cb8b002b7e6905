"""`exitpin lab up`: its options, its progress, and what it says when the lab is there. Called by `lab.py`."""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable

from ..duration import duration_s
from ..errors import EXIT_USAGE, OperatorError
from ..lab import network, start, voting
from ..lab import state as lab_state
from .lab_status import name_option, status_of

UP_EXAMPLES = """\
examples:
  exitpin lab up --exits 40
  exitpin lab up --name evil --profile hostile --seed 7
  exitpin lab up --host www.example.org=web        any name can be a target
  exitpin lab up --name live --voting 10s          one whose network changes

"""

PACE = """\
a lab that lives, by --voting:
  Without it a lab is frozen: it has one directory, made at its first start, and no authorities; so it starts at once
  and costs little. With it the authorities stay and vote a new consensus each TIME, relays publish their descriptors,
  and the client fetches each new consensus as tor does: what `exitpin lab change` does to the network is seen. What is
  killed starts again. It makes new keys and votes at each start, which takes some 20 s instead of 3.

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


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the verb `up` of `lab`."""
    up = verbs.add_parser(
        "up",
        help="start the lab; returns when every exit has carried a stream",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"{UP_EXAMPLES}{PACE}{PROFILES}\n{_kinds()}",
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
    up.add_argument(
        "--voting",
        type=_interval,
        metavar="TIME",
        help="a lab that lives: its authorities vote each TIME, from 10s; see below (default: a frozen one)",
    )
    up.add_argument(
        "--valid",
        type=int,
        metavar="N",
        help=f"with --voting: a consensus is valid for N times as long ({voting.VALID_DEFAULT} unless told)",
    )
    up.add_argument("--foreground", action="store_true", help="stay, and end the lab on Ctrl-C")
    up.add_argument("--json", action="store_true", help="print the status as JSON when it is ready")
    up.set_defaults(execute=execute_up)
    return up


def execute_up(args: argparse.Namespace) -> int:
    """Start, or say that it runs."""
    if args.voting is None and args.valid is not None:
        raise OperatorError("--valid is for a lab that lives.", "Give --voting, too.", EXIT_USAGE)
    pace = None if args.voting is None else voting.checked(args.voting, args.valid)
    progress = Progress(is_shown=sys.stderr.isatty())
    try:
        state, was_running, supervisor = start.up(
            args.name,
            args.exits,
            tuple(args.host),
            profile=args.profile,
            seed=args.seed,
            voting=pace,
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


def _interval(text: str) -> float:
    try:
        return duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 10s or 1m") from error


def _kinds() -> str:
    lines = [f"  {target.kind:<12} {target.name:<17} {target.note}" for target in network.BUILT_IN_TARGETS]
    return "\n".join(["kinds of targets, for --host:", *lines])


def _say_next(state: lab_state.LabState, was_running: bool) -> None:
    option = name_option(state.name)
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
