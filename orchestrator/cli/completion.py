"""`exitpin completion SHELL`: a script that completes command lines of exitpin in that shell.

What there is to complete comes from the parsers of all verbs; what an argument takes is told by its metavar, here.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...wrappers.shells import Takes

HELP = """\
Print a script for bash, zsh or fish that completes verbs, options, exits, tools, labs and files, and the commands that
exitpin runs. Exits are those of a running lab (with --lab), or of the consensus that exitpin's own tor has last kept:
nothing is started for it.
"""

EPILOG = """\
To have it in each shell, put one of these lines into ~/.bashrc, after compinit into ~/.zshrc, or type the last once:

  eval "$(exitpin completion bash)"
  eval "$(exitpin completion zsh)"
  exitpin completion fish > ~/.config/fish/completions/exitpin.fish

The first two take a sixth of a second at each start of a shell; a file where the shell looks for it takes nothing.

examples:
  exitpin completion bash > ~/.local/share/bash-completion/completions/exitpin
  exitpin completion zsh > "${fpath[1]}/_exitpin"
"""

SHELLS = ("bash", "zsh", "fish")

FLAGS = ("Authority", "BadExit", "Exit", "Fast", "Guard", "HSDir", "MiddleOnly", "Running", "Stable", "V2Dir", "Valid")

UNNAMED = frozenset(
    {
        *("HOST:PORT", "RE", "N", "TIME", "IP", "CODE", "[TOOL.]NAME=VALUE", "NAME=VALUE", "NAME=KIND", "N/m", "ID"),
        *("SCAN", "RUN_ID", "TEXT", "STATUS", "VERB", "HOST", "PORT", "NAME", "CC", "ASN", "NICKNAME", "RELAY", "RULE"),
    }
)
"""What nobody can name beforehand, or only with the store in hand; a choice names itself."""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "completion", help="complete command lines in bash, zsh or fish", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print the script."""
    from ...wrappers.shells import script
    from ..results.wanted import FINDINGS, STATUSES
    from .main import whole_parser

    words = {"flags": FLAGS, "statuses": ("findings", *sorted({*STATUSES, *FINDINGS}))}
    sys.stdout.write(script(args.shell, whole_parser(), takes, words, str(Path(sys.argv[0]).absolute())))
    return 0


def takes(action: argparse.Action) -> "Takes | None":
    """What an argument takes; None for what can't be named. AssertionError for one that this file says nothing of."""
    from ...wrappers.shells import Takes

    told = {
        "EXITS": Takes.EXITS, "FP": Takes.EXIT, "EXIT": Takes.EXIT, "TOOL": Takes.TOOLS_OR_FILES, "@TAG": Takes.TOOLS,
        "FILE": Takes.FILES, "PATH": Takes.FILES, "SOCKET": Takes.FILES, "SCRIPT ARG...": Takes.FILES,
        "NAME|FILE": Takes.PROFILES_OR_FILES, "CMD": Takes.COMMANDS, "-- CMD ARG...": Takes.COMMANDS,
        "CMD ARG...": Takes.COMMANDS, "FLAG": Takes.FLAGS, "S,..": Takes.STATUSES, "WHAT": Takes.TOOLS_OR_FILES,
        "ID|FILE": Takes.FILES, "MODULE.py": Takes.FILES, "PLAN.toml": Takes.FILES,
    }  # fmt: skip
    by_name = {"tool": Takes.TOOLS, "allow": Takes.ALLOWED, "name": Takes.LABS}
    metavar = str(action.metavar)
    if (
        action.nargs == 0
        or action.help is argparse.SUPPRESS
        or action.choices
        or isinstance(action, argparse._SubParsersAction)
    ):
        return None
    if action.dest in by_name:
        return by_name[action.dest]
    if metavar not in told and metavar not in UNNAMED:
        raise AssertionError(f"BUG: nothing is said of what {action.dest} ({metavar}) takes")
    return told.get(metavar)
