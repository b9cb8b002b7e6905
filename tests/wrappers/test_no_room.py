"""A run that the machine has no room for is our failure: neither its tool's nor its exit's, whoever took the room."""

import asyncio
import errno
import os
import select
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.containment import LEVELS
from exitpin.orchestrator.events import Denied, LauncherLost, ProcessRefused
from exitpin.shim import bindings
from exitpin.shim.bindings import NoticeKind, Reason
from exitpin.shim.tickets import CallDoor
from exitpin.wrappers.household import Household
from exitpin.wrappers.process import LaunchedProcess, Tree
from exitpin.wrappers.stand_in import Port
from exitpin.wrappers.unix_sockets import Found, UnixName, UnixSockets

from ..room import to_oneself
from .apart import apart
from .fake_hooks import NONCE, FakeTree, Run, played
from .test_reports import heard
from .test_reports_limits import only_more
from .test_stand_in import CONNECTS, one_run, python

NO_ROOM = bindings.encode_report(
    bindings.Op.DENIED,
    NONCE,
    reason=Reason.NO_ROOM,
    destination=bindings.Endpoint(2, "192.0.2.1", 80),
    pid=1,
    tid=1,
)

CROWDED = """
import ctypes, resource, socket, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
assert libc.capset(header, ctypes.create_string_buffer(24)) == 0, "or the limit is not for us (CAP_SYS_RESOURCE)"
ours, theirs = socket.socketpair()
one = socket.socket()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
socket.send_fds(ours, [b"x"], [0] * 200)
{rest}
try:
    one.connect(("192.0.2.1", 80))
except OSError as error:
    print(error.strerror)
"""
"""Puts more descriptors on their way than it may have, as another run of the same user could, and takes no notice."""
SOON_HAS_ROOM = "threading.Timer(0.3, theirs.recv, (1,)).start()"
"""The descriptors are dropped where they arrive, but not before it has tried to connect."""


@pytest.mark.parametrize("level", LEVELS)
def test_a_run_whose_hooks_cannot_report_blames_nobody_but_this_machine(level: str) -> None:
    def check(record: dict[str, Any], stdout: bytes, log: Path) -> None:
        failure = record["failure"]
        assert (failure["kind"], failure["blame"], failure["retryable"]) == ("shim", "local", True)
        assert (record["status"], record["streams"]) == ("error", [])
        assert {(each["reason"], each["what"]) for each in record["denied"]} == {("no-room", "192.0.2.1:80")}

    with to_oneself():
        one_run(Port.GARBAGE, python(CROWDED.format(rest="")), check, level=level)


@pytest.mark.parametrize("level", LEVELS)
def test_hooks_wait_a_while_for_room(level: str) -> None:
    def check(record: dict[str, Any], stdout: bytes, log: Path) -> None:
        assert (record["failure"], record["denied"], len(record["streams"])) == (None, [], 1)

    with to_oneself():
        one_run(Port.GARBAGE, python(CROWDED.format(rest=SOON_HAS_ROOM)), check, level=level)


def test_where_we_have_no_room_to_take_a_call_its_run_is_lost_and_no_tool_is_blamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait = CallDoor.wait

    def without_room(door: CallDoor, listener: int, wake: int, **how: Any) -> Any:
        select.select([listener, wake], [], [])
        with only_more(0):
            return wait(door, listener, wake, **how)

    def check(record: dict[str, Any], stdout: bytes, log: Path) -> None:
        failure = record["failure"]
        assert (failure["kind"], failure["blame"]) == ("shim", "local")

    monkeypatch.setattr(CallDoor, "wait", without_room)
    one_run(Port.GARBAGE, python(CONNECTS), check, level="notify")


@pytest.mark.parametrize("is_member", [True, None])
def test_who_has_ended_since_has_said_it_all_the_same(tmp_path: Path, is_member: bool | None) -> None:
    async def script(run: Run) -> None:
        await run.report(NO_ROOM)
        assert run.events == [Denied(os.getpid(), "no-room", "192.0.2.1:80")]

    played(tmp_path, script, FakeTree(is_member))


def test_a_stranger_makes_no_run_fail_by_it(tmp_path: Path) -> None:
    async def script(run: Run) -> None:
        await run.report(NO_ROOM)
        assert run.events == []

    played(tmp_path, script, FakeTree(False))


def launcher_that_refuses(path: Path, reason: Reason, error: int) -> Path:
    notice = struct.pack("=IHHiiiIQQ", bindings.MAGIC, NoticeKind.REFUSED, reason, 0, 0, error, 0, 0, 0)
    path.write_text(f"#!{sys.executable} -I\nimport socket\nsocket.socket(fileno=3).send({notice!r})\n")
    path.chmod(0o700)
    return path


LOST = LauncherLost("the tool could not be started: Too many references: cannot splice")

LINKED = "a link was laid on the way to a place that --allow names, so that the tool would write elsewhere"


@pytest.mark.parametrize(
    ("reason", "error", "told"),
    [
        (Reason.CONTAINMENT, errno.ETOOMANYREFS, LOST),
        (Reason.NONE, errno.ETOOMANYREFS, LOST),
        (Reason.NONE, errno.EAGAIN, LauncherLost(f"the tool could not be started: {os.strerror(errno.EAGAIN)}")),
        (Reason.CONTAINMENT, errno.EPERM, ProcessRefused("containment", 126, "Operation not permitted")),
        (Reason.CONTAINMENT, errno.ELOOP, ProcessRefused("containment", 126, LINKED)),
        (Reason.NOT_EXECUTABLE, errno.ENOMEM, ProcessRefused("not-executable", 126, "Cannot allocate memory")),
    ],
)
def test_a_tool_for_which_there_was_no_room_was_not_refused(
    tmp_path: Path, reason: Reason, error: int, told: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A launcher's limit of memory is the tool's own: exec fails of it again."""
    monkeypatch.setattr(bindings, "LAUNCHER", launcher_that_refuses(tmp_path / "launcher", reason, error))

    async def script() -> None:
        events: list[object] = []
        household = Household()
        process = LaunchedProcess(Tree(household), events.append)
        with open(os.devnull, "r+b") as nothing:
            process.start(["true"], preload=tmp_path, shim_config="", environment={}, stdio=(nothing.fileno(),) * 3)
        while household.launchers:
            await asyncio.sleep(0.005)
        assert events == [told]

    apart(script)


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, None])
def test_where_we_have_no_room_to_look_a_unix_socket_up_its_run_is_lost(
    tmp_path: Path, error: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finds(sockets: UnixSockets, name: UnixName, *_: object, **__: object) -> Found:
        raise OSError(error, "")

    def starts(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    if error is None:
        monkeypatch.setattr(threading.Thread, "start", starts)
    else:
        monkeypatch.setattr(UnixSockets, "find", finds)

    async def script(run: Run) -> None:
        hook = await run.report(bindings.encode_report(bindings.Op.UNIX, NONCE, pid=os.getpid(), tid=1, name=b"/s"))
        while not run.events:
            await asyncio.sleep(0.001)
        told = os.strerror(error or errno.ENFILE)
        assert run.events == [LauncherLost(f"a Unix socket could not be looked up: {told}")]
        assert heard(hook) == b""

    played(tmp_path, script)
