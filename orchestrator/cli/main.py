"""The command `exitpin`: finds the verb, and carries it out; how it ends is `ending.py`'s.

Only the module of the verb that was asked for is imported: start-up counts. The verbs that scripts call in loops
(`giving.py`) have none of the rest, not even a parser.
"""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import giving

if TYPE_CHECKING:
    import argparse

VERBS = {
    "run": "run a command through one or more exits",
    "sh": "run a script, or a shell, through one or more exits",
    "exitmap": "run modules of exitmap, unmodified, through exits",
    "audit": "judge exits with declared tools",
    "watch": "scans by schedule, unattended",
    "exits": "list the exits that a selection names, and why others are dropped",
    "daemon": "tor and circuits held open, so that loops are fast",
    "lab": "a private Tor network to try everything on",
    "tools": "the declared tools: list, show, check, test and write them",
    "results": "list, show, compare, check and hand on what was recorded",
    "replay": "make a recorded run again, and say what differs",
    "report": "findings for people, and for what watches over scans",
    "doctor": "what works on this machine, and what to do about the rest",
    "config": "the settings in force, and where each comes from",
    "completion": "complete command lines in bash, zsh or fish",
}

INSIDE = {
    "emit": "inside of a run: give it facts",
    "evidence": "inside of a run: keep a file with it",
    "verdict": "inside of a run: say what the script found",
}

NAMES = "__names"
"""What the scripts of `exitpin completion` ask; see `known_names.py`."""

ENDED_BY_SIGNALS = frozenset({"results", "report"})
"""Verbs that only read, and write files: all others see themselves to what a signal means to what they started."""

EPILOG = """\
examples:
  exitpin lab up                                        start the private network
  exitpin run --lab -e all -- curl -sS http://web.test/ip
  exitpin run -e FINGERPRINT -- openssl s_client -connect example.org:443
  exitpin sh -e FINGERPRINT ./script.sh
  exitpin exits --to example.org:443 --count

`exitpin VERB --help` explains each verb, and so does `man exitpin-VERB`.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line; returns the exit status."""
    _fill_standard_descriptors()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in giving.VERBS:
        return giving.give(arguments)
    if arguments[:1] == [NAMES]:
        from .known_names import answer

        return answer(arguments)
    from contextlib import nullcontext

    from .ending import ended_by_signals, exit_status_of, take_standard_streams

    take_standard_streams()

    def work() -> int:
        import signal

        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # shim/client/main.c: not before we are here
        args = _parser(arguments).parse_args(arguments)
        with ended_by_signals() if args.verb in ENDED_BY_SIGNALS else nullcontext():
            status: int = args.execute(args)
            return status

    return exit_status_of(work)


def console() -> None:
    """The console script, and `python -m exitpin`."""
    status = main()
    from .ending import leave

    leave(status)


def _fill_standard_descriptors() -> None:
    """A caller may have closed some of 0 to 2: what we open next must not become a tool's input or output."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free: all before are there
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115 - open as long as we run


def whole_parser() -> "argparse.ArgumentParser":
    """The parser of everything: for what is made of it, the manual and completion."""
    return _parser(())


def _parser(arguments: Sequence[str]) -> "argparse.ArgumentParser":
    import argparse
    import importlib

    from exitpin import __version__

    def formatter(prog: str) -> argparse.HelpFormatter:
        """argparse forgets by how much it indents verbs, and the longest would stand alone on its line."""
        with_room = argparse.RawDescriptionHelpFormatter(prog)
        with_room._action_max_length = max(map(len, VERBS)) + 4
        return with_room

    parser = argparse.ArgumentParser(
        prog="exitpin",
        description="Run any command-line tool through chosen Tor exits, and prove which exit carried each connection.",
        epilog=EPILOG,
        formatter_class=formatter,
    )
    parser.add_argument("--version", action="version", version=f"exitpin {__version__}")
    subparsers = parser.add_subparsers(title="verbs", dest="verb", metavar="VERB", required=True)
    asked = arguments[0] if arguments and arguments[0] in VERBS else None
    for verb in VERBS if asked is None else (asked,):
        importlib.import_module(f".{verb}", __package__).register(subparsers)
    if asked is None:
        for verb, what in INSIDE.items():
            subparsers.add_parser(verb, help=what, add_help=False)  # for the list: `main` has carried them out
    return parser
