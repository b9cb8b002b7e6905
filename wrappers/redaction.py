"""What a tool's `redact` says to leave out of records: each match of its patterns, line by line.

The text may be hostile: patterns have a time limit, and a text that takes longer is withheld whole.
"""

from collections.abc import Callable, Sequence
from typing import Final

import regex

TIMEOUT_S: Final = 0.5
REDACTED: Final = "(redacted)"
WITHHELD: Final = "(withheld: what is to be left out of it could not be found in time)"


def redactor(patterns: Sequence[str]) -> Callable[[str], str]:
    """A function that takes the matches out. `^` and `$` are a line's ends. Raises ValueError for a bad pattern."""
    try:
        compiled = [regex.compile(pattern, regex.MULTILINE) for pattern in patterns]
    except regex.error as error:
        raise ValueError(f"redact: {error}") from error

    def clean(text: str) -> str:
        for pattern in compiled:
            try:
                text = pattern.sub(REDACTED, text, timeout=TIMEOUT_S, concurrent=True)
            except TimeoutError:
                return WITHHELD
        return text

    return clean
