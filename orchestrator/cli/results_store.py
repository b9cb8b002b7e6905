"""What `results list` and `results show` share: the store that they read, and how they show what stands in it."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ...wrappers.output import printable
from ..errors import EXIT_USAGE, OperatorError
from ..results.store import store_path
from ..results.stored import Reader, Unreadable, open_store

UNREADABLE_MAX = 3  # are named
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
NOTHING_YET = "nothing was recorded yet"
FIRST_STEP = (
    "`exitpin audit tls-cert --lab` makes the first records; `exitpin lab up` starts the lab."
    " `exitpin run` keeps nothing here: its records are what --json prints."
)


def add_store(parser: argparse.ArgumentParser) -> None:
    """The option that names another file."""
    parser.add_argument(
        "--store", metavar="PATH", type=Path, help="the file of results ($XDG_STATE_HOME/exitpin/results.sqlite)"
    )


def opened(args: argparse.Namespace) -> Reader:
    """The store that is asked for. Raises OperatorError, also when nothing was ever recorded in it."""
    path = args.store or store_path(os.environ)
    reader = open_store(path)
    if reader is None:
        raise OperatorError(f"{NOTHING_YET} ({shown(str(path))}).", FIRST_STEP, EXIT_USAGE)
    reader.on_unreadable = _Complaint()
    return reader


class _Complaint:
    """Says which records are passed over, as long as somebody would read it."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, unreadable: Unreadable) -> None:
        self._count += 1
        if self._count <= UNREADABLE_MAX:
            print(f"exitpin: {unreadable}", file=sys.stderr)
        elif self._count == UNREADABLE_MAX + 1:
            print("exitpin: there are more that can't be read.", file=sys.stderr)


def shown(text: object) -> str:
    """Text that anybody may have written, for a place within a line: nothing in it is obeyed, tabs and ends of lines
    included. Empty for None."""
    return "" if text is None else printable(str(text)).replace("\t", "\\t")


def size_shown(count: int) -> str:
    """Bytes as people read them: `3.7 GiB`."""
    size, unit = float(count), 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {UNITS[unit]}" if unit == 0 or size >= 100 else f"{size:.1f} {UNITS[unit]}"


def exit_name(record: Mapping[str, object]) -> str:
    """`nickname/fingerprint`, its first eight digits."""
    found = record.get("exit")
    of_exit = found if isinstance(found, dict) else {}
    return f"{shown(of_exit.get('nickname'))}/{shown(of_exit.get('fingerprint'))[:8]}"
