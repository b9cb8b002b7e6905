"""The SOCKS side of a tor that isn't there: what a stream says on the control connection, and what lies behind it.

Used by `stand_in.py` alone. No byte goes any further: every destination is the same dead port. The wording and order
of the lines are those that tor 0.4.9 gave for such ports; how an open stream ends is harsher than tor's (it shows a
reset to the tool as an end of file, here the tool sees the reset as well), since tools must bear both.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import Protocol

from ..orchestrator.model import Endpoint, join_host_port
from ..orchestrator.outcomes import END_NUMBERS
from ..shim import bindings

FIRST_BYTES_S = 1.0
LAST_BYTES_S = 0.5
REASONS = {number: reason for reason, number in END_NUMBERS.items()}
SOCKS_REPLIES = {"RESOLVEFAILED": 4, "NOROUTE": 4, "CONNECTREFUSED": 5, "DONE": 5, "CONNRESET": 5, "EXITPOLICY": 2}
GRANTED, SOCKS_FAILURE, HOST_UNREACHABLE = 0, 1, 4
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Port(StrEnum):
    """What lies behind a stream. `unresolved`: its name has no address, or there is no way to it. A look-up finds no
    address, and behind `garbage` one that is drawn at random."""

    CLOSED = "closed"
    SILENT = "silent"
    RESET = "reset"
    GARBAGE = "garbage"
    EMPTY = "empty"
    UNRESOLVED = "unresolved"


class Circuit(Protocol):
    """What a stream asks of the circuit that it is attached to."""

    circuit_id: int
    port: Port
    streams: "list[Stream]"

    def stream_rng(self) -> Random:
        """Chance, for the next stream."""


class Tor(Protocol):
    """What a stream asks of its tor."""

    connect_s: float
    streams: "dict[int, Stream]"

    def next_stream_id(self) -> int:
        """An id that no stream had."""

    def say(self, line: str) -> None:
        """An asynchronous line."""


class Stream(asyncio.Protocol):
    """One SOCKS connection, and the stream that comes of it. Its steps are named by what it waits for."""

    def __init__(self, tor: Tor) -> None:
        self._tor = tor
        self._transport: asyncio.Transport
        self._source: Endpoint
        self._buffer = b""
        self._waits_for = "greeting"
        self._timers: list[asyncio.TimerHandle] = []
        self._tag = ""
        self._target = ""
        self._up = self._down = 0
        self._rng = Random(0)
        self._circuit: Circuit | None = None
        self._end = " REASON=DONE"
        self._is_name = False
        self.stream_id = 0
        self.is_lookup = False

    # The tool's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._source = Endpoint(*transport.get_extra_info("peername")[:2])

    def data_received(self, data: bytes) -> None:
        if self._waits_for == "client":
            self._up += len(data)
            self._play()
            return
        self._buffer += data
        try:
            while self._waits_for in _SOCKS and (rest := _SOCKS[self._waits_for](self, self._buffer)) is not None:
                self._buffer = rest
        except (ValueError, UnicodeDecodeError):
            self._transport.abort()

    def eof_received(self) -> None:
        """Tor ends a stream whose client has shut down its half."""
        self._hung_up()

    def connection_lost(self, error: Exception | None) -> None:
        self._hung_up()

    def _hung_up(self) -> None:
        circuit_id = self._circuit.circuit_id if self._circuit else 0
        self._closed(circuit_id, self._end)

    # SOCKS 5 with user name and password; each takes its message from the buffer, or answers None: not all is there.

    def _greeting(self, buffer: bytes) -> bytes | None:
        if len(buffer) < 2 or len(buffer) < 2 + buffer[1]:
            return None
        if buffer[0] != 5 or 2 not in buffer[2 : 2 + buffer[1]]:
            raise ValueError("not a greeting with method 2")
        self._transport.write(b"\x05\x02")
        self._waits_for = "name"
        return buffer[2 + buffer[1] :]

    def _name(self, buffer: bytes) -> bytes | None:
        size = 2 + buffer[1] if len(buffer) >= 2 else 0
        if not size or len(buffer) <= size or len(buffer) < size + 1 + buffer[size]:
            return None
        self._tag = buffer[2:size].decode("ascii")
        self._transport.write(b"\x01\x00")
        self._waits_for = "request"
        return buffer[size + 1 + buffer[size] :]

    def _request(self, buffer: bytes) -> bytes | None:
        size = bindings.socks_reply_size(buffer)  # a request has the form of a reply
        if size is None or len(buffer) < size:
            return None
        kind, address, port = buffer[3], buffer[4 : size - 2], int.from_bytes(buffer[size - 2 : size], "big")
        if kind == 3:
            host = address[1:].decode("ascii")
        else:
            host = socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, address)
        self._is_name = kind == 3
        self.is_lookup = buffer[1] == bindings.SOCKS_RESOLVE
        self._target = join_host_port(host, 0 if self.is_lookup else port)
        self._new()
        return buffer[size:]

    # The control side.

    def _new(self) -> None:
        self.stream_id = self._tor.next_stream_id()
        self._tor.streams[self.stream_id] = self
        self._waits_for = "attach"
        status, purpose = ("NEWRESOLVE", "DNS_REQUEST") if self.is_lookup else ("NEW", "USER")
        self._say(status, 0, f" SOURCE_ADDR={self._source} PURPOSE={purpose}")
        self._say("CONTROLLER_WAIT", 0)

    def _say(self, status: str, circuit_id: int, words: str = "", target: str = "") -> None:
        names = f' SOCKS_USERNAME="{self._tag}" SOCKS_PASSWORD="exitpin" CLIENT_PROTOCOL=SOCKS5'
        tail = f"{names} NYM_EPOCH=0 SESSION_GROUP=-4 ISO_FIELDS=SESSION_GROUP,NYM_EPOCH"
        self._tor.say(f"STREAM {self.stream_id} {status} {circuit_id} {target or self._target}{words}{tail}")

    @property
    def can_be_attached(self) -> bool:
        """Whether it waits for a controller."""
        return self._waits_for == "attach"

    def attach(self, circuit: Circuit) -> None:
        """Send it down this circuit; what the port does comes later."""
        self._circuit = circuit
        self._rng = circuit.stream_rng()
        circuit.streams.append(self)
        self._waits_for = "exit"
        self._say("SENTRESOLVE" if self.is_lookup else "SENTCONNECT", circuit.circuit_id)
        self._after(self._tor.connect_s, self._look_up if self.is_lookup else self._connect)

    def close(self, reason: int) -> None:
        """CLOSESTREAM, which ends a stream in any state."""
        words = f" REASON={REASONS.get(reason, 'MISC')}"
        circuit_id = self._circuit.circuit_id if self._circuit else 0
        if self._waits_for in ("attach", "exit"):
            self._refuse(circuit_id, words, SOCKS_REPLIES.get(REASONS.get(reason, ""), SOCKS_FAILURE))
        else:
            self._closed(circuit_id, words)

    def destroyed(self) -> None:
        """Its circuit has gone."""
        self._closed(self._circuit.circuit_id if self._circuit else 0, " REASON=DESTROY")

    def _refuse(self, circuit_id: int, words: str, reply: int) -> None:
        self._reply(reply)
        self._say("FAILED", circuit_id, words)
        self._closed(circuit_id, words)

    def _closed(self, circuit_id: int, words: str) -> None:
        """The stream's last line; whatever comes after it is not heard."""
        was, self._waits_for = self._waits_for, "nothing"
        for timer in self._timers:
            timer.cancel()
        self._transport.close()
        if was == "nothing" or not self.stream_id:
            return
        if self._up or self._down:
            self._tor.say(f"STREAM_BW {self.stream_id} {self._up} {self._down} 2026-01-01T00:00:00.000000")
        self._say("CLOSED", circuit_id, words)
        del self._tor.streams[self.stream_id]
        if self._circuit is not None:
            self._circuit.streams.remove(self)

    # What lies behind.

    def _after(self, delay_s: float, what: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(delay_s, what))

    def _reply(self, code: int, address: str = "0.0.0.0") -> None:
        self._transport.write(bytes([5, code, 0, 1]) + socket.inet_aton(address) + bytes(2))

    def _connect(self) -> None:
        circuit = self._circuit
        assert circuit is not None
        if circuit.port is Port.UNRESOLVED:
            self._give_back(circuit, "RESOLVEFAILED" if self._is_name else "NOROUTE")
        elif circuit.port is Port.CLOSED and self._rng.random() < 0.5:
            self._give_back(circuit, "MISC")  # the word of an exit on Linux
        elif circuit.port is Port.CLOSED:
            refused = SOCKS_REPLIES["CONNECTREFUSED"]
            self._refuse(circuit.circuit_id, " REASON=END REMOTE_REASON=CONNECTREFUSED", refused)
        else:
            self._open(circuit)

    def _open(self, circuit: Circuit) -> None:
        self._say("SUCCEEDED", circuit.circuit_id)
        self._reply(GRANTED)
        self._waits_for = "client"
        if circuit.port is Port.EMPTY:
            self._closed(circuit.circuit_id, " REASON=END REMOTE_REASON=DONE")
        elif circuit.port is not Port.SILENT:
            self._after(FIRST_BYTES_S, self._play)

    def _give_back(self, circuit: Circuit, reason: str) -> None:
        """What may be tried again elsewhere, tor leaves to the controller."""
        self._circuit, self._waits_for = None, "attach"
        circuit.streams.remove(self)
        self._say("DETACHED", circuit.circuit_id, f" REASON=END REMOTE_REASON={reason}")
        self._say("CONTROLLER_WAIT", circuit.circuit_id)

    def _look_up(self) -> None:
        circuit = self._circuit
        assert circuit is not None
        if circuit.port is Port.GARBAGE:
            address = f"203.0.113.{self._rng.randrange(1, 255)}"
            self._say("REMAP", circuit.circuit_id, " SOURCE=EXIT", f"{address}:0")
            self._reply(GRANTED, address)
        else:
            self._reply(HOST_UNREACHABLE)
        self._closed(circuit.circuit_id, " REASON=DONE")

    def _play(self) -> None:
        """The first bytes have come, or none will."""
        circuit = self._circuit
        if circuit is None or self._waits_for != "client" or self._down:
            return
        if circuit.port is Port.RESET:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            self._closed(circuit.circuit_id, " REASON=END REMOTE_REASON=CONNRESET")
        elif circuit.port is Port.GARBAGE:
            said = garbage(self._rng)
            self._down = len(said)
            self._transport.write(said)
            with contextlib.suppress(OSError):  # the tool may hang up as soon as it reads the first of it
                self._transport.write_eof()
            self._end = " REASON=END REMOTE_REASON=DONE"
            self._after(LAST_BYTES_S, self._hung_up)


_SOCKS: dict[str, Callable[[Stream, bytes], bytes | None]] = {
    "greeting": Stream._greeting,
    "name": Stream._name,
    "request": Stream._request,
}


def garbage(rng: Random) -> bytes:
    """A few kB that are no protocol's: random bytes and lines of random words, either of them first."""
    noise = rng.randbytes(rng.randrange(1000, 3000))
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["".join(rng.choices(letters, k=rng.randrange(2, 12))) for _ in range(200)]
    lines = "".join(" ".join(rng.sample(words, rng.randrange(1, 10))) + "\r\n" for _ in range(40)).encode()
    return lines + noise if rng.random() < 0.5 else noise + lines
