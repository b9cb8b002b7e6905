"""Failures told apart: each has its kind and its blame, within a second of Tor's own word on it."""

import fcntl
import gzip
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.state import LabState, load
from exitpin.orchestrator.outcomes import stream_failure

from .conftest import Lab, eventually, lab_or_skip, verb
from .running import Log, SecondController, command, cut_connections, nickname, records, run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(150)]

EXIT = "exit03"
HOLD = ("bash", "-c", "exec 3<>/dev/tcp/192.0.2.12/7; cat <&3")
HELD = "192.0.2.12"
SOON_S = 10.0
"""Whatever a machine is busy with: nobody has waited for a timeout of 30 s and more."""


@pytest.fixture
def small_lab() -> Iterator[Lab]:
    """A lab that a test may break."""
    name = f"broken-{os.getpid()}"
    lab_or_skip(name, 5)
    try:
        yield Lab(load(name))
    finally:
        start.down(name)


def tor_lines(events: Path) -> list[tuple[float, str]]:
    """(time, line) of what Tor said."""
    with gzip.open(events, "rt") as lines:
        return [(entry["t"], entry["tor"]) for entry in map(json.loads, lines) if "tor" in entry and "t" in entry]


def failure(record: dict[str, Any]) -> tuple[str, str]:
    return (record["failure"]["kind"], record["failure"]["blame"]) if record["failure"] else ("", "")


def delay_s(record: dict[str, Any], events: Path, is_the_word: Callable[[str], bool]) -> float:
    """From Tor's word to the end of the tool."""
    said = [t for t, line in tor_lines(events) if is_the_word(line)]
    assert said, "Tor did not say it"
    return float(record["t"]["end"]) - said[0]


@pytest.mark.parametrize(
    ("behaviour", "url", "expected"),
    [
        ("rejects-443", "https://192.0.2.10/", ("policy", "local")),
        ("only-80", "http://web.test:8080/", ("policy", "local")),
        ("plain", "http://nowhere.test/", ("dns", "unknown")),
        ("plain", "http://refused.test:81/", ("refused", "unknown")),
        ("plain", "http://unreachable.test/", ("unreachable", "unknown")),
    ],
)
def test_what_the_exit_says_is_told_at_once(
    lab: Lab, tmp_path: Path, behaviour: str, url: str, expected: tuple[str, str]
) -> None:
    _assert_told_at_once(lab.state, tmp_path / "events.ndjson.gz", behaviour, url, expected)


@pytest.mark.parametrize(("behaviour", "url"), [("dns-silent", "http://web.test/"), ("plain", "http://servfail.test/")])
def test_a_dead_resolver_is_told_at_once(small_lab: Lab, tmp_path: Path, behaviour: str, url: str) -> None:
    """In a lab of its own: the exit shuns its resolver for a while, and would be slow to say so to other tests."""
    _assert_told_at_once(small_lab.state, tmp_path / "events.ndjson.gz", behaviour, url, ("dns", "unknown"))


def _assert_told_at_once(lab: LabState, events: Path, behaviour: str, url: str, expected: tuple[str, str]) -> None:
    words = ("-e", nickname(lab, behaviour), "--events", str(events), "--", "curl", "-sS", url)
    (record,) = records(lab, *words)
    assert failure(record) == expected
    assert record["status"] == "error"
    assert record["process"]["rc"] == 7
    assert 0 <= delay_s(record, events, lambda line: " REMOTE_REASON=" in line) < SOON_S / 2


def test_a_policy_that_nobody_declared_is_the_exits_fault(small_lab: Lab) -> None:
    """An exit that refuses what its descriptor allows: started anew with another policy, which it tells nobody."""
    lab, relay = small_lab.state, small_lab.state.relay("exit01")
    torrc, log = (lab.directory / "tor" / "exit01" / name for name in ("torrc", "notice.log"))
    torrc.write_text(torrc.read_text().replace("ExitPolicy accept", "ExitPolicy reject *:8080\nExitPolicy accept", 1))
    before = log.stat().st_size
    small_lab.exec(["kill", "-KILL", str(relay.pid)])
    with subprocess.Popen(verb("exec", "--name", lab.name, "tor", "-f", str(torrc)), stdout=subprocess.DEVNULL) as liar:
        try:
            eventually(lambda: _assert_says(log, before, "Opened OR listener connection (ready)"), 30)
            (record,) = records(lab, "-e", "exit01", "--", "curl", "-sS", "http://192.0.2.10:8080/ip")
        finally:
            liar.terminate()
    assert failure(record) == ("policy", "exit")
    assert record["status"] == "broken"
    assert stream_failure("END", "EXITPOLICY", None).blame == "unknown"


