"""The guard: what the kernel refuses a tool, whatever the hooks miss; and that each of its parts is needed."""

import os
import platform
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from exitpin.shim.bindings import NoticeKind, Op, Reason

from .conftest import Shim
from .lacking import compiled

AT_GUARD = pytest.mark.parametrize("shim", ["guard"], indirect=True)
X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86_64 has other ways to call")

SETPRIV = shutil.which("setpriv") or "setpriv"
SETS = ("CapInh", "CapPrm", "CapEff", "CapAmb")
POWERFUL = (2, 12, 13, 16, 17, 19, 20, 21, 22, 23, 25, 26, 27, 38, 39, 40)
"""Capabilities that make packets or routes without sockets, or reach into other processes."""
REFUSED = {
    "sockets": [
        "udp=EACCES",
        "udp6=EACCES",
        "raw=EACCES",
        "packet=EACCES",
        "mptcp=EPROTONOSUPPORT",
        "vsock=EAFNOSUPPORT",
        "audit=EAFNOSUPPORT",
        "routes=OK",
        "tcp=OK",
    ],
    "connects": ["outside=EACCES", "loopback=EACCES"],
    "fast_opens": ["sendto=EOPNOTSUPP", "sendmsg=EOPNOTSUPP", "sendmmsg=EOPNOTSUPP"],
    "rings": ["setup=ENOSYS"],
    "listeners": ["fixed=EACCES", "listen=EACCES"],
    "unix_listener": ["bind=OK", "listen=EACCES"],
    "device": ["device=EPERM", "index=EPERM", "unicast=EPERM"],
    "keys": ["request=EPERM"],
    "protocols": ["ulp=ENOPROTOOPT"],
    "options": [
        *("tos=OK", "v6only=OK", "route=ENOPROTOOPT", "header=ENOPROTOOPT", "join=ENOPROTOOPT", "source=ENOPROTOOPT"),
        *("join6=ENOPROTOOPT", "join4on6=ENOPROTOOPT"),
    ],
    "linger": ["set=OK", "is=0"],
    "faults": ["ioctl=EPERM"],
    "others": ["own=OK", "parent=EPERM", "user=EPERM"],
    "pairs": ["unix=OK", "tipc=EOPNOTSUPP", "ip=EOPNOTSUPP"],
    "tunnels": ["attach=EPERM"],
}
NEEDED = {
    "sockets": "sockets",
    "landlock": "connects",
    "fast-open": "fast_opens",
    "io_uring": "rings",
    "listen": "unix_listener",
    "device": "device",
    "request_key": "keys",
    "protocols": "protocols",
    "stall": "linger",
    "pairs": "pairs",
    "tunnels": "tunnels",
}


@AT_GUARD
@pytest.mark.parametrize("case", REFUSED)
def test_the_kernel_refuses_what_no_hook_sees(shim: Shim, case: str) -> None:
    assert shim.probe("bypasses", case).lines == REFUSED[case]


@AT_GUARD
def test_a_tool_that_may_listen_can(shim: Shim) -> None:
    assert shim.probe("bypasses", "unix_listener", flags=("--listen",)).lines == ["bind=OK", "listen=OK"]


@AT_GUARD
@X86
def test_calls_of_another_machine_end_the_process(shim: Shim) -> None:
    run = shim.probe("bypasses", "other_machine")
    assert run.lines == []
    assert os.WTERMSIG(run.of(NoticeKind.EXITED).status) == signal.SIGSYS
    assert shim.probe("bypasses", "other_abi").lines == ["x32=ENOSYS"]


