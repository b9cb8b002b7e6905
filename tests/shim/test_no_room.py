"""What hooks and the launcher say where the machine has no room for what they would say.

The kernel counts descriptors on their way (SCM_RIGHTS) for a user, and so for all of his runs: over the sender's limit
of open files it is ETOOMANYREFS (unix(7)). Nobody is exempt here, for the tools are in a user namespace.
"""

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exitpin.shim.bindings import Endpoint, NoticeKind, Op, Reason

from ..room import to_oneself

LIMITED = ("--limit", "open-files=64")
"""The tool's: nobody else is short of anything."""
ON_THEIR_WAY = 200
ENDS = "exitpin: the machine has no room to ask the orchestrator; not going on\n"

ASKS = """
import errno, socket, sys
sys.path.insert(0, sys.argv[1])
from refusing import refuse_sockets
one = socket.socket()
refuse_sockets(socket.AF_UNIX, int(sys.argv[2]))
print("connect=" + errno.errorcode.get(one.connect_ex(("198.51.100.7", 80)), "OK"), flush=True)
"""
FILLS = """
import errno, os, socket
one = socket.socket()
try:
    while True: os.dup(0)
except OSError: pass
print("connect=" + errno.errorcode.get(one.connect_ex(("198.51.100.7", 80)), "OK"))
"""


@contextmanager
def crowded() -> Iterator[None]:
    """Another run of the same user keeps descriptors on their way."""
    ours, theirs = socket.socketpair()
    with to_oneself(), ours, theirs:
        socket.send_fds(ours, [b"x"], [ours.fileno()] * ON_THEIR_WAY)  # which go with `theirs`, at once
        yield


def asks(shim, error):
    return shim.run(sys.executable, "-c", ASKS, str(Path(__file__).parent), str(error))


def test_a_hook_that_cannot_send_its_socket_says_so(shim):
    with crowded():
        run = shim.probe("connects", "blocking", flags=LIMITED)
    assert run.lines[0] == "connect=ENETUNREACH"
    (report,) = shim.stand_in.of(Op.DENIED)
    assert (report.reason, report.destination) == (Reason.NO_ROOM, Endpoint(socket.AF_INET, "198.51.100.7", 80))
    assert report.pid == run.of(NoticeKind.STARTED).pid
    assert shim.stand_in.of(Op.CONNECT) == []


@pytest.mark.parametrize("case", ["threads", "forks", "vforks", "nonblocking", "ipv6", "close_all"])
def test_so_does_each_of_them_wherever_it_runs(shim, case):
    with crowded():
        run = shim.probe("connects", case, flags=LIMITED)
    assert "talk=OK" not in run.lines
    assert shim.stand_in.of(Op.CONNECT) == []
    assert {report.reason for report in shim.stand_in.of(Op.DENIED)} == {Reason.NO_ROOM}


def test_where_there_is_room_for_those_on_their_way_nothing_is_said(shim):
    with crowded():
        run = shim.probe("connects", "blocking", flags=("--limit", f"open-files={ON_THEIR_WAY + 56}"))
    assert run.lines[0] == "connect=OK"
    assert shim.stand_in.of(Op.DENIED) == []


def test_a_tool_that_has_all_its_own_descriptors_open_lacks_them_by_itself(shim):
    run = shim.run(sys.executable, "-c", FILLS, flags=LIMITED)
    assert run.lines == ["connect=ENETUNREACH"]
    assert shim.stand_in.of(Op.DENIED) == shim.stand_in.of(Op.CONNECT) == []


@pytest.mark.parametrize("error", [errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
def test_who_cannot_even_say_so_goes_no_further(shim, error):
    run = asks(shim, error)
    assert (run.stdout, run.stderr) == ("", ENDS)
    assert os.waitstatus_to_exitcode(run.of(NoticeKind.EXITED).status) == 127


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EACCES])
def test_what_the_tool_has_done_to_itself_does_not_end_it(shim, error):
    assert asks(shim, error).lines == ["connect=ENETUNREACH"]


def test_a_launcher_that_cannot_pass_the_tools_calls_says_why(shim):
    with crowded():
        run = shim.run("true", flags=("--notify", *LIMITED))
    refused = run.of(NoticeKind.REFUSED)
    assert (refused.reason, refused.error) == (Reason.CONTAINMENT, errno.ETOOMANYREFS)
