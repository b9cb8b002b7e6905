"""`exitpin daemon`: runs that take a lease of it are as all others, and whoever is killed, nothing is left."""

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lab, eventually, is_alive
from .running import EXITPIN, Log, SecondController, scratch_of, tree_of

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

CLIENT = str(Path(sys.executable).with_name("exitpin"))
EXIT = "exit01"
GONE = "exitpin: the daemon has gone: nothing of this run is attributed. Try again, without it.\n"


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon of the session's lab."""

    lab: Lab

    def verb(self, *words: str) -> "subprocess.CompletedProcess[str]":
        argv = [CLIENT, "daemon", words[0], "--lab", "--name", self.lab.state.name, *words[1:]]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    @property
    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.verb("status", "--json").stdout)
        return told

    @property
    def pid(self) -> int:
        """As it is seen from outside of the lab."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(str(self.lab.state.directory.parent.parent / f"daemon-lab-{self.lab.state.name}"))
            return int.from_bytes(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)

    def argv(self, *words: str, verb: str = "run") -> list[str]:
        return [CLIENT, verb, "--lab", "--name", self.lab.state.name, *words]

    def run(self, *words: str, verb: str = "run", **options: Any) -> "subprocess.CompletedProcess[str]":
        given = {"capture_output": True, "text": True, "timeout": 60, "check": False, **options}
        if "input" not in given:
            given.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(self.argv(*words, verb=verb), **given)


@pytest.fixture
def daemon(lab: Lab) -> Iterator[Daemon]:
    """One that serves; afterwards nothing of it is there."""
    one = Daemon(lab)
    started = one.verb("start")
    assert (started.returncode, started.stderr) == (0, "")
    pid = one.pid
    yield one
    assert one.verb("stop").returncode == 0
    eventually(lambda: _assert(not is_alive(pid)))
    control = SecondController(lab.state)
    for relay in lab.state.relays:
        if relay.role == "exit":
            eventually(lambda: _assert(control.circuits(relay.fingerprint) == []))  # noqa: B023 - called at once
    assert one.verb("status").returncode == 3


def _assert(condition: object) -> None:
    assert condition


def eventually_idle(daemon: Daemon) -> None:
    eventually(lambda: _assert(daemon.status["running"] == 0), 20)


@contextmanager
def sleeping(daemon: Daemon, directory: Path, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """A leased run whose tool has started a child that would never end, in a session of its own."""
    script = 'setsid tail -f /dev/null & : > "$0"; wait'
    there = directory / "there"
    argv = daemon.argv("-e", EXIT, "--", "sh", "-c", script, str(there))
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **options) as running:
        try:
            eventually(lambda: _assert(there.exists()), 30)
            yield running
        finally:
            running.kill()


def test_a_run_finds_it_and_leaves_by_its_exit(daemon: Daemon) -> None:
    log = Log.of(daemon.lab.state)
    for name in (EXIT, "exit02", EXIT):
        done = daemon.run("-e", name, "--", "sh", "-c", "curl -sS http://web.test/ip; exit 7")
        address = daemon.lab.state.relay(name).address
        assert (done.returncode, done.stdout, done.stderr) == (7, f"{address}\n", "")
    assert log.peers("http") == [daemon.lab.state.relay(name).address for name in (EXIT, "exit02", EXIT)]
    status = daemon.status
    assert (status["state"], status["served"], status["running"]) == ("serving", 3, 0)


def test_the_callers_directory_limits_mask_and_environment_are_the_tools(daemon: Daemon, tmp_path: Path) -> None:
    script = 'pwd; ulimit -n; umask; echo "$MARK"; cat | od -An -tx1'
    words = ["sh", "-c", 'ulimit -n 333; umask 0027; exec "$@"', "sh"]
    argv = [*words, *daemon.argv("-e", EXIT, "--", "bash", "-c", script)]
    environment = {**os.environ, "MARK": "a b"}
    done = subprocess.run(argv, input=b"\0\xff\n", stdout=subprocess.PIPE, cwd=tmp_path, env=environment, check=True)
    assert done.stdout.decode().split("\n") == [str(tmp_path), "333", "0027", "a b", " 00 ff 0a", ""]


def test_its_record_is_whole_and_its_evidence_agrees(daemon: Daemon, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    circuits = []
    for _ in range(2):
        done = daemon.run("-e", EXIT, "--json", "--", "curl", "-sS", "http://web.test/ip", env=environment)
        record = json.loads(done.stdout)
        (events,) = [one["file"] for one in record["evidence"]]
        assert (done.returncode, record["status"], len(record["streams"])) == (0, "ok", 1)
        circuits.append(record["circuits"][0]["id"])
        verify = [*EXITPIN, "results", "verify", events, "-"]
        told = subprocess.run(verify, input=done.stdout, capture_output=True, text=True, check=False)
        assert told.stdout.startswith("consistent: 1 of 1 streams in 1 records"), told
    assert circuits[0] == circuits[1]


def test_a_run_in_the_foreground_leaves_its_record_in_a_file(daemon: Daemon, tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    words = ("-e", EXIT, "--record", "record.json", "--", "sh", "-c", "curl -sS http://web.test/ip; exit 7")
    done = daemon.run(*words, env=environment, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (7, f"{daemon.lab.state.relay(EXIT).address}\n")
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["process"]["rc"], record["process"]["stdout"], len(record["streams"])) == (7, None, 1)
    verify = [*EXITPIN, "results", "verify", record["evidence"][0]["file"], str(tmp_path / "record.json")]
    told = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert told.stdout.startswith("consistent: 1 of 1 streams in 1 records"), told
    assert (tmp_path / "record.json").stat().st_mode & 0o777 == 0o600


def test_a_record_that_can_t_be_kept_lets_nothing_begin(daemon: Daemon, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "record.json"
    done = daemon.run("-e", EXIT, "--record", str(missing), "--", "echo", "ran")
    said = f"exitpin: {missing} can't be written: No such file or directory. Nothing was started.\n"
    assert (done.returncode, done.stdout, done.stderr) == (125, "", said)


def test_records_of_several_runs_and_of_descriptors_are_written_without_it(daemon: Daemon, tmp_path: Path) -> None:
    words = ("-e", "exit01,exit02", "--record", str(tmp_path / "two"), "--", "echo", "ran")
    assert daemon.run(*words).stdout.count("\tran\n") == 2
    assert len((tmp_path / "two").read_text().splitlines()) == 2
    done = daemon.run("-e", EXIT, "--record", "/dev/fd/2", "--", "echo", "ran")
    assert (done.stdout, json.loads(done.stderr)["status"]) == ("ran\n", "ok")


def test_a_circuit_on_which_a_run_failed_serves_no_other(daemon: Daemon, tmp_path: Path) -> None:
    def circuit(host: str) -> int:
        words = ("-e", EXIT, "--json", "--", "curl", "-sS", "-m", "20", f"http://{host}/ip")
        record = json.loads(daemon.run(*words, env={**os.environ, "XDG_STATE_HOME": str(tmp_path)}).stdout)
        return int(record["circuits"][0]["id"])

    first, second = circuit("nowhere.test"), circuit("web.test")
    assert (circuit("web.test"), first) == (second, first)
    assert first != second


def test_what_is_no_lease_borrows_tor_and_gives_it_back(daemon: Daemon, tmp_path: Path) -> None:
    joblog = tmp_path / "joblog"
    assert daemon.run("-e", "exit01,exit02", "--json", "--", "true").stdout.count("\n") == 2
    assert daemon.run("-e", EXIT, "--joblog", str(joblog), "--", "true").returncode == 0
    assert len(joblog.read_text().splitlines()) == 2
    assert daemon.run("-e", "-", "--", "true", input=EXIT).returncode == 0
    assert daemon.run("-e", EXIT, "--nonsense", "--", "true").returncode == 2
    assert daemon.run("-e", EXIT, "--", "true").returncode == 0
    assert daemon.status["served"] == 1


def test_who_wants_tor_to_itself_waits_for_the_leases_and_the_next_ones_for_it(daemon: Daemon, tmp_path: Path) -> None:
    with sleeping(daemon, tmp_path) as running:
        words = daemon.argv("-e", "exit01,exit02", "--json", "--", "true")
        borrower = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert borrower.stderr is not None
        assert "waiting for exitpin (pid " in borrower.stderr.readline()
        lease = subprocess.Popen(daemon.argv("-e", EXIT, "--", "echo", "served"), stdout=subprocess.PIPE, text=True)
        eventually(lambda: _assert(daemon.status["waiting"] == 1))
        running.send_signal(signal.SIGINT)
        assert len(borrower.communicate(timeout=40)[0].splitlines()) == 2
        assert lease.communicate(timeout=40)[0] == "served\n"


def test_the_exits_are_listed_beside_a_lease(daemon: Daemon, tmp_path: Path) -> None:
    with sleeping(daemon, tmp_path):
        listed = daemon.run("--fp", verb="exits")
        assert len(listed.stdout.split()) == 8
        assert daemon.status["running"] == 1


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("-e", "nosuch", "--", "true"), 2, "exitpin: 'nosuch' is neither a relay's fingerprint"),
        (("-e", EXIT, "--", "nosuch"), 127, "exitpin: nosuch: command not found."),
        (("-e", EXIT, "--", "/etc/passwd"), 126, "exitpin: /etc/passwd can't be executed"),
        (("-e", EXIT, "--timeout", "0.2s", "--", "sleep", "60"), 124, "exitpin: timeout: over 0.2 s"),
        (("-e", EXIT, "--", "sh", "-c", "kill -9 $$"), 137, "exitpin: sh was ended by SIGKILL"),
    ],
)
def test_its_sentences_and_statuses_are_those_of_every_run(
    daemon: Daemon, words: Sequence[str], status: int, said: str
) -> None:
    done = daemon.run(*words)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.startswith(said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_this_run_alone(daemon: Daemon, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with sleeping(daemon, tmp_path / "a") as one, sleeping(daemon, tmp_path / "b") as other:
        tree = tree_of(one.pid)
        one.send_signal(number)
        assert one.wait(20) == 128 + number
        assert [pid for pid in tree if is_alive(pid)] == []
        assert daemon.status["running"] == 1
        other.send_signal(number)
        assert other.wait(20) == 128 + number


@pytest.mark.parametrize("whom", ["outside", "inside", "launcher"])
def test_a_killed_client_or_launcher_leaves_nothing(daemon: Daemon, tmp_path: Path, whom: str) -> None:
    control = SecondController(daemon.lab.state)
    with sleeping(daemon, tmp_path) as running:
        tree = tree_of(running.pid)
        scratch = scratch_of(tree)
        victim = {"outside": tree[0], "inside": tree[1], "launcher": tree[2]}[whom]
        os.kill(victim, signal.SIGKILL)
        _, said = running.communicate(timeout=20)
        eventually(lambda: _assert([pid for pid in tree if is_alive(pid)] == []))
        eventually_idle(daemon)
        eventually(lambda: _assert(not scratch.exists()))
        if whom == "launcher":
            assert (running.returncode, said.startswith("exitpin: shim: the launcher of the client")) == (125, True)
    assert daemon.run("-e", EXIT, "--", "echo", "next").stdout == "next\n"
    assert control.streams("web.test") == []


def test_a_killed_daemon_ends_the_runs_and_the_next_call_does_without(lab: Lab, tmp_path: Path) -> None:
    daemon = Daemon(lab)
    assert daemon.verb("start").returncode == 0
    with sleeping(daemon, tmp_path) as running:
        tree = tree_of(running.pid)
        scratch = scratch_of(tree)
        os.kill(daemon.pid, signal.SIGKILL)
        _, said = running.communicate(timeout=20)
        assert (running.returncode, said) == (125, GONE)
        assert [pid for pid in tree if is_alive(pid)] == []
    assert daemon.run("-e", EXIT, "--", "echo", "next").stdout == "next\n"
    assert not scratch.parent.exists()
    assert daemon.verb("start").returncode == 0
    assert daemon.run("-e", EXIT, "--", "echo", "again").stdout == "again\n"
    assert daemon.verb("stop").returncode == 0


def test_stopped_it_ends_the_runs_with_a_sentence(lab: Lab, tmp_path: Path) -> None:
    daemon = Daemon(lab)
    assert daemon.verb("start").returncode == 0
    with sleeping(daemon, tmp_path) as running:
        assert daemon.verb("stop").returncode == 0
        _, said = running.communicate(timeout=20)
    assert (running.returncode, said) == (125, "exitpin: interrupted: the daemon was ended\n")


def test_there_is_one_at_a_time(daemon: Daemon) -> None:
    second = daemon.verb("start")
    assert second.returncode == 125
    assert "a daemon is running already (pid " in second.stderr
    assert daemon.run("-e", EXIT, "--", "true").returncode == 0


def test_the_terminal_is_the_tools_and_comes_back(daemon: Daemon) -> None:
    ours, theirs = pty.openpty()
    inner = "trap 'echo caught' INT; test -t 0 && echo ready; read -r line; echo said $line"
    words = " ".join(f"'{word}'" for word in daemon.argv("-e", EXIT, "--", "bash", "-c"))
    script = f'{words} "$0"; echo status $?; read -r line; echo back $line'
    argv = ["setsid", "--ctty", "--wait", "bash", "-c", script, inner]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        try:
            _read_until(ours, b"ready")
            os.write(ours, b"\x03")
            _read_until(ours, b"caught")
            os.write(ours, b"one\n")
            _read_until(ours, b"said one")
            _read_until(ours, b"status 0")
            os.write(ours, b"two\n")
            _read_until(ours, b"back two")
            assert running.wait(20) == 0
        finally:
            running.kill()
            os.close(ours)


def test_a_shell_stops_and_continues_it(daemon: Daemon) -> None:
    ours, theirs = pty.openpty()
    words = " ".join(daemon.argv("-e", EXIT, "--", "sh", "-c", "'echo rea''dy; cat'"))
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", "bash", "--norc", "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "PS1": "", "TERM": "dumb"},
    ) as running:  # fmt: skip
        os.close(theirs)
        try:
            os.write(ours, f"{words}\n".encode())
            _read_until(ours, b"ready")
            os.write(ours, b"\x1a")
            _read_until(ours, b"Stopped")
            os.write(ours, b"fg; echo sta''tus $?\n")
            _read_until(ours, b"cat'\r\n")
            os.write(ours, b"after\n")
            _read_until(ours, b"after\r\nafter")
            os.write(ours, b"\x04")
            _read_until(ours, b"status 0")
            os.write(ours, b"exit\n")
            assert running.wait(20) == 0
        finally:
            running.kill()
            os.close(ours)


def _read_until(terminal: int, wanted: bytes) -> None:
    seen, deadline = b"", time.monotonic() + 30
    while wanted not in seen:
        assert select.select([terminal], [], [], deadline - time.monotonic())[0], seen
        seen += os.read(terminal, 4096)


def test_a_stream_of_bytes_passes_whole_and_a_closed_pipe_ends_it(daemon: Daemon) -> None:
    argv = daemon.argv("-e", EXIT, "--", "head", "-c", str(64 << 20), "/dev/zero")
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        size = 0
        while chunk := running.stdout.read(1 << 20):
            size += len(chunk)
    assert (running.returncode, size) == (0, 64 << 20)
    script = " ".join(daemon.argv("-e", EXIT, "--", "yes")) + ' | head -1; echo "${PIPESTATUS[@]}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "y\n141 0\n"


def test_many_at_once_leave_by_their_exits(daemon: Daemon) -> None:
    log = Log.of(daemon.lab.state)
    plain = [one for one in daemon.lab.state.relays if one.role == "exit" and one.behaviour == "plain"]
    calls = [relay.nickname for relay in plain] * 8
    words = daemon.argv("-e", "{}", "--", "sh", "-c", "echo {} $(curl -sS http://web.test/ip)")
    done = subprocess.run(
        ["xargs", "-P8", "-I{}", *words],
        input="\n".join(calls),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    expected = sorted(f"{nick} {daemon.lab.state.relay(nick).address}" for nick in calls)
    assert sorted(done.stdout.splitlines()) == expected
    assert sorted(log.peers("http")) == sorted(daemon.lab.state.relay(nick).address for nick in calls)
    assert daemon.status["served"] == len(calls)
