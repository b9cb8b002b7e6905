"""A command that is told something: what it is given, how it may end, and that nothing of it stays."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from exitpin.wrappers.alert_command import OUTPUT_MAX, AlertCommand

DEADLINE_S = 20.0
LINE = b'{"status": "tampered", "reason": "\\u202e $(touch x) ; `id`"}\n'


def carry_out(*argv: str, deadline_s: float = 10.0, end_after: Path | None = None) -> str | None:
    """Why it failed. `end_after`: it is ended once that file is there."""

    async def go() -> str | None:
        ended: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        guests: set[int] = set()
        command = AlertCommand(argv, LINE, deadline_s, os.environ, guests, ended.set_result)
        assert len(guests) == 1
        if end_after is not None:
            while not end_after.exists():
                await asyncio.sleep(0.01)
            command.end()
        problem = await asyncio.wait_for(ended, DEADLINE_S)
        assert not guests
        return problem

    return asyncio.run(go())


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def eventually_gone(*pids: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not all(map(is_gone, pids)):
        assert time.monotonic() < deadline, f"{pids} are still there"
        time.sleep(0.02)


def test_it_is_given_the_line_and_the_end_of_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    assert carry_out("sh", "-c", 'cat > "$1"', "sh", str(told)) is None
    assert told.read_bytes() == LINE


def test_its_words_are_its_own_and_no_shells(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\n')
    program.chmod(0o755)
    words = ["--", "-x", "$(id)", "a b", "--kill-after", "", "*"]
    assert carry_out(str(program), *words) is None
    assert (tmp_path / "words").read_text().split("\n")[:-1] == words


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo no route >&2; exit 3", "exit status 3: no route"),
        ("printf 'a\\033]0;x\\007\\n\\377'; exit 1", "exit status 1: a\\x1b]0;x\\x07\\n\\xff"),
        ("kill -ABRT $$", "it was ended by signal 6"),
        ("exit 124", "exit status 124"),
    ],
)
def test_why_it_failed_is_one_line_that_no_terminal_obeys(script: str, problem: str) -> None:
    assert carry_out("sh", "-c", script) == problem


def test_one_that_is_not_there_or_no_program_is_said(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("x")
    assert (carry_out(str(tmp_path / "nothing")) or "").startswith("it was not found")
    assert (carry_out(str(tmp_path / "text")) or "").startswith("it can't be executed")


def test_of_what_it_prints_the_beginning_is_kept_and_it_does_not_wait_for_a_reader() -> None:
    problem = carry_out("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; exit 1")
    assert problem is not None and problem.startswith("exit status 1: xxx") and len(problem) < OUTPUT_MAX


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/pids; sleep 600 & echo $! >> {tmp_path}/pids; wait"
    assert carry_out("sh", "-c", script, deadline_s=5.0) == "it took longer than 5 s"
    eventually_gone(*map(int, (tmp_path / "pids").read_text().split()))


def test_one_that_ignores_its_end_is_killed(tmp_path: Path) -> None:
    script = f"trap '' TERM; echo $$ > {tmp_path}/pids; mv {tmp_path}/pids {tmp_path}/there; sleep 600; sleep 600"
    began = time.monotonic()
    assert carry_out("sh", "-c", script, end_after=tmp_path / "there") == "it was ended by signal 9"
    assert time.monotonic() - began < DEADLINE_S
    eventually_gone(int((tmp_path / "there").read_text()))


def test_what_it_leaves_in_the_background_ends_with_it_and_is_not_waited_for(tmp_path: Path) -> None:
    assert carry_out("sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid") is None
    eventually_gone(int((tmp_path / "pid").read_text()))


PARENT = """
import asyncio, os, sys
from exitpin.wrappers.alert_command import AlertCommand
async def go():
    AlertCommand(["sh", "-c", sys.argv[1]], b"x", 600, os.environ, set(), print)
    await asyncio.sleep(600)
asyncio.run(go())
"""


def test_whoever_kills_us_leaves_nothing_of_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $$ $! > {pids}.x; mv {pids}.x {pids}; wait"
    with subprocess.Popen([sys.executable, "-c", PARENT, script]) as parent:
        deadline = time.monotonic() + DEADLINE_S
        while not pids.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        parent.send_signal(signal.SIGKILL)
    eventually_gone(*map(int, pids.read_text().split()))
