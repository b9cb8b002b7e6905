"""What goes wrong on purpose: circuits that close, clients that are not ours, clients that carry a tag of ours."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random

from errands import Errand, Errands

from exitpin.orchestrator.control_lines import parse_circ
from exitpin.orchestrator.streams import Claim
from exitpin.shim import bindings
from exitpin.wrappers.tor import ControlChannel, authenticate

FOREIGN_S = 30.0


class Closer:
    """Closes a live circuit at random every `interval_s`, over a control connection of its own."""

    def __init__(self, control_socket: Path, rng: Random, interval_s: float) -> None:
        self._channel = ControlChannel(authenticate(control_socket))
        self._channel.on_event = self._heard
        self._rng = rng
        self._live: list[int] = []
        self.interval_s = interval_s
        self.closed = 0

    def _heard(self, line: str) -> None:
        event = parse_circ(line)
        if event.status == "BUILT":
            self._live.append(event.circuit_id)
        elif event.status in ("CLOSED", "FAILED") and event.circuit_id in self._live:
            self._live.remove(event.circuit_id)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._channel.ask("SETEVENTS CIRC")
            while True:
                await asyncio.sleep(self.interval_s)  # the rate, not a wait for anything
                if self._live:
                    self._channel.send(f"CLOSECIRCUIT {self._rng.choice(self._live)}", lambda reply: None)
                    self.closed += 1
        finally:
            self._channel.close()


@dataclass(slots=True)
class Governor:
    """Adapts the closer's rate so that about `wanted` of all connections come through."""

    closer: Closer
    through: Callable[[], tuple[int, int]]
    wanted: float = 0.6

    async def run(self) -> None:
        """Until cancelled."""
        seen = (0, 0)
        while True:
            await asyncio.sleep(0.5)  # its clock
            now = self.through()
            passed, planned = now[0] - seen[0], now[1] - seen[1]
            if planned < 60:
                continue
            # aim for what is still missing to the whole's share, and judge the rate by the latest part
            whole = now[0] / now[1]
            error = (passed / planned - self.wanted) + (whole - self.wanted)
            self.closer.interval_s = min(
                0.5, max(0.001, self.closer.interval_s * (1 - 0.5 * max(-1.0, min(1.0, error))))
            )
            seen = now


class Kind(StrEnum):
    """Whom a foreign client pretends to be."""

    STRANGER = "no tag"
    THIEF = "a stolen tag"
    NEIGHBOUR = "a stolen tag, from the victim's address"
    TWIN = "a stolen tag, from the victim's port on another address"
    DOUBLE = "no tag, from the victim's address and port"


@dataclass(slots=True)
class Foreigners:
    """Clients that go straight to Tor's SOCKS port.

    `granted`: those that Tor let through; `victims`: by destination, the exit of the run that they pretended to be.
    """

    tor: tuple[str, int]
    errands: Errands
    rng: Random
    sent: dict[Kind, int] = field(default_factory=dict)
    refused: int = 0
    granted: list[str] = field(default_factory=list)
    victims: dict[str, str] = field(default_factory=dict)
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    def send(self, kind: Kind, claim: Claim | None = None) -> "asyncio.Task[None]":
        """One of them, in the background."""
        task = asyncio.get_running_loop().create_task(self.attack(kind, claim))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self) -> None:
        """Wait for all of them."""
        await asyncio.gather(*self._tasks)

    async def attack(self, kind: Kind, claim: Claim | None = None) -> None:
        """One attempt, to its end."""
        errand = self.errands.forbidden()
        tag = None if claim is None or kind in (Kind.STRANGER, Kind.DOUBLE) else claim.tag
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            try:
                connection.bind(self._source(kind, claim))
            except OSError:
                return  # that port is taken: nothing has been sent
            if claim is not None:
                self.victims[f"{errand.host} {errand.port}"] = claim.exit
            self.sent[kind] = self.sent.get(kind, 0) + 1
            if await asyncio.wait_for(self._socks(connection, tag, errand), FOREIGN_S):
                self.granted.append(f"{kind}: {errand}")
            else:
                self.refused += 1

    def _source(self, kind: Kind, claim: Claim | None) -> tuple[str, int]:
        if claim is None or kind is Kind.STRANGER:
            return "127.0.0.1", 0
        if kind is Kind.DOUBLE:
            return claim.source
        if kind is Kind.NEIGHBOUR:
            return claim.source.host, 0
        return f"127.0.0.{self.rng.randrange(2, 250)}", claim.source.port if kind is Kind.TWIN else 0

    async def _socks(self, connection: socket.socket, tag: str | None, errand: Errand) -> bool:
        """Whether Tor granted the connection."""
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(connection, self.tor)
            await loop.sock_sendall(connection, b"\x05\x01\x00" if tag is None else bindings.socks_greeting())
            await loop.sock_recv(connection, 2)
            if tag is not None:
                await loop.sock_sendall(connection, bindings.socks_auth(tag.encode(), b"exitpin"))
                await loop.sock_recv(connection, 2)
            await loop.sock_sendall(
                connection, bindings.socks_request(bindings.SOCKS_CONNECT, errand.host, errand.port)
            )
            reply = await loop.sock_recv(connection, 10)
            if len(reply) < 2 or reply[1] != 0:
                return False
            await loop.sock_recv(connection, 256)  # the target's line: it has been there
            return True
        except OSError:
            return False


def break_off(channel: ControlChannel) -> None:
    """End a control connection as if Tor had."""
    channel._socket.shutdown(socket.SHUT_RDWR)
