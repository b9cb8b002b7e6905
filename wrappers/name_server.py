"""The name server of one run, for programs that resolve by themselves: over UDP, at whatever address they ask.

Their datagrams end in a network that leads nowhere (`shim/nowhere.py`), and here. Addresses are answered as the hooks
answer them: mapped, or as the pinned exit finds them. Other questions go through the pinned exit, too, as DNS over TCP
to a public resolver: the one that was named for that, or else the one that the tool asked; never to a private one,
which no exit can reach. What fails is SERVFAIL, never NXDOMAIN: nobody said that the name is not there.

Called by `supervisor.py`. Formats: RFC 1035, 4.2; RFC 3542, 6.
"""

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..orchestrator import events
from ..orchestrator.connections import EAI_NONAME
from ..orchestrator.effects import AnswerCall
from ..shim import bindings, calls
from ..shim.nowhere import Nowhere, cookie_of
from .reports import ReportSocket

if TYPE_CHECKING:
    from dns.message import Message

QUERY_MAX = 4096
PLAIN_MAX = 512  # bytes of an answer to who does not say more
FORWARD_S = 15.0
PORT = 53
IP_PKTINFO = 8  # Python has no name for it
_INFO_V4, _INFO_V6 = struct.Struct("=i4s4s"), struct.Struct("=16si")
_LENGTH = struct.Struct("!H")

Reply = Callable[[bytes], None]


