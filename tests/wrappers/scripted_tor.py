"""Tor's end of a control connection, played by a test: what it says, what it is told, what our end makes of it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from exitpin.wrappers.tor import ControlChannel

DEADLINE_S = 30.0


class Peer:
    """Tor's end of the connection, and everything that our end said of it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self.socket = theirs
        self.channel = ControlChannel(ours)
        self.heard: list[object] = []
        self.lost: list[str] = []
        self.raised: list[BaseException] = []
        self.channel.on_event = self.heard.append
        self.channel.on_lost = self.lost.append
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: self.raised.append(context["exception"]))

    async def says(self, *lines: str) -> None:
        """Lines, then as many turns of the loop as it takes to read them."""
        await asyncio.get_running_loop().sock_sendall(self.socket, b"".join(line.encode() + b"\r\n" for line in lines))
        await turns()

    async def reads(self) -> str:
        async with asyncio.timeout(DEADLINE_S):
            return (await asyncio.get_running_loop().sock_recv(self.socket, 65536)).decode()

    def send(self, command: str) -> None:
        self.channel.send(command, lambda reply: self.heard.append((command, reply)))

    def is_lost(self) -> bool:
        return len(self.lost) == 1


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@asynccontextmanager
async def connected() -> AsyncIterator[Peer]:
    peer = Peer()
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield peer
    finally:
        peer.channel.close()
        peer.socket.close()


def played(script: Callable[[Peer], Awaitable[None]]) -> None:
    async def play() -> None:
        async with connected() as peer:
            await script(peer)

    asyncio.run(play())
