"""A user may have so many descriptors watched, and a tool can use that up: one run is lost then, and nothing else."""

import asyncio
import contextlib
import errno
import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.events import ConnectReported, Hello, LauncherLost
from exitpin.orchestrator.model import Claim, Destination
from exitpin.shim import bindings
from exitpin.shim.bindings import Lease, LeaseKind, encode_lease
from exitpin.wrappers.ahead import Ahead
from exitpin.wrappers.alert_command import AlertCommand
from exitpin.wrappers.dialogues import Dialogues
from exitpin.wrappers.given import Input
from exitpin.wrappers.launch import ToolLauncher
from exitpin.wrappers.lease import LeaseConnection
from exitpin.wrappers.machine import abilities
from exitpin.wrappers.name_messages import SERVFAIL
from exitpin.wrappers.name_server import NameServer
from exitpin.wrappers.output import Output
from exitpin.wrappers.process import LaunchedProcess, Tree
from exitpin.wrappers.watching import FULL

from . import fake_hooks, scripted_tor
from .asked_names import Asked, asking, query
from .fake_hooks import NONCE, Run, turns
from .test_household import CONFIG, Household, apart
from .test_launch import A_RUN, SHIM
from .test_reports import REPORTS, bound, connect_report
from .unwatched import is_full, out_of_watches

needs_networks = pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)


def open_files() -> list[str]:
    return os.listdir("/proc/self/fd")


@pytest.mark.parametrize("is_silent", [True, False], ids=["one that says nothing", "a connect"])
def test_a_report_that_cannot_be_waited_for_loses_its_run_and_no_other(tmp_path: Path, is_silent: bool) -> None:
    async def script(run: Run) -> None:
        other = Run(tmp_path / "other", run.tree)
        with bound() as tool, run.hook() as hook:
            if not is_silent:
                socket.send_fds(hook, [connect_report(tool)], [tool.fileno()])
            with is_full():
                await turns()
            assert run.events[-1] == LauncherLost(f"a report could not be waited for: {FULL}")
            assert [type(event) for event in run.events[:-1]] == ([] if is_silent else [ConnectReported])
            assert not run.reports.calls
        await other.report(REPORTS[Hello])
        assert [type(event) for event in other.events] == [Hello]
        other.reports.close()

    fake_hooks.played(tmp_path, script)


