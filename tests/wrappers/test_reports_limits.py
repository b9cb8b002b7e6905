"""Descriptors are finite: what a run may hold of them, and who pays when there are none left."""

import asyncio
import errno
import os
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.events import (
    CallLost,
    ConnectReported,
    Denied,
    Hello,
    LauncherLost,
    LookupReported,
    PeerAsked,
    ReportsCrowded,
)
from exitpin.shim import bindings
from exitpin.wrappers import reports, shares

from .fake_hooks import NONCE, FakeTree, Run, no_unix, played, turns
from .test_reports import REPORTS, bound, connect_report, heard


@contextmanager
def only_more(count: int) -> Iterator[None]:
    """No more than `count` descriptors can be opened in this block."""
    free = [os.open(os.devnull, os.O_RDONLY) for _ in range(count + 1)]
    for descriptor in free:
        os.close(descriptor)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(free), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_report_that_cannot_be_accepted_loses_its_run_and_no_other(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        other = Run(tmp_path / "other", run.tree)
        hook = run.hook()
        hook.send(REPORTS[Hello])
        with only_more(0):
            await turns()
        assert run.events == [LauncherLost("a report could not be taken: Too many open files")]
        await other.report(REPORTS[Hello])
        assert [type(event) for event in other.events] == [Hello]
        other.reports.close()

    played(tmp_path, script)


@pytest.mark.parametrize("is_silent", [False, True])
def test_where_we_have_no_room_to_see_who_reports_its_run_is_lost(tmp_path: Path, is_silent: bool) -> None:
    class Unseen(FakeTree):
        def contains(self, pid: int) -> bool | None:
            raise OSError(errno.EMFILE, "Too many open files")

    async def script(run: Run) -> None:
        hook = run.hook()
        if not is_silent:
            hook.send(REPORTS[Hello])
        await turns()
        assert run.events == [LauncherLost("nobody can say who made a report: Too many open files")]
        assert not run.reports.calls

    played(tmp_path, script, Unseen())


def test_a_socket_that_cannot_be_taken_loses_its_run(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        with bound() as tool:
            hook = run.hook()
            socket.send_fds(hook, [connect_report(tool)], [tool.fileno()])
            with only_more(1):
                await turns()
            (lost,) = run.events
            assert isinstance(lost, LauncherLost) and "too many open files" in lost.detail
            assert not run.reports.calls

    played(tmp_path, script)


@pytest.mark.parametrize("kind", ["connect", "lookup"])
def test_calls_over_the_runs_share_are_refused_and_noted(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "CALLS_MAX", 3)

    async def script(run: Run) -> None:
        with bound() as tool:
            packet = connect_report(tool) if kind == "connect" else REPORTS[LookupReported]
            passed = [tool.fileno()] if kind == "connect" else []
            hooks = [await run.report(packet, *passed) for _ in range(4)]
            event = ConnectReported if kind == "connect" else LookupReported
            assert [type(seen) for seen in run.events] == [event] * 3 + [Denied]
            what = "192.0.2.1:80" if kind == "connect" else "web.test"
            assert run.events[3] == Denied(os.getpid(), "too-many-calls", what)
            assert struct.unpack_from("=Iii", heard(hooks[3]))[1:] == (errno.ENETUNREACH, socket.EAI_AGAIN)
            run.reports.answer(AnswerCall(run.events[0].call))  # type: ignore[attr-defined]
            await run.report(packet, *passed)
            assert isinstance(run.events[-1], event), "there is room again"

    played(tmp_path, script)


def test_where_descriptors_become_scarce_who_has_few_calls_may_have_one_more_and_who_has_many_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "SCARCE_FROM", 0)
    monkeypatch.setattr(shares, "FEW_CALLS", 2)

    async def script(run: Run) -> None:
        other = Run(tmp_path / "other", run.tree)
        waiting = [await run.report(REPORTS[LookupReported]) for _ in range(3)]
        silent = [run.hook() for _ in range(3)]
        await turns()
        assert [type(event) for event in run.events] == [LookupReported] * 2 + [Denied] * 2
        assert heard(waiting[2]) and heard(silent[2]) == b"", "connections that say nothing take descriptors, too"
        await other.report(REPORTS[LookupReported])
        assert [type(event) for event in other.events] == [LookupReported]
        other.reports.close()

    played(tmp_path, script)


def test_a_call_whose_maker_was_killed_is_heard_of_though_nobody_hangs_up(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        answers: list[AnswerCall] = []
        is_alive = {"one": True, "other": True}
        with bound() as tool:
            for name in is_alive:
                packet = connect_report(tool)
                run.reports.take(
                    packet, os.getpid(), tool.dup(), answers.append, is_alive=lambda name=name: is_alive[name]
                )
            is_alive["one"] = False
            while len(run.events) < 3:
                await asyncio.sleep(0.001)
            gone = run.events[0].call  # type: ignore[attr-defined]
            assert run.events[2] == CallLost(gone) and list(run.reports.calls) == [gone + 1]
            assert [answer.call for answer in answers] == [gone]

    played(tmp_path, script)


def test_connections_that_say_nothing_are_not_kept_without_end_and_take_no_share_of_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "CALLS_MAX", 2)

    async def script(run: Run) -> None:
        hooks = [run.hook() for _ in range(4)]
        await turns()
        assert len(run.reports.calls) == 2
        assert [heard(hook) for hook in hooks[2:]] == [b"", b""]
        assert run.events == [Denied(os.getpid(), "too-many-calls", "")] * 2
        waiting = [await run.report(REPORTS[LookupReported]) for _ in range(2)]
        assert [type(event) for event in run.events[2:]] == [LookupReported] * 2
        hooks[0].send(REPORTS[Denied])
        late = run.hook()
        await turns()
        assert len(run.reports.calls) == len([*hooks[1:2], late, *waiting]), "who has spoken gives its place back"

    played(tmp_path, script)


def test_who_is_not_of_the_run_and_says_nothing_is_hung_up_on_and_takes_no_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "CALLS_MAX", 2)
    tree = FakeTree(is_member=False)

    async def script(run: Run) -> None:
        hooks = [run.hook() for _ in range(5)]
        await turns()
        assert [heard(hook) for hook in hooks] == [b""] * 5 and not run.reports.calls
        assert run.events == [Denied(os.getpid(), "stranger", "")] * 5
        tree.is_member = None
        gone = run.hook()
        await turns()
        assert heard(gone) == b"" and len(run.events) == 5, "nobody can be named who is gone"
        tree.is_member = True
        await run.report(REPORTS[LookupReported])
        assert isinstance(run.events[-1], LookupReported)

    played(tmp_path, script, tree)


