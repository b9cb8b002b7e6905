"""HTTP as it passes through a man in the middle: messages, and the exchanges of one connection.

Connections are kept alive, and lengths fit. Understood are HTTP/1.0 and 1.1 messages whose bodies have a Content-Length
or end with the connection (RFC 9112). What else comes (other protocols, chunked or large bodies, upgrades) is passed on
as it is. Decides nothing about what is changed: `lab_meddle_http.py` does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from .lab_meddling import Open, Streams, splice

BODY_MAX_BYTES = 8 << 20
FIRST_WORD_S = 3.0
METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH")


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response. `start`: its first line; `fields`: its header, in order."""

    start: str
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def get(self, name: str) -> str:
        """The first value of a field, or empty."""
        return next((value for key, value in self.fields if key.lower() == name), "")

    def without(self, name: str) -> "Message":
        return replace(self, fields=tuple((key, value) for key, value in self.fields if key.lower() != name))

    def adding(self, name: str, value: str) -> "Message":
        return replace(self, fields=(*self.fields, (name, value)))

    def setting(self, name: str, value: str) -> "Message":
        return self.without(name.lower()).adding(name, value)

    def carrying(self, body: bytes) -> "Message":
        """With another body; its length is told."""
        return replace(self.setting("Content-Length", str(len(body))), body=body)

    @property
    def status(self) -> int:
        """Of a response; 0 when there is none."""
        words = self.start.split(" ")
        return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0

    @property
    def kind(self) -> str:
        """The type of a body that can be read as it is; empty for none and for compressed ones."""
        return "" if self.get("content-encoding") else self.get("content-type").partition(";")[0].strip().lower()

    @property
    def ends_connection(self) -> bool:
        """Whether nothing can follow it on its connection."""
        wish = self.get("connection").lower()
        return wish == "close" or ("HTTP/1.0" in self.start and wish != "keep-alive")

    def wire(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.fields), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


@dataclass(frozen=True, slots=True)
class Work:
    """What is done to an exchange: to the request, instead of the target, to the response."""

    request: Callable[[Message], Message] = lambda request: request
    answer: Callable[[Message], Message | None] = lambda request: None
    response: Callable[[Message, Message], Awaitable[Message]] | None = None


@dataclass(slots=True)
class Exchanges:
    """The requests of one connection, one after the other."""

    exit_side: Streams
    open_target: Open
    work: Work
    target: Streams | None = field(default=None)

    async def run(self) -> None:
        """All of them; returns when one side has ended, or when what was not understood has been passed on whole."""
        first = True
        while True:
            head = await self._request_head(first)
            first = False
            if head is None:
                return await splice(self.exit_side, await self._opened())
            if not head.start:
                return None
            if not await self._exchange(head):
                return None

    async def _request_head(self, first: bool) -> Message | None:
        """The next request; an empty one at the end, None when it is no HTTP."""
        reader = self.exit_side[0]
        try:
            async with asyncio.timeout(FIRST_WORD_S if first else None):
                wire = await reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.LimitOverrunError):
            return None  # nothing is lost: what has come is still with the reader
        except asyncio.IncompleteReadError as error:
            if error.partial:
                (await self._opened())[1].write(error.partial)
                return None
            return Message("")
        if wire.split(b" ", 1)[0] not in METHODS:
            (await self._opened())[1].write(wire)
            return None
        return parse(wire)

    async def _exchange(self, request: Message) -> bool:
        """One request and its response; whether another may follow."""
        size = request.get("content-length")
        if request.get("transfer-encoding") or (size and not _is_moderate(size)):
            target = await self._opened()
            target[1].write(request.wire())
            await splice(self.exit_side, target)
            return False
        request = replace(request, body=await self.exit_side[0].readexactly(int(size or "0")))
        response = self.work.answer(request)
        if response is None:
            response = await self._asked(self.work.request(request))
        if response is None:
            return False
        if self.work.response is not None:
            response = await self.work.response(request, response)
        if request.start.startswith("HEAD "):
            response = replace(response, body=b"")
        writer = self.exit_side[1]
        writer.write(response.wire())
        await writer.drain()
        return not (request.ends_connection or response.ends_connection)

    async def _asked(self, request: Message) -> Message | None:
        """What the target answers; None when it has been passed on as it came."""
        target = await self._opened()
        target[1].write(request.wire())
        response = await read_response(target, request)
        if isinstance(response, Message):
            return response
        self.exit_side[1].write(response)
        await splice(self.exit_side, target)
        return None

    async def _opened(self) -> Streams:
        if self.target is None:
            self.target = await self.open_target()
        return self.target


async def read_response(target: Streams, request: Message) -> Message | bytes:
    """The whole response to a request, or the bytes read so far of one that is not understood."""
    reader = target[0]
    wire = await reader.readuntil(b"\r\n\r\n")
    response = parse(wire)
    size = response.get("content-length")
    if response.status < 200 or response.get("transfer-encoding") or (size and not _is_moderate(size)):
        return wire
    if request.start.startswith("HEAD ") or response.status in (204, 304):
        return response
    if size:
        return replace(response, body=await reader.readexactly(int(size)))
    body = b""
    while piece := await reader.read(BODY_MAX_BYTES - len(body)):
        body += piece
        if len(body) == BODY_MAX_BYTES:
            return wire + body
    return response.carrying(body).setting("Connection", "close")


def parse(wire: bytes) -> Message:
    """The head of a message."""
    start, *lines = wire.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    fields = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return Message(start, fields)


def _is_moderate(size: str) -> bool:
    return size.isascii() and size.isdecimal() and int(size) <= BODY_MAX_BYTES
