"""Unix connects that wait for a listener which takes nobody: of each run a few at a time, and each for a while only."""

import asyncio
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from exitpin.shim.calls import ConnectAside
from exitpin.wrappers import unix_connects
from exitpin.wrappers.unix_connects import AT_ONCE, UnixConnect, UnixConnects
from exitpin.wrappers.unix_sockets import Found

from .test_reports_limits import only_more
from .unwatched import out_of_watches

DEADLINE_S = 30.0


class Listener:
    """A Unix socket, and who connects to it. A backlog of 0 holds one."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
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
        found = Found(0, handle=os.open(self.path, os.O_PATH | os.O_CLOEXEC))
        connects.make(UnixConnect(one.dup(), b"", found, lambda: self.is_awaited, self.errors.append))
        return one


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[Callable[[], Listener]]:
    with ExitStack() as stack:
        yield lambda: Listener(tmp_path / str(len(list(tmp_path.iterdir()))), stack)


def unexpected(problem: OSError) -> None:
    raise problem


def played(script: Callable[[UnixConnects], Awaitable[None]]) -> None:
    async def play() -> None:
        connects = UnixConnects(unexpected)
        try:
            async with asyncio.timeout(DEADLINE_S):
                await script(connects)
        finally:
            connects.close()

    asyncio.run(play())


async def eventually(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


async def two_are_taken(full: Listener, connects: UnixConnects) -> None:
    """The second as soon as there is room for it."""
    first, second = full.connect(connects), full.connect(connects)
    await eventually(lambda: full.errors == [0])
    full.socket.accept()
    await eventually(lambda: full.errors == [0, 0])
    assert first.getpeername() == second.getpeername()


def test_one_that_blocks_waits_beside_the_loop_until_it_is_taken(listeners: Callable[[], Listener]) -> None:
    async def script(connects: UnixConnects) -> None:
        await two_are_taken(listeners(), connects)

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
    monkeypatch.setattr(unix_connects, "CONNECT_S", 0.5)

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
        others = UnixConnects(unexpected)
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


FULL = """
import asyncio, errno, os, resource, socket, sys
from exitpin.wrappers import unix_connects
from exitpin.wrappers.unix_connects import UnixConnect, UnixConnects
from exitpin.wrappers.unix_sockets import Found

unix_connects.CONNECT_S = 0.5

async def main(path):
    listener, errors = socket.socket(socket.AF_UNIX), []
    listener.bind(path)
    listener.listen(0)
    connects = UnixConnects(print)
    for _ in range(2):
        found = Found(0, handle=os.open(path, os.O_PATH))
        connects.make(UnixConnect(socket.socket(socket.AF_UNIX), b"", found, lambda: True, errors.append))
    async with asyncio.timeout(15):
        while len(errors) < 2:
            await asyncio.sleep(0.001)
    print(errors == [0, errno.EAGAIN])

resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
asyncio.run(main(sys.argv[1]))
"""


def test_where_no_signal_can_be_queued_nobody_waits_for_one_all_the_same(tmp_path: Path) -> None:
    """All of a user's processes have one share of those, and a tool may use it up."""
    made = subprocess.run([sys.executable, "-c", FULL, str(tmp_path / "s")], capture_output=True, timeout=20)
    assert (made.stdout, made.returncode) == (b"True\n", 0), made.stderr.decode()


def test_what_cannot_be_broken_off_keeps_its_place_and_nobody_waiting(
    listeners: Callable[[], Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_connects, "CONNECT_S", 0.5)
    monkeypatch.setattr(unix_connects, "LOOK_S", 0.01)
    monkeypatch.setattr(ConnectAside, "break_off", lambda self: None)

    async def script(connects: UnixConnects) -> None:
        full, free = listeners(), listeners()
        full.connect(connects)
        await eventually(lambda: full.errors == [0])
        for _ in range(AT_ONCE):
            full.connect(connects)
        free.connect(connects)
        await eventually(lambda: full.errors == [0] + [errno.EAGAIN] * AT_ONCE)
        assert free.errors == []
        full.socket.close()
        await eventually(lambda: free.errors == [0])
        assert len(full.errors) == 1 + AT_ONCE, "each hears once"

    played(script)


def test_whoever_closes_them_leaves_nothing_open(listeners: Callable[[], Listener]) -> None:
    async def script(connects: UnixConnects) -> None:
        before = len(os.listdir("/proc/self/fd"))
        full = listeners()
        theirs = [full.connect(connects) for _ in range(2 * AT_ONCE)]
        await eventually(lambda: full.errors == [0])
        connects.close()
        for one in (full.socket, *theirs):
            one.close()
        await eventually(lambda: len(os.listdir("/proc/self/fd")) == before)

    played(script)


def test_where_they_cannot_be_watched_they_are_looked_at(
    listeners: Callable[[], Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(connects: UnixConnects) -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", out_of_watches)
        await two_are_taken(listeners(), connects)

    played(script)


def test_one_that_we_have_no_room_for_is_our_doing(listeners: Callable[[], Listener]) -> None:
    problems: list[int | None] = []

    async def script(connects: UnixConnects) -> None:
        del connects
        listener, ours = listeners(), UnixConnects(lambda problem: problems.append(problem.errno))
        with socket.socket(socket.AF_UNIX) as one:
            found = Found(0, handle=os.open(listener.path, os.O_PATH | os.O_CLOEXEC))
            connect = UnixConnect(one.dup(), b"", found, lambda: True, listener.errors.append)
            with only_more(0):
                ours.make(connect)
        assert (problems, listener.errors, found.handle) == ([errno.EMFILE], [errno.EAGAIN], None)

    played(script)
