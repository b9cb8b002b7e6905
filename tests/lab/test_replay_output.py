"""What `exitpin replay` prints when nobody takes it, and that the store is consistent after it."""

import os
import signal
import subprocess

import pytest

from exitpin.orchestrator.lab.state import LabState

from .running import EXITPIN, Audited, audit

pytestmark = [pytest.mark.lab, pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def done(audited: LabState, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """An exit that was asked for a page."""
    return audit(audited, tmp_path_factory.mktemp("replayed"), "http-body", "-e", "exit01")


def replay(done: Audited, stdout: int) -> "subprocess.CompletedProcess[str]":
    run_id = next(run["run_id"] for run in done.stored("run") if run["role"] == "probe")
    argv = [*EXITPIN, "replay", run_id, "--store", str(done.store)]
    return subprocess.run(argv, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


def test_a_full_output_is_a_sentence_and_no_answer(done: Audited) -> None:
    with open("/dev/full", "w") as full:
        ended = replay(done, full.fileno())
    assert ended.returncode == 125
    assert ended.stderr.splitlines() == [
        "exitpin: standard output can't be written: No space left on device. What was printed is not whole."
    ]


def test_a_reader_who_has_gone_ends_it_quietly(done: Audited) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = replay(done, write)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")


def test_a_store_with_a_replay_is_consistent(done: Audited) -> None:
    assert replay(done, subprocess.DEVNULL).returncode == 0
    argv = [*EXITPIN, "results", "verify", "--store", str(done.store)]
    verified = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert verified.stdout.startswith("consistent: ") and verified.returncode == 0
