"""A lab's life: it starts, and whatever ends it, nothing is left."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.state import base_directory, find, load, private_directory

from ..ended import ended_by
from .conftest import COMMAND_S, eventually, free_name, processes_of, verb, wait_for_end

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

SMALL = 5


@pytest.fixture
def name() -> Iterator[str]:
    chosen = free_name()
    try:
        yield chosen
    finally:
        start.down(chosen)
        (base_directory() / f"{chosen}.lock").unlink(missing_ok=True)


def up(name: str, *words: str) -> "subprocess.Popen[str]":
    command = verb("up", "--name", name, "--exits", str(SMALL), *words)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def nothing_is_left(name: str) -> None:
    assert processes_of(base_directory() / name) == []


def test_up_and_down_leave_nothing(name: str) -> None:
    with up(name, "--json") as starting:
        text, complaint = starting.communicate(timeout=120)
    assert starting.returncode == 0, complaint
    assert json.loads(text)["name"] == name
    subprocess.run(verb("down", "--name", name), check=True, timeout=COMMAND_S)
    nothing_is_left(name)
    assert not (base_directory() / name).exists()
    done = subprocess.run(
        verb("status", "--name", name), capture_output=True, text=True, timeout=COMMAND_S, check=False
    )
    assert (done.returncode, "is not running" in done.stderr) == (3, True)
    with pytest.raises(OperatorError, match="is not running"):
        load(name)


def test_a_frozen_lab_whose_client_was_killed_says_so_and_is_not_up(name: str) -> None:
    start.up(name, SMALL)
    inside = verb("exec", "--name", name, "--", "kill", "-KILL", str(load(name).client_pid))
    subprocess.run(inside, check=True, timeout=COMMAND_S)

    def says_so() -> None:
        done = subprocess.run(
            verb("status", "--name", name), capture_output=True, text=True, timeout=COMMAND_S, check=False
        )
        assert done.returncode == 1
        assert f"the client tor of lab {name} has ended" in done.stdout
        assert f"exitpin lab down --name {name}" in done.stdout

    eventually(says_so)
    told = subprocess.run(
        verb("status", "--json", "--name", name), capture_output=True, text=True, timeout=COMMAND_S, check=False
    )
    assert (told.returncode, json.loads(told.stdout)["client_pid"]) == (1, 0)
    with pytest.raises(OperatorError, match="its client tor has ended"):
        start.up(name, SMALL)


def test_a_killed_supervisor_takes_everything_along(name: str) -> None:
    start.up(name, SMALL)
    pid = load(name).supervisor_pid
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    eventually(lambda: nothing_is_left(name))
    assert find(name) is None
    state, was_running, _ = start.up(name, SMALL)
    assert not was_running
    assert state.supervisor_pid != pid


def test_a_relay_that_ends_is_noticed(name: str) -> None:
    start.up(name, SMALL)
    pid = load(name).relay("exit01").pid
    subprocess.run(verb("exec", "--name", name, "kill", "-9", str(pid)), check=True, timeout=COMMAND_S)

    def noticed() -> None:
        assert load(name).relay("exit01").pid == 0

    eventually(noticed)
    assert load(name).relay("exit02").pid != 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("when", ["spec.json", "resolv.conf", "ca.pem", "tor/exit01/torrc"])
def test_an_interrupted_start_leaves_no_process(name: str, number: signal.Signals, when: str) -> None:
    with up(name) as starting:

        def has_come_so_far() -> None:
            assert (base_directory() / name / when).exists() or starting.poll() is not None

        eventually(has_come_so_far, 60)
        starting.send_signal(number)
        starting.communicate(timeout=COMMAND_S)
    if number == signal.SIGINT:
        assert starting.returncode in (0, ended_by(signal.SIGINT))
    if starting.returncode == 0:  # it was up before it heard of it
        start.down(name)
    eventually(lambda: nothing_is_left(name))


def test_foreground_ends_with_ctrl_c(name: str) -> None:
    with up(name, "--foreground") as staying:
        assert staying.stdout is not None
        assert "is up" in staying.stdout.readline()
        assert find(name) is not None
        staying.send_signal(signal.SIGINT)
        assert staying.wait(COMMAND_S) == 0
    nothing_is_left(name)
    assert not (base_directory() / name).exists()


def test_a_killed_foreground_takes_the_lab_along(name: str) -> None:
    with up(name, "--foreground") as staying:
        assert staying.stdout is not None
        staying.stdout.readline()
        staying.kill()
    eventually(lambda: nothing_is_left(name))


def test_two_labs_run_beside_each_other(name: str) -> None:
    other = free_name()
    try:
        with up(name) as first, up(other) as second:
            for starting in (first, second):
                _, complaint = starting.communicate(timeout=120)
                assert starting.returncode == 0, complaint
        assert load(name).supervisor_pid != load(other).supervisor_pid
    finally:
        start.down(other)


@pytest.mark.parametrize("bad", ["", "../x", "a/b", ".hidden", "x" * 33, "a.lock"])
def test_an_impossible_name_is_refused(bad: str) -> None:
    with pytest.raises(OperatorError, match="name of a lab"):
        start.up(bad, SMALL)


def test_a_directory_of_somebody_else_is_refused(tmp_path: os.PathLike[str]) -> None:
    link = os.path.join(tmp_path, "link")
    os.symlink(tmp_path, link)
    with pytest.raises(OperatorError, match="only you can write"):
        private_directory(Path(link))
