"""A run's report socket when the run is over: what was said before is heard, and what comes later is nobody's."""

import asyncio
import contextlib
import errno
import os
import socket
from pathlib import Path

import pytest

from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.events import Denied, LookupReported

from .fake_hooks import Run, played, turns
from .test_reports import REPORTS


def test_whatever_its_processes_had_said_when_they_ended_is_heard(tmp_path: Path) -> None:
    """As many as may have connected before anybody looks."""

    async def script(run: Run) -> None:
        for _ in range(300):
            with run.hook() as hook:
                hook.send(REPORTS[Denied])
        run.reports.drain()
        assert [type(event) for event in run.events] == [Denied] * 300

    played(tmp_path, script)


def test_who_had_connected_and_spoke_at_its_end_is_heard(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        with run.hook() as hook:
            await turns()
            hook.send(REPORTS[Denied])
            run.reports.drain()
        assert [type(event) for event in run.events] == [Denied]

    played(tmp_path, script)


def test_who_ends_the_run_by_what_it_says_then_does_not_keep_others_from_being_let_go(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        run.on_event = lambda _: run.reports.close()
        with run.hook() as first, run.hook() as second:
            await turns()
            for hook in (first, second):
                hook.send(REPORTS[Denied])
            run.reports.drain()
            assert [type(event) for event in run.events] == [Denied]
            assert not run.reports.calls
            with contextlib.suppress(ConnectionResetError):  # once it is closed, by whoever has the time
                assert second.recv(1) == b""

    played(tmp_path, script)


def test_what_comes_after_it_was_closed_is_let_go(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        run.reports.close()
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
        file = os.open(os.devnull, os.O_RDONLY)
        run.reports.adopt(pairs[0][1], os.getpid())
        run.reports.received(pairs[1][1], os.getpid(), (REPORTS[LookupReported], [file], False))
        answers: list[AnswerCall] = []
        run.reports.take(REPORTS[LookupReported], os.getpid(), None, answers.append)
        assert [answer.error for answer in answers] == [errno.ENETUNREACH]
        assert [pair[0].recv(1) for pair in pairs] == [b""] * 2
        with pytest.raises(OSError):
            while os.fstat(file):
                await asyncio.sleep(0.001)
        assert not run.events and not run.packets and not run.reports.calls

    played(tmp_path, script)
