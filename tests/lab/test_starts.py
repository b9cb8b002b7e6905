"""Limits that hold across restarts: killed scans, commands in a loop, two at once, by tor's own clock."""

import fcntl
import re
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from exitpin.orchestrator.lab.state import LabState

from .conftest import eventually
from .running import Log, audit, audit_command, command, run, stored

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

CREATED = re.compile(rb"650 CIRC (\d+) LAUNCHED .*PURPOSE=GENERAL .*TIME_CREATED=(\S+)")
TO_CONNECT_S = 6.0
"""A limit holds for the starts of tools; one connects sooner than another."""
LATE_S = 0.3
"""A limit holds for when tor is told; of one circuit it hears later than of another."""
NAMES = "exit01,exit02,exit03,exit04,exit05,exit06,exit07,exit08,exit09,exit10,exit11,exit12"


class Circuits:
    """The circuits that tor launches, each with tor's own time of it."""

    def __init__(self, lab: LabState) -> None:
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(20)
        self.control.connect(str(lab.control_socket))
        self.heard = b""
        self._ask(f"AUTHENTICATE {lab.cookie_file.read_bytes().hex()}", b"250 OK\r\n")
        self._ask("SETEVENTS CIRC", b"250 OK\r\n")

    def times(self) -> list[float]:
        """All since this was made, ascending."""
        self._ask("GETINFO version", b"\r\n250 OK\r\n")
        created = {found[1]: found[2].decode() for found in CREATED.finditer(self.heard)}
        return sorted(datetime.fromisoformat(time).timestamp() for time in created.values())

    def _ask(self, request: str, end: bytes) -> None:
        self.control.sendall(f"{request}\r\n".encode())
        before = len(self.heard)
        while end not in self.heard[before:]:
            found = self.control.recv(65536)
            assert found, self.heard
            self.heard += found


@pytest.fixture
def circuits(audited: LabState) -> Iterator[Circuits]:
    found = Circuits(audited)
    yield found
    found.control.close()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has its own past. Where it is kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "exitpin"


def audit_and_kill(lab: LabState, store: Path, *words: str, at: int) -> None:
    """An audit that is killed as soon as the store has so many runs."""
    said = store.with_suffix(".said")
    with said.open("wb") as to:
        argv = audit_command(lab, "--store", str(store), *words)
        running = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=to, stderr=to)

    def has_some() -> None:
        assert known_runs(store) >= at, said.read_text()

    try:
        eventually(has_some, 60)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()


def known_runs(store: Path) -> int:
    try:
        return len(stored(store, "run"))
    except sqlite3.OperationalError:
        return 0  # it is being made


def assert_apart(built: list[float], gap_s: float) -> None:
    """Any two of them, and not only neighbours: so one that is late excuses no other."""
    for gaps in range(1, len(built)):
        pairs = zip(built, built[gaps:], strict=False)
        assert all(later - earlier >= gaps * gap_s - LATE_S for earlier, later in pairs), built


def test_a_killed_scan_goes_on_within_its_limits(audited: LabState, circuits: Circuits, tmp_path: Path) -> None:
    """Ten go, and are killed meanwhile; the others wait for the minute to be over, in whatever process."""
    store, log = tmp_path / "results.sqlite", Log.of(audited)
    words = ("http-body", "-e", NAMES[:55], "--per-destination", "10/m", "--rate", "120/m")
    audit_and_kill(audited, store, *words, at=3)
    known = known_runs(store)
    again = [*audit_command(audited), "--resume", "--store", str(store)]
    done = subprocess.run(again, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"waiting \d+ s for web\.test:80: at most 10 in a minute towards one", done.stderr), done.stderr
    assert 3 <= known <= 10
    built = circuits.times()
    assert len(built) >= 12
    assert_apart(built, 0.5)
    seen = sorted(line["t"] for line in log.lines() if line["service"] == "http")
    assert len(seen) >= 12
    assert all(later - earlier >= 60 - TO_CONNECT_S for earlier, later in zip(seen, seen[10:], strict=False)), seen


