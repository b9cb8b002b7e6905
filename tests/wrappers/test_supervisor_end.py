"""The supervisor of a run that is over: all that its tool had asked is heard, and connects under way answer by its
descriptor no more, which may be another's."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.model import Destination
from exitpin.shim.calls import Call
from exitpin.shim.tickets import CallDoor
from exitpin.wrappers.ahead import Flight
from exitpin.wrappers.call_thread import Asked, CallThread
from exitpin.wrappers.closing import Closers
from exitpin.wrappers.machine import abilities
from exitpin.wrappers.process import LaunchedProcess
from exitpin.wrappers.report_calls import WaitingCall
from exitpin.wrappers.stand_in import Port
from exitpin.wrappers.supervisor import Supervisor

from .fake_hooks import NONCE, FakeTree, no_unix, turns
from .test_stand_in import one_run, python

REFUSED = "import socket; print(socket.socket().connect_ex(('127.0.0.1', 80)))"


class Reports:
    """Keeps the calls that tickets were used for."""

    def __init__(self) -> None:
        self.calls: dict[int, WaitingCall] = {}
        self.closers = Closers(1, lambda pid: True, lambda why, event: None)

    def adopt(self, *_: object) -> None:
        """A hook's connection."""

    def went(self, packet: bytes, pid: int, tool_socket: socket.socket, flight: Flight, *_: object) -> None:
        """A connect by a ticket."""
        self.calls[flight.number] = WaitingCall(flight.number, None, tool_socket, pid, flight=flight)


class Thread:
    """In the place of `Ahead`: whether the supervisor's descriptor was open when a flight was ended."""

    def __init__(self, listener: int) -> None:
        self.listener = listener
        self.was_open: list[bool] = []

    def end(self, number: int) -> tuple[bool, bool]:
        """A flight."""
        self.was_open.append(os.path.exists(f"/proc/self/fd/{self.listener}"))
        return False, False


@pytest.fixture
def tool_socket() -> Iterator[socket.socket]:
    with socket.socket() as one:
        yield one


def test_what_is_under_way_is_ended_before_its_descriptor_is_closed(tmp_path: Path, tool_socket: socket.socket) -> None:
    async def script() -> None:
        ours, theirs = socket.socketpair()
        thread: Any = Thread(theirs.detach())
        tree: Any = FakeTree()
        reports: Any = Reports()
        supervisor = Supervisor(
            thread.listener, "127.64.0.1", NONCE, reports, tree, print, no_unix(tree), CallDoor(os.fsencode(tmp_path))
        )
        for number in (1, 2):
            flight = Flight(number, thread, "tag", 1, Destination("192.0.2.1", 80))
            supervisor.went(Call(number, os.getpid(), 42, (0,) * 6), os.getpid(), tool_socket, b"", flight)
            flight.end() if number == 1 else None
        supervisor.close()
        assert thread.was_open == [True, True], "and each once"
        assert not os.path.exists(f"/proc/self/fd/{thread.listener}")
        ours.close()

    asyncio.run(script())


@pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)
def test_what_its_thread_tells_after_the_launchers_last_notice_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Callable[[], None]] = []
    later: list[asyncio.Task[None]] = []
    hears, posts = LaunchedProcess._readable, CallThread._post

    async def tell() -> None:
        await turns()
        for tells in told[1:]:
            tells()

    def readable(process: LaunchedProcess) -> None:
        hears(process)
        if process._has_ended:
            later.append(asyncio.get_running_loop().create_task(tell()))

    def post(thread: CallThread, to: Callable[..., None], what: object) -> None:
        tells = partial(posts, thread, to, what)
        if isinstance(what, Asked) or not told:  # the hello waits for its answer
            tells()
        if not isinstance(what, Asked):
            told.append(tells)

    def check(record: dict[str, Any], stdout: bytes, log: Path) -> None:
        assert (stdout, record["failure"]) == (b"13\n", None)
        assert [each["reason"] for each in record["denied"]] == ["loopback"]

    monkeypatch.setattr(LaunchedProcess, "_readable", readable)
    monkeypatch.setattr(CallThread, "_post", post)
    one_run(Port.GARBAGE, python(REFUSED), check, level="notify")