@pytest.fixture
def stranger(shim: Shim) -> Iterator[tuple[str, str]]:
    """A process beside the run, of the same user and network, with an abstract socket; its pid and that name."""
    name = f"exitpin-test-{os.getpid()}"
    code = (
        "import socket, sys\n"
        f"s = socket.socket(socket.AF_UNIX); s.bind('\\0{name}'); s.listen()\n"
        "print(flush=True); sys.stdin.read()"
    )
    command = [*shim.world.enter(), sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        yield str(process.pid), name
        process.stdin.close()


@AT_GUARD
def test_whatever_is_outside_the_run_is_out_of_reach(shim: Shim, stranger: tuple[str, str]) -> None:
    refused = ["signal=EPERM", "ptrace=EPERM", "getfd=EPERM", "abstract=EPERM"]
    assert shim.probe("bypasses", "outside", *stranger).lines == refused


def capabilities(shim: Shim, *sets: str, under: tuple[str, ...] = (), **popen: object) -> set[int]:
    """Those of POWERFUL that a tool has in any of these sets."""
    lines = shim.run("grep", "^Cap", "/proc/self/status", under=under, **popen).lines
    masks = {name: int(mask, 16) for name, mask in (line.split(":") for line in lines)}
    return {number for name in sets for number in POWERFUL if masks[name] >> number & 1}


@AT_GUARD
def test_a_tool_of_root_lacks_what_makes_packets_without_sockets(shim: Shim) -> None:
    assert capabilities(shim, *SETS, "CapBnd") == set()


@AT_GUARD
@pytest.mark.parametrize(
    "caller",
    [
        ("--inh-caps=+net_admin,+net_raw",),
        ("--inh-caps=+net_admin,+net_raw", "--ambient-caps=+net_admin,+net_raw"),
        ("--inh-caps=+net_admin", "--ambient-caps=+net_admin", "--bounding-set=-setpcap"),
    ],
)
def test_what_a_caller_wants_to_be_inherited_is_not(shim: Shim, caller: tuple[str, ...]) -> None:
    assert capabilities(shim, *SETS, under=(SETPRIV, *caller, "--")) == set()


@AT_GUARD
def test_who_may_not_bound_capabilities_lets_go_of_them(shim: Shim) -> None:
    """A root that lacks CAP_SETPCAP, as in some containers: exec would give all of the bounding set."""
    assert capabilities(shim, *SETS, under=(SETPRIV, "--bounding-set=-setpcap", "--inh-caps=-all", "--")) == set()


@AT_GUARD
@pytest.mark.parametrize("defence", NEEDED)
def test_without_one_of_its_defences_something_is_let_through(
    shim: Shim, without: Callable[[str], str], defence: str
) -> None:
    lines = shim.probe("bypasses", NEEDED[defence], launcher=without(defence)).lines
    assert lines != REFUSED[NEEDED[defence]]
    shim.world.leaks()  # as they should


@pytest.mark.parametrize("shim", ["shim"], indirect=True)
def test_where_landlock_has_no_network_rules_other_processes_are_out_of_reach_all_the_same(
    shim: Shim, without: Callable[[str], str], stranger: tuple[str, str], tmp_path: Path
) -> None:
    """Linux 5.19 to 6.6, where a supervisor holds the tool. Here is none: a connect is ENOSYS."""
    static = str(tmp_path / "static")
    compiled("-w", "-static", "-o", static, Path(__file__).parent / "programs" / "bypasses.c")
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "file").touch()
    bare = without("landlock capabilities")  # of root others have more capabilities, which is enough to refuse
    reached = shim.run(static, "outside", *stranger, flags=("--notify",), launcher=bare).lines
    assert reached[:3] == ["signal=OK", "ptrace=OK", "getfd=OK"]
    old, alone = without("network-rules capabilities"), ("--notify", "--alone")
    refused = ["signal=OK", "ptrace=EPERM", "getfd=EPERM", "abstract=ENOSYS"]
    assert shim.run(static, "outside", *stranger, flags=alone, launcher=old).lines == refused
    assert shim.run(static, "moves", str(tmp_path), flags=alone, launcher=old).lines == ["move=OK", "link=OK"]
    assert shim.run("true", flags=("--guard",), launcher=old).of(NoticeKind.REFUSED).reason is Reason.CONTAINMENT


@AT_GUARD
@X86
def test_without_a_look_at_the_machine_calls_of_another_pass(shim: Shim, without: Callable[[str], str]) -> None:
    assert shim.probe("bypasses", "other_machine", launcher=without("machine")).lines == ["int80=OK"]


@AT_GUARD
def test_without_the_drop_root_keeps_its_capabilities(shim: Shim, without: Callable[[str], str]) -> None:
    assert 12 in capabilities(shim, "CapEff", launcher=without("capabilities"))


DAEMON = """
import socket, sys
listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1]); listener.listen()
print(flush=True); sys.stdin.read()
"""
REACHES = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
address = struct.pack("=H", 1) + os.fsencode(sys.argv[1]) + b"\\0"
done = libc.syscall(42, libc.syscall(41, 1, 1, 0), address, len(address))
print("reached" if done == 0 else os.strerror(ctypes.get_errno()))
"""


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Unix socket on which somebody outside the run listens."""
    path = str(tmp_path_factory.mktemp("d") / "daemon")
    command = [sys.executable, "-c", DAEMON, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        process.stdout.readline()
        yield path
        process.stdin.close()


@AT_GUARD
@X86
def test_a_daemon_that_is_hidden_is_reached_by_no_call(shim: Shim, daemon: str) -> None:
    python = ("-I", "-c", REACHES, daemon)
    assert shim.run(sys.executable, *python).lines == ["reached"]
    hidden = ("--hide", daemon, "--hide", f"{daemon}-that-is-not-there")
    assert shim.run(sys.executable, *python, flags=hidden).lines == ["Connection refused"]
    assert Path(daemon).is_socket(), "only for the run"


@AT_GUARD
@pytest.mark.parametrize("target", ["daemon", "file", ".."])
def test_a_link_that_was_put_in_the_place_of_a_daemon_refuses_no_run_and_covers_nothing(
    shim: Shim, daemon: str, target: str
) -> None:
    Path(daemon).unlink()
    Path(daemon).symlink_to(target)
    Path(daemon).with_name("file").write_text("as it is")
    hidden = ("--hide", daemon, "--hide", f"{daemon}/below", "--hide", str(Path(daemon).with_name("file")))
    assert shim.run("cat", str(Path(daemon).with_name("file")), flags=hidden).lines == ["as it is"]


@AT_GUARD
@pytest.mark.skipif(not Path("/sys/fs/cgroup").is_dir(), reason="no control groups")
def test_no_group_of_processes_can_be_stopped_or_killed_by_its_control(shim: Shim) -> None:
    look = ("find", "/sys/fs/cgroup", "-name", "cgroup.procs", "-writable", "-print", "-quit")
    if shim.run(*look).lines == []:
        pytest.skip("no control group here is ours")
    assert shim.run(*look, flags=("--own-mounts",)).lines == []


@AT_GUARD
def test_where_it_hides_a_killed_launcher_still_takes_the_tool_along(shim: Shim, daemon: str) -> None:
    run = shim.start("sleep", "60", flags=("--hide", daemon))
    while (notice := run.next_notice()) is not None and notice.kind is not NoticeKind.STARTED:
        pass
    assert notice is not None
    tool, deadline = psutil.Process(notice.pid), time.monotonic() + 10
    while not shim.stand_in.of(Op.HELLO):  # from then on it says no more that a kill could cut short
        assert not select.select([], [], [], 0.01)[0] and time.monotonic() < deadline
    assert tool.name() == "sleep"
    run.process.kill()
    tool.wait(10)
