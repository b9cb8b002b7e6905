"""What `results verify` prints of each disagreement, be it in a store, a bundle, or files of `run`."""

from collections.abc import Iterable

from .results_store import shown

SHOWN_MAX = 50


class Disagreements:
    """Tells of them as they are found, until there are too many. `is_shown`: somebody reads this, and not JSON."""

    def __init__(self, *, is_shown: bool = True) -> None:
        self._is_shown = is_shown
        self.count = 0

    def add(self, problems: Iterable[str]) -> None:
        """Problems quote records and files of others: nothing in them is obeyed."""
        for problem in problems:
            self.count += 1
            if self._is_shown and self.count <= SHOWN_MAX:
                print(f"INCONSISTENT {harmless(problem)}")

    def end(self) -> None:
        """How many were not shown."""
        if self._is_shown and self.count > SHOWN_MAX:
            print(f"and {self.count - SHOWN_MAX:,} more (--json has all)")


def harmless(text: str) -> str:
    """Foreign text for a line of a terminal, whatever it is made of."""
    return shown(text.encode("utf-8", "backslashreplace").decode())
