"""`--containment` and `--allow`: how firmly a verb holds what it starts."""

import argparse
import sys

from ..containment import LEVELS, Containment, contain


def add_containment(group: "argparse._ActionsContainer") -> None:
    """Add --containment and --allow."""
    group.add_argument(
        "--containment", choices=LEVELS, metavar="LEVEL",
        help="refuse to run with less than shim, guard or notify (default: the firmest that this kernel has)",
    )  # fmt: skip
    group.add_argument(
        "--allow", action="append", choices=("listen",), default=[], metavar="WHAT",
        help="listen: the tool may have listening sockets of its own (multiprocessing managers have)",
    )  # fmt: skip


def containment_of(args: argparse.Namespace) -> Containment:
    """The level in force. Raises OperatorError when it would be less than was asked for."""
    from ...wrappers.machine import abilities

    return contain(args.containment, abilities(), may_listen="listen" in args.allow)


def warn_of(containment: Containment) -> None:
    """Say on stderr what the level leaves open, if it is the weakest."""
    for line in containment.warning.splitlines():
        print(f"exitpin: {line}", file=sys.stderr)
