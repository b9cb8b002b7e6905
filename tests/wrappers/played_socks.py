"""A SOCKS dialogue whose Tor is played by the test, byte by byte where it likes."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from exitpin.orchestrator.model import Destination
from exitpin.wrappers.socks import SocksDialogue

DEADLINE_S = 30.0
TAG = "s-0001.1.secret"
GREETING, METHOD = b"\x05\x01\x02", b"\x05\x02"
AUTH, ACCEPTED = b"\x01" + bytes([len(TAG)]) + TAG.encode() + b"\x07exitpin", b"\x01\x00"
OPENED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
NAME = Destination("example.com", 80)


def request(command: int, rest: bytes) -> bytes:
    return bytes([5, command, 0]) + rest


CONNECT = request(1, b"\x03\x0bexample.com\x00\x50")


class Dialogue:
    """A tool's socket, the dialogue on it, and Tor's listener with its end of the connection."""

    def __init__(self, tool: socket.socket, destination: Destination, is_lookup: bool) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.tool = tool
        self.answers: list[tuple[int, str]] = []
        self.dialogue = SocksDialogue(tool, TAG, destination, is_lookup, lambda *answer: self.answers.append(answer))
        self.tor: socket.socket

    def start(self) -> None:
        self.dialogue.start(self.listener.getsockname())
        self.tor = self.accept()

    def accept(self) -> socket.socket:
        """Tor's end of the next connection."""
        self.listener.settimeout(DEADLINE_S)
        tor, _ = self.listener.accept()
        tor.setblocking(False)
        tor.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tor

    async def reads(self, expected: bytes) -> None:
        """Tor reads exactly this, and nothing more is there: the dialogue waits for an answer."""
        seen = b""
        while len(seen) < len(expected):
            seen += await asyncio.get_running_loop().sock_recv(self.tor, 4096)
        assert seen == expected

    async def says(self, message: bytes) -> None:
        """Tor says this, and the dialogue has read what it wants of it."""
        await asyncio.get_running_loop().sock_sendall(self.tor, message)
        for _ in range(5):
            await asyncio.sleep(0)

    async def answered(self) -> tuple[int, str]:
        while not self.answers:
            await asyncio.sleep(0)
        return self.answers[0]

    async def ready_for_reply(self, command: bytes = CONNECT) -> None:
        self.start()
        await self.reads(GREETING)
        await self.says(METHOD)
        await self.reads(AUTH + command)
        await self.says(ACCEPTED)


def played(
    script: Callable[[Dialogue], Awaitable[None]],
    destination: Destination = NAME,
    is_lookup: bool = False,
    family: socket.AddressFamily = socket.AF_INET,
    is_blocking: bool = True,
    kind: type[socket.socket] = socket.socket,
) -> None:
    async def play() -> None:
        with kind(family) as tool:
            tool.bind(("127.64.0.1" if family == socket.AF_INET else "::ffff:127.64.0.1", 0))
            tool.setblocking(is_blocking)
            one = Dialogue(tool, destination, is_lookup)
            with one.listener:
                async with asyncio.timeout(DEADLINE_S):
                    await script(one)
            one.dialogue.stop()
            if hasattr(one, "tor"):
                one.tor.close()

    asyncio.run(play())
