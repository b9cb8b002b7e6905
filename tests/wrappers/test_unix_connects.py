"""Unix connects that wait for a listener which takes nobody: of each run a few at a time, and each for a while only."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from exitpin.wrappers import unix_connects
from exitpin.wrappers.unix_connects import AT_ONCE, UnixConnect, UnixConnects
from exitpin.wrappers.unix_sockets import Found

DEADLINE_S = 5.0


class Listener:
    """A Unix socket, and who connects to it. A backlog of 0 holds one."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.place = socket.AF_UNIX.to_bytes(2, "little") + bytes(path)
        self.stack = stack
        self.socket = stack.enter_context(socket.socket(socket.AF_UNIX))
        self.socket.bind(str(path))
        self.socket.listen(0)
        self.errors: list[int] = []
        self.is_awaited = True

    def connect(self, connects: UnixConnects, *, blocks: bool = True) -> socket.socket:
        """One more; its errno is heard in `errors`."""
        one = self.stack.enter_context(socket.socket(socket.AF_UNIX))
        one.setblocking(blocks)
        connects.make(UnixConnect(one.dup(), self.place, Found(0), lambda: self.is_awaited, self.errors.append))
        return one


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[Callable[[], Listener]]:
    with ExitStack() as stack:
        yield lambda: Listener(tmp_path / str(len(list(tmp_path.iterdir()))), stack)


def played(script: Callable[[UnixConnects], Awaitable[None]]) -> None:
    async def play() -> None:
        connects = UnixConnects()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await script(connects)
        finally:
            connects.close()

    asyncio.run(play())


async def eventually(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


def test_one_that_blocks_waits_beside_the_loop_until_it_is_taken(listeners: Callable[[], Listener]) -> None:
    async def script(connects: UnixConnects) -> None:
        full = listeners()
        first, second = full.connect(connects), full.connect(connects)
        await eventually(lambda: full.errors == [0])
        full.socket.accept()
        await eventually(lambda: full.errors == [0, 0])
        assert first.getpeername() == second.getpeername()

    played(script)


def test_one_that_does_not_block_hears_what_the_kernel_says(listeners: Callable[[], Listener]) -> None:
    async def script(connects: UnixConnects) -> None:
        full = listeners()
        full.connect(connects, blocks=False)
        await eventually(lambda: full.errors == [0])
        full.connect(connects, blocks=False)
        await eventually(lambda: full.errors == [0, errno.EAGAIN])

    played(script)


def test_one_that_is_never_taken_is_broken_off(
    listeners: Callable[[], Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_connects, "CONNECT_S", 0.05)

    async def script(connects: UnixConnects) -> None:
        full = listeners()
        full.connect(connects)
        await eventually(lambda: full.errors == [0])
        stuck = full.connect(connects)
        await eventually(lambda: full.errors == [0, errno.EAGAIN])
        with pytest.raises(OSError, match="not connected"):
            stuck.getpeername()

    played(script)


def test_those_that_wait_hold_up_only_those_of_their_run(listeners: Callable[[], Listener]) -> None:
    async def script(connects: UnixConnects) -> None:
        full, free = listeners(), listeners()
        full.connect(connects)
        await eventually(lambda: full.errors == [0])
        for _ in range(AT_ONCE):
            full.connect(connects)
        free.connect(connects)
        others = UnixConnects()
        free.connect(others)
        await eventually(lambda: free.errors == [0])
        others.close()
        free.socket.accept()
        full.socket.accept()
        await eventually(lambda: (full.errors, free.errors) == ([0, 0], [0, 0]))

    played(script)


def test_more_than_may_wait_are_told_to_come_again(
    listeners: Callable[[], Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_connects, "max_calls", lambda: 1)

    async def script(connects: UnixConnects) -> None:
        full = listeners()
        full.connect(connects)
        await eventually(lambda: full.errors == [0])
        for _ in range(AT_ONCE + 2):
            full.connect(connects)
        assert full.errors == [0, errno.EAGAIN]

    played(script)


def test_one_that_nobody_waits_for_is_broken_off(listeners: Callable[[], Listener]) -> None:
    async def script(connects: UnixConnects) -> None:
        full, free = listeners(), listeners()
        full.connect(connects)
        await eventually(lambda: full.errors == [0])
        for _ in range(2 * AT_ONCE):
            full.connect(connects)
        free.connect(connects)
        full.is_awaited = False
        await eventually(lambda: free.errors == [0])

    played(script)


def test_whoever_closes_them_waits_for_none_and_nobody_hears_of_it(listeners: Callable[[], Listener]) -> None:
    async def script(connects: UnixConnects) -> None:
        full = listeners()
        sockets = [full.connect(connects) for _ in range(2 * AT_ONCE)]
        await eventually(lambda: full.errors == [0])
        connects.close()
        assert full.errors == [0]
        full.socket.accept()
        with pytest.raises(OSError, match="not connected"):
            sockets[-1].getpeername()

    played(script)
