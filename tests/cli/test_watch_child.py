"""A process that a watch starts: what becomes of what it says, of signals, and how it ends."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from exitpin.orchestrator.cli import watch_child
from exitpin.orchestrator.cli.watch_child import LINE_MAX, Child

DEADLINE_S = 20.0


def python(script: str) -> Child:
    return Child((script,), dict(os.environ), program=(sys.executable, "-c"))


def status_of(child: Child) -> int:
    async def run() -> int:
        async with asyncio.timeout(DEADLINE_S):
            return await child.run()

    return asyncio.run(run())


def test_what_it_says_is_passed_on_and_its_last_sentence_kept(capfd: pytest.CaptureFixture[str]) -> None:
    child = python("import sys; sys.stderr.write('exitpin: one\\nexitpin: two\\nnobody in particular\\n'); sys.exit(3)")
    assert status_of(child) == 3
    assert child.last_sentence == "two"
    assert capfd.readouterr().err == "exitpin: one\nexitpin: two\nnobody in particular\n"


def test_why_it_ended_is_kept_whatever_it_says_after_that() -> None:
    words = ("plan: 2 exits", "stopped: tor ended the control connection", "to go on: exitpin audit --resume s1")
    child = python(f"import sys; sys.stderr.write({''.join(f'exitpin: {one}{chr(10)}' for one in words)!r})")
    assert status_of(child) == 0
    assert child.last_sentence == "stopped: tor ended the control connection"


def test_one_that_ends_at_once_has_said_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    child = python("import os; os._exit(7)")
    assert (status_of(child), child.last_sentence) == (7, "")
    assert capfd.readouterr().err == ""


def test_a_line_without_an_end_costs_no_memory_and_what_follows_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    child = python(
        f"import sys; sys.stderr.write('x' * {40 * LINE_MAX} + '\\nexitpin: heard\\nexitpin: cut'); sys.exit(1)"
    )
    assert status_of(child) == 1
    assert child.last_sentence == "cut"
    said = capfd.readouterr().err
    assert len(said) < 3 * LINE_MAX and said.endswith("exitpin: heard\nexitpin: cut")


def test_bytes_that_are_no_text_are_passed_on_as_far_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    child = python("import os; os.write(2, b'exitpin: \\xff\\xfe\\n')")
    assert status_of(child) == 0
    assert child.last_sentence == "\ufffd\ufffd"


def test_a_signal_ends_it_and_is_its_status() -> None:
    child = python("import signal, sys; sys.stderr.write('exitpin: here\\n'); sys.stderr.flush(); signal.pause()")

    async def run() -> int:
        async with asyncio.timeout(DEADLINE_S):
            running = asyncio.ensure_future(child.run())
            while child.last_sentence != "here":
                await asyncio.sleep(0.01)
            child.signal(signal.SIGTERM)
            return await running

    assert asyncio.run(run()) == -signal.SIGTERM


def test_a_signal_before_it_is_there_reaches_it_when_it_is() -> None:
    child = python("import signal; signal.pause()")
    child.signal(signal.SIGTERM)
    assert status_of(child) == -signal.SIGTERM


def test_a_signal_after_its_end_reaches_nobody() -> None:
    child = python("pass")
    assert status_of(child) == 0
    child.signal(signal.SIGKILL)


def test_it_is_in_a_group_of_its_own_so_that_a_terminal_reaches_it_through_the_watch_alone() -> None:
    child = python("import os, sys; sys.stderr.write(f'exitpin: {os.getpgrp() == os.getpid()}\\n')")
    assert status_of(child) == 0
    assert child.last_sentence == "True"


def test_whoever_it_leaves_behind_with_its_stderr_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_child, "LATE_S", 0.2)
    child = python(
        "import subprocess, sys; left = subprocess.Popen(['sleep', '60'], start_new_session=True);"
        "sys.stderr.write(f'exitpin: {left.pid}\\n')"
    )
    began = time.monotonic()
    try:
        assert status_of(child) == 0
        assert time.monotonic() - began < DEADLINE_S / 2
    finally:
        os.kill(int(child.last_sentence), signal.SIGKILL)


def test_what_can_not_be_started_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        status_of(Child((), {}, program=(str(tmp_path / "nowhere"),)))