def test_a_report_socket_that_does_not_come_back_loses_its_run(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        run.reports.listener.stand_back()
        with is_full():
            run.reports.listener.come_back()
        assert not run.events, "what came meanwhile is told first"
        await turns()
        assert run.events == [LauncherLost(f"no more reports could be taken: {FULL}")]

    fake_hooks.played(tmp_path, script)


@pytest.mark.parametrize("spared", range(5))
def test_a_run_that_cannot_start_says_why_and_leaves_nothing_open(tmp_path: Path, spared: int) -> None:
    """One that has a workspace: its report socket, its three streams and its launcher are all watched."""

    async def script() -> None:
        launcher = ToolLauncher(tmp_path, bindings.PRELOAD, ("127.0.0.1", 1), {}, containment=SHIM)
        launch = launcher.prepare(A_RUN, lambda event: None, lambda *_: None)
        with is_full(spared):
            problem = launch.start()
        launch.close()
        await launcher.household.settle()
        if spared < 4:
            assert problem is not None and FULL in problem
            assert not launcher.household.launchers

    apart(script)


def test_a_launcher_that_cannot_be_heard_is_not_started() -> None:
    async def script() -> None:
        before, household = open_files(), Household()
        process = LaunchedProcess(Tree(household), lambda event: None)
        with is_full():
            try:
                process.start(("true",), preload=bindings.PRELOAD, shim_config=CONFIG, environment={}, stdio=None)
            except OSError as error:
                assert error.strerror == FULL
        assert open_files() == before and not household.launchers
        process.close()

    apart(script)


@pytest.mark.parametrize("make", [partial(Output, 100), partial(Input, b"x")], ids=["stdout", "stdin"])
def test_a_stream_of_a_tool_that_cannot_be_watched_leaves_nothing_open(make: Callable[[], object]) -> None:
    async def script() -> None:
        before = open_files()
        with is_full(), pytest.raises(OSError, match="max_user_watches"):
            make()
        assert open_files() == before

    asyncio.run(script())


def test_what_a_tool_writes_and_nobody_can_read_on_loses_its_run() -> None:
    class Full:
        is_full = True

        def call_when_drained(self, resume: Callable[[], None]) -> None:
            waiting.append(resume)

    waiting: list[Callable[[], None]] = []

    async def script() -> None:
        lost: list[str] = []
        output = Output(100, None, Full(), lost.append)
        os.write(output.descriptor, b"x")
        await turns()
        (resume,) = waiting
        with is_full():
            resume()
        assert lost == [f"what the tool writes could not be read any more: {FULL}"]
        output.started()
        output.finish()

    asyncio.run(script())


@pytest.mark.parametrize("is_blocking", [True, False])
def test_an_answer_of_tor_that_cannot_be_waited_for_loses_its_run(tmp_path: Path, is_blocking: bool) -> None:
    async def script(run: Run) -> None:
        with socket.create_server(("127.0.0.1", 0)) as tor, bound() as tool:
            tool.setblocking(is_blocking)
            dialogues = Dialogues("127.64.0.1", tor.getsockname(), run.reports, run._post)
            await run.report(connect_report(tool), tool.fileno())
            (reported,) = run.events
            assert isinstance(reported, ConnectReported)
            claim = Claim("s-0001", 1, reported.source, "tag", Destination("a.test", 80), 7, A_RUN.exit.fingerprint)
            with is_full():
                dialogues.open_stream(reported.call, claim)
            assert run.events[1:] == [LauncherLost(f"tor's answer could not be waited for: {FULL}")]
            dialogues.answer(AnswerCall(reported.call, errno.ENETUNREACH))

    fake_hooks.played(tmp_path, script)


def test_a_name_that_there_is_no_socket_to_ask_for_by_loses_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_socket(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    async def script(run: Run) -> None:
        look_ups = Dialogues("127.64.0.1", ("127.0.0.1", 1), run.reports, run._post)
        with monkeypatch.context() as here:
            here.setattr(socket, "socket", no_socket)
            look_ups.bind_lookup(1, "a.test")
        assert run.events == [LauncherLost("a name could not be asked for: Too many open files")]

    fake_hooks.played(tmp_path, script)


@needs_networks
def test_a_name_server_that_cannot_be_watched_leaves_nothing_open(tmp_path: Path) -> None:
    async def script(asked: Asked) -> None:
        before = open_files()
        for spared in (0, 1):
            with is_full(spared), pytest.raises(OSError, match="max_user_watches"):
                NameServer(type(asked.nowhere)(), asked.run.reports, "127.64.0.1", NONCE, asked.run._post, None)
        assert open_files() == before

    asking(tmp_path, script)


@needs_networks
def test_a_resolver_whose_answer_cannot_be_waited_for_loses_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def exchange(*_: object) -> bytes:
        out_of_watches()
        raise AssertionError

    async def script(asked: Asked) -> None:
        monkeypatch.setattr(asked.names, "_exchange", exchange)
        asked.send(query("web.test", "TXT").to_wire())
        assert (await asked.heard())[3] & 0xF == SERVFAIL
        assert asked.run.events == [LauncherLost(f"a resolver could not be asked: {FULL}")]

    asking(tmp_path, script)


def test_connects_by_tickets_are_done_without_where_their_notes_cannot_be_watched() -> None:
    async def script() -> None:
        ours, theirs = socket.socketpair()
        before, threads = len(open_files()), threading.active_count()
        with theirs:
            theirs.sendall(b"250 OK\r\n")
            with is_full(), pytest.raises(OSError, match="max_user_watches"):
                Ahead(ours, ("127.0.0.1", 1), lambda why: None)
            assert len(open_files()) == before - 1 and threading.active_count() == threads

    asyncio.run(script())


def test_a_control_connection_that_cannot_be_watched_is_looked_at() -> None:
    async def script(peer: scripted_tor.Peer) -> None:
        class Pausing:
            """A thread that asks for peace, once."""

            def wait_for(self, go_on: Callable[[], None]) -> bool:
                waiting.append(go_on)
                return len(waiting) == 1

            def tell(self) -> None:
                """Nothing is noted."""

            def close(self) -> None:
                """Nothing is open."""

        waiting: list[Callable[[], None]] = []
        peer.channel.ahead = Pausing()  # type: ignore[assignment]
        await peer.says("650 STREAM 1 NEW 0 x:80")
        assert len(waiting) == 1 and peer.heard == []
        with is_full():
            waiting[0]()
            peer.send("GETINFO " + "x" * (4 << 20))  # more than is taken at once
            size = 0
            while size < 4 << 20:
                with contextlib.suppress(BlockingIOError):
                    size += len(peer.socket.recv(1 << 16))
                await asyncio.sleep(0)
            await peer.says("250 OK")
            while len(peer.heard) < 2:
                await asyncio.sleep(0.001)
        assert peer.heard[0] == "STREAM 1 NEW 0 x:80" and not peer.lost and not peer.raised
        while not asyncio.get_running_loop().remove_reader(peer.channel._socket.fileno()):
            await asyncio.sleep(0.001)

    scripted_tor.played(script)


def test_a_client_whom_a_daemon_cannot_hear_is_declined() -> None:
    async def script() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            with is_full(), pytest.raises(OSError, match="max_user_watches"):
                LeaseConnection(ours, lambda *_: None, lambda: None)
            assert theirs.recv(1000) == encode_lease(Lease(LeaseKind.DECLINE)) and theirs.recv(1000) == b""

    asyncio.run(script())


def test_a_command_whose_end_nobody_would_hear_of_is_ended() -> None:
    async def script() -> None:
        before, guests = open_files(), set[int]()
        with is_full(1), pytest.raises(OSError, match="max_user_watches"):
            AlertCommand(("sleep", "60"), b"", 10.0, os.environ, guests, lambda problem: None)
        assert open_files() == before and not guests

    asyncio.run(script())
