"""A tool that asks the name server of its run, over real sockets of its network; the core is played by the test."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.message

from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.events import ConnectReported, LookupReported
from exitpin.shim.nowhere import Nowhere
from exitpin.wrappers.name_server import NameServer

from .fake_hooks import NONCE, FakeTree, Run, played, turns

RESOLVER = "8.8.8.8"


class Asked:
    """A name server, its run, and a tool that asks it. `uncaught`: what the loop was told of."""

    def __init__(self, run: Run, server: str | None = None) -> None:
        self.run = run
        self.uncaught: list[object] = []
        self.nowhere = Nowhere()
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: self.uncaught.append(context))
        self.names = NameServer(self.nowhere, run.reports, "127.64.0.1", NONCE, run._post, server)
        self.tool = self.names.datagrams(socket.AF_INET)
        self.tool.setblocking(False)

    def close(self) -> None:
        self.names.close()
        self.tool.close()

    def send(self, wire: bytes, to: str = RESOLVER) -> None:
        with contextlib.suppress(ConnectionRefusedError):
            self.tool.sendto(wire, (to, 53))

    async def heard(self) -> bytes:
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(BlockingIOError):
                    return self.tool.recv(65536)
                await asyncio.sleep(0.001)

    async def ask(self, query: dns.message.Message, to: str = RESOLVER) -> dns.message.Message:
        self.send(query.to_wire(), to)
        reply = dns.message.from_wire(await self.heard())
        assert query.is_response(reply)
        return reply

    async def forwarded(self) -> ConnectReported:
        """The stream to a resolver that is asked for."""
        async with asyncio.timeout(30):
            while True:
                for event in self.run.events:
                    if isinstance(event, ConnectReported):
                        return event
                await asyncio.sleep(0.001)

    def answer_lookups(self, host: str = "198.18.0.1") -> None:
        """As the core answers them."""

        def answer(event: object) -> None:
            if isinstance(event, LookupReported):
                self.run.reports.answer(AnswerCall(event.call, endpoints=((host, 0),)))

        self.run.on_event = answer


def asking(
    path: Path, script: Callable[[Asked], Awaitable[None]], server: str | None = None, tree: FakeTree | None = None
) -> None:
    async def play(run: Run) -> None:
        asked = Asked(run, server)
        await script(asked)
        assert asked.uncaught == []
        asked.close()
        await turns()
        assert asked.uncaught == []

    played(path, play, tree)


def query(name: str = "web.test", kind: str = "A", **options: object) -> dns.message.Message:
    return dns.message.make_query(name, kind, **options)  # type: ignore[arg-type]


def with_flags(wire: bytes, flags: int) -> bytes:
    return wire[:2] + struct.pack("!H", flags) + wire[4:]


def with_questions(wire: bytes, count: int) -> bytes:
    return wire[:4] + struct.pack("!H", count) + wire[6:]
