"""The launcher: which descriptors a tool inherits, on kernels old and new."""

import errno
import os
import resource
import socket
import sys

import pytest

from exitpin.shim.bindings import Reason


@pytest.mark.parametrize("kind", [(socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_INET6, socket.SOCK_STREAM)])
def test_an_internet_socket_on_stdin(refused, kind):
    with socket.socket(*kind) as inherited:
        assert refused("true", stdin=inherited.fileno()) == (Reason.INHERITED, 126)


def test_a_unix_socket_on_stdin_is_how_asyncio_speaks(shim):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"hello\n")
        ours.shutdown(socket.SHUT_WR)
        assert shim.run("cat", stdin=theirs.fileno()).lines == ["hello"]


KERNELS = {
    "now": (),
    "before-5.9": (f"close_range={errno.ENOSYS}",),
    "old-container": (f"close_range={errno.EPERM}",),
}


@pytest.mark.parametrize("denied", KERNELS.values(), ids=KERNELS)
@pytest.mark.parametrize("flags", [(), ("--keep-files",)])
def test_open_descriptors_are_kept_only_if_asked_and_harmless(shim, tmp_path, flags, denied):
    file = os.open(tmp_path, os.O_TMPFILE | os.O_RDWR)
    reading, writing = os.pipe()
    master, terminal = os.openpty()
    null = os.open(os.devnull, os.O_RDWR)
    harmless = {file, reading, writing, terminal, null}
    with socket.socket() as tcp, socket.socketpair()[0] as unix:
        given = (*harmless, master, tcp.fileno(), unix.fileno())
        under = (shim.programs["denies"], *denied)
        run = shim.start(shim.programs["tree"], "state", flags=flags, under=under, pass_fds=given).wait()
    for descriptor in (*harmless, master):
        os.close(descriptor)
    assert {int(line[3:]) for line in run.lines[1:]} == (harmless if flags else set())


@pytest.mark.parametrize("flags", [(), ("--keep-files",)])
def test_descriptors_that_can_not_be_closed_are_not_passed_on(refused, shim, flags):
    under = (shim.programs["denies"], f"close_range={errno.EPERM}", f"getdents64={errno.EPERM}")
    assert refused("echo", "ran", flags=flags, under=under) == (Reason.INHERITED, 126)


def test_descriptors_above_the_old_limit_do_no_harm(shim):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    high = min(hard, 4096) - 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (high + 1, hard))
    with open(os.devnull, "rb") as null:
        os.dup2(null.fileno(), high)
    run = shim.start(sys.executable, "-c", "print('ran')", flags=("--keep-files",), pass_fds=(high,))
    os.close(high)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert run.wait().lines == ["ran"]
