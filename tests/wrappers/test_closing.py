"""What a tool has sent is closed where that may take long: not on the loop, and not without end."""

import array
import errno
import os
import socket
import stat
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.events import ConnectReported, Hello, LauncherLost, LookupReported, ReportsCrowded
from exitpin.wrappers import shares
from exitpin.wrappers.closing import CROWDED, Closer, ToolSocket

from .fake_hooks import FakeTree, Run, played, turns
from .test_reports import REPORTS, bound, connect_report, heard

DEADLINE_S = 20.0
Is = Callable[[int], bool]


def is_file(mode: int) -> bool:
    return stat.S_ISREG(mode)


class Closes:
    """In the place of close(2): that of what is slow stands still until `goes_on`, and is none of the loop's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_slow: Is = is_file
        self.goes_on = threading.Event()
        self.closed = threading.Semaphore(0)
        self._real = os.close
        monkeypatch.setattr(os, "close", self)

    def __call__(self, descriptor: int) -> None:
        is_slow = self.is_slow(os.fstat(descriptor).st_mode)
        if is_slow:
            assert threading.current_thread() is not threading.main_thread(), "all others would wait"
            assert self.goes_on.wait(DEADLINE_S)
        self._real(descriptor)
        if is_slow:
            self.closed.release()

    def hears_of(self, count: int) -> bool:
        """Whether so many more that are slow have been closed, and no more, once they go on."""
        self.goes_on.set()
        heard_of = all(self.closed.acquire(timeout=DEADLINE_S) for _ in range(count))
        return heard_of and not self.closed.acquire(blocking=False)


@pytest.fixture
def closes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Closes]:
    one = Closes(monkeypatch)
    yield one
    one.goes_on.set()
    for thread in threads():
        thread.join(DEADLINE_S)


def threads() -> list[threading.Thread]:
    """Those that close; none is left of a test before."""
    return [one for one in threading.enumerate() if one.name == "closing"]


def send(hook: socket.socket, packet: bytes, *descriptors: int) -> None:
    hook.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])


@pytest.mark.parametrize("packet", [b"junk", REPORTS[Hello], None])
@pytest.mark.parametrize("count", [1, 17, 253])
def test_a_file_that_comes_with_a_report_keeps_nobody_waiting(
    tmp_path: Path, closes: Closes, packet: bytes | None, count: int
) -> None:
    async def script(run: Run) -> None:
        other = Run(tmp_path / "other", run.tree)
        with bound() as tool, open(tmp_path / "file", "w") as file:
            send(run.hook(), packet or connect_report(tool), *[file.fileno()] * count)
            await turns()
        await other.report(REPORTS[LookupReported])
        assert [type(event) for event in other.events] == [LookupReported]
        assert len(threads()) == 1
        assert closes.hears_of(count), "what has no room in the packet is closed by the kernel while we wait"
        other.reports.close()

    played(tmp_path, script)


def test_an_ordinary_connect_needs_no_thread(tmp_path: Path, closes: Closes, monkeypatch: pytest.MonkeyPatch) -> None:
    def starts(thread: threading.Thread) -> None:
        raise AssertionError(thread.name)

    async def script(run: Run) -> None:
        with bound() as tool:
            hook = await run.report(connect_report(tool), tool.fileno())
        gone = await run.report(REPORTS[LookupReported])
        silent, late = run.hook(), run.hook()
        gone.close()
        silent.close()
        await turns()
        assert isinstance(run.events[0], ConnectReported)
        run.reports.answer(AnswerCall(run.events[0].call, errno.ECONNREFUSED))
        assert struct.unpack_from("=Iii", heard(hook))[1] == errno.ECONNREFUSED
        run.reports.close()
        assert heard(late) == b""

    monkeypatch.setattr(threading.Thread, "start", starts)
    played(tmp_path, script)


@pytest.mark.parametrize("what", ["is answered", "says no more", "is not taken"])
@pytest.mark.parametrize("before", [0, 2])
def test_what_a_connection_still_holds_is_closed_with_it_elsewhere(
    tmp_path: Path, closes: Closes, what: str, before: int
) -> None:
    """The kernel closes it: so the connection itself is closed elsewhere."""
    closes.is_slow = stat.S_ISSOCK

    async def script(run: Run) -> None:
        hook = await run.report(REPORTS[LookupReported]) if what == "is answered" else run.hook()
        if what == "says no more":
            await turns()
            hook.send(b"junk")
        for _ in range(before):
            hook.send(b"")
        with open(tmp_path / "file", "w") as file:
            send(hook, b"", file.fileno())
        if what == "is answered":
            run.reports.answer(AnswerCall(run.events[0].call))  # type: ignore[attr-defined]
            assert heard(hook)
        elif what == "says no more":
            await turns()
        run.reports.close()
        with pytest.raises(BrokenPipeError):
            hook.send(b"")
        assert closes.hears_of(2 if what == "is not taken" else 1)

    played(tmp_path, script)


@pytest.mark.parametrize("kind", ["tcp", "udp", "lingering", "unix"])
def test_the_tools_own_socket_is_closed_at_once_if_that_is_quick(closes: Closes, kind: str) -> None:
    closes.is_slow = stat.S_ISSOCK
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
    tool = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    if kind == "lingering":
        tool.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 1000))
    one = ToolSocket(tool.detach(), Closer(1, list).close)
    one.close()
    one.close()
    assert one.fileno() == -1
    assert closes.hears_of(0 if kind in ("tcp", "udp") else 1)


@pytest.mark.parametrize("is_member", [False, None])
def test_whoever_may_not_be_of_the_run_takes_nothing_of_its_share_and_is_not_its_tools_doing(
    tmp_path: Path, closes: Closes, is_member: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "CALLS_MAX", 3)
    tree = FakeTree(is_member)

    async def script(run: Run) -> None:
        with open(tmp_path / "file", "w") as file:
            await run.report(b"junk", *[file.fileno()] * 4)
            tree.is_member = True
            await run.report(b"junk", *[file.fileno()] * 4)
            assert not run.events
            tree.is_member = is_member
            await run.report(b"junk", *[file.fileno()] * 2)
        assert run.events == [LauncherLost(f"{CROWDED}, by others")]
        assert closes.hears_of(10)

    played(tmp_path, script, tree)


def test_who_sends_more_than_can_be_closed_is_ended_for_it_and_no_other(
    tmp_path: Path, closes: Closes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "CALLS_MAX", 3)

    async def script(run: Run) -> None:
        other = Run(tmp_path / "other", run.tree)
        answers: list[AnswerCall] = []
        silent = run.hook()
        with open(tmp_path / "file", "w") as file:
            await run.report(b"junk", *[file.fileno()] * 4)
            assert not run.events, "one is being closed"
            await run.report(b"junk", file.fileno())
            assert run.events == [ReportsCrowded(CROWDED)]
            send(silent, b"junk", file.fileno())
            await turns()
            assert heard(silent) == b"", "nothing more is received"
            with pytest.raises(FileNotFoundError):
                run.hook()
            run.reports.take(REPORTS[Hello], os.getpid(), None, answers.append)
        assert len(run.events) == len(answers) == 1 and not run.reports.calls
        await other.report(REPORTS[Hello])
        assert [type(event) for event in other.events] == [Hello]
        assert closes.hears_of(5)
        other.reports.close()

    played(tmp_path, script)


def test_where_there_can_be_no_thread_another_is_tried_later(
    tmp_path: Path, closes: Closes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = threading.Thread.start, []

    def starts(thread: threading.Thread) -> None:
        tries.append(thread.name)
        if len(tries) == 1:
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr("exitpin.wrappers.closing.AGAIN_S", 0.0)
    monkeypatch.setattr(threading.Thread, "start", starts)

    async def script(run: Run) -> None:
        with open(tmp_path / "file", "w") as file:
            await run.report(b"junk", file.fileno())
        await turns()
        assert tries == ["closing"] * 2
        assert closes.hears_of(1)

    played(tmp_path, script)
