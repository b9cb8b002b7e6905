"""Children that an event loop waits for: what is kept of them, and that none is left, whoever is cancelled and when."""

import asyncio
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from exitpin.wrappers.awaited import Ended, end, ended, uninterrupted

SLOW = "trap 'echo late > \"$0\"; exit 0' TERM; echo begun; while :; do sleep 0.05; done"
"""Takes its time to end when it is told to, as the client does."""


def within(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(body, 20))


async def started(*argv: str) -> Process:
    return await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True)


async def begun(path: Path) -> Process:
    process = await started("sh", "-c", SLOW, str(path))
    assert process.stdout is not None and await process.stdout.readline() == b"begun\n"
    return process


def test_what_it_prints_is_kept_as_far_as_there_is_room() -> None:
    async def body() -> None:
        process = await started("sh", "-c", "cat; printf 123456 >&2; exit 3")
        assert await ended(process, b"\xff", size_max=4) == Ended(3, "\\xff", "1234", True)
        assert await ended(await started("true"), b"x" * (1 << 20)) == Ended(0, "", "", False)

    within(body())


def test_who_is_cancelled_has_ended_it_even_if_he_is_cancelled_again(tmp_path: Path) -> None:
    async def body() -> None:
        process = await begun(tmp_path / "late")
        waiting = asyncio.create_task(ended(process))
        for _ in range(5):
            await asyncio.sleep(0)
            waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert process.returncode == 0 and (tmp_path / "late").exists()

    within(body())


def test_a_cancellation_while_it_is_ended_is_not_lost(tmp_path: Path) -> None:
    async def body() -> None:
        process = await begun(tmp_path / "late")
        ending = asyncio.create_task(end(process))
        await asyncio.sleep(0)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert process.returncode == 0

    within(body())


def test_when_it_can_not_be_fed_it_is_ended() -> None:
    async def body() -> None:
        process = await started("sleep", "60")
        with pytest.raises(TypeError):
            await ended(process, "no bytes")  # type: ignore[arg-type]
        assert process.returncode == -15

    within(body())


def test_what_is_not_to_be_interrupted_gives_its_result_or_raises() -> None:
    async def given(value: int) -> int:
        await asyncio.sleep(0)
        return 1 // value

    async def body() -> None:
        assert await uninterrupted(given(1)) == 1
        with pytest.raises(ZeroDivisionError):
            await uninterrupted(given(0))

    within(body())
