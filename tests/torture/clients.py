"""Tools without processes: a Launcher whose tool is a coroutine, so that thousands of connections are cheap.

It does what shim and launcher do: binds the socket, reports it, waits for the answer; then it reads what the target
says and resets the connection, so that its port is free again at once.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from itertools import count
from random import Random

from exitpin.orchestrator import events
from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.model import Destination, Endpoint, Run, Ticket
from exitpin.orchestrator.names import is_mapped
from exitpin.orchestrator.ports import Ahead
from exitpin.orchestrator.streams import Claim
from exitpin.shim import bindings
from exitpin.wrappers.socks import SocksDialogue, disconnect

Post = Callable[[object], None]
Ambush = Callable[[Claim], Awaitable[None]]
"""Called when a claim stands, before its own connection is made."""

RESET_AT_CLOSE = struct.pack("ii", 1, 0)
READ_S = 20.0
_CALLS = count(1)


class ClientLauncher:
    """`ports`: the few source ports that all clients share; none: the kernel's choice."""

    def __init__(
        self, tor: tuple[str, int], rng: Random, *, ports: range = range(0), ambush: Ambush | None = None
    ) -> None:
        self.tor = tor
        self.rng = rng
        self.ports = ports
        self.ambush = ambush
        self.answered = 0
        self.opened = 0

    def prepare(self, run: Run, post: Post, on_report: Callable[[bytes, int], None]) -> "ClientLaunch":
        return ClientLaunch(self, run, post, on_report)


class ClientLaunch:
    """One client: its errands stand in the run's argv as HOST,PORT."""

    def __init__(self, launcher: ClientLauncher, run: Run, post: Post, on_report: Callable[[bytes, int], None]) -> None:
        self._launcher = launcher
        self._run = run
        self._post = post
        self._on_report = on_report
        self._loop = asyncio.get_running_loop()
        self._answers: dict[int, asyncio.Future[AnswerCall]] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._dialogues: dict[int, SocksDialogue] = {}
        self._ambushes: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> str | None:
        self._task = self._loop.create_task(self._live())
        return None

    async def _live(self) -> None:
        pid = os.getpid()
        try:
            self._post(events.ProcessStarted(pid))
            await self._ask(lambda call: events.Hello(call, pid, "client", None))
            for errand in self._run.argv[1:]:
                host, _, port = errand.rpartition(",")
                await self._go(host, int(port))
            self._post(events.ProcessExited(0, None))
        except asyncio.CancelledError:
            self._post(events.ProcessExited(None, 9))
        self._post(events.TreeEnded(0.0, None, 0))

    async def _ask(self, event_of: Callable[[int], object]) -> AnswerCall:
        call = next(_CALLS)
        self._answers[call] = self._loop.create_future()
        try:
            self._post(event_of(call))
            return await self._answers[call]
        finally:
            del self._answers[call]

    async def _go(self, host: str, port: int) -> None:
        if not host.replace(".", "").isdigit() and ":" not in host:
            found = await self._ask(lambda call: events.LookupReported(call, os.getpid(), host, 4, False, None))
            host = found.endpoints[0][0]
            assert is_mapped(host)
        with self._bound() as connection:
            source = Endpoint(*connection.getsockname())
            answer = await self._ask(lambda call: self._report(call, connection, source, Destination(host, port)))
            self._launcher.answered += 1
            if answer.error == 0:
                self._launcher.opened += 1
                await self._read(connection)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)

    async def _read(self, connection: socket.socket) -> None:
        """Until the target's line is there, or the stream's end."""
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._loop.sock_recv(connection, 256), READ_S if self._is_greeted() else 0.01)

    def _is_greeted(self) -> bool:
        return self._run.exit.nickname != "exit14"  # the one with port 80 only: a web server waits for a request

    def _bound(self) -> socket.socket:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ports = self._launcher.ports
        connection.bind((self._run.address, self._launcher.rng.choice(ports) if ports else 0))
        return connection

    def _report(self, call: int, connection: socket.socket, source: Endpoint, asked: Destination) -> object:
        self._sockets[call] = connection
        family = socket.AF_INET6 if ":" in asked.host else socket.AF_INET
        packet = bindings.encode_report(
            bindings.Op.CONNECT, self._run.nonce, pid=os.getpid(),
            source=bindings.Endpoint(socket.AF_INET, *source), destination=bindings.Endpoint(family, *asked),
        )  # fmt: skip
        self._on_report(packet, os.getpid())
        return events.ConnectReported(call, os.getpid(), source, asked, False, None)

    def go_ahead(self, ticket: Ticket, by: Ahead) -> None:
        """It reports by itself, and to no socket."""

    def recall(self) -> None:
        """There is no ticket."""

    def is_attached(self, call: int) -> bool:
        """None goes by a ticket."""
        return False

    def open_stream(self, call: int, claim: Claim) -> None:
        if self._launcher.ambush is None:
            self._speak(call, claim)
            return

        async def after_the_ambush(ambush: Ambush) -> None:
            await ambush(claim)
            if call in self._sockets:
                self._speak(call, claim)

        task = self._loop.create_task(after_the_ambush(self._launcher.ambush))
        self._ambushes.add(task)
        task.add_done_callback(self._ambushes.discard)

    def _speak(self, call: int, claim: Claim) -> None:
        def answered(reply: int, answer: str) -> None:
            self._post(events.SocksAnswered(call, reply, answer))

        dialogue = SocksDialogue(self._sockets[call], claim.tag, claim.destination, claim.is_lookup, answered)
        self._dialogues[call] = dialogue
        dialogue.start(self._launcher.tor)

    def bind_lookup(self, call: int, host: str) -> None:
        raise AssertionError("names are mapped here")

    def answer(self, answer: AnswerCall) -> None:
        dialogue = self._dialogues.pop(answer.call, None)
        if dialogue is not None:
            dialogue.stop()
        connection = self._sockets.pop(answer.call, None)
        if answer.disconnect and connection is not None:
            disconnect(connection)
        waiting = self._answers.get(answer.call)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def end(self, grace_s: float) -> None:
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        for dialogue in self._dialogues.values():
            dialogue.stop()
        self._dialogues.clear()
        for task in self._ambushes:
            task.cancel()
        if self._task is not None:
            self._task.cancel()
