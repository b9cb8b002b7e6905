"""How the command `exitpin` before Python ends with a lease: the daemon's word, signals, and whoever was killed."""

import os
import select
import signal
import subprocess

import psutil
import pytest

from exitpin.shim.bindings import Lease, LeaseKind

from .daemon_played import WAIT_S, Daemon, Place, result


def test_when_the_daemon_goes_the_tree_ends_and_nothing_is_vouched_for(place: Place, daemon: Daemon) -> None:
    client = place.start("run", "--", "x")
    daemon.asked()
    daemon.grant("setsid sleep 60 & echo $! >&3; wait")
    assert daemon.control is not None
    left = int(daemon.control.recv(99))
    daemon.close()
    status, _, said = result(client)
    assert (status, said) == (
        125, "exitpin: the daemon has gone: nothing of this run is attributed.\n",
    )  # fmt: skip
    assert not psutil.pid_exists(left)


def test_a_killed_launcher_leaves_none_of_its_children(place: Place, daemon: Daemon) -> None:
    client = place.start("run", "--", "x")
    daemon.asked()
    daemon.grant("setsid sleep 60 & echo $$ $! >&3; wait")
    assert daemon.control is not None
    launcher, left = map(int, daemon.control.recv(99).split())
    os.kill(launcher, signal.SIGKILL)
    daemon.end(125, stderr=b"the launcher ended\n")
    assert result(client) == (125, "", "the launcher ended\n")
    assert not psutil.pid_exists(left)


def test_a_killed_client_ends_its_launcher(place: Place, daemon: Daemon) -> None:
    client = place.start("run", "--", "x")
    daemon.asked()
    daemon.grant("trap 'echo asked to end >&3; exit' TERM; echo there >&3; while :; do sleep 0.01; done")
    assert daemon.control is not None
    assert daemon.control.recv(99) == b"there\n"
    client.kill()
    assert daemon.control.recv(99) == b"asked to end\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_the_daemons_to_answer(place: Place, daemon: Daemon, number: signal.Signals) -> None:
    client = place.start("run", "--", "x", restore_signals=True)
    daemon.asked()
    daemon.grant("echo there >&3; read -r word <&3")
    assert daemon.control is not None
    daemon.control.recv(99)
    client.send_signal(number)
    lease, _ = daemon.heard()
    assert (lease.kind, lease.number) == (LeaseKind.INTERRUPT, number)
    daemon.control.close()
    daemon.end(128 + number)
    assert result(client)[0] == 128 + number


def test_a_signal_is_heard_by_one_that_came_and_was_told_to_wait(place: Place, daemon: Daemon) -> None:
    client = place.start("run", "--", "x", restore_signals=True)
    daemon.asked()
    daemon.say(Lease(LeaseKind.COME))
    assert daemon.heard()[0] == Lease(LeaseKind.HERE)
    daemon.say(Lease(LeaseKind.SAY), b"exitpin: waiting\n")
    assert client.stderr is not None and client.stderr.readline() == b"exitpin: waiting\n"
    client.send_signal(signal.SIGINT)
    assert daemon.heard()[0] == Lease(LeaseKind.INTERRUPT, signal.SIGINT)
    daemon.end(130)
    assert result(client)[0] == 130


def test_what_the_daemon_said_last_is_heard_although_it_has_not_read_all(place: Place, daemon: Daemon) -> None:
    client = place.start("run", "--", "x")
    daemon.asked()
    daemon.grant("echo there >&3; read -r word <&3; exit 0")
    assert daemon.control is not None and daemon.connection is not None
    daemon.control.recv(99)
    client.send_signal(signal.SIGINT)
    assert select.select([daemon.connection], [], [], WAIT_S)[0]
    (behind,) = psutil.Process(client.pid).children()
    behind.suspend()  # and whom we have started stops as it does
    os.waitid(os.P_PID, client.pid, os.WSTOPPED)
    daemon.end(7, b"a record\n")
    daemon.close()
    client.send_signal(signal.SIGCONT)
    assert result(client) == (7, "a record\n", "")


def test_a_daemon_that_does_not_answer_is_left_by_who_insists(place: Place, daemon: Daemon) -> None:
    client = place.start("run", "--", "x")
    daemon.asked()
    daemon.grant("trap '' TERM; setsid sleep 60 & echo $! >&3; wait")
    assert daemon.control is not None
    left = int(daemon.control.recv(99))
    client.send_signal(signal.SIGINT)
    daemon.heard()
    while client.poll() is None:
        client.send_signal(signal.SIGINT)
        select.select([], [], [], 0.1)
    status, _, said = result(client)
    assert (status, said) == (130, "exitpin: the daemon had not ended it: nothing of this run is attributed.\n")
    assert not psutil.pid_exists(left)


def test_children_that_it_was_born_with_are_not_its_tree(place: Place, daemon: Daemon) -> None:
    script = 'sleep 60 & echo $!; exec "$0" run -- x'
    argv = ["bash", "-c", script, place.directory / "exitpin.bin" / "exitpin"]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(place.directory)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        born_with = int(client.stdout.readline())
        try:
            daemon.asked()
            daemon.grant("exit 0")
            daemon.end(0)
            assert client.wait(WAIT_S) == 0
            assert psutil.Process(born_with).status() == psutil.STATUS_SLEEPING
        finally:
            os.kill(born_with, signal.SIGKILL)


def test_a_caller_that_ignores_the_end_of_children_hears_of_its_own(place: Place, daemon: Daemon) -> None:
    argv = ["env", "--ignore-signal=CHLD", place.directory / "exitpin.bin" / "exitpin", "run", "--", "x"]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(place.directory)}
    with subprocess.Popen(argv, env=environment) as client:
        daemon.asked()
        daemon.grant("exit 0")
        daemon.end(7)
        assert client.wait(WAIT_S) == 7
