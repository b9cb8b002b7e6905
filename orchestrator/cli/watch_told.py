"""How a watch is doing, for whoever looks from outside: the file of its status, metrics, and the service manager."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ...wrappers import service_manager
from ..report.watch_told import WatchTold, watch_json
from ..watch.agenda import Due, Iteration
from ..watch.plan import WatchPlan
from .watch_metrics import Metrics, ToldFile


class Telling:
    """Tells what there is to tell. Lives on the loop."""

    def __init__(self, plan: WatchPlan, store: Path, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._status = None if plan.status is None else ToldFile(Path(plan.status))
        self._metrics = None if plan.prometheus is None else Metrics(Path(plan.prometheus), store)
        self._paused: dict[str, str] = {}
        self._told = WatchTold(plan.name, "waiting", time.time(), store=str(store))
        self._before: WatchTold | None = None

    def begins(self, known: Mapping[str, Iteration]) -> None:
        """What the watches before this one left, by scan."""
        if known:
            scan, last = max(known.items(), key=lambda found: found[1].started)
            self._told = replace(
                self._told, iteration=last.number, scan=scan, scan_id=last.scan_id, valid_after=last.valid_after
            )

    def scans(self, due: Due, latest: Iteration | None) -> None:
        """A process is to begin an iteration, or to go on with `latest`. What was paused is, until it has done so."""
        why = self._paused.get(due.scan.name, "")
        self._told = replace(
            self._told, state="paused" if why else "scanning", iteration=due.number, scan=due.scan.name, due=None,
            paused=why,
        )  # fmt: skip
        self._by(latest)
        self._tell(f"{due.scan.name}: iteration {due.number}")

    def under_way(self, due: Due, iteration: Iteration) -> None:
        """Its process scans, by the snapshot that the iteration names."""
        self._paused.pop(due.scan.name, None)
        self._told = replace(self._told, state="scanning", paused="")
        self._by(iteration)
        self._write_files()

    def _by(self, iteration: Iteration | None) -> None:
        scan_id, valid_after = ("", None) if iteration is None else (iteration.scan_id, iteration.valid_after)
        self._told = replace(self._told, scan_id=scan_id, valid_after=valid_after)

    def ended(self, due: Due, iteration: Iteration | None, why: str) -> None:
        """A process is over. `iteration`: as the store has it; `why`: what it said last, if it ended before its
        time."""
        if why:
            self._paused[due.scan.name] = why
        else:
            self._paused.pop(due.scan.name, None)
            self._told = replace(self._told, last_ended=time.time())
        if iteration is not None:
            self._by(iteration)

    def taken(self, due: Due, why: str) -> None:
        """Somebody else carries out its scan."""
        self._paused[due.scan.name] = why

    def waits(self, due: Due) -> None:
        """Nothing is to be done until then."""
        why = self._paused.get(due.scan.name, "")
        self._told = replace(self._told, state="paused" if why else "waiting", due=due.at, paused=why)
        self._tell(f"{due.scan.name}: iteration {due.number} at {moment(due.at)}")

    def lives(self) -> None:
        """Nothing has changed, and the files say so."""
        self._write_files()

    async def stops(self) -> None:
        """The watch ends."""
        self._told = replace(self._told, state="stopped", due=None)
        service_manager.tell(self._environment, STOPPING="1")
        self._write_files()
        await self.settled()

    async def settled(self) -> None:
        """Return when all is written."""
        if self._metrics is not None:
            await self._metrics.settled()

    def _tell(self, words: str) -> None:
        service_manager.tell(self._environment, READY="1", STATUS=words)
        self._write_files()

    def _write_files(self) -> None:
        before, self._before = self._before, replace(self._told, written=0.0, due=None)
        self._told = replace(self._told, written=time.time())
        if self._status is not None:
            self._status.write(watch_json(self._told))
        if self._metrics is not None:
            self._metrics.write(self._told, is_changed=self._before != before)


def moment(epoch: float) -> str:
    """A time in words, UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(epoch))
