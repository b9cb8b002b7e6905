"""`exitpin sh`: a script, or a shell, through an exit. It is `exitpin run` of a shell: which one, and how it is called,
is decided here, all else in `run.py`."""

import argparse
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from ..errors import EXIT_USAGE, OperatorError
from .asked import Asked, Caller
from .run import add_options, carry_out

HELP = """\
Run a script through an exit, or a shell to type in: whatever it starts goes out by that exit, on one circuit, as under
`exitpin run`. Without a script, on a terminal, it is your bash (or sh) with the exit in its prompt; otherwise the
script comes from standard input.

A script is run by the interpreter that its first line names, or by sh. It may give facts, files and a verdict to its
run: `exitpin emit`, `exitpin evidence`, `exitpin verdict`.
"""

EPILOG = """\
exit status:  the script's own, and else as of `exitpin run`; 126 it can't be read; 127 it was not found

examples:
  exitpin sh --lab -e exit01 ./script.sh http://web.test/
  exitpin sh --lab -e exit01 -c 'curl -sS http://web.test/ip; exitpin emit at="$(date +%s)"'
  exitpin sh -e FINGERPRINT
"""

OF_BASH = Path(__file__).resolve().parent.parent.parent / "wrappers" / "pinned.bashrc"
SH_PROMPT = "($EXITPIN_EXIT_NICK) $ "


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "sh", help="run a script, or a shell, through exits", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="exitpin sh -e EXITS [OPTIONS] [SCRIPT ARG... | -c CODE [NAME ARG...]]",
    )  # fmt: skip
    add_options(parser)
    parser.add_argument("-c", dest="code", metavar="CODE", help="run this code by sh; then come $0, $1, ...")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="SCRIPT ARG...", help="the script and its arguments")
    parser.set_defaults(execute=execute, asked=asked)


def execute(args: argparse.Namespace) -> int:
    """Carry out the runs."""
    return carry_out(args, asked(args, Caller.of_this_process()))


def asked(args: argparse.Namespace, caller: Caller) -> Asked:
    """A shell's command line. Raises OperatorError."""
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    if args.code is not None:
        return Asked(["sh", "-c", args.code, *words], caller.environment)
    if words:
        return Asked([*interpreter_of(words[0], caller.place(words[0])), *words], caller.environment)
    if args.json:
        raise OperatorError("there is no script to run.", "exitpin sh -e EXIT --json SCRIPT ARG...", EXIT_USAGE)
    command, more = shell_of(caller.environment) if 0 in caller.terminals else (["sh"], {})
    return Asked(command, {**caller.environment, **more}, is_foreground=True)


def interpreter_of(script: str, place: str) -> list[str]:
    """By what a script is run, as the kernel would: the first line's program with one argument at most; else by sh.
    `place`: where it is found from here.

    Raises OperatorError when it can't be read.
    """
    from ...wrappers.shebang import first_line

    try:
        if not stat.S_ISREG(os.stat(place).st_mode) and not os.path.isdir(place):
            return ["sh"]  # a pipe can be read once
        words = first_line(place)
    except OSError as error:
        status = 127 if isinstance(error, FileNotFoundError) else 126
        raise OperatorError(f"{script} can't be run: {error.strerror}.", "", status) from None
    return words if words and words[0] else ["sh"]


def shell_of(environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The shell to type in, and what it finds in its environment besides: bash, unless SHELL is a plain sh."""
    name = os.path.basename(environment.get("SHELL", ""))
    path = environment.get("PATH", os.defpath)
    if name in ("sh", "dash", "ash", "ksh", "mksh") or shutil.which("bash", path=path) is None:
        return [name if shutil.which(name, path=path) else "sh", "-i"], {"PS1": SH_PROMPT}
    return ["bash", "--rcfile", str(OF_BASH), "-i"], {}
