"""What was done by a ticket reaches the core as if the loop had done it, in order; and a flight belongs to one run."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from exitpin.orchestrator import events
from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.model import Destination, Endpoint, Place, Run, Ticket
from exitpin.orchestrator.ports import Reply
from exitpin.shim import bindings
from exitpin.wrappers.ahead import Ahead
from exitpin.wrappers.door import Door
from exitpin.wrappers.process import Tree
from exitpin.wrappers.reports import ReportSocket

from .fake_hooks import FakeTree, no_unix
from .ticketed import CIRCUIT, GRANTED, NONCE, RUN_ADDRESS, TAG, Scene, request_on, stream

DEADLINE_S = 20.0


@dataclass
class Held:
    """A run's door, with a thread behind it; what was posted, and what Tor's two ends are."""

    door: Door
    ahead: Ahead
    reports: ReportSocket
    scene: Scene
    posted: "asyncio.Queue[Any]" = field(default_factory=asyncio.Queue)
    lost: list[str] = field(default_factory=list)
    kept: list[socket.socket] = field(default_factory=list)

    def go_ahead(self, **changes: Any) -> None:
        given = {
            "number": 1, "tag": TAG, "circuit_id": CIRCUIT, "places": (Place("198.18.0.1", 0, "web.test"),),
            "goes_anywhere": True, "patience_s": 60.0,
        }  # fmt: skip
        self.door.go_ahead(Ticket(**(given | changes)), self.ahead)

    async def asked(self) -> socket.socket:
        """Tor's end of the SOCKS connection, once it was asked for web.test."""
        connection = await asyncio.to_thread(self.scene.socks)
        self.kept.append(connection)
        assert await asyncio.to_thread(request_on, connection) == (TAG, "web.test", 80)
        return connection


@asynccontextmanager
async def held(directory: Path) -> AsyncIterator[Held]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(DEADLINE_S)
    lost: list[str] = []
    with theirs, socket.create_server(("127.0.0.1", 0)) as port:
        port.settimeout(DEADLINE_S)
        theirs.sendall(b"250 OK\r\n")
        ahead = Ahead(ours, port.getsockname(), lost.append)
        assert theirs.recv(1000) == b"SETEVENTS STREAM\r\n"
        tree = FakeTree()
        tree.launcher = os.getpid()  # type: ignore[attr-defined]
        posted: asyncio.Queue[Any] = asyncio.Queue()
        reports = ReportSocket(
            directory / "r", NONCE, cast(Tree, tree), posted.put_nowait, lambda packet, pid: None, no_unix(tree)
        )
        reports.listener.open()
        run = SimpleNamespace(nonce=NONCE, address=RUN_ADDRESS)
        door = Door(cast(Run, run), reports, cast(Tree, tree))
        scene = Scene(ahead.thread, theirs, -1, cast(Any, SimpleNamespace(getsockname=lambda: str(reports.path))), port)
        made = Held(door, ahead, reports, scene, posted, lost)
        try:
            async with asyncio.timeout(DEADLINE_S):
                yield made
        finally:
            door.recall()
            reports.close()
            ahead.close()
            for tool in scene.tools:
                tool.kill()
                tool.wait()


def played(directory: Path, script: Callable[[Held], Awaitable[None]]) -> None:
    async def play() -> None:
        async with held(directory) as on:
            await script(on)

    asyncio.run(play())


def test_a_connect_that_went_is_reported_and_its_answer_is_told_once(tmp_path: Path) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        tool = on.scene.tool()
        report = await on.posted.get()
        assert isinstance(report, events.ConnectReported)
        assert (report.pid, report.destination, report.is_ahead) == (tool.pid, Destination("198.18.0.1", 80), True)
        assert report.problem is None
        connection = await on.asked()
        on.scene.says(stream("NEW", 0, report.source))
        assert await asyncio.to_thread(on.scene.hears) == f"ATTACHSTREAM 5 {CIRCUIT}\r\n"
        on.scene.says("250 OK", stream("SENTCONNECT", CIRCUIT), stream("SUCCEEDED", CIRCUIT))
        connection.sendall(GRANTED)
        assert await on.posted.get() == events.SocksAnswered(report.call, 0)
        while not on.reports.calls[report.call].flight.has_answer():  # type: ignore[union-attr]
            await asyncio.sleep(0)
        on.reports.answer(AnswerCall(report.call))
        assert (await asyncio.to_thread(tool.communicate))[0] == "0\n"
        assert on.posted.empty()
        assert on.reports.calls == {}

    played(tmp_path, script)


def test_what_a_tool_has_done_with_its_socket_since_is_no_matter(tmp_path: Path) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        tool = on.scene.tool(is_anew=True)
        connection = on.scene.socks()  # the loop has no turn before the tool has ended
        request_on(connection)
        source = Endpoint(*connection.getpeername())
        on.scene.says(stream("NEW", 0, source))
        assert on.scene.hears() == f"ATTACHSTREAM 5 {CIRCUIT}\r\n"
        on.scene.says("250 OK", stream("SENTCONNECT", CIRCUIT), stream("SUCCEEDED", CIRCUIT))
        connection.sendall(GRANTED)
        assert tool.communicate()[0] == "0\n"
        report = await on.posted.get()
        assert isinstance(report, events.ConnectReported)
        assert (report.source, report.problem) == (source, None)

    played(tmp_path, script)


