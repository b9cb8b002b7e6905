"""The level notify: the kernel hands the connects of a program without hooks to us, under the real launcher."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.verify import read_evidence, verify
from exitpin.shim import calls
from exitpin.shim.tickets import CallDoor, Taken
from exitpin.wrappers import shares, supervisor
from exitpin.wrappers.machine import abilities
from exitpin.wrappers.stand_in import Port
from exitpin.wrappers.watching import FULL

from .held_up import the_other_goes_on
from .test_stand_in import CONNECTS, one_run, python

pytestmark = pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)

HERE = Path(__file__).parent


@pytest.fixture(scope="session", params=["musl-gcc", "cc"])
def bare(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """programs/bare.c, without any library that could be preloaded."""
    compiler = os.environ.get("CC", "cc").split() if request.param == "cc" else [request.param]
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"no {compiler[0]} here")
    target = str(tmp_path_factory.mktemp("bare") / "bare")
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-static", "-pthread"]
    source = Path(target).with_name("main.c")
    source.write_text(f'{_names()}#include "bare.c"\n')
    done = subprocess.run([*compiler, *flags, f"-I{HERE / 'programs'}", "-o", target, str(source)], check=False)
    if done.returncode:
        pytest.skip("no static C library here")
    return target


def _names() -> str:
    """musl can't name an errno."""
    cases = "".join(f'case {number}: return "{name}";' for number, name in errno.errorcode.items())
    function = f'static const char *name_of(int error) {{ switch (error) {{ {cases} }} return "?"; }}'
    return f"#include <string.h>\n{function}\n#define strerrorname_np name_of\n"


def supervised(
    bare: str,
    case: str,
    check: Callable[[dict[str, Any], list[str]], None],
    port: Port = Port.GARBAGE,
    level: str = "notify",
    resolve: str = "mapped",
    connect_s: float = 0.0,
) -> None:
    """Run it; its evidence holds together, whatever else is so."""

    def look(record: dict[str, Any], stdout: bytes, log: Path) -> None:
        check(record, stdout.decode().splitlines())
        with log.open() as lines:
            assert not verify(read_evidence(lines), [record]).problems

    one_run(port, (bare, case), look, resolve, level=level, connect_s=connect_s)


@pytest.mark.parametrize("level", ["notify", "notify+netns"])
def test_a_static_program_is_pinned_and_told_from_one_with_hooks(bare: str, level: str) -> None:
    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines == ["connect=OK", "again=EISCONN", "send=OK", "read=OK"]
        (stream,), (process,) = record["streams"], record["processes"]
        assert (stream["destination"], len(stream["witnesses"])) == ("198.51.100.7:80", 3)
        assert (process["exe"], process["hello"], process["pid"]) == (bare, False, stream["pid"])
        assert record["failure"] is None

    supervised(bare, "opens", check, level=level)


def test_a_port_that_is_closed_is_refused_as_by_the_kernel(bare: str) -> None:
    supervised(bare, "opens", lambda record, lines: _is(lines[0], "connect=ECONNREFUSED"), Port.CLOSED)


def _is(one: object, other: object) -> None:
    assert one == other


def test_what_tor_cannot_carry_is_refused_and_noted(bare: str) -> None:
    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines == [
            *("udp=OK", "raw=EACCES", "mptcp=EPROTONOSUPPORT", "vsock=EAFNOSUPPORT", "listen=EACCES"),
            *("device=EPERM", "loopback=EACCES", "multicast=ENETUNREACH", "badfd=EBADF", "notsock=ENOTSOCK"),
            *("nowhere=EFAULT", "short=EINVAL", "long=EINVAL", "other_family=EINVAL", "unspec=OK", "unix=ENOENT"),
        ]
        noted = [(each["reason"], each["what"]) for each in record["denied"]]
        assert noted == [
            *(("raw", ""), ("protocol", ""), ("family", ""), ("listen", ""), ("device", "")),
            *(("loopback", "127.0.0.1:80"), ("multicast", "224.0.0.1:80")),
        ]
        assert record["streams"] == []

    supervised(bare, "refusals", check)


