"""A foreground run on a terminal: the tool has it while it runs, stops as a job, and gives it back."""

import fcntl
import os
import pty
import resource
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path

import psutil
import pytest

from exitpin.shim import bindings

DEADLINE_S = 30.0
SHELL = '"$@"; echo "job: $?"; read line; fg >/dev/null; echo "end: $?"'
STOPS = str(Path(__file__).parent / "programs" / "stops.py")


def eventually(holds):
    end = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.002)


class Terminal:
    """A shell's place: leader of a session on a pty, the launcher a job in a group of its own in the foreground."""

    def __init__(self, shim, *command, flags=(), launcher=str(bindings.LAUNCHER)):
        self.ours, theirs = pty.openpty()
        config = bindings.shim_config(bytes(range(16)), "127.64.0.9", shim.stand_in.path)
        control, launcher_end = shim_socketpair()
        self.control = control
        launch = [launcher, "--control", str(launcher_end.fileno()), "--preload", str(bindings.PRELOAD), *flags]
        self.shell = subprocess.Popen(
            ["bash", "-i", "-m", "-c", SHELL, "sh", *launch, "--foreground", "--", *command],
            stdin=theirs,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
            pass_fds=(launcher_end.fileno(),),
            start_new_session=True,
            preexec_fn=lambda: take(theirs),
            env={**os.environ, "PS1": "", "EXITPIN_SHIM": config},
        )
        launcher_end.close()
        os.close(theirs)
        self.shown = ""

    def expect(self, text):
        while text not in self.shown:
            assert select.select([self.ours], [], [], DEADLINE_S)[0], self.shown
            self.shown += os.read(self.ours, 4096).decode()

    def foreground(self):
        return os.tcgetpgrp(self.ours)


def take(terminal):
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)


def shim_socketpair():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(DEADLINE_S)
    return ours, theirs


@pytest.fixture
def terminal(shim):
    made = []

    def start(*command, **options):
        made.append(Terminal(shim, *command, **options))
        return made[-1]

    yield start
    for one in made:
        one.control.close()
        one.shell.kill()
        one.shell.wait(DEADLINE_S)
        os.close(one.ours)


def started(terminal):
    return bindings.decode_notice(terminal.control.recv(4096)).pid


def test_the_tool_has_the_terminal_while_it_runs(terminal):
    one = terminal("cat")
    tool = started(one)
    eventually(lambda: one.foreground() == tool)
    os.write(one.ours, b"hello\n")
    one.expect("hello\r\nhello")
    os.write(one.ours, b"\x04")
    one.expect("job: 0")


def test_ctrl_c_reaches_the_tool_and_not_the_launcher(terminal):
    one = terminal("sleep", "60")
    tool = started(one)
    eventually(lambda: one.foreground() == tool)
    os.write(one.ours, b"\x03")
    one.expect("job: 0")
    assert os.waitstatus_to_exitcode(bindings.decode_notice(one.control.recv(4096)).status) == -signal.SIGINT


def test_ctrl_z_stops_the_job_and_fg_continues_it(terminal):
    one = terminal("sleep", "60")
    tool = started(one)
    eventually(lambda: one.foreground() == tool and psutil.Process(tool).name() == "sleep")
    os.write(one.ours, b"\x1a")
    one.expect(f"job: {128 + signal.SIGTSTP}")
    assert psutil.Process(tool).status() == psutil.STATUS_STOPPED
    os.write(one.ours, b"\n")
    eventually(lambda: one.foreground() == tool and psutil.Process(tool).status() == psutil.STATUS_SLEEPING)
    os.write(one.ours, b"\x03")
    one.expect("end: 0")


def test_a_tool_that_draws_a_stop_on_the_launchers_group_is_ended_all_the_same(terminal):
    """The kernel sends it, and asks for nobody's right to."""
    one = terminal(sys.executable, STOPS, "1")
    tool = psutil.Process(started(one))
    one.expect("stopped")
    one.control.close()
    tool.wait(DEADLINE_S)


@pytest.mark.parametrize("signo", [signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU])
def test_nothing_that_a_terminal_sends_stops_the_launcher(terminal, signo):
    one = terminal("sleep", "60")
    tool = psutil.Process(started(one))
    os.kill(tool.ppid(), signo)
    one.control.close()
    tool.wait(DEADLINE_S)


def test_at_guard_no_group_of_who_has_started_the_tool_can_be_joined(terminal):
    """The launcher's, of who is in front, and of the shell."""
    one = terminal(sys.executable, STOPS, "3", flags=("--guard",))
    one.expect("77\r\n77\r\n77\r\n")


def test_without_that_a_tool_stops_who_is_in_front(terminal, without):
    one = terminal(sys.executable, STOPS, "2", flags=("--guard",), launcher=without("groups"))
    one.expect(f"job: {128 + signal.SIGTTOU}")


def test_at_guard_a_shell_has_jobs_in_groups_of_their_own(terminal):
    background, nested = "sleep 60 | sleep 60 &", "bash -ic 'true | true; exit 7'"
    script = f"{background} kill -STOP %1; wait %1; echo $?; kill -9 %1; {nested}; echo $?"
    one = terminal("bash", "-ic", script, flags=("--guard",))
    one.expect(f"{128 + signal.SIGSTOP}\r\n")
    one.expect("7\r\njob: 0")


def test_a_tool_that_has_stopped_itself_is_ended_with_all_of_its_tree(terminal):
    """Who is in front is stopped with it, and can't answer the launcher."""
    one = terminal("bash", "-c", "set -m; sleep 60 & kill -STOP $$")
    tool = psutil.Process(started(one))
    one.expect("job: ")
    tree = [tool, *tool.children()]
    assert len(tree) == 2
    one.control.close()
    assert psutil.wait_procs(tree, timeout=DEADLINE_S)[1] == []


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("how", ["the tool exits", "it is told to end"])
def test_who_is_in_front_ends_with_the_launcher_though_a_tool_has_left_it_no_descriptors(terminal, limit, how):
    """What a hostile tool can do to who is of the same user; poll(2) then looks at nothing."""
    one = terminal("sleep", "60")
    tool = psutil.Process(started(one))
    front = tool.parent().parent()
    eventually(lambda: one.foreground() == tool.pid)
    resource.prlimit(front.pid, resource.RLIMIT_NOFILE, (limit, limit))
    if how == "the tool exits":
        tool.kill()
    else:
        front.terminate()
    one.expect("job: 0")
    assert psutil.wait_procs([tool, front], timeout=DEADLINE_S)[1] == []
