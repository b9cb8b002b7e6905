"""How a verb ends: by a signal, and when nobody takes what it prints."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from exitpin.orchestrator.cli.ending import ended_by_signals, exit_status_of
from exitpin.orchestrator.cli.whole_file import whole_file

from ..ended import ended_by
from .recorded_audit import fill

COMMAND_S = 60
LOST = "exitpin: standard output can't be written: No space left on device. What was printed is not whole."
VERBS = [
    ("results", "list"), ("results", "list", "--json"), ("results", "list", "--scans"), ("results", "show", "s1-v3"),
    ("results", "show", "s1-v3", "--json"), ("results", "diff", "s0", "s1"), ("results", "history", "evil"),
    ("results", "export"), ("results", "verify"), ("results", "gc", "--dry-run"),
    ("results", "bundle", "s1-v3", "-o", "-"), ("report", "html"), ("report", "email", "s1-v3"), ("report", "prom"),
]  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("store") / "results.sqlite"
    fill(found)
    return found


def exitpin(*words: object, stdout: int | IO[Any] = subprocess.PIPE, stderr: int | IO[Any] = subprocess.PIPE) -> Any:
    command = [sys.executable, "-m", "exitpin", *map(str, words)]
    return subprocess.run(command, stdout=stdout, stderr=stderr, text=True, timeout=COMMAND_S, check=False)


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_full_output_is_told_in_a_sentence(words: tuple[str, ...], path: Path) -> None:
    with open("/dev/full", "w") as full:
        ended = exitpin(*words, "--store", path, stdout=full)
    assert ended.returncode == 125
    assert ended.stderr.splitlines()[-1] == LOST and "Traceback" not in ended.stderr


def test_a_plugin_whose_output_is_full_knows_nothing(path: Path) -> None:
    with open("/dev/full", "w") as full:
        ended = exitpin("report", "status", "--lab", "--max-age", "100000d", "--store", path, stdout=full)
    assert (ended.returncode, ended.stderr) == (3, f"{LOST}\n")


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_full_complaints_change_no_answer(words: tuple[str, ...], path: Path) -> None:
    with open("/dev/full", "w") as full:
        ended = exitpin(*words, "--store", path, stdout=subprocess.DEVNULL, stderr=full)
    assert ended.returncode == exitpin(*words, "--store", path, stdout=subprocess.DEVNULL).returncode


@pytest.mark.parametrize("words", [*VERBS, ("report", "status")], ids=" ".join)
def test_a_reader_who_has_gone_ends_it_quietly(words: tuple[str, ...], path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = exitpin(*words, "--store", path, stdout=write)
    os.close(write)
    assert ended.returncode == 128 + signal.SIGPIPE
    assert "Traceback" not in ended.stderr and "can't be written" not in ended.stderr


@pytest.mark.parametrize("words", [("--help",), ("results", "list", "--help"), ("doctor",)], ids=" ".join)
def test_help_and_other_verbs_end_so_too(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        ended = exitpin(*words, stdout=full)
    assert (ended.returncode, ended.stderr) == (125, f"{LOST}\n")


def test_who_wants_no_buffer_has_none() -> None:
    script = (
        "import os; from exitpin.orchestrator.cli.ending import take_standard_streams; take_standard_streams();"
        "print('said', end=''); os._exit(0)"
    )
    ended = subprocess.run([sys.executable, "-u", "-c", script], capture_output=True, timeout=COMMAND_S, check=True)
    assert ended.stdout == b"said"


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def signo(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    before = {one: signal.signal(one, signal.SIG_DFL) for one in (signal.SIGTERM, signal.SIGHUP)}
    yield request.param
    for one, how in before.items():
        signal.signal(one, how)


def test_a_signal_leaves_no_half_file(signo: signal.Signals, tmp_path: Path) -> None:
    def work() -> int:
        with ended_by_signals(), whole_file(tmp_path / "x", 0o600) as file:
            file.write(b"half")
            signal.raise_signal(signo)
            raise AssertionError

    assert exit_status_of(work) == 128 + signo
    assert list(tmp_path.iterdir()) == []


def test_a_second_signal_does_not_keep_it_from_cleaning_up(signo: signal.Signals, tmp_path: Path) -> None:
    def work() -> int:
        with ended_by_signals():
            try:
                signal.raise_signal(signo)
            finally:
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGHUP)
                (tmp_path / "clean").touch()
        raise AssertionError

    assert exit_status_of(work) == 128 + signo
    assert (tmp_path / "clean").exists()


def test_what_was_ignored_stays_so(signo: signal.Signals) -> None:
    signal.signal(signo, signal.SIG_IGN)
    with ended_by_signals():
        signal.raise_signal(signo)
    assert signal.getsignal(signo) is signal.SIG_IGN


def test_afterwards_signals_are_what_they_were(signo: signal.Signals) -> None:
    with ended_by_signals():
        assert signal.getsignal(signo) is not signal.SIG_DFL
    assert signal.getsignal(signo) is signal.SIG_DFL


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_a_bundle_was_unpacked_into_goes_with_a_signal(signo: signal.Signals, tmp_path: Path) -> None:
    before = signal.signal(signo, signal.SIG_DFL)  # under nohup a hang-up is ignored, and stays so
    folder, bundle = tmp_path / "tmp", tmp_path / "bundle.tar.gz"
    folder.mkdir()
    os.mkfifo(bundle)
    running = subprocess.Popen(
        [sys.executable, "-m", "exitpin", "results", "verify", str(bundle)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    try:
        with bundle.open("wb", buffering=0):  # it is being read: the folder is there
            assert len(list(folder.iterdir())) == 1
            running.send_signal(signo)
            said = running.communicate(timeout=COMMAND_S)
    finally:
        signal.signal(signo, before)
        running.kill()
    assert (running.returncode, said) == (ended_by(signo), (b"", b""))
    assert list(folder.iterdir()) == []
