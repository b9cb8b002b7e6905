"""The daemon's door, where its user may have no more descriptors watched."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from exitpin.orchestrator.circuit import Pace
from exitpin.orchestrator.cli import daemon_serve
from exitpin.orchestrator.cli.daemon_serve import Daemon
from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.network import Vantage
from exitpin.orchestrator.settings import Settings
from exitpin.shim.bindings import Lease, LeaseKind, encode_lease
from exitpin.wrappers.daemon_socket import connect_to_daemon, listening

from ..wrappers.unwatched import is_full

DEADLINE_S = 30.0
STATUS = encode_lease(Lease(LeaseKind.STATUS))


def daemon() -> Daemon:
    return Daemon(Vantage("own", Path("nowhere")), Settings(), Pace(), lambda: None)


def played(path: Path, script: Callable[[Daemon, socket.socket], Awaitable[None]]) -> None:
    """At its door, and where nothing may be uncaught."""

    async def play() -> None:
        uncaught: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: uncaught.append(context))
        with listening(path) as door:
            one = daemon()
            one._listener = door
            async with asyncio.timeout(DEADLINE_S):
                await script(one, door)
        assert uncaught == []

    asyncio.run(play())


def knock(path: Path) -> socket.socket:
    connection = connect_to_daemon(path)
    assert connection is not None
    connection.setblocking(False)
    return connection


def test_a_client_who_cannot_be_heard_does_without_and_the_next_one_is_heard(tmp_path: Path) -> None:
    async def script(one: Daemon, door: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(door.fileno(), one._admit)
        with knock(tmp_path / "d") as first:
            with is_full():
                for _ in range(3):
                    await asyncio.sleep(0)
            assert first.recv(1000) == encode_lease(Lease(LeaseKind.DECLINE)) and first.recv(1000) == b""
        with knock(tmp_path / "d") as second:
            second.send(STATUS)
            while True:
                try:
                    assert second.recv(1000)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0)

    played(tmp_path / "d", script)


def test_a_door_that_cannot_be_watched_again_is_tried_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_serve, "DEAF_S", 0.001)

    async def script(one: Daemon, door: socket.socket) -> None:
        with is_full():
            one._listen_again()
        while not asyncio.get_running_loop().remove_reader(door.fileno()):
            await asyncio.sleep(0)

    played(tmp_path / "d", script)


def test_a_daemon_that_cannot_listen_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script() -> None:
        with is_full(), pytest.raises(OperatorError, match="max_user_watches"):
            await daemon().run()

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    asyncio.run(script())
