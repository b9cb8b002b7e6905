"""Whether a contact line fits a pattern. The lines are the relays' own words, so that a pattern has a time limit."""

import time
from typing import Final

import regex

from ..orchestrator.errors import EXIT_USAGE, OperatorError

TIMEOUT_S: Final = 0.2
TIMEOUT_OF_ALL_S: Final = 5.0
SHOWN_MAX: Final = 200  # characters of a pattern


class ContactPattern:
    """A regular expression of the user's, for one selection."""

    def __init__(self, pattern: str) -> None:
        """Raises OperatorError for what is no regular expression."""
        self._pattern = pattern
        self._left_s = TIMEOUT_OF_ALL_S
        try:
            self._compiled = regex.compile(pattern)
        except (regex.error, RecursionError, OverflowError, MemoryError) as error:
            shown, why = pattern[:SHOWN_MAX], "it is nested too deeply" if isinstance(error, RecursionError) else error
            raise OperatorError(f"--contact {shown!r} is no regular expression: {why}.", "", EXIT_USAGE) from error

    def __call__(self, contact: str) -> bool | None:
        """Whether it is found in the line; None: that isn't known after a fifth of a second. Raises OperatorError when
        all lines together take too long."""
        if self._left_s <= 0:
            raise OperatorError(
                f"--contact {self._pattern!r} takes more than {TIMEOUT_OF_ALL_S:g} s on what relays wrote.",
                "Say it without a repetition inside of a repetition, such as (a+)+.", EXIT_USAGE,
            )  # fmt: skip
        began = time.process_time()
        try:
            return self._compiled.search(contact, timeout=TIMEOUT_S) is not None
        except (TimeoutError, MemoryError):
            return None
        finally:
            self._left_s -= time.process_time() - began
