"""What the verbs of `report` that monitoring calls take on their command lines.

Read when they are carried out, and not by argparse: `report status` answers a wrong one in a plugin's words.
"""

import argparse
from pathlib import Path

from ..duration import duration_s
from ..errors import EXIT_USAGE, OperatorError
from ..report.watch_told import WatchTold, read_watch
from ..results.wanted import STATUSES
from .results_store import shown

STATE_BYTES = 64 << 10  # of a watch's file; it has one


def age_s(text: str, option: str = "--max-age") -> float:
    """`26h`, `30d`. Raises OperatorError."""
    try:
        return duration_s(text)
    except ValueError:
        raise OperatorError(f"{option} {shown(text)}: say a time such as 26h or 7d.", "", EXIT_USAGE) from None


def statuses(text: str, option: str) -> frozenset[str]:
    """The statuses that an option names. Raises OperatorError."""
    words = frozenset(word.strip() for word in text.split(",") if word.strip()) - {"none"}
    if words <= set(STATUSES):
        return words
    raise OperatorError(f"{option} {shown(text)}: say some of {', '.join(STATUSES)}, or none.")


def add_watch_state(parser: argparse.ArgumentParser) -> None:
    """The option that names what a watch writes of itself."""
    parser.add_argument(
        "--watch-state", metavar="FILE", type=Path,
        help="what a watch says of itself counts, too; without --store its records do",
    )  # fmt: skip


def watch_told(args: argparse.Namespace) -> WatchTold | None:
    """What a watch says of itself; None: nobody asked. Where no store is named it is that watch's. Raises
    OperatorError."""
    path = args.watch_state
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            told = read_watch(file.read(STATE_BYTES))
        if args.store is None and told.store:
            args.store = Path(told.store)
        return told
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise OperatorError(f"{shown(str(path))} tells nothing of a watch: {shown(why)}.", "", EXIT_USAGE) from error