@pytest.mark.parametrize("level", ["notify", "notify+netns"])
def test_what_is_no_address_is_answered_as_by_the_kernel(bare: str, level: str) -> None:
    told = subprocess.run([bare, "addresses"], capture_output=True, check=True, text=True).stdout.splitlines()

    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines == told
        assert "stream 16 unspec=EINVAL" in lines and "tcp4 16 unspec=OK" in lines

    supervised(bare, "addresses", check, level=level)


@pytest.mark.parametrize("level", ["notify", "notify+netns"])
def test_a_socket_tells_of_no_device_where_the_tools_network_has_none(bare: str, level: str) -> None:
    """It is of our network, since the tool's could not reach Tor."""
    said = "OK" if level == "notify" else "ENODEV"

    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines == ["unsent=OK", "mark=OK", *(f"{what}={said}" for what in ("addresses", "name", "hardware"))]
        noted = [] if level == "notify" else [("addresses", "")]
        assert [(each["reason"], each["what"]) for each in record["denied"]] == noted

    supervised(bare, "devices", check, level=level)


def test_a_netlink_socket_is_connected_to_the_kernel_alone(bare: str) -> None:
    """As for all who lack NET_ADMIN, whatever exitpin itself has."""
    said = ["netlink=OK", "netlink=EPERM", "netlink=EPERM"]
    supervised(bare, "netlinks", lambda record, lines: _is(lines, said))


def test_threads_are_answered_in_any_order(bare: str) -> None:
    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines == ["fails=0"]
        assert len({stream["source_port"] for stream in record["streams"]}) == 16
        assert len({stream["pid"] for stream in record["streams"]}) == 1

    supervised(bare, "threads", check)


def test_who_is_killed_while_it_connects_takes_no_place_of_others(bare: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "CALLS_MAX", 3)

    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines == ["connect=OK"]
        *of_the_killed, last = [stream["status"] for stream in record["streams"]]
        assert record["denied"] == []
        assert set(of_the_killed) <= {"abandoned"} and last == "succeeded"

    supervised(bare, "killed", check, connect_s=3.0)


def test_a_signal_breaks_no_connect_off_and_makes_none_twice(bare: str) -> None:
    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines == ["connect=OK"]
        assert len(record["streams"]) == 1

    supervised(bare, "signals", check)


def test_an_address_that_changes_meanwhile_is_read_once(bare: str) -> None:
    """Whatever was read was judged, and nothing else is done: never a stream to where the tool may not go."""

    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines == ["others=0"]
        assert not [stream for stream in record["streams"] if stream["destination"].startswith("127.")]
        assert {each["reason"] for each in record["denied"]} <= {"loopback"}

    supervised(bare, "swaps", check)


def test_a_datagram_goes_nowhere_and_a_question_is_answered(bare: str) -> None:
    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines[:3] == ["sent=OK", "lost=ECONNREFUSED", "asked=OK"]
        assert lines[3].startswith("answer=198.18.")
        assert record["streams"] == [] and record["denied"] == []

    supervised(bare, "datagrams", check)


def test_who_asks_is_answered_when_who_made_the_last_socket_has_ended_and_the_evidence_names_nobody(bare: str) -> None:
    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines[0] == lines[2] == "asked=OK"
        assert lines[1].startswith("answer=198.18.") and lines[3] == "rcode=2"
        (stream,) = record["streams"]
        assert (stream["destination"], stream["pid"], len(stream["witnesses"])) == ("8.8.8.8:53", 0, 3)
        assert record["failure"] is None and record["denied"] == []

    supervised(bare, "siblings", check)


def test_a_look_up_at_the_exit_names_nobody(bare: str) -> None:
    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines[1].startswith("answer=203.0.113.")
        assert {(stream["is_lookup"], stream["pid"]) for stream in record["streams"]} == {(True, 0), (False, 0)}

    supervised(bare, "siblings", check, resolve="exit")


