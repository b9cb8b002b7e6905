"""A sentence for whoever typed the command line: on stderr, under our name, and nothing in it that a terminal obeys."""

import sys


def say(sentence: str) -> None:
    """Print it."""
    from ...wrappers.output import printable

    print(f"exitpin: {printable(sentence)}", file=sys.stderr)
