"""`exitpin report email`: one finding as a mail to the people who look after bad relays. It is printed, never sent."""

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EXIT_USAGE, OperatorError
from ..results.commands import command_shown, tool_path
from ..results.stored import Reader, Record
from ..results.wanted import FINDINGS
from .results_find import find_record
from .results_store import add_store, opened, shown
from .whole_file import STDOUT, whole_file

if TYPE_CHECKING:
    from ..report.by_hand import Recipe

HELP = """\
Print one finding as a mail in plain text: which relay, what was seen beside what other exits were given, when, what it
may mean, how to see it again with and without exitpin, and the digests of the evidence. Nothing is sent.
"""

EPILOG = """\
ID is that of a verdict (`exitpin results list`), or how it begins. The text begins with Subject: and has no To: line.
Read it before you send it. Reports about relays go to bad-relays@lists.torproject.org.

examples:
  exitpin report email 20261122T173557-00cbea-v4f0c
  exitpin report email 20261122T173557-00cbea-v4f0c -o report.txt
  mutt -H report.txt bad-relays@lists.torproject.org
  sendmail bad-relays@lists.torproject.org < report.txt
"""

MODE = 0o600


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "email", help="one finding as a mail", description=HELP, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("id", metavar="ID", help="of a verdict, or how it begins")
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="write it there, readable by you alone (stdout)"
    )
    add_store(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> int:
    """Print it, or write it. Raises OperatorError for what is no finding."""
    from ..report.email import email
    from ..report.finding import gather

    with opened(args) as reader:
        record = finding_of(reader, args.id)
        text = email(gather(reader, record, time.monotonic, by_hand(record, os.environ, Path.cwd())))
    with whole_file(args.output or STDOUT, MODE) as file:
        file.write(text.encode())
    return 0


def by_hand(record: Record, environment: Mapping[str, str], cwd: Path) -> "Recipe":
    """What the tool's file says to type by hand; nothing where it is not here, or not what it was: then it says how to
    ask another question than this verdict answers."""
    from ...wrappers.tool_files import load_catalogue
    from ..report.by_hand import Recipe

    told, catalogue = record.get("tool") or {}, load_catalogue(environment, cwd)
    words = command_shown(record)
    try:
        tool = catalogue.at(tool_path(words)).usable() if tool_path(words) else catalogue.tool(str(told.get("id")))
    except OperatorError:
        return Recipe()
    return Recipe(tool.by_hand) if tool.digest == told.get("digest") else Recipe(is_stale=True)


def finding_of(reader: Reader, name: str) -> Record:
    """The verdict of that id. Raises OperatorError where it accuses nobody."""
    record = find_record(reader, name)
    if "verdict_id" not in record:
        hint = "A mail is about what all runs say together: name the verdict (`exitpin results list`)."
        raise OperatorError(f"{shown(name)} is a run.", hint, EXIT_USAGE)
    if record.get("status") not in FINDINGS:
        what = f"{shown(record.get('verdict_id'))} is {shown(record.get('status'))}: there is nothing to report."
        hint = "`exitpin results list --status findings` shows what there is."
        raise OperatorError(what, hint, EXIT_USAGE)
    return record
