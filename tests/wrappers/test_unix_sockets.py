"""Which Unix socket a name is, and whose."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from exitpin.wrappers import unix_diag
from exitpin.wrappers.machine import abilities
from exitpin.wrappers.unix_diag import Listener, Place
from exitpin.wrappers.unix_given import GivenSockets
from exitpin.wrappers.unix_sockets import UnixName, UnixSockets

from .test_unix_reached import IMPORTS, LISTENS, REACHED, REACHES, REFUSED, tries

supervised = pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)


@pytest.mark.parametrize(
    ("address", "reported", "shown"),
    [
        (b"/run/x\0y", b"/run/x", "/run/x"),
        (b"/run/x", b"/run/x", "/run/x"),
        (b"@x\0", b"./@x", "./@x"),
        (b"\0x", b"@x", "@x"),
        (b"\0\xff\0", b"@\xff\0", "@\\xff\\x00"),
        (b"/run/\xff", b"/run/\xff", "/run/\\xff"),
        (b"\0", b"@", "@"),
    ],
)
def test_a_name_is_reported_whole_and_shown_to_people(address: bytes, reported: bytes, shown: str) -> None:
    name = UnixName.from_address(address)
    assert (name.reported, str(name)) == (reported, shown)
    assert UnixName.from_report(reported).reported == reported
    assert UnixName.from_report(reported).is_abstract == name.is_abstract


@supervised
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    "becomes",
    ["setresuid(65534, 65534, 65534)", "seteuid(65534)", "setegid(65534)", "setgroups([65534])", "setfsuid(65534)"],
)
def test_who_has_other_credentials_than_we_reaches_only_what_was_given(daemon: Path, becomes: str) -> None:
    """Whoever listens would take the tool for us."""
    own = daemon.with_name("own")
    somebody = f"{'ctypes.CDLL(None)' if 'fs' in becomes else 'os'}.{becomes}\n"
    program = IMPORTS + LISTENS + somebody + REACHES
    tries("notify", own, says=REFUSED, program=program, may_listen=True)
    tries("notify", daemon, daemon, says=REACHED, program=IMPORTS + somebody + REACHES)


class OurTree:
    """A run of which we are the whole."""

    launcher = os.getppid()


OVERLAYS = """
import os, socket, subprocess, sys
from exitpin.wrappers.unix_sockets import UnixName, UnixSockets
from exitpin.wrappers.unix_given import GivenSockets

class OurTree:
    launcher = os.getppid()

place, has_two_file_systems = sys.argv[1], sys.argv[2] == "True"
lower, upper, work, merged = (f"{place}/{name}" for name in ("lower", "upper", "work", "merged"))
subprocess.run(["mount", "-t", "tmpfs", "one", place], check=True)
for folder in (lower, upper, work, merged):
    os.mkdir(folder)
if has_two_file_systems:
    subprocess.run(["mount", "-t", "tmpfs", "two", lower], check=True)
options = f"xino=off,lowerdir={lower},upperdir={upper},workdir={work}"
if subprocess.run(["mount", "-t", "overlay", "three", "-o", options, merged]).returncode:
    sys.exit("no overlay")
own = socket.socket(socket.AF_UNIX)
own.bind(f"{merged}/own")
own.listen()
name = UnixName(f"{merged}/own".encode(), False)
found = UnixSockets(GivenSockets(), OurTree(), may_listen=True).find(name, os.getpid())
print(found.error, found.is_allowed)
"""


@pytest.mark.skipif(not abilities().has_namespaces, reason="mounts need a namespace")
@pytest.mark.parametrize("has_two_file_systems", [False, True])
def test_where_a_file_has_two_devices_a_socket_is_nobodys_own(tmp_path: Path, has_two_file_systems: bool) -> None:
    """stat(2) and the kernel's list of sockets differ about it: on an overlay of two file systems, and on btrfs."""
    command = ["unshare", "--mount", "--map-root-user", sys.executable, "-c", OVERLAYS, str(tmp_path)]
    done = subprocess.run([*command, str(has_two_file_systems)], capture_output=True, text=True, timeout=20)
    if done.stderr.endswith("no overlay\n"):
        pytest.skip(done.stderr)
    assert done.stdout == f"0 {not has_two_file_systems}\n", done.stderr


def test_where_one_number_is_two_sockets_neither_is_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two subvolumes have the same numbers; and of a number the kernel tells 32 bits."""
    with ExitStack() as stack:
        place = tmp_path / "own"
        own = stack.enter_context(socket.socket(socket.AF_UNIX))
        own.bind(str(place))
        own.listen()
        nobodys = 0
        sockets = UnixSockets(GivenSockets(), OurTree(), may_listen=True)  # type: ignore[arg-type]

        def is_own() -> bool:
            found = sockets.find(UnixName(bytes(place), False), os.getpid())
            stack.callback(found.close)
            return found.is_allowed

        assert is_own()
        another = Listener(nobodys, None, Place.of(place.stat()))
        told = unix_diag.listeners()
        monkeypatch.setattr(unix_diag, "listeners", lambda: [*told, another])
        assert not is_own()
