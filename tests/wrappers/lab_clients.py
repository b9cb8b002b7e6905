"""Servers of the lab in this process, on loopback, and the real programs that are tried on them."""

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from exitpin.wrappers.lab_meddling import Meddler, Meeting, Streams, attend

Brought = TypeVar("Brought")

DEADLINE_S = 20.0
HERE = Path()

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(*argv: str, give: bytes = b"") -> str:
    """What a program prints on both of its outputs; `give` is its input."""
    done = subprocess.run(
        argv, input=give, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE_S, check=False
    )
    return done.stdout.decode(errors="replace")


def openssl(port: int, *words: str, give: bytes = b"") -> str:
    """What `openssl s_client` says about a port of loopback."""
    return run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *words, give=give)


def serving(serve: Serve, visit: Callable[[int], Brought], context: ssl.SSLContext | None = None) -> Brought:
    """What a visitor brings home from a server on loopback; `visit` is called in a thread, with the port."""

    async def both() -> Brought:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        async with server:
            return await asyncio.to_thread(visit, server.sockets[0].getsockname()[1])

    return asyncio.run(both())


def visited(make: Callable[[], asyncio.Protocol], visit: Callable[[int], Brought]) -> Brought:
    """As `serving`, for a server that is a protocol."""

    async def both() -> Brought:
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        async with server:
            return await asyncio.to_thread(visit, server.sockets[0].getsockname()[1])

    return asyncio.run(both())


def met(
    meddler: Meddler,
    target: Callable[[], asyncio.Protocol],
    visit: Callable[[int], Brought],
    destination_port: int,
    *,
    context: ssl.SSLContext | None = None,
    directory: Path = HERE,
    **options: Any,
) -> Brought:
    """What a visitor brings home from a target behind a meddler, both on loopback. `context`: the target speaks TLS;
    `directory`: the lab's."""

    async def both() -> Brought:
        loop = asyncio.get_running_loop()
        behind = await loop.create_server(target, "127.0.0.1", 0, ssl=context)
        meeting = Meeting(
            "exit01", "127.0.0.1", ("127.0.0.1", destination_port), options, directory=directory or Path()
        )

        async def open_target() -> Streams:
            return await asyncio.open_connection("127.0.0.1", behind.sockets[0].getsockname()[1])

        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await attend(meddler, meeting, (reader, writer), open_target)

        before = await asyncio.start_server(meet, "127.0.0.1", 0)
        async with behind, before:
            return await asyncio.to_thread(visit, before.sockets[0].getsockname()[1])

    return asyncio.run(both())
