"""How audits end before their time: misuse, interrupts, kills, readers that go, and disks that are full."""

import os
import resource
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.state import LabState

from .conftest import eventually, is_alive
from .running import (
    EXITPIN,
    Audited,
    Log,
    SecondController,
    audit,
    audit_command,
    nickname,
    scratch_of,
    stored,
    tree_of,
)

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

JOBS = 4
SLOW = ("http-body", "-p", "url=http://web.test/delay/2", "-j", str(JOBS))
SLOWER = ("http-body", "-p", "url=http://web.test/delay/15", "-j", str(JOBS))  # no run ends before the signal is heard
ENDLESS = ("http-body", "-p", "url=http://web.test/delay/60", "-j", str(JOBS), "--direct-control")
CUT_ANSWERS = {52, 56}  # how curl ends when the answer is cut
MINE = """
schema = "exitpin.tool/1"
id = "mine"
summary = "A tool that came with a directory"
destination = [{ host = "web.test", port = 80 }]
run.argv = ["touch", "ran"]
baseline = { mode = "none" }
verdict = [{ status = "ok" }]
"""


# Misuse.


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("no-such-tool",), "There is no tool 'no-such-tool'"),
        (("@no-such-tag",), "no-such-tag"),
        (("./nowhere.toml",), "nowhere.toml"),
        (("tls-cert", "-p", "nope=1"), "no tool here has that parameter; there are host, port"),
        (("tls-cert", "-p", "ssh-hostkey.host=a.test"), "no tool here has that parameter"),
        (("tls-cert", "-p", "host"), "write NAME=VALUE"),
        (("tls-cert", "-p", "host=-oProxyCommand=x"), "host (-p) must be a host name"),
        (("tls-cert", "-p", "port=70000"), "port (-p) must be"),
        (("http-body", "-p", "url=ftp://a.test/"), "scheme http"),
        (("tls-cert", "--repeat", "0"), "wants a number from 1"),
        (("tls-cert", "-j", "0"), "wants a number from 1"),
        (("tls-cert", "--rate", "fast"), "'fast' is not runs in a time"),
        (("tls-cert", "--timeout", "soon"), "'soon' is not a time"),
        (("tls-cert", "--control", "/x"), "exclude each other"),
    ],
)
def test_misuse_is_one_message_and_nothing_is_started(
    audited: LabState, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    log = Log.of(audited)
    done = audit(audited, tmp_path, *words)
    assert (done.status, done.stdout) == (2, "")
    (said,) = done.sentences
    assert said.startswith("exitpin: ") and sentence in said
    assert log.peers("http", "https") == []
    assert not done.store.exists()


def test_an_exit_that_does_not_exist_and_a_status_that_is_none_are_misuse(audited: LabState, tmp_path: Path) -> None:
    assert audit(audited, tmp_path, "tls-cert", "-e", "nobody").status == 2
    assert audit(audited, tmp_path, "tls-cert", "--fail-on", "ok").status == 2
    assert audit(audited, tmp_path).status == 2


@pytest.fixture
def without_lab(tmp_path: Path) -> Iterator[Callable[..., "subprocess.CompletedProcess[str]"]]:
    """`exitpin audit` on a network of which there is none; fails if it asks for a tor."""
    programs, asked = tmp_path / "bin", tmp_path / "asked"
    programs.mkdir()
    tor = programs / "tor"
    tor.write_text(f"#!/bin/sh\n: > {asked}\nexit 1\n")
    tor.chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    yield partial(subprocess.run, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=30)
    assert not asked.exists()


def test_a_missing_parameter_is_said_before_any_tor_is_started(
    without_lab: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    done = without_lab([*EXITPIN, "audit", "tls-cert", "http-body", "-e", "all"])
    assert (done.returncode, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("exitpin: tls-cert: host (") and "give -p host=" in first
    assert second.startswith("http-body: url (") and second.endswith("Nothing was started.")


def test_a_tool_of_the_directory_is_not_run_unless_it_is_trusted_or_named_by_its_path(
    audited: LabState, tmp_path: Path, without_lab: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    (tmp_path / "tools.d").mkdir()
    (tmp_path / "tools.d" / "mine.toml").write_text(MINE)
    done = without_lab([*EXITPIN, "audit", "mine", "-e", "all"])
    assert (done.returncode, done.stdout) == (2, "")
    (said,) = done.stderr.splitlines()
    assert "is not trusted" in said and "exitpin tools trust ./tools.d/mine.toml" in said
    assert audit(audited, tmp_path, "./tools.d/mine.toml", "-e", "exit01", cwd=tmp_path).status == 0


# Interrupts.


@contextmanager
def auditing(lab: LabState, directory: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """An audit whose first runs are under way: so many that their target has heard of them."""
    log = Log.of(lab)
    running = subprocess.Popen(
        audit_command(lab, "--store", str(directory / "store"), *words),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def all_begun() -> None:
        assert len(log.peers("http")) >= JOBS

    try:
        eventually(all_begun, 30)
        yield running
    finally:
        running.kill()
        running.communicate()


class Traces:
    """What an audit holds, and whether it let go of it: processes, its directory, circuits."""

    def __init__(self, lab: LabState, pid: int) -> None:
        self._control = SecondController(lab)
        self._exits = [relay.fingerprint for relay in lab.relays if relay.role == "exit"]
        self.tree: list[int] = []
        self.scratch = Path()
        eventually(lambda: self._look(pid))

    def _look(self, pid: int) -> None:
        """Fails between two runs."""
        self.tree = tree_of(pid)
        self.scratch = scratch_of(self.tree)
        assert self.scratch.is_dir()
        assert self._circuits() > 0

    def _circuits(self) -> int:
        return sum(len(self._control.circuits(fingerprint)) for fingerprint in self._exits)

    def assert_ended(self) -> None:
        assert [pid for pid in self.tree if is_alive(pid)] == []

    def assert_gone(self) -> None:
        self.assert_ended()
        assert self._circuits() == 0
        assert not self.scratch.exists()


def test_one_interrupt_lets_running_jobs_end_and_starts_nothing(audited: LabState, tmp_path: Path) -> None:
    log = Log.of(audited)
    with auditing(audited, tmp_path, *SLOWER, "--json") as running:
        traces = Traces(audited, running.pid)
        running.send_signal(signal.SIGINT)
        out, said = running.communicate(timeout=60)
    done = Audited(running.returncode, out, said, tmp_path / "store")
    assert done.status == 130
    assert f"interrupted: {JOBS} running jobs may end; once more ends them" in said
    assert "interrupted: what was known is recorded; to go on: exitpin audit --resume " in said
    assert len(log.peers("http")) == JOBS
    runs = done.stored("run")
    assert len(runs) == JOBS
    resets = nickname(audited, "resets")  # chance may draw it as a control: then its run ends as that exit ends runs
    assert [run["failure"] for run in runs if run["exit"]["nickname"] != resets] in ([None] * JOBS, [None] * (JOBS - 1))
    assert {run["process"]["rc"] for run in runs if run["exit"]["nickname"] == resets} <= CUT_ANSWERS
    assert done.counts.total() == len(done.shown) == len(done.stored()) == 18
    assert {verdict["layer"] for verdict in done.shown if verdict["status"] == "error"} <= {"interrupted", "control"}
    assert done.accused == {}
    traces.assert_gone()


@pytest.mark.parametrize("signals", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,), (signal.SIGHUP,)])
def test_a_second_interrupt_or_another_signal_ends_running_jobs(
    audited: LabState, tmp_path: Path, signals: tuple[signal.Signals, ...]
) -> None:
    with auditing(audited, tmp_path, *ENDLESS) as running:
        traces = Traces(audited, running.pid)
        running.send_signal(signals[0])
        if len(signals) > 1:
            assert running.stderr is not None
            while "once more ends them" not in running.stderr.readline():
                pass
            running.send_signal(signals[1])
        out, said = running.communicate(timeout=15)
    done = Audited(running.returncode, out, said, tmp_path / "store")
    assert (done.status, done.stdout) == (128 + signals[-1], "")
    assert done.counts == {"error": 18}
    assert len(done.stored()) == 18
    assert {run["failure"]["kind"] for run in done.stored("run")} == {"interrupted"}
    traces.assert_gone()


def test_a_reader_who_goes_ends_the_audit(audited: LabState, tmp_path: Path) -> None:
    words = audit_command(audited, "--store", str(tmp_path / "store"), *SLOW, "--repeat", "9", "--json", "--runs")
    running = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None and running.stderr is not None
    with running.stdout, running.stderr:
        assert running.stdout.readline().startswith(b'{"schema": "exitpin.run/1"')
        traces = Traces(audited, running.pid)
        running.stdout.close()
        said = running.stderr.read().decode()
    assert running.wait(20) == 125
    assert "Traceback" not in said and "BrokenPipe" not in said
    assert "18 of 18 verdicts" in said
    traces.assert_gone()


# Kills and disks.


def test_after_a_kill_the_store_is_whole_and_the_next_audit_works(audited: LabState, tmp_path: Path) -> None:
    with auditing(audited, tmp_path, *SLOW, "--repeat", "9", "--direct-control") as running:
        eventually(lambda: _assert_some(tmp_path / "store"), 60)
        traces = Traces(audited, running.pid)
        running.send_signal(signal.SIGKILL)
        running.wait()
        eventually(traces.assert_ended)
    with closing(sqlite3.connect(tmp_path / "store")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    before = len(stored(tmp_path / "store", "run"))
    done = subprocess.run(
        audit_command(audited, "--store", str(tmp_path / "store"), "http-body", "-e", "exit01"), capture_output=True
    )
    assert done.returncode == 0
    assert len(stored(tmp_path / "store", "run")) > before > 0
    traces.assert_gone()


def _assert_some(store: Path) -> None:
    assert stored(store, "run")


@pytest.mark.parametrize("option", ["--store", "--events"])
@pytest.mark.parametrize("path", ["/proc/nowhere/file", "/dev/null/file"])
def test_what_cannot_be_written_is_said_before_the_start(
    audited: LabState, tmp_path: Path, option: str, path: str
) -> None:
    log = Log.of(audited)
    done = audit(audited, tmp_path, "http-body", "-e", "exit01", option, path)
    assert (done.status, done.stdout) == (125, "")
    assert path in done.sentences[-1]
    assert log.peers("http") == []


def test_a_disk_that_is_full_in_the_middle_is_heard_of(audited: LabState, tmp_path: Path) -> None:
    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    done = audit(audited, tmp_path, "http-body", "--json", preexec_fn=no_room)
    assert done.status == 125
    assert len(done.shown) == 18
    told = [line for line in done.sentences if "could not be written" in line]
    assert told, done.stderr
    with closing(sqlite3.connect(done.store)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
