"""A tool's stdin: all of it and then its end, whoever reads, and without waiting for them."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from exitpin.wrappers.given import Input

DEADLINE_S = 30.0


def played(script: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        before = os.listdir("/proc/self/fd")
        async with asyncio.timeout(DEADLINE_S):
            await script()
        assert os.listdir("/proc/self/fd") == before

    asyncio.run(play())


def read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()


@pytest.mark.parametrize("content", [b"", b"a line\n", bytes(range(256)) * 8192], ids=["none", "a line", "2 MiB"])
def test_a_reader_gets_all_of_it_and_then_the_end(content: bytes) -> None:
    async def script() -> None:
        given = Input(content)
        copy = os.dup(given.descriptor)
        given.started()
        assert await asyncio.to_thread(read_all, copy) == content
        given.finish()

    played(script)


def test_a_reader_that_hangs_up_is_no_error() -> None:
    async def script() -> None:
        given = Input(bytes(1 << 20))
        given.started()
        for _ in range(3):
            await asyncio.sleep(0)
        given.finish()

    played(script)


def test_a_reader_that_never_reads_holds_up_nothing() -> None:
    async def script() -> None:
        given = Input(bytes(1 << 20))
        copy = os.dup(given.descriptor)
        given.started()
        for _ in range(3):
            await asyncio.sleep(0)
        given.finish()
        assert 0 < len(await asyncio.to_thread(read_all, copy)) < 1 << 20

    played(script)