def test_what_is_no_query_ends_nothing(bare: str) -> None:
    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines[0] == "asked=OK" and lines[1].startswith("answer=198.18.")
        assert record["failure"] is None

    supervised(bare, "noise", check)


@pytest.mark.parametrize("level", ["guard", "notify"])
def test_a_socket_of_another_network_is_connected_nowhere(level: str) -> None:
    """There Tor's port may be the tool's own, or swallow every SYN."""
    program = (
        "import ctypes, os, socket, sys; s = socket.socket(); libc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.unshare(0x50000000): print('refused', ctypes.get_errno()); sys.exit()\n"
        "s = socket.socket()\ntry: s.connect(('198.51.100.7', 80)); print('connected')\n"
        "except OSError as error: print(error.strerror)"
    )

    def check(record: dict[str, Any], stdout: bytes, log: Path) -> None:
        assert stdout.decode().strip() == "Network is unreachable"
        assert record["streams"] == []

    one_run(Port.GARBAGE, (sys.executable, "-I", "-c", program), check, level=level)


def raising(error: Exception) -> Callable[..., Taken | None]:
    def wait(*_: object, **__: object) -> Taken | None:
        raise error

    return wait


def out_of_descriptors(self: CallDoor, *where: int, **how: bool) -> Taken | None:
    taken = WAIT(self, *where, **how)
    if taken is None or taken.tool < 0:
        return taken
    os.close(taken.tool)
    return taken._replace(tool=-1, problem=errno.EMFILE)


WAIT = CallDoor.wait
NO_CALL = "a call of the tool could not be taken"
NO_ROOM = f"{NO_CALL}: Too many open files"
FAULTS = {
    "a bug": (raising(AssertionError("BUG: made up")), "internal error: AssertionError('BUG: made up')"),
    "no descriptors to wait": (raising(OSError(errno.EMFILE, "Too many open files")), NO_ROOM),
    "no descriptor for the socket": (out_of_descriptors, NO_ROOM),
}


def _is_our_lack(detail: str, record: dict[str, Any], stdout: bytes, log: Path) -> None:
    assert record["failure"] == {"kind": "shim", "blame": "local", "retryable": True, "detail": detail}


@pytest.mark.parametrize(("wait", "detail"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("has_hooks", [False, True])
def test_a_supervisor_that_fails_is_blamed_and_not_the_tool(
    bare: str, wait: Callable[..., Taken | None], detail: str, has_hooks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CallDoor, "wait", wait)

    program = python(CONNECTS) if has_hooks else (bare, "opens")
    one_run(Port.GARBAGE, program, partial(_is_our_lack, detail), level="notify")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EAGAIN, errno.ENOMEM])
def test_a_name_server_that_there_is_no_room_for_is_no_fault_of_the_tool(
    bare: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    what, why = ("NameServer", FULL) if number == errno.ENOSPC else ("Nowhere", os.strerror(number))
    monkeypatch.setattr(supervisor, what, raising(OSError(number, why)))
    one_run(Port.GARBAGE, (bare, "datagrams"), partial(_is_our_lack, f"{NO_CALL}: {why}"), level="notify")


@pytest.mark.parametrize(
    ("owner", "call", "case"), [(CallDoor, "wait", "opens"), (calls, "give", "datagrams"), (CallDoor, "wait", "")]
)
def test_a_call_that_keeps_us_waiting_holds_up_no_other_run(
    bare: str, owner: object, call: str, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel waits for the tool's own threads, which it may starve."""
    the_other_goes_on(monkeypatch, owner, call, (bare, case) if case else python(CONNECTS), "notify")


def test_a_process_that_we_may_not_look_into_is_refused_and_noted(bare: str) -> None:
    """It has made itself so; root may look all the same, and who made the namespaces that it is in."""
    may_look = os.geteuid() == 0 or abilities().has_namespaces

    def check(record: dict[str, Any], lines: list[str]) -> None:
        assert lines == ["connect=OK" if may_look else "connect=EPERM"]
        assert [each["reason"] for each in record["denied"]] == ([] if may_look else ["untraceable"])

    supervised(bare, "hides", check)
