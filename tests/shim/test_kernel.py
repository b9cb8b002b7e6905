"""Linux calls that Python lacks."""

import errno
import fcntl
import os
import signal
import socket

import pytest

from exitpin.shim import bindings


def test_a_disconnected_socket_is_as_new():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        for _ in range(2):
            client.connect(server.getsockname())
            accepted, _ = server.accept()
            bindings.disconnect(client.fileno())
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            with pytest.raises(OSError, match="not connected"):
                client.getpeername()
            accepted.close()


def test_kernel_calls_raise_what_the_kernel_says(tmp_path):
    with pytest.raises(OSError) as raised:
        bindings.setns(-1)
    assert raised.value.errno == errno.EBADF
    with pytest.raises(OSError):
        bindings.unshare(-1)
    with pytest.raises(FileNotFoundError):
        bindings.mount("none", f"{tmp_path}/nowhere", "tmpfs", 0, "")
    with pytest.raises(OSError):
        bindings.set_death_signal(-1)


def test_a_subreaper_inherits_orphans():
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        bindings.set_child_subreaper()
        if os.fork() == 0:
            if os.fork() == 0:
                os.read(reading, 1)
                os._exit(0)
            os._exit(0)
        os.wait()
        os.write(writing, b"x")
        os._exit(0 if os.wait()[0] > 0 else 1)
    assert os.waitpid(child, 0)[1] == 0
    os.close(reading)
    os.close(writing)


def output_of(argv: list[str], environment: dict[str, str]) -> str:
    reading, writing = os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 16) for fd in (0, writing, 2)]
    child = bindings.Child(argv, environment, high)
    for fd in (writing, *high):
        os.close(fd)
    with os.fdopen(reading, "rb") as output:
        text = output.read().decode()
    assert os.waitpid(child.pid, 0)[1] == 0
    assert child.error == 0
    return text


def test_a_child_has_its_arguments_variables_and_descriptors():
    script = 'echo "$0|$1|$NAME"'
    assert output_of(["/bin/sh", "-c", script, "a b", ""], {"NAME": "ä=b", "PATH": os.defpath}) == "a b||ä=b\n"


def test_a_child_begins_with_all_signals_blocked():
    (blocked,) = [line for line in output_of(["/bin/cat", "/proc/self/status"], {}).splitlines() if "SigBlk" in line]
    assert int(blocked.split()[1], 16) & 1 << signal.SIGTERM - 1


def test_a_child_that_can_not_be_executed_says_why(tmp_path):
    high = [fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 16)]
    child = bindings.Child([f"{tmp_path}/nowhere"], {}, high)
    os.close(high[0])
    assert os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1]) == 127
    assert child.error == errno.ENOENT


def test_a_child_that_nobody_holds_keeps_its_stack():
    high = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 16)
    try:
        pids = [bindings.Child(["/bin/true"], {}, [high]).pid for _ in range(200)]
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 200
    finally:
        os.close(high)


@pytest.mark.parametrize(("argv", "descriptor"), [([], 16), (["a\0b"], 16), (["/bin/true"], 0)])
def test_a_child_that_can_not_be_meant_is_refused(argv: list[str], descriptor: int):
    with pytest.raises(ValueError):
        bindings.Child(argv, {}, [descriptor])


def test_many_children_at_once_and_our_signals_go_on():
    got = []
    before = signal.signal(signal.SIGALRM, lambda *_: got.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    high = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 16)
    try:
        children = [bindings.Child(["/bin/true"], {}, [high]) for _ in range(200)]
        assert [os.waitpid(child.pid, 0)[1] for child in children] == [0] * 200
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        os.close(high)
    assert got
