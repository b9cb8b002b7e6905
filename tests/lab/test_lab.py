"""The lab as others use it: who is seen by whom, names, services, and how it is entered."""

import fcntl
import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from .conftest import COMMAND_S, Lab, eventually, verb

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

IP_REQUEST = b"GET /ip HTTP/1.0\r\n\r\n"
PLAIN = ("exit01", "exit02", "exit03", "exit04")


def test_a_target_sees_each_exit_under_its_own_address(lab: Lab, own_address: str) -> None:
    for relay in lab.state.relays:
        if relay.role == "exit":
            line = lab.fetch(relay.nickname, own_address, 80, IP_REQUEST)
            assert line.split()[-1].decode() == relay.address
    seen = [one.peer[0] for one in lab.connections() if one.own == (own_address, 80)]
    assert seen == [relay.address for relay in lab.state.relays if relay.role == "exit"]


def test_the_doctor_finds_a_lab_by_whatever_name(lab: Lab) -> None:
    done = subprocess.run([sys.executable, "-m", "exitpin", "doctor"], capture_output=True, text=True, check=False)
    (said,) = [line for line in done.stdout.splitlines() if line.split()[1] == "lab"]
    assert "running: " in said and f"{lab.state.name} ({lab.state.exits} exits)" in said


def test_an_exit_has_an_ipv6_address_of_its_own(lab: Lab) -> None:
    line = lab.fetch("exit02", "v6.test", 9000)
    assert line.split() == [b"2001:db8:1::11", b"9000", lab.state.relay("exit02").address6.encode(), line.split()[3]]


@pytest.mark.parametrize(
    ("behaviour", "host", "port", "outcome"),
    [
        ("rejects-443", "192.0.2.10", 443, b"refused EXITPOLICY\n"),
        ("only-80", "192.0.2.10", 9000, b"refused EXITPOLICY\n"),
        ("plain", "nowhere.test", 80, b"refused RESOLVEFAILED\n"),
        ("plain", "servfail.test", 80, b"refused RESOLVEFAILED\n"),
        ("plain", "refused.test", 81, b"refused MISC\n"),
        ("plain", "unreachable.test", 80, b"refused NOROUTE\n"),
    ],
)
def test_exits_and_targets_behave_as_declared(lab: Lab, behaviour: str, host: str, port: int, outcome: bytes) -> None:
    exit_ = next(one for one in lab.state.relays if one.role == "exit" and one.behaviour == behaviour)
    assert lab.through(exit_.nickname, host, port) == outcome


def test_a_silent_resolver_fails_sooner_or_later(lab: Lab) -> None:
    """The exit says so; or, once it has given its resolver up, not before the client has lost patience."""
    exit_ = next(one for one in lab.state.relays if one.role == "exit" and one.behaviour == "dns-silent")
    assert lab.through(exit_.nickname, "web.test", 80) in (b"refused RESOLVEFAILED\n", b"refused local\n")


def test_answers_to_the_slow_exit_are_late(lab: Lab, own_address: str) -> None:
    slow = next(one for one in lab.state.relays if one.behaviour == "slow")
    script = (
        "import sys, time, subprocess; begin = time.monotonic(); "
        "subprocess.run(sys.argv[1:], check=True); print(time.monotonic() - begin)"
    )

    def takes_s(source: str) -> float:
        done = lab.exec([sys.executable, "-c", script, "curl", "-s", "--interface", source, f"http://{own_address}/ip"])
        address, took_s = done.stdout.split()
        assert address == source
        return float(took_s)

    assert takes_s(slow.address) > 1.4
    fast = lab.state.relay("exit01").address
    assert any(takes_s(fast) < 1.4 for _ in range(5))  # a busy machine may be slow for once


