"""One `exitpin run`, as the command line carries it out, watched from inside: python ours.py OUTPUT ARGUMENT...

The arguments are those of `exitpin run`. Writes to OUTPUT, as JSON: runs, how many failed, seconds from the first
run's begin to the end of the last, CPU seconds of this process in that time, and the event loop's lag: how late a
timer of 5 ms fires (which on a busy machine is mostly the machine's), and how much CPU time the loop used between two.
"""

import argparse
import asyncio
import json
import sys
import time
from statistics import quantiles
from typing import Any

from exitpin.orchestrator.cli import run as run_verb
from exitpin.orchestrator.cli import run_scan
from exitpin.orchestrator.loop import Session
from exitpin.orchestrator.observation import failure_of

TICK_S = 0.005


class Watch:
    """What is noted around `Session.run`."""

    def __init__(self) -> None:
        self.lags_s: list[float] = []
        self.cpu_s: list[float] = []
        self.wall_s = self.cpu_used_s = self.start_cpu_s = 0.0

    def tick(self, loop: asyncio.AbstractEventLoop, due: float, cpu: float) -> None:
        now, used = loop.time(), time.thread_time()
        self.lags_s.append(max(0.0, now - due))
        self.cpu_s.append(used - cpu)
        loop.call_at(now + TICK_S, self.tick, loop, now + TICK_S, used)


class WatchedSession(Session):
    """A session that is timed."""

    watch = Watch()

    async def run(self, *given: Any) -> None:
        loop = asyncio.get_running_loop()
        self.watch.tick(loop, loop.time(), time.thread_time())
        began, cpu = time.monotonic(), time.process_time()
        try:
            await super().run(*given)
        finally:
            self.watch.wall_s = time.monotonic() - began
            self.watch.cpu_used_s = time.process_time() - cpu
            self.watch.start_cpu_s = cpu


class WatchedScan(run_scan.Scan):
    """A scan that can be looked at when it is over."""

    made: "list[WatchedScan]" = []  # noqa: RUF012

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.made.append(self)

    def summary(self) -> dict[str, object]:
        watch = WatchedSession.watch
        failures = [failure for life in self._lives if (failure := failure_of(life)) is not None]
        return {
            "runs": len(self._lives),
            "failed": len(failures),
            "failures": [str(failure) for failure in failures[:5]],
            "connections": sum(len(life.connections) for life in self._lives),
            "wall_s": watch.wall_s,
            "cpu_s": watch.cpu_used_s,
            "start_cpu_s": watch.start_cpu_s,
            "lag_p99_ms": _p99(watch.lags_s) * 1e3,
            "busy_p99_ms": _p99(watch.cpu_s) * 1e3,
        }


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98] if len(values) > 1 else 0.0


def main() -> int:
    output, *arguments = sys.argv[1:]
    parser = argparse.ArgumentParser()
    run_verb.register(parser.add_subparsers(required=True))
    args = parser.parse_args(["run", *arguments])
    run_scan.Session = WatchedSession  # type: ignore[misc]
    run_scan.Scan = WatchedScan  # type: ignore[misc]
    status = int(args.execute(args))
    with open(output, "w", encoding="utf-8") as file:
        json.dump(WatchedScan.made[0].summary(), file)
    return status


if __name__ == "__main__":
    sys.exit(main())
