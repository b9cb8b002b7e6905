"""The tool's socket while a SOCKS dialogue is held on it: shared with the tool, and given back as it was."""

import asyncio
import contextlib
import errno
import fcntl
import socket
import struct
from itertools import count as count_from
from pathlib import Path

import pytest

from exitpin.wrappers.socks import disconnect

from .played_socks import GREETING, OPENED, Dialogue, played

HAS_FAST_OPEN = int(Path("/proc/sys/net/ipv4/tcp_fastopen").read_text()) & 1


@pytest.mark.parametrize("is_blocking", [True, False])
@pytest.mark.parametrize("timeout", [(0, 0), (7, 250000)])
def test_the_tools_socket_is_given_back_as_it_was(is_blocking: bool, timeout: tuple[int, int]) -> None:
    options = (
        (socket.SOL_SOCKET, socket.SO_SNDTIMEO),
        (socket.SOL_SOCKET, socket.SO_RCVTIMEO),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        (socket.SOL_SOCKET, socket.SO_REUSEADDR),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    )

    def state(tool: socket.socket) -> list[object]:
        return [fcntl.fcntl(tool, fcntl.F_GETFL), *(tool.getsockopt(*option, 16) for option in options)]

    async def script(one: Dialogue) -> None:
        one.tool.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", *timeout))
        before = state(one.tool)
        await one.ready_for_reply()
        assert state(one.tool) == before
        await one.says(OPENED)
        await one.answered()
        assert state(one.tool) == before

    played(script, is_blocking=is_blocking)


def low_water(tool: socket.socket) -> int:
    return tool.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)


@pytest.mark.parametrize("reply", [OPENED, b"\x05\x01" + OPENED[2:], b""])
def test_a_tool_that_reads_nothing_less_than_a_message_is_connected_all_the_same(reply: bytes) -> None:
    """SO_RCVLOWAT: Tor's answers are shorter than what its socket waits for."""

    async def script(one: Dialogue) -> None:
        one.tool.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 64)
        await one.ready_for_reply()
        if reply:
            await one.says(reply)
        else:
            one.tor.close()
        await one.answered()
        assert low_water(one.tool) == 64

    played(script)


def test_a_tool_that_reads_messages_has_its_socket_back_when_tor_is_gone() -> None:
    async def script(one: Dialogue) -> None:
        one.tool.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 64)
        gone = one.listener.getsockname()
        one.listener.close()
        one.dialogue.start(gone)
        assert await one.answered() == (-1, "")
        assert low_water(one.tool) == 64

    played(script)


class WithoutFastOpen(socket.socket):
    """As where net.ipv4.tcp_fastopen is off."""

    def sendto(self, *_: object) -> int:  # type: ignore[override]
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.mark.parametrize("is_blocking", [True, False])
def test_where_fast_open_is_off_it_connects_all_the_same(is_blocking: bool) -> None:
    async def script(one: Dialogue) -> None:
        await one.ready_for_reply()

    played(script, is_blocking=is_blocking, kind=WithoutFastOpen)


class Untouched(socket.socket):
    """Nobody waits on it, and no option of it is changed, not even for a moment: other threads of the tool use it."""

    def connect(self, address: object) -> None:
        raise AssertionError("connect may wait")

    def setsockopt(self, *_: object) -> None:  # type: ignore[override]
        raise AssertionError("the options are the tool's")


def crowd(listener: socket.socket, stack: contextlib.ExitStack) -> int:
    """Connect to it until nobody more is let in; how many wait to be taken."""
    for count in count_from(0):
        waiting = socket.socket()
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
        try:
            waiting.getpeername()
        except OSError:
            waiting.close()
            return count
        stack.enter_context(waiting)
    raise AssertionError("a queue without end")


@pytest.mark.skipif(not HAS_FAST_OPEN, reason="net.ipv4.tcp_fastopen is off")
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_tor_that_takes_nobody_holds_nobody_up_but_the_tool(family: socket.AddressFamily) -> None:
    async def script(one: Dialogue) -> None:
        one.listener.listen(0)
        with contextlib.ExitStack() as stack:
            count = crowd(one.listener, stack)
            one.dialogue.start(one.listener.getsockname())
            for _ in range(3):
                await asyncio.sleep(0)
            assert one.answers == []
            for _ in range(count):
                one.listener.accept()[0].close()
        one.tor = await asyncio.get_running_loop().run_in_executor(None, one.accept)
        await one.reads(GREETING)

    played(script, family=family, kind=Untouched)


def test_a_socket_taken_back_is_unconnected_and_keeps_its_endpoint() -> None:
    async def script(one: Dialogue) -> None:
        await one.ready_for_reply()
        before = one.tool.getsockname()
        disconnect(one.tool)
        with pytest.raises(OSError):
            one.tool.getpeername()
        assert one.tool.getsockname()[0] in (before[0], "0.0.0.0")
        disconnect(one.tool)

    played(script)
