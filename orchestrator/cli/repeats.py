"""How many runs there are of each question, and at a time: what --repeat and --jobs may say."""

import argparse

from ..errors import EXIT_USAGE, OperatorError

REPEAT_MAX = 1000
"""Each run of a plan is held in memory: who wants more asks again."""


def check_counts(args: argparse.Namespace) -> None:
    """Raises OperatorError for what makes no sense."""
    if args.jobs is not None and args.jobs < 1:
        raise OperatorError("--jobs wants a number from 1.", "", EXIT_USAGE)
    if args.repeat is not None and not 1 <= args.repeat <= REPEAT_MAX:
        raise OperatorError(f"--repeat wants a number from 1 to {REPEAT_MAX}.", "", EXIT_USAGE)
