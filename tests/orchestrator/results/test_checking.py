"""Processes that check records: how they end, whatever ends who started them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from .proven import finding, keep

PROGRAM = Path(__file__).parents[1] / "programs" / "check_records.py"
END_S = 60

Running = subprocess.Popen[str]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """It has begun, and waits."""
    path = tmp_path / "results.sqlite"
    keep(path, *finding())
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(END_S)


@pytest.mark.parametrize("send", [os.kill, os.killpg])
@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_them_quietly(running: Running, signo: signal.Signals, send: Any) -> None:
    send(running.pid, signo)
    said = running.communicate(timeout=END_S)  # until all have closed what they inherited
    assert (running.returncode, said) == (128 + signo, ("", ""))


def test_they_do_not_outlive_who_was_killed(running: Running) -> None:
    running.kill()
    running.communicate(timeout=END_S)
    assert running.returncode == -signal.SIGKILL


def test_one_that_is_killed_is_told_in_a_sentence(running: Running) -> None:
    processes = [one for one in psutil.Process(running.pid).children() if "spawn_main" in " ".join(one.cmdline())]
    assert len(processes) == 2
    processes[0].kill()
    _, complaint = running.communicate("\n", timeout=END_S)
    assert running.returncode == 125
    assert complaint.startswith("exitpin: a process that checked records was killed") and "Traceback" not in complaint


def test_left_alone_they_check_all_of_it(running: Running) -> None:
    assert running.communicate("\n", timeout=END_S) == ("", "")
    assert running.returncode == 0, "a thread that the interpreter ends may complain of that"
