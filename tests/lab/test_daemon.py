"""`exitpin daemon`: runs that take a lease of it are as all others."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .conftest import Lab, eventually
from .daemons import EXIT, Daemon, borrowing, holds, serving, sleeping
from .running import EXITPIN, Log

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


@pytest.fixture
def daemon(lab: Lab) -> Iterator[Daemon]:
    with serving(lab) as one:
        yield one


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


def test_its_options_hold_for_each_run(daemon: Daemon) -> None:
    words = ("-e", EXIT, "--", "getent", "ahostsv4", "web.test")
    assert daemon.run("--resolve", "exit", *words).stdout.split()[0] == "192.0.2.10"
    assert daemon.run(*words).stdout.startswith("198.18.")
    assert daemon.status["served"] == 2


def test_a_script_that_can_be_read_once_is_left_to_the_client(daemon: Daemon) -> None:
    argv = " ".join(daemon.argv("-e", EXIT, verb="sh"))
    done = subprocess.run(["bash", "-c", f"{argv} <(echo echo once)"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "once\n")


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
    with sleeping(daemon, tmp_path) as running, borrowing(daemon) as borrower:
        lease = subprocess.Popen(daemon.argv("-e", EXIT, "--", "echo", "served"), stdout=subprocess.PIPE, text=True)
        eventually(lambda: holds(daemon.status["waiting"] == 1))
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
