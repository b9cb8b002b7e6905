"""Plays instead of processes: scans that start nothing end as real ones do."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from exitpin.orchestrator.model import Setup
from exitpin.wrappers.stand_in import Port, StandIn
from exitpin.wrappers.stand_in_launch import Play, StandInLauncher

from .test_stand_in import carried_out, plan_for


def test_a_scan_of_200_runs_ends_without_a_process() -> None:
    async def script() -> None:
        tor = StandIn(Port.CLOSED, seed=1, circuit_failures=0.1, circuit_s=0.002)
        await tor.open()
        launcher = StandInLauncher(lambda run: Play(0.001, run.run_id.encode(), exit_code=run.index % 2))
        before = time.monotonic()
        ended = await carried_out(tor, launcher, plan_for(("true",), exits=200), jobs=64)
        assert time.monotonic() - before < 10.0
        assert len(ended) == 200
        for run_id, (life, launch) in ended.items():
            if life.failure is None:
                assert launch is not None and bytes(launch.stdout.kept) == run_id.encode()  # type: ignore[attr-defined]
                assert life.exited is not None and life.exited.rc == life.run.index % 2
            else:
                assert life.failure.kind == "circuit"
        assert sum(life.failure is None for life, _ in ended.values()) > 190
        tor.close()

    asyncio.run(script())


@pytest.mark.parametrize("lasts", [False, True])
def test_a_play_that_takes_too_long_times_out(lasts: bool) -> None:
    async def script() -> None:
        tor = StandIn(Port.CLOSED)
        launcher = StandInLauncher(lambda run: Play(60.0, b"never", lasts=lasts))
        ((life, launch),) = (await carried_out(tor, launcher, plan_for(("sleep",), timeout_s=0.05))).values()
        assert life.timed_out and life.failure is not None and life.failure.kind == "timeout"
        assert life.exited is not None and life.exited.signal == (9 if lasts else 15)
        assert launch is not None and launch.stdout.kept == b""  # type: ignore[attr-defined]
        tor.close()

    asyncio.run(script())


def test_what_a_play_wrote_is_capped_like_a_real_runs() -> None:
    async def script() -> None:
        tor = StandIn(Port.CLOSED)
        launcher = StandInLauncher(lambda run: Play(stdout=b"x" * (2 << 20)))
        ((_, launch),) = (await carried_out(tor, launcher, plan_for(("yes",)))).values()
        stdout = launch.stdout  # type: ignore[union-attr]
        assert (len(stdout.kept), stdout.size, stdout.is_truncated) == (1 << 20, 2 << 20, True)
        tor.close()

    asyncio.run(script())


def test_what_a_play_leaves_lies_where_a_real_run_leaves_it(tmp_path: Path) -> None:
    async def script() -> None:
        tor = StandIn(Port.CLOSED)
        launcher = StandInLauncher(lambda run: Play(facts=b"a=1\n", artifacts=(("body", b"<html>"),)))
        (run,) = plan_for(("true",))
        run = replace(run, setup=Setup(str(tmp_path / "1"), stdout_max=5))
        ((_, launch),) = (await carried_out(tor, launcher, [run])).values()
        assert launch.artifacts_bytes == 6  # type: ignore[union-attr]
        assert (tmp_path / "1" / "artifacts" / "body").read_bytes() == b"<html>"
        assert (tmp_path / "1" / "facts").read_bytes() == b"a=1\n"
        tor.close()

    asyncio.run(script())
