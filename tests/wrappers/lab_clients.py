"""Servers of the lab in this process, on loopback, and the real programs that are tried on them."""

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable

DEADLINE_S = 20.0

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


def serving(serve: Serve, visit: Callable[[int], str], context: ssl.SSLContext | None = None) -> str:
    """What a visitor brings home from a server on loopback; `visit` is called in a thread, with the port."""

    async def both() -> str:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        async with server:
            return await asyncio.to_thread(visit, server.sockets[0].getsockname()[1])

    return asyncio.run(both())


def visited(make: Callable[[], asyncio.Protocol], visit: Callable[[int], str]) -> str:
    """As `serving`, for a server that is a protocol."""

    async def both() -> str:
        server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
        async with server:
            return await asyncio.to_thread(visit, server.sockets[0].getsockname()[1])

    return asyncio.run(both())
