"""A stand-in for a tor that serves exitpin: a control connection and a SOCKS port, with no network behind them.

The real session, launcher and shim run on it unchanged, and every destination is one dead port (`Port`). It is for
two things: to show how a tool takes dead ports (`exitpin tools test --chaos`), and to let a scheduler run a big scan
in seconds. It is never for tests of attribution: what it says of streams is our own idea of tor, so it can prove
nothing about tor. Those tests have the lab.

Everything that chance decides comes from `seed` and from what is asked, so it does not depend on the order in which
things happen to come.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from ..orchestrator.model import Fingerprint, Relay, Snapshot
from ..orchestrator.policy import parse_policy
from ..orchestrator.ports import COMMAND_TIMEOUT_S, Reply
from .stand_in_streams import Port, Stream
from .tor import PINNING_OPTIONS

__all__ = ["Port", "StandIn", "stand_in_relay", "stand_in_snapshot"]

VERSION = "0.4.9.11 (stand-in)"
FLAGS = frozenset({"Exit", "Fast", "Guard", "Running", "Stable", "Valid"})
OK: Reply = (250, ["OK"])


@dataclass(slots=True)
class StandInCircuit:
    """A circuit that was asked for. `path` is empty until it is built."""

    circuit_id: int
    asked: tuple[str, ...]
    rng: Random
    port: Port
    created: str
    path: str = ""
    streams: list[Stream] = field(default_factory=list)
    timer: asyncio.TimerHandle | None = None

    def stream_rng(self) -> Random:
        return Random(self.rng.getrandbits(64))

    def line(self, status: str, words: str = "") -> str:
        path = f" {self.path}" if self.path else ""
        return f"CIRC {self.circuit_id} {status}{path} PURPOSE=GENERAL TIME_CREATED={self.created}{words}"


class StandIn:
    """Implements the port `Control`. Begin with `open`, which returns the SOCKS address; end with `close`.

    `port`: what lies behind every exit, or behind each. `circuit_s` and `connect_s`: how long a circuit and a connect
    take on average; `circuit_failures`: the share of circuits that are not built.
    """

    pinning_options = tuple(PINNING_OPTIONS)
    ahead = None

    def __init__(
        self,
        port: Port | Callable[[Fingerprint], Port],
        seed: int = 0,
        *,
        circuit_s: float = 0.0,
        connect_s: float = 0.0,
        circuit_failures: float = 0.0,
    ) -> None:
        self._port_of = port if not isinstance(port, Port) else lambda _: port
        self._seed = seed
        self._circuit_s = circuit_s
        self._circuit_failures = circuit_failures
        self._loop = asyncio.get_running_loop()
        self._circuits: dict[int, StandInCircuit] = {}
        self._built: Counter[str] = Counter()
        self._circuit_ids = self._stream_ids = 0
        self._server: asyncio.Server | None = None
        self._is_closed = False
        self.connect_s = connect_s
        self.streams: dict[int, Stream] = {}
        self.socks = ("127.0.0.1", 0)
        self.unheard: list[str] = []
        self.on_event: Callable[[str], None] = self.unheard.append
        self.on_lost: Callable[[str], None] = lambda why: None

    async def open(self) -> tuple[str, int]:
        """Listen for SOCKS on a port of 127.0.0.1."""
        self._server = await self._loop.create_server(lambda: Stream(self), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.socks = (host, port)
        return self.socks

    def close(self) -> None:
        """End every stream and listen no more; nothing is said after this."""
        self._is_closed = True
        if self._server is not None:
            self._server.close()
        for stream in list(self.streams.values()):
            stream.destroyed()
        for circuit in self._circuits.values():
            if circuit.timer is not None:
                circuit.timer.cancel()

    # The port `Control`, and what else the real channel offers.

    def send(self, command: str, on_reply: Callable[[Reply], None]) -> None:
        """As a control connection: the reply comes later, after the lines that the command itself leads to."""
        word, *rest = command.split()
        answer = _COMMANDS.get(word)
        reply = answer(self, rest) if answer is not None else (510, [f'Unrecognized command "{word}"'])
        self._later(lambda: on_reply(reply))

    async def ask(self, command: str, timeout_s: float = COMMAND_TIMEOUT_S) -> list[str]:
        """The lines of a positive reply. Raises ValueError for any other."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        self.send(command, future.set_result)
        code, lines = await asyncio.wait_for(future, timeout_s)
        if code != 250:
            raise ValueError(f"{command}: {code} {lines[-1]}")
        return lines

    def longest_wait_s(self) -> float:
        return 0.0

    def say(self, line: str) -> None:
        """An asynchronous line, in order with replies."""
        self._later(lambda: self.on_event(line))

    def next_stream_id(self) -> int:
        self._stream_ids += 1
        return self._stream_ids

    def _later(self, what: Callable[[], None]) -> None:
        self._loop.call_soon(lambda: None if self._is_closed else what())

    # Commands.

    def _extend(self, words: Sequence[str]) -> Reply:
        """EXTENDCIRCUIT 0 $FP,$FP purpose=general."""
        asked = tuple(name.removeprefix("$") for name in words[1].split(","))
        exit = Fingerprint(asked[-1])
        self._circuit_ids += 1
        self._built[exit] += 1
        rng = Random(f"{self._seed} {exit} {self._built[exit]}")
        created = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        circuit = StandInCircuit(self._circuit_ids, asked, rng, self._port_of(exit), created)
        self._circuits[circuit.circuit_id] = circuit
        self.say(circuit.line("LAUNCHED"))
        takes_s = self._circuit_s * rng.uniform(0.5, 1.5)
        is_built = rng.random() >= self._circuit_failures
        circuit.timer = self._loop.call_later(takes_s, self._build if is_built else self._fail, circuit)
        return 250, [f"EXTENDED {circuit.circuit_id}"]

    def _build(self, circuit: StandInCircuit) -> None:
        for hops in range(1, len(circuit.asked) + 1):
            circuit.path = ",".join(f"${name}~standin" for name in circuit.asked[:hops])
            self.say(circuit.line("EXTENDED"))
        self.say(circuit.line("BUILT"))

    def _fail(self, circuit: StandInCircuit) -> None:
        """The first hop answers, and can't reach the next one."""
        del self._circuits[circuit.circuit_id]
        circuit.path = f"${circuit.asked[0]}~standin"
        self.say(circuit.line("EXTENDED"))
        self.say(circuit.line("FAILED", " REASON=DESTROYED REMOTE_REASON=CHANNEL_CLOSED"))

    def _attach(self, words: Sequence[str]) -> Reply:
        stream, circuit = self.streams.get(int(words[0])), self._circuits.get(int(words[1]))
        if stream is None:
            return 552, [f'Unknown stream "{words[0]}"']
        if circuit is None:
            return 552, [f'Unknown circuit "{words[1]}"']
        if not circuit.path:
            return 551, ["Can't attach stream to non-open origin circuit"]
        if not stream.can_be_attached:
            return 555, ["Connection is not managed by controller."]
        stream.attach(circuit)
        return OK

    def _close_stream(self, words: Sequence[str]) -> Reply:
        stream = self.streams.get(int(words[0]))
        if stream is None:
            return 552, [f'Unknown stream "{words[0]}"']
        stream.close(int(words[1]))
        return OK

    def _close_circuit(self, words: Sequence[str]) -> Reply:
        circuit = self._circuits.pop(int(words[0]), None)
        if circuit is None:
            return 552, [f'Unknown circuit "{words[0]}"']
        if circuit.timer is not None:
            circuit.timer.cancel()
        self.say(circuit.line("CLOSED", " REASON=REQUESTED"))
        for stream in list(circuit.streams):
            stream.destroyed()
        return OK

    def _set_events(self, words: Sequence[str]) -> Reply:
        return OK

    def _configuration(self, words: Sequence[str]) -> Reply:
        return 250, [f"{name}={PINNING_OPTIONS.get(name, '0')}" for name in words]

    def _information(self, words: Sequence[str]) -> Reply:
        known = {
            "version": VERSION,
            "net/listeners/socks": f'"{self.socks[0]}:{self.socks[1]}"',
            "circuit-status": "\n".join(
                circuit.line("BUILT").removeprefix("CIRC ") for circuit in self._circuits.values() if circuit.path
            ),
        }
        unknown = [name for name in words if name not in known]
        if unknown:
            return 552, [f'Unrecognized key "{unknown[0]}"']
        return 250, [*(f"{name}={known[name]}" for name in words), "OK"]


_COMMANDS: dict[str, Callable[[StandIn, Sequence[str]], Reply]] = {
    "EXTENDCIRCUIT": StandIn._extend,
    "ATTACHSTREAM": StandIn._attach,
    "CLOSESTREAM": StandIn._close_stream,
    "CLOSECIRCUIT": StandIn._close_circuit,
    "SETEVENTS": StandIn._set_events,
    "GETCONF": StandIn._configuration,
    "GETINFO": StandIn._information,
}


def stand_in_relay(number: int, nickname: str = "") -> Relay:
    """A relay that exists nowhere, in a /16 and a family of its own (up to 4,095 of them). `number` from 1."""
    high, low = divmod(number, 256)
    return Relay(
        Fingerprint(f"{number:040X}"), nickname or f"standin{number}", f"{240 + high}.{low}.0.1", 9001, FLAGS,
        parse_policy("accept *:*"), bandwidth=1000,
    )  # fmt: skip


def stand_in_snapshot(count: int) -> Snapshot:
    """A consensus of `count` such relays."""
    relays = [stand_in_relay(number) for number in range(1, count + 1)]
    return Snapshot("2026-01-01 00:00:00", {relay.fingerprint: relay for relay in relays})
