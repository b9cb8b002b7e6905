"""Daemons that are kept: what ends unasked comes back, what is stopped does not."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exitpin.wrappers.lab_keeper import PAUSE_MOST_S, Keeper
from exitpin.wrappers.lab_plant import Plant

SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    (tmp_path / "logs").mkdir()
    plant = Plant(tmp_path)
    yield plant
    for name in list(plant.pids):
        plant.stop(name)


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.02)


def kept(plant: Plant, body: Callable[[Keeper], "asyncio.Future[None]"]) -> None:
    """Run a body beside a keeper that reaps these children alone."""

    async def both() -> None:
        keeper = Keeper(plant)
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, keeper.reap)
        await body(keeper)

    asyncio.run(both())


def test_a_daemon_that_is_killed_is_started_again(plant: Plant) -> None:
    async def body(keeper: Keeper) -> None:
        first = plant.start("one", SLEEPER, os.environ).pid
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: plant.pids.get("one", first) != first)
        assert plant.children["one"].pid == plant.pids["one"]

    kept(plant, body)


def test_one_that_ends_at_once_waits_longer_each_time(plant: Plant) -> None:
    async def body(keeper: Keeper) -> None:
        keeper.started("one")
        plant.start("one", [sys.executable, "-c", ""], os.environ)
        seen: list[float] = []

        def is_slower() -> bool:
            pause = keeper.pauses.get("one", 0.0)
            if pause and pause not in seen:
                seen.append(pause)
            return len(seen) >= 3

        await eventually(is_slower)
        assert seen == sorted(seen) and seen[-1] <= PAUSE_MOST_S
        keeper.stop("one")

    kept(plant, body)


def test_one_that_can_not_be_started_is_tried_again(plant: Plant, tmp_path: Path) -> None:
    async def body(keeper: Keeper) -> None:
        first = plant.start("one", SLEEPER, os.environ).pid
        (tmp_path / "logs").rename(tmp_path / "elsewhere")
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: keeper.pauses.get("one", 0.0) > 0.1)
        assert "one" not in plant.pids
        (tmp_path / "elsewhere").rename(tmp_path / "logs")
        await eventually(lambda: "one" in plant.pids)

    kept(plant, body)


@pytest.mark.parametrize("is_down", [False, True])
def test_one_that_is_stopped_stays_away(plant: Plant, is_down: bool) -> None:
    async def body(keeper: Keeper) -> None:
        pid = plant.start("one", SLEEPER, os.environ).pid
        if is_down:
            keeper.started("one")
            os.kill(pid, signal.SIGKILL)
            await eventually(lambda: "one" in keeper.waiting)
        keeper.stop("one")
        assert (keeper.waiting, plant.pids) == ({}, {})

    kept(plant, body)
