"""The launcher: which descriptors a tool inherits, on kernels old and new."""

import errno
import os
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exitpin.shim.bindings import Reason

NAMED = [(socket.SOCK_STREAM, "path"), (socket.SOCK_SEQPACKET, "path"), (socket.SOCK_STREAM, "abstract")]

JOURNAL = """
import os, socket, subprocess, sys
path = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
os.makedirs(os.path.dirname(path))
listener, ours = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
listener.bind(path); listener.listen(); ours.connect(path)
if os.fork() == 0:
    for descriptor in sys.argv[2]:
        os.dup2(ours.fileno(), int(descriptor))
    os.execv(sys.argv[3], sys.argv[3:])
ours.close()
output = listener.accept()[0].makefile("rb").read()
os.wait()
os.write(1, output)
"""


@contextmanager
def connected(kind: socket.SocketKind, address: str) -> Iterator[socket.socket]:
    """To who listens there, as the kernel has it: an abstract name begins with a NUL."""
    with socket.socket(socket.AF_UNIX, kind) as listener, socket.socket(socket.AF_UNIX, kind) as ours:
        listener.bind(address)
        listener.listen()
        ours.connect(address)
        yield ours


def address_of(kind: str, folder: Path) -> tuple[str, str]:
    """As the kernel has it, and as `--allow unix:` does."""
    name = f"exitpin-{os.getpid()}"
    return (f"\0{name}", f"@{name}") if kind == "abstract" else (str(folder / "d"), str(folder / "d"))


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


@pytest.mark.parametrize(("kind", "address"), NAMED)
def test_a_daemon_on_stdin_is_refused_like_a_network(refused, tmp_path_factory, kind, address):
    with connected(kind, address_of(address, tmp_path_factory.mktemp("d"))[0]) as daemon:
        assert refused("true", stdin=daemon.fileno()) == (Reason.INHERITED, 126)


@pytest.mark.parametrize(("kind", "address"), NAMED)
def test_a_daemon_that_was_given_may_be_stdin(shim, tmp_path_factory, kind, address):
    place, name = address_of(address, tmp_path_factory.mktemp("d"))
    with connected(kind, place) as daemon:
        flags = ("--given", "/not/there", "--given", name)
        assert shim.run("echo", "ran", stdin=daemon.fileno(), flags=flags).lines == ["ran"]


def test_what_was_given_is_a_socket_by_whatever_name(shim, tmp_path_factory):
    folder = tmp_path_factory.mktemp("d")
    (folder / "link").symlink_to("d")
    with connected(socket.SOCK_STREAM, str(folder / "d")) as daemon:
        flags = ("--given", str(folder / "link"))
        assert shim.run("echo", "ran", stdin=daemon.fileno(), flags=flags).lines == ["ran"]


def test_who_has_connected_to_the_caller_is_no_daemon(shim, tmp_path_factory):
    """As inetd(8) and socket units start a server: the peer has no name."""
    path = str(tmp_path_factory.mktemp("d") / "server")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
        accepted, _ = listener.accept()
        with accepted:
            client.sendall(b"hello\n")
            client.shutdown(socket.SHUT_WR)
            assert shim.run("cat", stdin=accepted.fileno()).lines == ["hello"]


def test_a_socket_whose_datagrams_go_anywhere_is_refused_be_it_of_a_pair(refused):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        assert refused("true", stdin=theirs.fileno()) == (Reason.INHERITED, 126)


@pytest.mark.parametrize("path", ["/run/systemd/journal/stdout", "/run/systemd/journal.own/stdout"])
@pytest.mark.parametrize("descriptors", ["1", "12"])
def test_what_a_service_prints_goes_to_the_journal(shim, path, descriptors):
    under = ("unshare", "-m", sys.executable, "-I", "-c", JOURNAL, path, descriptors)
    assert shim.run("sh", "-c", "echo ran", under=under).lines == ["ran"]


@pytest.mark.parametrize(
    ("path", "descriptors"),
    [
        ("/run/systemd/journal/stdout", "01"),
        ("/run/systemd/journal/socket", "1"),
        ("/run/systemd/journal", "1"),
        ("/run/systemd/journal.a/b/stdout", "1"),
        ("/run/systemd/journals/stdout", "1"),
    ],
)
def test_nothing_else_is_taken_for_the_journal(refused, path, descriptors):
    under = ("unshare", "-m", sys.executable, "-I", "-c", JOURNAL, path, descriptors)
    reason, _ = refused("echo", "ran", under=under)
    assert reason is Reason.INHERITED


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
