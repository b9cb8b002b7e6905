"""What exits of the lab do to TLS: stand in the middle with a certificate of their own, or push clients down to an
older version, as one does who has no key: by resetting every ClientHello that offers the newer one.

Formats: RFC 8446, 4.1.2 (ClientHello), 4.2.1 (supported_versions); RFC 6066, 3 (server_name).
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .lab_certificates import leaf_for, make_authority, make_rogue_ca, server_context
from .lab_meddling import (
    STREAM_LIMIT_BYTES,
    Meddler,
    Meeting,
    Open,
    Streams,
    abort,
    chain,
    meddler,
    options_of,
    splice,
    streams_of,
)

HANDSHAKE, CLIENT_HELLO = 22, 1
SERVER_NAME, SUPPORTED_VERSIONS = 0, 43
VERSIONS = {"1.2": 0x0303, "1.3": 0x0304}
FLUSH_S = 2.0


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client's first message tells: the name that it asks for (or empty), the newest version that it offers
    (0: it is no ClientHello), and its bytes."""

    wire: bytes
    name: str = ""
    version: int = 0


async def tls_mitm(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Two TLS connections instead of one: the client's ends here, at a certificate for the name that it asked for."""
    hello = await read_hello(exit_side[0])
    target = await open_target()
    if not hello.version:
        target[1].write(hello.wire)
        await splice(exit_side, target)
        return
    name = hello.name or meeting.destination[0]
    own = _context(meeting.directory, meeting.options["ca"], name)
    async with (
        client_tls(target, hello.name) as upstream,
        _server_tls(exit_side, own, hello.wire) as downstream,
    ):

        async def open_upstream() -> Streams:
            return upstream

        await _inside(meeting.options["inside"])(meeting, downstream, open_upstream)


async def tls_downgrade(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Reset whoever offers the version named by `below` or a newer one; let all others through."""
    hello = await read_hello(exit_side[0])
    if hello.version >= VERSIONS[meeting.options["below"]]:
        abort(exit_side[1])
        return
    target = await open_target()
    target[1].write(hello.wire)
    await splice(exit_side, target)


async def read_hello(reader: asyncio.StreamReader) -> Hello:
    """The first record, if it is a ClientHello; else what came instead of one."""
    wire = b""
    try:
        wire = await reader.readexactly(5)
        if wire[0] != HANDSHAKE:
            return Hello(wire)
        wire += await reader.readexactly(int.from_bytes(wire[3:5], "big"))
    except asyncio.IncompleteReadError as error:
        return Hello(wire + error.partial)
    try:
        return parse_hello(wire)
    except IndexError:
        return Hello(wire)


def parse_hello(record: bytes) -> Hello:
    """A record with a ClientHello in it. IndexError when it is cut short."""
    message = record[5:]
    if message[0] != CLIENT_HELLO:
        return Hello(record)
    name, version = "", int.from_bytes(message[4:6], "big")
    at = 38  # type, length of 3, version of 2, random of 32
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        at += width + _number(message, at, width)
    at += 2
    while at + 4 <= len(message):
        kind, size = _number(message, at, 2), _number(message, at + 2, 2)
        body = message[at + 4 : at + 4 + size]
        if kind == SERVER_NAME and len(body) > 5:
            name = body[5 : 5 + _number(body, 3, 2)].decode("ascii", "replace")
        elif kind == SUPPORTED_VERSIONS:
            known = [_number(body, n, 2) for n in range(1, body[0], 2)]
            version = max([number for number in known if number in VERSIONS.values()], default=version)
        at += 4 + size
    return Hello(record, name, version)


def _number(wire: bytes, at: int, width: int) -> int:
    if at + width > len(wire):
        raise IndexError
    return int.from_bytes(wire[at : at + width], "big")


def _inside(tables: list[Mapping[str, Any]]) -> Meddler:
    """What the decrypted connection goes through."""
    return chain(
        [
            (meddler(one["with"]), options_of(one["with"], {key: one[key] for key in one if key != "with"}))
            for one in tables
        ]
    )


@cache
def _context(directory: Path, authority: str, name: str) -> ssl.SSLContext:
    """The certificate of a man in the middle for a name: each name has one."""
    if authority == "self-signed":
        return server_context(*leaf_for(name))
    signer = make_rogue_ca(directory) if authority == "trusted" else make_authority("Nobody's CA")
    return server_context(*leaf_for(name, signer))


@cache
def client_context() -> ssl.SSLContext:
    """Of a client that believes everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@asynccontextmanager
async def client_tls(wire: Streams, name: str) -> AsyncIterator[Streams]:
    """TLS as a client over streams that are connected already."""
    async with _over(wire) as near:
        reader, writer = await asyncio.open_connection(
            sock=near, ssl=client_context(), server_hostname=name, limit=STREAM_LIMIT_BYTES
        )
        try:
            yield reader, writer
        finally:
            writer.close()


@asynccontextmanager
async def _server_tls(wire: Streams, context: ssl.SSLContext, first: bytes) -> AsyncIterator[Streams]:
    """TLS as a server over streams whose client has said `first` already."""
    loop = asyncio.get_running_loop()
    async with _over(wire, first) as near:
        reader = asyncio.StreamReader(limit=STREAM_LIMIT_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, near, ssl=context)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            yield reader, writer
        finally:
            writer.close()


@asynccontextmanager
async def _over(wire: Streams, first: bytes = b"") -> AsyncIterator[socket.socket]:
    """A wire inside this process that is spliced with another one: the end that nobody has read from yet."""
    near, far = socket.socketpair()
    near.setblocking(False)
    streams = await streams_of(far)
    streams[1].write(first)
    passing = asyncio.ensure_future(splice(wire, streams))
    try:
        yield near
    finally:
        await asyncio.wait({passing}, timeout=FLUSH_S)
        passing.cancel()
        streams[1].close()
