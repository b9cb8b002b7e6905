"""What the store has of a watch's iterations: what a watch that holds nothing goes by."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ..errors import EXIT_FAILED, OperatorError
from ..results.stored import Reader, open_store
from ..watch.agenda import Due, Iteration
from ..watch.past import is_under_way, latest_iterations
from ..watch.plan import WatchPlan
from .audit_account import EXIT_INCOMPLETE

T = TypeVar("T")


class Kept:
    """The iterations of one plan in one store."""

    def __init__(self, store: Path, plan: WatchPlan) -> None:
        self._store = store
        self._plan = plan

    def known(self) -> dict[str, Iteration]:
        """The latest of each scan, by its name, as far as there was one. Raises OperatorError."""
        return self._ask(lambda reader: latest_iterations(reader, self._plan.name, self._plan.scans)) or {}

    def latest(self, due: Due) -> tuple[Iteration | None, bool]:
        """The iteration that is due, or a later one (None: it has none), and whether it is under way. Raises
        OperatorError."""

        def ask(reader: Reader) -> tuple[Iteration | None, bool]:
            found = latest_iterations(reader, self._plan.name, [due.scan]).get(due.scan.name)
            if found is None or found.number < due.number:
                return None, False
            return found, is_under_way(reader, found.scan_id)

        return self._ask(ask) or (None, False)

    def status(self, iteration: Iteration) -> int:
        """The exit status of an audit that has all its verdicts."""
        with suppress(OperatorError):
            tally = self._ask(lambda reader: reader.tally(iteration.scan_id)) or {}
            found = {word for _, word in tally}
            return 1 if "tampered" in found else EXIT_INCOMPLETE if found & {"error", "skipped"} else 0
        return EXIT_FAILED

    def _ask(self, ask: Callable[[Reader], T]) -> T | None:
        """None: nothing was recorded yet."""
        reader = open_store(self._store)
        if reader is None:
            return None
        with reader:
            return ask(reader)
