"""Unix sockets that tools reach, and those that they do not, by whatever name: for real, under the launcher."""

import os
import platform
import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exitpin.wrappers import unix_sockets
from exitpin.wrappers.machine import abilities
from exitpin.wrappers.stand_in import Port

from .held_up import the_other_goes_on
from .test_stand_in import one_run

pytestmark = pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)

LISTENS = "own = socket.socket(socket.AF_UNIX); own.bind(sys.argv[1]); own.listen()\n"
IMPORTS = "import ctypes, os, socket, sys\n"
ENTERS = "ctypes.CDLL(None).unshare(0x10000000); os.chroot(os.path.dirname(sys.argv[1])); os.chdir('/sub')\n"
REACHES = "import socket, sys; s = socket.socket(socket.AF_UNIX)\ntry: s.connect(sys.argv[1]); print('reached')\n"
REACHES += "except OSError as error: print(error.strerror)"


REFUSED, REACHED = "Permission denied", "reached"


def tries(
    level: str, place: str | Path, *given: Path, says: str, program: str = REACHES, may_listen: bool = False
) -> None:
    """Let a tool try to reach it; what it `says` of that."""

    def check(record: dict[str, Any], stdout: bytes, log: Path) -> None:
        assert stdout.decode().strip() == says
        noted = [each["what"] for each in record["denied"] if each["reason"] == "unix" and "nscd" not in each["what"]]
        assert noted == ([str(place)] if says == REFUSED else [])

    argv = (sys.executable, "-I", "-c", program, str(place))
    unix = [str(path) for path in given]
    one_run(Port.CLOSED, argv, check, level=level, unix=unix, may_listen=may_listen)


@pytest.mark.parametrize("level", ["shim", "notify"])
def test_a_daemon_is_reached_by_whom_it_was_given_to_by_whatever_name(daemon: Path, level: str) -> None:
    link, gone = daemon.with_name("link"), daemon.with_name("gone")
    link.symlink_to(daemon)
    tries(level, daemon, says=REFUSED)
    tries(level, link, says=REFUSED)
    tries(level, daemon, daemon, says=REACHED)
    tries(level, link, daemon, says=REACHED)
    tries(level, gone, says="No such file or directory")


@pytest.mark.parametrize("level", ["shim", "notify", "notify+netns"])
@pytest.mark.parametrize("is_abstract", [False, True])
def test_a_run_reaches_a_socket_on_which_it_listens_itself(daemon: Path, level: str, is_abstract: bool) -> None:
    own = daemon.with_name("own")
    name = repr(f"\0exitpin-{os.getpid()}-{level}") if is_abstract else "sys.argv[1]"
    listens = "import socket, sys; own = socket.socket(socket.AF_UNIX); own.bind(sys.argv[1]); own.listen()\n" + REACHES
    tries(level, own, says=REACHED, program=listens.replace("sys.argv[1]", name), may_listen=True)


@pytest.mark.parametrize("level", ["shim", "guard", "notify"])
def test_where_nobody_listens_any_more_it_hears_that(tmp_path: Path, level: str) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as gone:
        gone.bind(str(tmp_path / "gone"))
    tries(level, tmp_path / "gone", says="Connection refused")
    tries(level, tmp_path / "gone", says="Connection refused", may_listen=True)


@pytest.mark.parametrize("level", ["shim", "notify"])
def test_a_path_that_begins_with_an_at_is_no_abstract_name(daemon: Path, level: str) -> None:
    daemon.rename(daemon.with_name("@daemon"))
    reaches = f"import os; os.chdir({str(daemon.parent)!r})\n" + REACHES.replace("sys.argv[1]", "'@daemon'")
    tries(level, "./@daemon", Path("@daemon"), says=REFUSED, program=reaches)
    tries(level, "./@daemon", daemon.with_name("@daemon"), says=REACHED, program=reaches)


@pytest.mark.parametrize("level", ["shim", "notify"])
def test_an_abstract_name_may_hold_any_bytes(daemon: Path, level: str) -> None:
    name = f"b'\\0\\xff-{os.getpid()}-{level}'"
    listens = "import socket, sys; own = socket.socket(socket.AF_UNIX); own.bind(sys.argv[1]); own.listen()\n" + REACHES
    tries(level, "@", says=REACHED, program=listens.replace("sys.argv[1]", name), may_listen=True)


@pytest.mark.parametrize("level", ["shim", "notify", "notify+netns"])
def test_that_a_run_may_listen_gives_it_no_daemon(daemon: Path, level: str) -> None:
    tries(level, daemon, says=REFUSED, may_listen=True)


