"""`exitpin tools`: the declared tools that can be found, and what is wrong with them. Only `test` runs any.

Here are the verbs and their help; what they do lives in modules of their own, imported when it is asked for: checking
files takes pydantic, and nobody else should wait for it.
"""

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path

from . import tools_test

HELP = """\
A tool is one file: what to run, where it may go, what to read from what it prints, and how to judge that against the
same run through other exits. `exitpin audit` runs them.

Files are looked for here, a later one replacing an earlier one of that name: what comes with exitpin,
/usr/share/exitpin/tools.d, /etc/exitpin/tools.d, ~/.config/exitpin/tools.d, ./tools.d. To change a few keys only, put
them in ID.toml.d/NAME.toml in any of these.

examples:
  exitpin tools list @tls                  what there is about TLS
  exitpin tools show tls-cert              what it runs, where it goes, how it judges
  exitpin tools new my-check               a file of your own, explained line by line
  exitpin tools check                      everything that is wrong, in all files
  exitpin tools test tls-cert              against stored answers, without any network
"""
LIST = """\
List the tools. Without a terminal: tab-separated (id, severity, state, tags, file, summary). The state is ok, broken
(`exitpin tools check ID` says why), or untrusted (`exitpin tools trust`).

examples:
  exitpin tools list
  exitpin tools list @dns --json | jq -r 'select(.problems == []) | .id'
"""
SHOW = """\
Say in words what a tool does: what it runs, where it goes, what it needs and takes, what it reads, how it judges.
Nothing is run. TOOL is an id, or the path of a file.

examples:
  exitpin tools show tls-cert
  exitpin tools show ./tools.d/mine.toml
"""
CAT = """\
Print the file that holds, merged with its drop-ins, as TOML, each key with the file that it came from.

example:
  exitpin tools cat tls-cert
"""
CHECK = """\
Check files: all errors and all warnings, each with its file, its key and what to write instead. Nothing is run. WHAT is
an id, a file or a folder; without any, all that can be found.

exit status: 0 there are no errors; 2 there are some

examples:
  exitpin tools check
  exitpin tools check ./mine.toml tls-cert
"""
NEW = """\
Write a file to begin with, valid and explained, to ~/.config/exitpin/tools.d. Nothing is overwritten.

examples:
  exitpin tools new my-check               a command with its arguments
  exitpin tools new my-check --script      a shell script that carries its own table
"""
TRUST = """\
Trust files in ./tools.d as they are now: a tool's file is code, and a cloned repository brings its own along. With a
tool's file come its drop-ins and the scripts that it runs; with a folder, all in it. Look first:
`exitpin tools cat ID`. A file that changes has to be trusted again. Kept in ~/.local/state/exitpin/trusted.json.

examples:
  exitpin tools trust ./tools.d/mine.toml
  exitpin tools trust ./tools.d
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb and its verbs."""
    parser = subparsers.add_parser(
        "tools",
        help="list, show, check, test and write declared tools",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(title="verbs", dest="tools_verb", metavar="VERB", required=True)
    listing = _add(verbs, "list", "the tools there are", LIST, ".tools_show", "list_tools")
    listing.add_argument("tag", metavar="@TAG", nargs="?", help="only those with this tag")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    show = _add(verbs, "show", "what a tool does, in words", SHOW, ".tools_show", "show_tools")
    show.add_argument("tools", metavar="TOOL", nargs="+")
    cat = _add(verbs, "cat", "the merged file and where each key is from", CAT, ".tools_show", "cat_tools")
    cat.add_argument("tools", metavar="TOOL", nargs="+")
    check = _add(verbs, "check", "all that is wrong with files", CHECK, ".tools_check", "check_tools")
    check.add_argument("what", metavar="WHAT", nargs="*")
    tools_test.register_test(verbs)
    new = _add(verbs, "new", "write a file to begin with", NEW, ".tools_write", "write_new")
    new.add_argument("id", metavar="ID", help="a-z, 0-9 and '-'")
    new.add_argument("--script", action="store_true", help="a script that carries its own table")
    trust = _add(verbs, "trust", "trust files in ./tools.d", TRUST, ".tools_write", "give_trust")
    trust.add_argument("paths", metavar="PATH", nargs="+", type=Path)


def _add(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    words: str,
    text: str,
    module: str,
    function: str,
) -> argparse.ArgumentParser:
    """A verb whose module is imported when it is executed."""
    parser = verbs.add_parser(name, help=words, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)

    def execute(args: argparse.Namespace) -> int:
        carry_out: Callable[[argparse.Namespace], int] = getattr(importlib.import_module(module, __package__), function)
        return carry_out(args)

    parser.set_defaults(execute=execute)
    return parser
