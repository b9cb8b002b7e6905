"""How a watch is doing, for whoever looks from outside: the file of its status, metrics, and the service manager."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...wrappers import service_manager
from ..errors import OperatorError
from ..report.watch_told import WatchTold, watch_json
from ..watch.agenda import Due, Iteration
from ..watch.plan import WatchPlan
from .say import say

MODE = 0o644  # whoever monitors is another user


class Telling:
    """Tells what there is to tell. A file that can't be written is told of once, and tried again each time."""

    def __init__(self, plan: WatchPlan, store: Path, environment: Mapping[str, str]) -> None:
        self._plan = plan
        self._store = store
        self._environment = environment
        self._problems: set[str] = set()
        self._paused: dict[str, str] = {}
        self._told = WatchTold(plan.name, "waiting", time.time())

    def begins(self, known: Mapping[str, Iteration]) -> None:
        """What the watches before this one left, by scan."""
        if known:
            scan, last = max(known.items(), key=lambda found: found[1].started)
            self._told = replace(
                self._told, iteration=last.number, scan=scan, scan_id=last.scan_id, valid_after=last.valid_after
            )

    def scans(self, due: Due) -> None:
        """An iteration begins, or is gone on with."""
        self._told = replace(
            self._told, state="scanning", iteration=due.number, scan=due.scan.name, due=None, paused=""
        )
        self._tell(f"{due.scan.name}: iteration {due.number}")

    def ended(self, due: Due, iteration: Iteration | None, why: str) -> None:
        """A process is over. `iteration`: as the store has it; `why`: what it said last, if it ended before its
        time."""
        if why:
            self._paused[due.scan.name] = why
        else:
            self._paused.pop(due.scan.name, None)
            self._told = replace(self._told, last_ended=time.time())
        if iteration is not None:
            self._told = replace(self._told, scan_id=iteration.scan_id, valid_after=iteration.valid_after)

    def taken(self, due: Due, why: str) -> None:
        """Somebody else carries out its scan."""
        self._paused[due.scan.name] = why

    def waits(self, due: Due) -> None:
        """Nothing is to be done until then."""
        why = self._paused.get(due.scan.name, "")
        self._told = replace(self._told, state="paused" if why else "waiting", due=due.at, paused=why)
        self._tell(f"{due.scan.name}: iteration {due.number} at {moment(due.at)}")

    def lives(self) -> None:
        """Nothing has changed, and the file says so."""
        self._write_status()

    def stops(self) -> None:
        """The watch ends."""
        self._told = replace(self._told, state="stopped", due=None)
        service_manager.tell(self._environment, STOPPING="1")
        self._write_files()

    def _tell(self, words: str) -> None:
        service_manager.tell(self._environment, READY="1", STATUS=words)
        self._write_files()

    def _write_status(self) -> None:
        self._told = replace(self._told, written=time.time())
        if self._plan.status is not None:
            self._write(Path(self._plan.status), watch_json(self._told))

    def _write_files(self) -> None:
        self._write_status()
        if self._plan.prometheus is not None:
            self._write(Path(self._plan.prometheus), None)

    def _write(self, path: Path, content: bytes | None) -> None:
        """`content` None: the metrics."""
        from .report_prom import metrics
        from .whole_file import whole_file

        try:
            whole = metrics(self._store, self._told) if content is None else content
            with whole_file(path, MODE) as file:
                file.write(whole)
        except (OperatorError, OSError) as error:  # the latter: a pipe that nobody reads
            if str(path) not in self._problems:
                say(str(error))
            self._problems.add(str(path))
        else:
            self._problems.discard(str(path))


def moment(epoch: float) -> str:
    """A time in words, UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(epoch))