def test_a_name_that_came_to_mean_a_daemon_is_still_the_daemon(daemon: Path) -> None:
    """It listened there itself, and then put the daemon in that place: the name is its own, the socket is not."""
    own = daemon.with_name("own")
    swaps = (
        "import os, socket, sys; own = socket.socket(socket.AF_UNIX); own.bind(sys.argv[1]); own.listen()\n"
        f"os.unlink(sys.argv[1]); os.link({str(daemon)!r}, sys.argv[1])\n{REACHES}"
    )
    tries("notify", own, says=REFUSED, program=swaps, may_listen=True)


@pytest.mark.parametrize("level", ["shim", "notify"])
@pytest.mark.parametrize("swap", ["symlink", "rename", "link"])
def test_a_name_that_was_given_and_came_to_mean_another_daemon_gives_nothing(
    daemon: Path, level: str, swap: str
) -> None:
    """The tool, which has the user's rights, put the other one in its place."""
    with closing(socket.socket(socket.AF_UNIX)) as one:
        given = daemon.with_name("given")
        one.bind(str(given))
        one.listen()
        swaps = f"import os, sys; os.unlink(sys.argv[1]); os.{swap}({str(daemon)!r}, sys.argv[1])\n{REACHES}"
        tries(level, given, given, says=REACHED)
        tries(level, given, given, says=REFUSED, program=swaps)


@pytest.mark.parametrize("path", ["/own", "/link", "../own", "../link", "link", "/sub/link"])
def test_links_lead_where_they_lead_for_the_tool(tmp_path: Path, path: str) -> None:
    """It has another root, in which an absolute link means something else than in ours."""
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub"):
        (folder / "link").symlink_to("/own")
    program = IMPORTS + LISTENS + ENTERS + REACHES.replace("sys.argv[1]", repr(path))
    tries("notify", tmp_path / "own", says=REACHED, program=program, may_listen=True)


def test_a_link_that_only_its_owner_can_follow_leads_nowhere() -> None:
    path = "/proc/self/cwd/own"
    tries("notify", path, says=REFUSED)


@pytest.mark.parametrize("level", ["shim", "notify"])
def test_a_look_up_that_keeps_us_waiting_holds_up_no_other_run(
    daemon: Path, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who reads a long folder has its lock, and the tool may starve it; or a file system's server is gone."""
    argv = (sys.executable, "-I", "-c", REACHES, str(daemon))
    the_other_goes_on(monkeypatch, unix_sockets, "_open", argv, level)


STALLS = """
import os, socket, sys, threading
full, first = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
full.bind(sys.argv[1]); full.listen(0); first.connect(sys.argv[1])
sys.setswitchinterval(1e-4)  # or who wants to go on waits for 24 others that never wait

def impatient(stuck):
    while True:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bytes(16))

def connects(stuck):
    while True:
        try: stuck.connect(sys.argv[1])
        except OSError: pass

for _ in range(12):
    stuck = socket.socket(socket.AF_UNIX)
    for target in (impatient, connects):
        threading.Thread(target=target, args=(stuck,), daemon=True).start()
for _ in range(20):
    socket.create_connection(("198.51.100.7", 80)).close()
print("reached", flush=True)
os._exit(0)
"""


def test_a_unix_connect_that_never_ends_stalls_neither_the_loop_nor_the_end_of_its_run(tmp_path: Path) -> None:
    def check(record: dict[str, Any], stdout: bytes, log: Path) -> None:
        assert stdout.decode().strip() == "reached"
        assert record["failure"] is None and len(record["streams"]) == 20

    argv = (sys.executable, "-I", "-c", STALLS, str(tmp_path / "own"))
    one_run(Port.GARBAGE, argv, check, level="notify", may_listen=True)


TRIES_TO_LISTEN = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
    with socket.socket(family) as one:
        if family == socket.AF_UNIX: one.bind(sys.argv[1])
        done = libc.syscall(50, one.fileno(), 4)
        print(family.name, "listens" if done == 0 else os.strerror(ctypes.get_errno()))
print(os.strerror(ctypes.get_errno()) if libc.syscall(50, 99, 4) else "?")
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the call has this number on x86_64")
@pytest.mark.parametrize("level", ["notify", "notify+netns"])
def test_who_may_listen_on_unix_sockets_listens_on_no_other_by_any_call(tmp_path: Path, level: str) -> None:
    def check(record: dict[str, Any], stdout: bytes, log: Path) -> None:
        assert stdout.decode().splitlines() == [
            "AF_INET Permission denied", "AF_INET6 Permission denied", "AF_UNIX listens", "Bad file descriptor"
        ]  # fmt: skip
        assert [each["reason"] for each in record["denied"]] == ["listen"]

    argv = (sys.executable, "-I", "-c", TRIES_TO_LISTEN, str(tmp_path / "own"))
    one_run(Port.CLOSED, argv, check, level=level, may_listen=True)