@pytest.mark.parametrize("kind", [Denied, PeerAsked, LookupReported])
def test_a_run_that_reports_without_end_is_ended_and_its_reports_are_kept_no_more(
    tmp_path: Path, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "REPORTS_MAX", 3)

    async def script(run: Run) -> None:
        hooks = [await run.report(REPORTS[kind]) for _ in range(6)]
        assert [type(event) for event in run.events] == [kind] * 3 + [ReportsCrowded]
        assert len(run.packets) == 3
        assert [heard(hook) for hook in hooks[3:]] == [b""] * 3, "who waits is not kept waiting"
        assert len(run.reports.calls) == (0 if kind is Denied else 3)

    played(tmp_path, script)


@pytest.mark.parametrize("is_member", [False, None])
def test_who_may_not_be_of_the_run_fills_nothing_and_does_not_end_it(
    tmp_path: Path, is_member: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "REPORTS_MAX", 3)
    monkeypatch.setattr(shares, "DOUBTFUL_MAX", 2)
    tree = FakeTree(is_member=is_member)

    async def script(run: Run) -> None:
        for _ in range(6):
            await run.report(REPORTS[LookupReported])
        assert len(run.packets) == 2
        assert len(run.events) == (6 if is_member is False else 0), "a stranger is refused all the same"
        tree.is_member = True
        seen = len(run.events)
        hooks = [await run.report(REPORTS[LookupReported]) for _ in range(4)]
        assert [type(event) for event in run.events[seen:]] == [LookupReported] * 3 + [ReportsCrowded]
        assert len(run.packets) == 5 and heard(hooks[3]) == b""

    played(tmp_path, script, tree)


def test_a_report_that_makes_us_fail_ends_its_run_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(packet: bytes) -> None:
        raise AssertionError("BUG: made up")

    monkeypatch.setattr(bindings, "decode_report", fails)
    told: list[object] = []

    async def script(run: Run) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        await run.report(REPORTS[Hello])
        assert run.events == [LauncherLost("internal error: AssertionError('BUG: made up')")]
        assert isinstance(told[0], AssertionError)

    played(tmp_path, script)


def test_a_small_limit_makes_a_small_share() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        assert shares.max_calls() == 256 // shares.LIMIT_SHARE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_report_that_ends_its_run_may_close_the_socket_it_came_by(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        run.on_event = lambda event: run.reports.close()
        hooks = [run.hook() for _ in range(3)]
        for hook in hooks:
            hook.send(REPORTS[Hello].replace(NONCE, b"\x08" * 16))
        await turns()
        assert len(run.events) == 1
        run.reports.drain()
        run.reports.close()

    played(tmp_path, script)


def test_a_directory_that_is_gone_is_told_when_it_opens(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        late = reports.ReportSocket(tmp_path / "no" / "s", NONCE, run.tree, run.events.append, print, no_unix(run.tree))  # type: ignore[arg-type]
        with pytest.raises(OSError):
            late.listener.open()
        late.close()

    played(tmp_path, script)
