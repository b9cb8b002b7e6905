"""What hostile exits do to DNS: their own name servers that lie, and lies told to DNS over TCP on its way.

Both rewrite true answers, so that all but the lie is as it should be. The kinds of a lie, with `address` for what is
told in place of the truth (or `names`: an address by name, and the truth about all others):

  lie              every A record is `address`; there is no IPv6 address
  nxdomain-hijack  what does not exist is at `address`
  rebind           as `lie`, with a private address: the client's own machine or network
  refuse           SERVFAIL, whatever is asked for

A reply that is no DNS goes on as it came. `open_resolvers` is called by `lab_mitm.py`. Needs dnspython (extra `lab`).
"""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from ..orchestrator.lab.network import DNS_PORT
from . import lab_dns
from .lab_meddling import Meeting, Open, Streams, pump, together

LIAR_ADDRESS = "192.0.2.66"
PRIVATE_ADDRESS = "127.0.0.1"
KINDS = ("lie", "nxdomain-hijack", "rebind", "refuse")

Spec = tuple[str, str, Mapping[str, Any]]
"""A name server: the address that it listens on, the kind of its lies, their options."""


def falsify(kind: str, options: Mapping[str, Any], wire: bytes) -> bytes:
    """The lie in place of a true reply; the reply itself where there is nothing to lie about."""
    try:
        reply = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return wire
    if len(reply.question) != 1:
        return wire
    question = reply.question[0]
    told = _told(kind, options, question.name.to_text(omit_final_dot=True).lower())
    if kind == "refuse":
        reply.answer.clear()
        reply.set_rcode(dns.rcode.SERVFAIL)
    elif told and kind == "nxdomain-hijack" and reply.rcode() == dns.rcode.NXDOMAIN:
        reply.set_rcode(dns.rcode.NOERROR)
        reply.authority.clear()
        if question.rdtype == dns.rdatatype.A:
            reply.answer = [_address_record(question, told)]
    elif told and kind in ("lie", "rebind") and question.rdtype == dns.rdatatype.AAAA:
        reply.answer.clear()
    elif told and kind in ("lie", "rebind") and any(one.rdtype == dns.rdatatype.A for one in reply.answer):
        reply.answer = [_address_record(question, told)]
    else:
        return wire
    reply.flags &= ~dns.flags.AA
    return reply.to_wire()


def _told(kind: str, options: Mapping[str, Any], name: str) -> str:
    names = options.get("names")
    if names:
        return str(names.get(name, ""))
    return str(options.get("address") or (PRIVATE_ADDRESS if kind == "rebind" else LIAR_ADDRESS))


def _address_record(question: dns.rrset.RRset, address: str) -> dns.rrset.RRset:
    return dns.rrset.from_text(question.name, lab_dns.TTL_S, "IN", "A", address)


class _Liar:
    """What one name server answers."""

    def __init__(self, zone: lab_dns.Zone, kind: str, options: Mapping[str, Any]) -> None:
        self.zone, self.kind, self.options = zone, kind, options

    def answer(self, wire: bytes) -> bytes | None:
        found = lab_dns.answer(self.zone, wire)
        return None if found is None else falsify(self.kind, self.options, found[0])


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, liar: _Liar) -> None:
        self.liar = liar

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)  # 3.11's own is no instance of it

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if (reply := self.liar.answer(data)) is not None:
            self.transport.sendto(reply, addr)


class Resolvers:
    """Open name servers, until they are closed."""

    def __init__(self) -> None:
        self.open: list[asyncio.BaseTransport | asyncio.Server] = []

    def close(self) -> None:
        while self.open:
            self.open.pop().close()


async def open_resolvers(specs: Sequence[Spec], zone: lab_dns.Zone, port: int = DNS_PORT) -> Resolvers:
    """Open a lying name server for each spec, over UDP and TCP. ValueError: an unknown kind; OSError: can't listen.

    An address of its own goes before a wildcard socket of somebody else on the same port, if that allows it
    (SO_REUSEADDR for UDP, SO_REUSEPORT for TCP; socket(7)).
    """
    resolvers, loop = Resolvers(), asyncio.get_running_loop()
    try:
        for address, kind, options in specs:
            if kind not in KINDS:
                raise ValueError(f"{kind!r} is none of {', '.join(KINDS)}")
            liar = _Liar(zone, kind, options)
            datagrams, _ = await loop.create_datagram_endpoint(
                partial(_Datagrams, liar), sock=_bound(address, port, socket.SOCK_DGRAM)
            )
            resolvers.open.append(datagrams)
            serve = _conversation(liar)
            resolvers.open.append(await asyncio.start_server(serve, sock=_bound(address, port, socket.SOCK_STREAM)))
    except BaseException:
        resolvers.close()
        raise
    return resolvers


def _bound(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.setblocking(False)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound


def _conversation(liar: _Liar) -> Any:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            while (reply := liar.answer(await _message(reader))) is not None:
                writer.write(_framed(reply))
                await writer.drain()
        writer.close()

    return serve


async def dns_lie_tcp(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """Every A record that a name server answers over TCP is the liar's address."""
    await _falsify_answers("lie", meeting.options, exit_side, await open_target())


async def dns_hijack_tcp(meeting: Meeting, exit_side: Streams, open_target: Open) -> None:
    """What a name server says over TCP not to exist is at the liar's address."""
    await _falsify_answers("nxdomain-hijack", meeting.options, exit_side, await open_target())


async def _falsify_answers(kind: str, options: Mapping[str, Any], exit_side: Streams, target: Streams) -> None:
    async def answers() -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                exit_side[1].write(_framed(falsify(kind, options, await _message(target[0]))))
                await exit_side[1].drain()
        exit_side[1].write_eof()

    await together(pump(exit_side[0], target[1]), answers())


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A message with its length of two bytes before it (RFC 1035, 4.2.2). IncompleteReadError at the end."""
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message