def test_the_web_only_exit_has_no_exit_flag_in_the_consensus(lab: Lab) -> None:
    flags: dict[str, list[str]] = {}
    for line in (lab.state.cookie_file.parent / "cached-consensus").read_text().splitlines():
        words = line.split(" ")
        if words[0] == "r":
            nickname = words[1]
        elif words[0] == "s":
            flags[nickname] = words[1:]
    exits = {one.nickname: "Exit" in flags[one.nickname] for one in lab.state.relays if one.role == "exit"}
    assert exits == {one.nickname: one.behaviour != "only-80" for one in lab.state.relays if one.role == "exit"}
    assert all("Guard" in flags[f"mid{n}"] for n in range(1, 5))


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
@pytest.mark.parametrize(
    ("words", "answer"),
    [(["web.test", "A"], "192.0.2.10"), (["web.test", "AAAA"], "2001:db8:1::10"), (["-x", "192.0.2.10"], "web.test."),
     (["www.example.org", "A"], "192.0.2.10"), (["n1.any.test", "A"], "192.0.2.10")],
)  # fmt: skip
def test_dig_gets_answers(lab: Lab, transport: str, words: list[str], answer: str) -> None:
    done = lab.exec(["dig", "+short", "+tries=1", transport, *words])
    assert done.stdout.split() == [answer]


@pytest.mark.parametrize("server", ["192.0.2.53", "2001:db8:1::53", "198.51.100.9"])
def test_every_target_address_is_a_name_server_that_answers_from_itself(lab: Lab, server: str) -> None:
    assert lab.exec(["dig", "+short", "+tries=1", f"@{server}", "web.test"]).stdout.split() == ["192.0.2.10"]


def test_the_c_library_resolves_through_the_lab(lab: Lab) -> None:
    assert "192.0.2.10" in lab.exec(["getent", "ahosts", "www.example.org"]).stdout
    assert lab.exec(["getent", "hosts", "nowhere.test"]).returncode == 2


@pytest.mark.parametrize("host", ["web.test", "www.example.org", "x.any.test", "192.0.2.10"])
def test_the_certificate_is_vouched_for_by_the_labs_ca(lab: Lab, host: str) -> None:
    ours = lab.exec(["curl", "-sS", "--cacert", str(lab.state.ca_file), f"https://{host}/ip"])
    assert (ours.returncode, ours.stdout) == (0, "192.0.2.10\n")
    rogue = ["--cacert", str(lab.state.ca_file.with_name("rogue-ca.pem")), "--capath", "/nonexistent"]
    assert lab.exec(["curl", "-sS", *rogue, f"https://{host}/ip"]).returncode == 60
    assert lab.exec(["curl", "-sS", f"https://{host}/ip"]).returncode == 0  # programs in the lab trust it


def test_ssh_keyscan_gets_a_host_key(lab: Lab) -> None:
    done = lab.exec(["ssh-keyscan", "-T", "10", "-t", "ed25519", "ssh.test"])
    assert "ssh.test ssh-ed25519 AAAA" in done.stdout


def test_a_repository_can_be_cloned(lab: Lab, tmp_path: Path) -> None:
    eventually(lambda: _clone(lab, tmp_path / "clone"), 20)
    assert (tmp_path / "clone" / "README").read_text() == "A file of the lab.\n"


def _clone(lab: Lab, into: Path) -> None:
    assert lab.exec(["git", "clone", "-q", "http://web.test/repo.git", str(into)]).returncode == 0


def test_the_log_is_written_before_the_answer(lab: Lab, own_address: str) -> None:
    for count in range(1, 20):
        lab.exec(["curl", "-s", f"http://{own_address}/"])
        assert sum(one.own[0] == own_address for one in lab.connections()) == count


def test_a_burst_of_connections_is_seen_whole(lab: Lab, own_address: str) -> None:
    script = Path(__file__).with_name("burst.py")
    done = lab.exec([sys.executable, str(script), own_address, "6000"], timeout=110)
    assert done.stdout.split() == ["6000"], done.stderr
    assert sum(one.own[0] == own_address for one in lab.connections()) == 6000


def test_packets_to_the_blackhole_vanish(lab: Lab) -> None:
    assert lab.exec(["curl", "-s", "--connect-timeout", "0.5", "http://blackhole.test/"]).returncode == 28


def test_nothing_can_leave(lab: Lab) -> None:
    routes = lab.exec(["ip", "route", "show", "table", "all"]).stdout + lab.exec(["ip", "-6", "route", "show"]).stdout
    assert "default" not in routes
    assert all(" dev lo" in f"{line} " or line.startswith("unreachable") for line in routes.splitlines())
    assert lab.exec(["curl", "-s", "--connect-timeout", "5", "http://9.9.9.9/"]).returncode == 7