class NameServer:
    """`server`: the resolver for questions that are not for addresses; None: the one that was asked. `pid` of what is
    asked is whoever made the last datagram socket: a datagram tells of nobody."""

    def __init__(
        self,
        nowhere: Nowhere,
        reports: ReportSocket,
        run_address: str,
        nonce: bytes,
        post: Callable[[object], None],
        server: str | None,
    ) -> None:
        self.pid = 0
        self._nowhere = nowhere
        self._reports = reports
        self._run_address = run_address
        self._nonce = nonce
        self._post = post
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._open: set[tuple[object, bytes]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        for one in nowhere.servers:
            self._loop.add_reader(one.fileno(), self._readable, one)

    def close(self) -> None:
        """Nobody is answered any more."""
        for one in self._nowhere.servers:
            self._loop.remove_reader(one.fileno())
        for task in self._tasks:
            task.cancel()
        self._nowhere.close()

    def datagrams(self, family: int, pid: int) -> socket.socket:
        """A UDP socket whose datagrams come here, for this process. Raises OSError."""
        self.pid = pid
        return self._nowhere.datagrams(family)

    def has(self, tool_socket: socket.socket) -> bool:
        """Whether its datagrams come here."""
        return cookie_of(tool_socket) == self._nowhere.cookie

    def _readable(self, server: socket.socket) -> None:
        try:
            wire, ancillary, _, source = server.recvmsg(QUERY_MAX, 256)
        except OSError:  # an answer of ours found nobody
            return
        key = (source, wire)
        asked = _asked(ancillary)
        if asked is None or key in self._open:  # asked again, and not answered yet
            return
        self._open.add(key)
        self._ask(wire, asked, partial(self._reply, server, key, ancillary, source))

    def _reply(
        self, server: socket.socket, key: tuple[object, bytes], ancillary: list[tuple[int, int, bytes]], source: Any,
        wire: bytes,
    ) -> None:  # fmt: skip
        self._open.discard(key)
        with contextlib.suppress(OSError):  # it went away
            server.sendmsg([wire], ancillary, 0, source)

    def _ask(self, wire: bytes, asked: str, reply: Reply) -> None:
        """One question."""
        from dns.exception import DNSException
        from dns.message import from_wire
        from dns.rdatatype import AAAA, A

        try:
            query = from_wire(wire)
            (question,) = query.question
        except (DNSException, ValueError):
            return
        name = question.name.to_text(omit_final_dot=True)
        family = {A: 4, AAAA: 6}.get(question.rdtype)
        if family is None or not self._look_up(query, name, family, reply):
            self._forward(query, asked, reply)

    def _look_up(self, query: "Message", name: str, family: int, reply: Reply) -> bool:
        """An address, as the hooks answer it. IPv4 is enough for one attempt: of IPv6 there is none. False: it is no
        name that a host can have."""
        report = bindings.encode_report(
            bindings.Op.RESOLVE, self._nonce, pid=self.pid, destination=bindings.Endpoint(socket.AF_INET, "0.0.0.0", 0),
            name=name.encode("ascii", "replace")[: bindings.NAME_MAX],
        )  # fmt: skip
        try:
            bindings.decode_report(report)
        except ValueError:
            return False
        if family == 6:
            reply(_response(query, 0))
        else:
            self._reports.take(report, self.pid, None, partial(_answer_addresses, query, reply))
        return True

    def _forward(self, query: "Message", asked: str, reply: Reply) -> None:
        resolver = self._server or asked
        if is_private(resolver):
            self._post(events.Denied(self.pid, "dns", f"{query.question[0]} of {resolver}, which is private"))
            reply(_response(query, _SERVFAIL))
            return
        task = self._loop.create_task(self._ask_through_the_exit(query, resolver, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask_through_the_exit(self, query: "Message", resolver: str, reply: Reply) -> None:
        from dns.exception import DNSException
        from dns.message import from_wire

        wire = _response(query, _SERVFAIL)
        with contextlib.suppress(OSError, TimeoutError, EOFError, DNSException, ValueError):
            async with asyncio.timeout(FORWARD_S):
                found = await self._exchange(resolver, query.to_wire())
            answer = from_wire(found)
            if query.is_response(answer):
                most = max(PLAIN_MAX, query.payload)
                wire = found if len(found) <= most else _truncated(query)
        reply(wire)

    async def _exchange(self, resolver: str, wire: bytes) -> bytes:
        """DNS over TCP, on a stream that is claimed and pinned as the tool's own are. Raises OSError, EOFError."""
        family = socket.AF_INET6 if ":" in resolver else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as stream:
            address = _sockaddr(resolver)
            error, _, report = calls.connect_report(stream, address, self._run_address, self._nonce, self.pid, 0)
            if error:
                raise OSError(error, "refused")
            opened: asyncio.Future[int] = self._loop.create_future()

            def answered(answer: AnswerCall) -> None:
                if not opened.done():
                    opened.set_result(answer.error)

            self._reports.take(report, self.pid, stream.dup(), answered)
            if error := await opened:
                raise OSError(error, "no stream")
            stream.setblocking(False)
            await self._loop.sock_sendall(stream, _LENGTH.pack(len(wire)) + wire)
            (size,) = _LENGTH.unpack(await self._read(stream, _LENGTH.size))
            return await self._read(stream, size)

    async def _read(self, stream: socket.socket, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = await self._loop.sock_recv(stream, size - len(found))
            if not part:
                raise EOFError
            found += part
        return found


_SERVFAIL = 2
_PRIVATE = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "224.0.0.0/3", "::/127", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "ff00::/8"),
    )
]


def is_private(host: str) -> bool:
    """Whether no exit can reach it, or somebody else's machine of that address would be."""
    address = ipaddress.ip_address(host)
    return any(address in network for network in _PRIVATE if network.version == address.version)


def _answer_addresses(query: "Message", reply: Reply, answer: AnswerCall) -> None:
    if answer.error or (answer.eai and answer.eai != EAI_NONAME) or not answer.endpoints:
        reply(_response(query, _SERVFAIL))
    else:
        reply(_response(query, 0, [host for host, _ in answer.endpoints if ":" not in host]))


def _response(query: "Message", rcode: int, addresses: list[str] | None = None) -> bytes:
    from dns.flags import RA
    from dns.message import make_response
    from dns.rcode import Rcode
    from dns.rrset import from_text

    response = make_response(query)
    response.flags |= RA
    response.set_rcode(Rcode(rcode))
    if addresses:
        response.answer.append(from_text(query.question[0].name, 0, "IN", "A", *addresses))
    return response.to_wire()


def _truncated(query: "Message") -> bytes:
    """Too long for a datagram: ask over TCP."""
    from dns.flags import TC
    from dns.message import make_response

    response = make_response(query)
    response.flags |= TC
    return response.to_wire()


def _asked(ancillary: list[tuple[int, int, bytes]]) -> str | None:
    """The address that a datagram was sent to."""
    for level, kind, content in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            return socket.inet_ntop(socket.AF_INET, _INFO_V4.unpack_from(content)[2])
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            return socket.inet_ntop(socket.AF_INET6, _INFO_V6.unpack_from(content)[0])
    return None


def _sockaddr(host: str) -> bytes:
    """A sockaddr_in or sockaddr_in6, as connect(2) takes it."""
    if ":" in host:
        return struct.pack("=H", socket.AF_INET6) + struct.pack(
            "!HI16sI", PORT, 0, socket.inet_pton(socket.AF_INET6, host), 0
        )
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", PORT, socket.inet_aton(host))