def _assert_says(log: Path, offset: int, words: str) -> None:
    assert words in log.read_text()[offset:]


def test_a_target_that_does_not_answer_is_a_timeout(lab: Lab, tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson.gz"
    words = ("-e", EXIT, "--events", str(events), "--", "curl", "-sS", "http://blackhole.test/")
    (record,) = records(lab.state, *words)
    assert failure(record) == ("timeout", "unknown")
    assert record["process"]["timed_out"] is False
    assert delay_s(record, events, lambda line: "REASON=TIMEOUT" in line and line.startswith("STREAM")) < SOON_S


def test_a_run_that_takes_too_long_is_a_timeout(lab: Lab) -> None:
    (record,) = records(lab.state, "-e", EXIT, "--timeout", "8s", "--", *HOLD)
    assert failure(record) == ("timeout", "unknown")
    assert record["process"]["timed_out"] is True
    assert record["streams"][0]["status"] == "succeeded"


def test_a_tool_that_fails_by_itself_blames_the_tool(lab: Lab) -> None:
    (record,) = records(lab.state, "-e", EXIT, "--", "curl", "-sSf", "http://web.test/status/404")
    assert failure(record) == ("tool", "tool")
    (record,) = records(lab.state, "-e", EXIT, "--", "sh", "-c", "kill -9 $$")
    assert failure(record) == ("tool", "tool")
    assert (record["process"]["rc"], record["process"]["signal"]) == (None, 9)


@contextmanager
def holding(lab: LabState, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """A run whose tool holds a stream to HELD open; it is open when the block begins."""
    argv = command(lab, "--json", *words, "--", *HOLD)
    run = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        eventually(lambda: _assert_streams(lab), 20)
        yield run
    finally:
        run.kill()
        run.wait()


def _assert_streams(lab: LabState) -> None:
    assert len(SecondController(lab).streams(HELD)) == 1


def end_of(run: "subprocess.Popen[str]") -> tuple[dict[str, Any], str]:
    """The one record of a run that ends, and what stood on its stderr. It is a run that could not be attributed."""
    out, said = run.communicate(timeout=30)
    assert run.returncode == 125, said
    return json.loads(out), said


def test_a_circuit_that_is_lost_with_a_stream_open_ends_the_run(lab: Lab, tmp_path: Path) -> None:
    events, control = tmp_path / "events.ndjson.gz", SecondController(lab.state)
    with holding(lab.state, "-e", EXIT, "--events", str(events)) as run:
        ((_, circuit),) = control.streams(HELD)
        control.ask(f"CLOSECIRCUIT {circuit}")
        record, _ = end_of(run)
    assert failure(record) == ("circuit-lost", "circuit")
    assert record["circuits"][0]["reason"] is not None
    assert delay_s(record, events, lambda line: line.startswith(f"CIRC {circuit} CLOSED")) < SOON_S


def test_an_exit_that_dies_loses_its_circuit_and_gets_no_other(small_lab: Lab) -> None:
    lab, relay = small_lab.state, small_lab.state.relay("exit01")
    with holding(lab, "-e", "exit01") as run:
        small_lab.exec(["kill", "-KILL", str(relay.pid)])
        record, _ = end_of(run)
    assert failure(record) == ("circuit-lost", "circuit")
    (record,) = records(lab, "-e", "exit01", "--", "curl", "-sS", "http://web.test/ip")
    assert failure(record) == ("circuit", "unknown")
    assert record["process"]["rc"] is None


def test_a_tor_that_dies_ends_the_run_and_the_plan(small_lab: Lab) -> None:
    lab = small_lab.state
    with holding(lab, "-e", "exit01", "--repeat", "3", "-j", "1") as run:
        small_lab.exec(["kill", "-KILL", str(lab.client_pid)])
        out, said = run.communicate(timeout=30)
    found = [json.loads(line) for line in out.splitlines()]
    assert run.returncode == 125
    assert [failure(record) for record in found] == [("tor", "local")] * 3
    assert "stopped: " in said and "tor ended" in said, "of which of the two connections is first heard is Tor's matter"
    assert [bool(record["streams"]) for record in found] == [True, False, False]


@pytest.mark.parametrize("which", [0, 1], ids=["that of the loop", "that of the tickets"])
def test_a_control_connection_that_is_cut_ends_the_run(lab: Lab, which: int) -> None:
    with holding(lab.state, "-e", EXIT) as run:
        cut = cut_connections(run.pid, str(lab.state.control_socket), which)
        record, said = end_of(run)
    assert cut == 1
    assert failure(record) == ("tor", "local")
    assert "stopped: " in said


def test_an_option_that_somebody_changed_ends_the_run(lab: Lab) -> None:
    control = SecondController(lab.state)
    try:
        with holding(lab.state, "-e", EXIT) as running:
            control.ask("SETCONF __LeaveStreamsUnattached=0")
            record, said = end_of(running)
        done = run(lab.state, "-e", EXIT, "--", "curl", "-sS", "http://web.test/ip")
    finally:
        control.ask("SETCONF __LeaveStreamsUnattached=1")
    assert failure(record) == ("tor", "local")
    assert "__LeaveStreamsUnattached" in said
    assert (done.returncode, done.stdout) == (125, "")
    assert "__LeaveStreamsUnattached is 0, must be 1" in done.stderr
    assert run(lab.state, "-e", EXIT, "--", "curl", "-sS", "http://web.test/ip").returncode == 0


def test_a_stream_that_nobody_claimed_is_closed_and_counted(lab: Lab, own_address: str) -> None:
    log = Log.of(lab.state)
    with holding(lab.state, "-e", EXIT) as running:
        socks = f"{lab.state.socks_host}:{lab.state.socks_port}"
        foreign = lab.exec(["curl", "-sS", "--socks5-hostname", socks, f"http://{own_address}/"])
        ((_, circuit),) = SecondController(lab.state).streams(HELD)
        SecondController(lab.state).ask(f"CLOSECIRCUIT {circuit}")
        _, said = end_of(running)
    assert foreign.returncode != 0
    assert "1 stream that nobody claimed (any more): closed" in said
    assert not [line for line in log.lines() if line["own"][0] == own_address]


def test_a_circuit_that_ends_idle_is_replaced(lab: Lab, tmp_path: Path) -> None:
    """A look-up that fails lets Tor retire the circuit; here it is closed while nothing uses it."""
    control, relay, meeting = SecondController(lab.state), lab.state.relay(EXIT), tmp_path / "lock"
    script = (
        'curl -sS http://web.test/ip; curl -s http://nowhere.test/; echo $?; : > "$0.there"; flock --shared "$0" true; '
        "curl -sS http://web.test/ip"
    )
    argv = command(lab.state, "--json", "-e", EXIT, "--", "bash", "-c", script, str(meeting))
    with open(meeting, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        eventually(lambda: _assert_exists(tmp_path / "lock.there"), 30)
        circuit = max(control.circuits(relay.fingerprint))
        control.ask(f"CLOSECIRCUIT {circuit}")
        eventually(lambda: _assert_not_in(circuit, control.circuits(relay.fingerprint)))
    out, _ = running.communicate(timeout=60)
    record = json.loads(out)
    assert record["failure"] is None
    assert record["process"]["stdout"] == f"{relay.address}\n7\n{relay.address}\n"
    first, second = record["circuits"]
    assert first["id"] == circuit != second["id"]
    assert first["path"][-1] == second["path"][-1] == relay.fingerprint
    assert first["reason"] is not None
    assert second["reason"] is None
    assert [stream["circuit_id"] for stream in record["streams"]] == [first["id"], first["id"], second["id"]]


def _assert_exists(path: Path) -> None:
    assert path.exists()


def _assert_not_in(circuit: int, circuits: list[int]) -> None:
    assert circuit not in circuits


def test_processes_that_are_killed_as_they_report_are_no_strangers(lab: Lab) -> None:
    """Each is killed at another moment of its start; the last one is left alone, and gets its answer."""
    script = (
        "for n in $(seq 60); do curl -s http://web.test/ip > /dev/null & for m in $(seq $((n % 6))); do (:); done;"
        " kill -9 $!; done 2> /dev/null; wait; curl -sS http://web.test/ip"
    )
    (record,) = records(lab.state, "-e", EXIT, "--", "bash", "-c", script)
    assert record["failure"] is None
    assert record["process"]["stdout"] == f"{lab.state.relay(EXIT).address}\n"
