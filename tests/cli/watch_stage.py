"""A watch whose processes are played."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

from exitpin.orchestrator.cli.watch_child import Child
from exitpin.orchestrator.cli.watch_loop import WatchLoop
from exitpin.orchestrator.results.store import Store
from exitpin.orchestrator.watch.plan import PlannedScan, WatchPlan

from ..orchestrator.recorded import scan_record, verdict_record

DEADLINE_S = 20.0
NOW = 4e9  # no interval is over by then
PLAN = WatchPlan("nightly", (PlannedScan("certs", 3600.0, 0.0, ("tls-cert",)),))
WEB = PlannedScan("web", 3600.0, 0.0, ("http-body",))
Part = Callable[[], Awaitable[int]]


class Played(Child):
    """A process whose part a test plays."""

    def __init__(self, part: Part) -> None:
        super().__init__((), {})
        self._part = part
        self.signals: list[int] = []
        self.last_sentence = "it says so"

    async def run(self) -> int:
        return await self._part()

    def signal(self, signo: int) -> None:
        self.signals.append(signo)


class Stage:
    """A watch of a plan. `asked`: how each of its processes was started; `words`: with which; `played`: they."""

    def __init__(self, path: Path, plan: WatchPlan = PLAN) -> None:
        self.path = path
        self.plan = plan
        self.asked: list[str] = []
        self.words: list[Sequence[str]] = []
        self.played: list[Played] = []
        self._parts: Iterator[Part] = iter(())

    def plays(self, *parts: Part) -> None:
        """What its processes do, one after the other."""
        self._parts = iter(parts)

    def _start(self, words: Sequence[str], _: Mapping[str, str]) -> Child:
        (resumed,) = [word for word in words if word.startswith("--resume=")] or ["new"]
        (tag,) = [word for word in words if word.startswith("--iteration=")]
        self.asked.append(f"{tag.removeprefix('--iteration=nightly/')} {resumed.removeprefix('--resume=')}")
        self.words.append(words)
        self.played.append(Played(next(self._parts)))
        return self.played[-1]

    def status(self, iterations: int | None = 1) -> int:
        """How a watch of so many iterations ends; None: `--once`."""
        args = argparse.Namespace(
            store=str(self.path), lab=False, name=None, control=None, dry_run=False, once=iterations is None,
            iterations=iterations,
        )  # fmt: skip

        async def watch() -> int:
            async with asyncio.timeout(DEADLINE_S):
                return await WatchLoop(self.plan, args, {}, self._start).execute()

        return asyncio.run(watch())

    def ends(
        self,
        status: int,
        state: str,
        *statuses: str,
        scan: str = "s1",
        of_scan: str = "certs",
        number: int = 1,
        is_told: bool = False,
        started: float = NOW,
    ) -> Part:
        """A part: the store has the scan in this state, and its verdicts, of which somebody was told or not; then the
        process ends so."""

        async def part() -> int:
            store = Store(self.path)
            of = {"watch": "nightly", "scan": of_scan, "number": number}
            verdicts = [verdict_record(place, scan_id=scan, status=word) for place, word in enumerate(statuses)]
            alerted = {one["verdict_id"]: one["status"] for one in verdicts} if is_told else None
            store.add_scan(
                scan_record(
                    scan,
                    state=state,
                    started=started,
                    iteration=of,
                    consensus="2026-01-31 13:00:00",
                    alerted=alerted,
                    legs=[{"started": NOW}],
                )
            )
            for verdict in verdicts:
                store.add(verdict)
            await store.close()
            return status

        return part