def test_a_connect_that_the_core_refuses_after_it_went_is_told_of(tmp_path: Path) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        tool = on.scene.tool()
        report = await on.posted.get()
        connection = await on.asked()
        on.scene.says(stream("NEW", 0, report.source), stream("SUCCEEDED", CIRCUIT))
        connection.sendall(GRANTED)
        assert (await asyncio.to_thread(tool.communicate))[0] == "0\n"
        on.reports.answer(AnswerCall(report.call, 13, disconnect=True))
        told = [await on.posted.get(), await on.posted.get()]
        assert any(isinstance(event, events.WentAstray) for event in told)

    played(tmp_path, script)


def test_a_connect_that_the_core_ends_before_tor_has_answered_gets_the_cores_errno(tmp_path: Path) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        tool = on.scene.tool()
        report = await on.posted.get()
        await on.asked()
        on.reports.answer(AnswerCall(report.call, 101))
        assert (await asyncio.to_thread(tool.communicate))[0] == "101\n"
        assert on.posted.empty()

    played(tmp_path, script)


def test_what_was_done_by_a_ticket_has_been_told_when_it_is_recalled(tmp_path: Path) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        on.scene.tool()
        await on.asked()  # and no turn of the loop since
        on.door.recall()
        assert isinstance(on.posted.get_nowait(), events.ConnectReported)

    played(tmp_path, script)


def test_who_had_said_nothing_when_the_ticket_was_used_is_heard_later(tmp_path: Path) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as hook:
            hook.connect(str(on.reports.path))
            await asyncio.sleep(0)
            on.scene.tool()
            assert (await on.posted.get()).is_ahead
            hook.send(bindings.encode_report(bindings.Op.HELLO, NONCE, pid=os.getpid()))
            assert isinstance(await on.posted.get(), events.Hello)

    played(tmp_path, script)


def test_what_is_not_plain_goes_the_usual_way(tmp_path: Path) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        on.scene.tool(nonce=bytes(16).hex())
        report = await on.posted.get()
        assert isinstance(report, events.ConnectReported)
        assert report.problem is not None
        assert "another run's nonce" in report.problem
        assert not report.is_ahead
        on.reports.answer(AnswerCall(report.call, 13))

    played(tmp_path, script)


def test_without_a_ticket_the_loop_listens(tmp_path: Path) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        on.door.recall()
        tool = on.scene.tool()
        report = await on.posted.get()
        assert (report.pid, report.is_ahead) == (tool.pid, False)
        on.reports.answer(AnswerCall(report.call, 13))

    played(tmp_path, script)


def test_a_tool_that_is_killed_while_it_waits_has_hung_up(tmp_path: Path) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        tool = on.scene.tool()
        report = await on.posted.get()
        await on.asked()
        tool.kill()
        assert await on.posted.get() == events.CallLost(report.call)
        assert on.reports.calls == {}

    played(tmp_path, script)


@pytest.mark.parametrize("is_first", [True, False], ids=["asked before", "asked after"])
def test_tors_reply_to_an_attach_reaches_who_asks_for_it(tmp_path: Path, is_first: bool) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        on.scene.tool()
        report = await on.posted.get()
        await on.asked()
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        on.scene.says(stream("NEW", 0, report.source))
        await asyncio.to_thread(on.scene.hears)
        if is_first:
            on.ahead.was_sent(5, CIRCUIT, reply.set_result)
            assert on.ahead.longest_wait_s() > 0
        on.scene.says('552 Unknown circuit "77"')
        if not is_first:
            while 5 not in on.ahead._replies:
                await asyncio.sleep(0)
            on.ahead.was_sent(5, CIRCUIT, reply.set_result)
        assert await reply == (552, ['Unknown circuit "77"'])
        assert on.ahead.longest_wait_s() == 0

    played(tmp_path, script)


def test_an_attach_that_was_never_sent_is_not_waited_for(tmp_path: Path) -> None:
    """Its maker has gone after the loop has heard of its stream, and before the thread has."""

    async def script(on: Held) -> None:
        on.ahead.was_sent(5, CIRCUIT, lambda reply: None)
        assert on.ahead.longest_wait_s() == 0

    played(tmp_path, script)


def test_a_control_connection_that_is_lost_is_told_and_tickets_are_given_out_no_more(tmp_path: Path) -> None:
    async def script(on: Held) -> None:
        on.go_ahead()
        on.scene.control.close()
        while not on.lost:
            await asyncio.sleep(0)
        assert on.lost == ["tor ended the control connection"]
        on.door.recall()
        on.go_ahead()
        tool = on.scene.tool()
        assert (await on.posted.get()).pid == tool.pid

    played(tmp_path, script)


def test_a_reply_to_setevents_that_is_no_ok_makes_no_thread() -> None:
    async def script() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(b"552 Unrecognized event\r\n")
            with pytest.raises(OSError, match="refuses SETEVENTS"):
                Ahead(ours, ("127.0.0.1", 1), lambda why: None)
            assert ours.fileno() == -1

    asyncio.run(script())
