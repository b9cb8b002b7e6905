"""The name server of one run, for programs that resolve by themselves: over UDP, at whatever address they ask.

Their datagrams end in a network that leads nowhere (`shim/nowhere.py`), and here. Addresses, and their names, are
answered as the hooks answer them: mapped, or as the pinned exit finds them. Other questions go through the pinned exit,
too, as DNS over TCP to a public resolver: the one that was named for that, or else the one that the tool asked; never
to a private one, which no exit can reach, and nothing about names that are Tor's own. A mapped address is no private
one: it stands for a name, which is connected to as any tool's connect of this run. What fails is SERVFAIL, never
NXDOMAIN: nobody said that the name is not there.

A datagram tells of nobody, so whatever is asked here has pid 0. What is no query gets no answer, nor does one beside
too many that wait. Called by `supervisor.py`; messages are read and written by `name_messages.py`. Source: RFC 1035,
4.2; RFC 3542, 6.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from ..orchestrator import events
from ..orchestrator.connections import EAI_NONAME
from ..orchestrator.effects import AnswerCall
from ..orchestrator.names import can_exit_reach, is_mapped, is_private
from ..shim import bindings, calls
from ..shim.nowhere import Nowhere, network_of
from .name_messages import (
    AAAA,
    IN,
    NO_ERROR,
    PTR,
    SERVFAIL,
    A,
    Query,
    address_of,
    is_answer,
    read_query,
    write_answer,
    write_name,
    write_truncated,
)
from .process import NO_ROOM
from .reports import ReportSocket
from .watching import watch, why

QUERY_MAX = 1232
OPEN_MAX = 256
FORWARDED_MAX = 32
FORWARD_S = 15.0
PORT = 53
ANCILLARY_MAX = 256
IP_PKTINFO = 8  # Python has no name for it
_INFO_V4, _INFO_V6 = struct.Struct("=i4s4s"), struct.Struct("=16si")
_LENGTH = struct.Struct("!H")

Reply = Callable[[bytes], None]


class NameServer:
    """`server`: the resolver for questions that are not for addresses; None: the one that was asked. What leads
    `nowhere` is closed with it. Raises OSError."""

    def __init__(
        self,
        nowhere: Nowhere,
        reports: ReportSocket,
        run_address: str,
        nonce: bytes,
        post: Callable[[object], None],
        server: str | None,
    ) -> None:
        self._nowhere = nowhere
        self._reports = reports
        self._run_address = run_address
        self._nonce = nonce
        self._post = post
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._open: set[tuple[object, bytes]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            for one in nowhere.servers:
                watch(self._loop.add_reader, one.fileno(), self._readable, one)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Nobody is answered any more."""
        for one in self._nowhere.servers:
            self._loop.remove_reader(one.fileno())
        for task in self._tasks:
            task.cancel()
        self._nowhere.close()

    def datagrams(self, family: int) -> socket.socket:
        """A UDP socket whose datagrams come here. Whose it will be in a moment, nobody can say. Raises OSError."""
        return self._nowhere.datagrams(family)

    def has(self, tool_socket: socket.socket) -> bool:
        """Whether its datagrams come here."""
        return network_of(tool_socket) == self._nowhere.cookie

    def _readable(self, server: socket.socket) -> None:
        try:
            wire, ancillary, flags, source = server.recvmsg(QUERY_MAX, ANCILLARY_MAX)
            query = read_query(wire)
        except (OSError, ValueError):  # an answer of ours found nobody; or it is no query
            return
        key, asked = (source, wire), _asked(ancillary)
        if asked is None or flags & socket.MSG_TRUNC:
            return
        if key in self._open or len(self._open) >= OPEN_MAX:  # asked again, and not answered yet; or too much
            return
        self._open.add(key)
        self._ask(query, asked, partial(self._reply, server, key, ancillary, source))

    def _reply(
        self, server: socket.socket, key: tuple[object, bytes], ancillary: list[tuple[int, int, bytes]], source: Any,
        wire: bytes,
    ) -> None:  # fmt: skip
        self._open.discard(key)
        with contextlib.suppress(OSError):  # it went away
            server.sendmsg([wire], ancillary, 0, source)

    def _ask(self, query: Query, asked: str, reply: Reply) -> None:
        """One question."""
        resolver = self._server or asked
        address = address_of(query.name) if (query.group, query.kind) == (IN, PTR) else None
        is_for_address = query.group == IN and query.kind in (A, AAAA)
        if is_for_address and query.name.lower().rpartition(".")[2] == "localhost":
            reply(write_answer(query, NO_ERROR, ["127.0.0.1"] if query.kind == A else []))
        elif address is not None:
            self._look_up_name(query, address, resolver, reply)
        elif not is_for_address or not self._look_up(query, reply):
            self._forward(query, resolver, reply)

    def _look_up(self, query: Query, reply: Reply) -> bool:
        """An address, as the hooks answer it. IPv4 is enough for one attempt: of IPv6 there is none. False: it is no
        name that a host can have."""
        report = bindings.encode_report(
            bindings.Op.RESOLVE, self._nonce, pid=events.NO_PROCESS, name=query.name.encode("ascii"),
            destination=bindings.Endpoint(socket.AF_INET, "0.0.0.0", 0),
        )  # fmt: skip
        try:
            bindings.decode_report(report)
        except ValueError:
            return False
        if query.kind == AAAA:
            reply(write_answer(query, NO_ERROR))
        else:
            self._reports.take(report, events.NO_PROCESS, None, partial(_answer_addresses, query, reply))
        return True

    def _look_up_name(self, query: Query, address: str, resolver: str, reply: Reply) -> None:
        """Whose an address is: of a mapped one it is known here, of others the exit finds out, or a public resolver."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        report = bindings.encode_report(
            bindings.Op.RESOLVE_PTR,
            self._nonce,
            pid=events.NO_PROCESS,
            destination=bindings.Endpoint(family, address, 0),
        )

        def answered(answer: AnswerCall) -> None:
            if not answer.error and answer.name:
                reply(write_name(query, answer.name))
            elif is_private(address) or _is_out_of_reach(resolver):
                reply(write_answer(query, SERVFAIL))
            else:
                self._forward(query, resolver, reply)

        self._reports.take(report, events.NO_PROCESS, None, answered)

    def _forward(self, query: Query, resolver: str, reply: Reply) -> None:
        """Any other question."""
        if not can_exit_reach(query.name):
            self._post(events.Denied(events.NO_PROCESS, "name", str(query)))
            reply(write_answer(query, SERVFAIL))
        elif _is_out_of_reach(resolver):
            self._post(events.Denied(events.NO_PROCESS, "dns", f"{query} of {resolver}, which is private"))
            reply(write_answer(query, SERVFAIL))
        elif len(self._tasks) >= FORWARDED_MAX:
            reply(write_answer(query, SERVFAIL))
        else:
            task = self._loop.create_task(self._ask_through_the_exit(query, resolver, reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask_through_the_exit(self, query: Query, resolver: str, reply: Reply) -> None:
        wire = write_answer(query, SERVFAIL)
        try:
            async with asyncio.timeout(FORWARD_S):
                found = await self._exchange(query, resolver)
            if is_answer(query, found):
                wire = found if len(found) <= query.payload_bytes else write_truncated(query)
        except OSError as error:  # of no room, and of time that is over, too
            if error.errno in NO_ROOM:
                self._post(events.LauncherLost(f"a resolver could not be asked: {why(error)}"))
        except EOFError:
            pass
        reply(wire)

    async def _exchange(self, query: Query, resolver: str) -> bytes:
        """DNS over TCP, on a stream that is claimed and pinned as the tool's own are: the reply, or the beginning of
        one that is too long. Raises OSError, EOFError."""
        family = socket.AF_INET6 if ":" in resolver else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as stream:
            address = _sockaddr(resolver)
            error, _, report = calls.connect_report(
                stream, address, self._run_address, self._nonce, events.NO_PROCESS, 0
            )
            if error:
                raise OSError(error, "refused")
            opened: asyncio.Future[int] = self._loop.create_future()

            def answered(answer: AnswerCall) -> None:
                if not opened.done():
                    opened.set_result(answer.error)

            self._reports.take(report, events.NO_PROCESS, stream.dup(), answered)
            if error := await opened:
                raise OSError(error, "no stream")
            stream.setblocking(False)
            await self._loop.sock_sendall(stream, _LENGTH.pack(len(query.wire)) + query.wire)
            (size,) = _LENGTH.unpack(await self._read(stream, _LENGTH.size))
            return await self._read(stream, min(size, query.payload_bytes + 1))

    async def _read(self, stream: socket.socket, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = await self._loop.sock_recv(stream, size - len(found))
            if not part:
                raise EOFError
            found += part
        return found


def _answer_addresses(query: Query, reply: Reply, answer: AnswerCall) -> None:
    if answer.error or (answer.eai and answer.eai != EAI_NONAME) or not answer.endpoints:
        reply(write_answer(query, SERVFAIL))
    else:
        reply(write_answer(query, NO_ERROR, [host for host, _ in answer.endpoints if ":" not in host]))


def _is_out_of_reach(resolver: str) -> bool:
    """Whether no exit is to be asked for it. What a mapped address stands for is admission's to say."""
    return is_private(resolver) and not is_mapped(resolver)


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