def test_exec_passes_status_stdio_and_place(lab: Lab, tmp_path: Path) -> None:
    done = lab.exec(["sh", "-c", "cat; pwd; echo $EXITPIN_LAB >&2; exit 7"], input="from outside\n", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (7, f"from outside\n{tmp_path}\n", f"{lab.state.name}\n")
    assert lab.exec(["sh", "-c", "kill -9 $$"]).returncode == 137
    assert lab.exec(["no-such-command"]).returncode == 127
    assert lab.exec(["/etc/passwd"]).returncode == 126


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_exec_passes_signals_on(lab: Lab, number: signal.Signals) -> None:
    script = f"trap 'echo got; exit 3' {number.name[3:]}; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(
        verb("exec", "--name", lab.state.name, "sh", "-c", script), stdout=subprocess.PIPE, text=True
    ) as entered:
        assert entered.stdout is not None
        assert entered.stdout.readline() == "ready\n"
        entered.send_signal(number)
        assert entered.wait(COMMAND_S) == 3
        assert entered.stdout.read() == "got\n"


def test_ctrl_c_on_a_terminal_reaches_the_command_once(lab: Lab) -> None:
    script = "trap 'n=$((n+1)); echo got $n' INT; n=0; echo ready; read one; read two; echo end $n"
    leader, follower = pty.openpty()
    command = verb("exec", "--name", lab.state.name, "sh", "-c", script)
    with subprocess.Popen(
        command, stdin=follower, stdout=follower, stderr=follower, start_new_session=True, preexec_fn=_take_terminal
    ) as entered:
        os.close(follower)
        with open(leader, "r+b", buffering=0) as terminal:
            seen = _read_until(terminal, b"ready", b"")
            terminal.write(b"\x03")
            seen = _read_until(terminal, b"got 1", seen)
            # a signal ends one `read` in some shells and none in others
            terminal.write(b"\n\n")
            assert b"end 1" in _read_until(terminal, b"end 1", seen)
            assert entered.wait(COMMAND_S) == 0  # before the terminal hangs up


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_until(terminal: io.FileIO, text: bytes, seen: bytes) -> bytes:
    deadline = time.monotonic() + 20
    while text not in seen:
        assert select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))[0], seen
        seen += terminal.read(1024)
    return seen


def test_the_command_dies_with_exec(lab: Lab) -> None:
    with subprocess.Popen(
        verb("exec", "--name", lab.state.name, "sh", "-c", "echo ready; exec cat"),
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
    ) as entered:
        assert entered.stdout is not None
        assert entered.stdout.readline() == b"ready\n"
        entered.kill()
        assert entered.stdout.read() == b""


def test_inside_a_lab_exec_stays_where_it_is(lab: Lab) -> None:
    done = lab.exec([*verb("exec"), "sh", "-c", "readlink /proc/self/ns/pid"])
    assert done.stdout.strip() == f"pid:[{lab.state.pid_namespace}]", done.stderr


def test_status_tells_what_runs(lab: Lab) -> None:
    done = subprocess.run(
        verb("status", "--json", "--name", lab.state.name),
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=True,
    )
    status = json.loads(done.stdout)
    assert {relay["role"] for relay in status["relays"]} == {"authority", "middle", "exit"}
    assert len({relay["fingerprint"] for relay in status["relays"]}) == 15
    assert {"web", "ssh", "dns", "sink"} <= {target["kind"] for target in status["targets"]}
    for path in ("control_socket", "log", "ca_file"):
        assert os.path.exists(status[path])


def test_a_second_up_says_that_it_runs(lab: Lab) -> None:
    again = verb("up", "--name", lab.state.name, "--exits", "8", "--host", "www.example.org=web")
    done = subprocess.run(again, capture_output=True, text=True, timeout=COMMAND_S, check=True)
    assert "is running already" in done.stdout
    other = subprocess.run(
        verb("up", "--name", lab.state.name, "--exits", "9"),
        capture_output=True,
        text=True,
        timeout=COMMAND_S,
        check=False,
    )
    assert other.returncode == 125
    assert "another shape" in other.stderr


def test_no_stream_of_our_own_goes_out_unasked(lab: Lab) -> None:
    """The client leaves streams alone until somebody attaches them."""
    lab.exec(
        [
            "curl",
            "-s",
            "--max-time",
            "1",
            "--socks5-hostname",
            f"{lab.state.socks_host}:{lab.state.socks_port}",
            "http://198.51.100.99/",
        ]
    )
    assert not [one for one in lab.connections() if one.own[0] == "198.51.100.99"]