def test_commands_in_a_loop_keep_their_distance(audited: LabState, circuits: Circuits) -> None:
    for _ in range(3):
        done = run(audited, "--build-delay", "3s", "-e", "exit01", "--", "true")
        assert done.returncode == 0, done.stderr
    built = circuits.times()
    assert len(built) == 3
    assert_apart(built, 3.0)


def test_two_at_once_keep_their_distance(audited: LabState, circuits: Circuits) -> None:
    argv = command(audited, "--build-delay", "1s", "-e", "exit01,exit02,exit03", "--", "true")
    running = [subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(60) for one in running] == [0, 0]
    built = circuits.times()
    assert len(built) == 6
    assert_apart(built, 1.0)


def test_in_the_lab_nothing_is_limited_or_kept_unless_it_is_asked_for(
    audited: LabState, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXITPIN_RATE", "1/h")
    monkeypatch.setenv("EXITPIN_PER_DESTINATION", "1/h")
    done = run(audited, "-e", "exit01,exit02", "--", "curl", "-sS", "-o", "/dev/null", "http://web.test/")
    assert done.returncode == 0, done.stderr
    assert not list(state.glob("starts-*"))


def test_the_plan_says_when_it_can_be_done(audited: LabState, tmp_path: Path, state: Path) -> None:
    words = ("http-body", "-e", NAMES, "--dry-run", "--per-destination", "6/h")
    done = audit(audited, tmp_path, *words)
    assert re.search(
        r"^exitpin: limits: not done before 2\S+ \S+, 2 h 00 min from now: 1[56] runs to web", done.stdout, re.M
    ), done.stdout
    assert not state.exists()
    assert "limits:" not in audit(audited, tmp_path, *words[:4]).stdout


@pytest.mark.parametrize("verb", ["run", "audit"])
def test_what_was_started_can_not_be_read_so_nothing_is(
    audited: LabState, circuits: Circuits, tmp_path: Path, state: Path, verb: str
) -> None:
    state.mkdir(parents=True)
    path = state / f"starts-lab-{audited.name}"
    path.write_bytes(b"rubbish " * 20)
    if verb == "run":
        done = run(audited, "--build-delay", "10ms", "-e", "exit01", "--", "true")
        status, said = done.returncode, done.stderr
    else:
        one = audit(audited, tmp_path, "http-body", "-e", "exit01", "--rate", "60/m")
        status, said = one.status, one.stderr
    assert status == 125 and "Traceback" not in said
    assert f"{path}, which keeps limits across restarts, can't be used: it is damaged" in said
    assert circuits.times() == []


@pytest.mark.parametrize("verb", ["run", "audit"])
def test_what_is_damaged_in_the_middle_ends_what_runs(
    audited: LabState, tmp_path: Path, state: Path, verb: str
) -> None:
    store, path = tmp_path / "results.sqlite", state / f"starts-lab-{audited.name}"
    argv = (
        command(audited, "--build-delay", "300ms", "-e", NAMES, "--json", "--", "true")
        if verb == "run"
        else audit_command(audited, "http-body", "-e", NAMES, "--rate", "120/m", "--store", str(store))
    )
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:
        eventually(lambda: _assert_grows(path), 60)
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # else a header that is being written would stand in the rubbish
            file.truncate()
            file.write(b"rubbish " * 20)
        assert running.stderr is not None
        said = running.stderr.read()
    assert running.returncode == 125 and "Traceback" not in said, said
    assert len(re.findall("can't be used: it (?:is damaged|was emptied)", said)) == 1, said  # it is emptied before that
    if verb == "audit":
        assert "to go on: exitpin audit --resume" in said


def _assert_grows(path: Path) -> None:
    assert path.exists() and path.stat().st_size > 4 * 64
