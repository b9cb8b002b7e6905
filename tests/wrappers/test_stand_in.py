"""The stand-in for tor: real tools under the real session, launcher and shim meet dead ports."""

import asyncio
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from exitpin.orchestrator.circuits import Pace
from exitpin.orchestrator.containment import LEVELS, contain
from exitpin.orchestrator.control_lines import parse_circ, parse_stream
from exitpin.orchestrator.evidence import EvidenceLog
from exitpin.orchestrator.first_hops import first_hop_chooser
from exitpin.orchestrator.loop import Session
from exitpin.orchestrator.model import Run
from exitpin.orchestrator.observation import fold
from exitpin.orchestrator.plan import make_plan
from exitpin.orchestrator.ports import Launch, Launcher, Reply
from exitpin.orchestrator.runs import Life
from exitpin.orchestrator.verify import read_evidence, verify
from exitpin.shim import bindings
from exitpin.wrappers.launch import ToolLauncher
from exitpin.wrappers.machine import abilities
from exitpin.wrappers.stand_in import Port, StandIn, stand_in_relay, stand_in_snapshot
from exitpin.wrappers.stand_in_streams import garbage

from .apart import DEADLINE_S, apart

FAST = Pace(build_delay_s=0, build_jitter_s=0, pending_max=64, retry_s=0.01)
TALKS = """
import socket, sys
there = socket.create_connection(("a.test", 80), 15)
there.settimeout(PATIENCE)
there.sendall(b"hello\\n")
try:
    while part := there.recv(65536):
        sys.stdout.buffer.write(part)
except OSError as error:
    print(type(error).__name__)
"""
CONNECTS, IMPATIENT = (TALKS.replace("PATIENCE", seconds) for seconds in ("15", "0.5"))
LOOKS_UP = "import socket; print(socket.gethostbyname('a.test'))"

Ended = dict[str, tuple[Life, Launch | None]]


def plan_for(argv: tuple[str, ...], exits: int = 1, timeout_s: float = 25.0) -> list[Run]:
    relays = [stand_in_relay(number) for number in range(1, exits + 1)]
    return make_plan(relays, argv, scan_id="s", timeout_s=timeout_s, rng=Random(1))


async def carried_out(
    tor: StandIn,
    launcher: Launcher,
    plan: list[Run],
    *,
    jobs: int = 1,
    resolve: str = "mapped",
    log: Path | None = None,
) -> Ended:
    ended: Ended = {}

    def finished(life: Life, launch: Launch | None) -> None:
        ended[life.run.run_id] = (life, launch)

    evidence = EvidenceLog(log, {"session": "s", "tor": "stand-in", "started": "now"})
    session = Session(
        tor, launcher, pace=FAST, first_hops=first_hop_chooser(stand_in_snapshot(2000)), rng=Random(1),
        evidence=evidence, on_finished=finished, resolve=resolve,
    )  # fmt: skip
    await session.run(plan, jobs)
    evidence.close()
    assert session.trust_lost is None and session.foreign_streams == 0
    return ended


def one_run(
    port: Port,
    argv: tuple[str, ...],
    check: Callable[[dict[str, Any], bytes, Path], None],
    resolve: str = "mapped",
    level: str | None = None,
    connect_s: float = 0.0,
    **containment: Any,
) -> None:
    """Run a program for real, and look at its record, what it wrote, and the evidence."""

    async def script() -> None:
        with tempfile.TemporaryDirectory(prefix="exitpin-", dir="/tmp") as directory:
            tor = StandIn(port, seed=3, connect_s=connect_s)
            launcher = ToolLauncher(
                Path(directory),
                bindings.PRELOAD,
                await tor.open(),
                {"PATH": "/usr/bin:/bin"},
                containment=contain(level, abilities(), **containment),
            )
            log = Path(directory) / "events"
            plan = plan_for(argv)
            ((life, launch),) = (await carried_out(tor, launcher, plan, resolve=resolve, log=log)).values()
            await launcher.household.settle()
            tor.close()
            assert launch is not None and launch.stdout is not None  # type: ignore[attr-defined]
            check(fold(life, {"scan_id": "s"}, {}), bytes(launch.stdout.kept), log)  # type: ignore[attr-defined]

    apart(script)


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-c", program)


def failure_of(record: dict[str, object]) -> object:
    failure = record["failure"]
    return failure["kind"] if isinstance(failure, dict) else None


@pytest.mark.parametrize(
    ("port", "kind", "written"),
    [
        (Port.CLOSED, "refused", b""),
        (Port.SILENT, None, b"TimeoutError\n"),
        (Port.RESET, None, b"ConnectionResetError\n"),
        (Port.EMPTY, None, b""),
        (Port.UNRESOLVED, "dns", b""),
    ],
)
@pytest.mark.parametrize("level", LEVELS)
def test_a_real_tool_meets_a_dead_port(port: Port, kind: str | None, written: bytes, level: str) -> None:
    def check(record: dict[str, object], stdout: bytes, log: Path) -> None:
        assert (failure_of(record), stdout) == (kind, written)

    one_run(port, python(IMPATIENT if port is Port.SILENT else CONNECTS), check, level=level)


def test_garbage_reaches_the_tool_and_is_counted() -> None:
    def check(record: dict[str, object], stdout: bytes, log: Path) -> None:
        (stream,) = record["streams"]  # type: ignore[misc]
        assert failure_of(record) is None
        assert len(stdout) > 1000 and stream["bytes_down"] == len(stdout) and stream["bytes_up"] == 6

    one_run(Port.GARBAGE, python(CONNECTS), check)


@pytest.mark.parametrize("port", [Port.CLOSED, Port.RESET, Port.GARBAGE])
@pytest.mark.parametrize("level", LEVELS)
def test_its_lines_hold_together_as_tors_do(port: Port, level: str) -> None:
    """Not a proof of anything but the stand-in: what it says is consistent, so a tool never ends as misattributed."""

    def check(record: dict[str, object], stdout: bytes, log: Path) -> None:
        assert record["status"] != "error" or failure_of(record) == "refused"
        with log.open() as lines:
            assert not verify(read_evidence(lines), [record]).problems

    one_run(port, python(CONNECTS), check, level=level)


@pytest.mark.parametrize("level", ["shim", "guard"])
def test_a_tool_that_nobody_may_look_into_is_pinned_with_all_that_it_starts(level: str) -> None:
    """As functions of Python are: PR_SET_DUMPABLE."""
    hidden = "import ctypes, os, subprocess; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n"
    starts = "if os.fork(): os.wait(); subprocess.run([sys.executable, '-I', '-c', program])\n"

    def check(record: dict[str, object], stdout: bytes, log: Path) -> None:
        streams: list[dict[str, object]] = record["streams"]  # type: ignore[assignment]
        assert [stream["status"] for stream in streams] == ["succeeded"] * 3 and failure_of(record) is None
        assert stdout.count(b"ConnectionResetError\n") == 3 and record["denied"] == []
        with log.open() as lines:
            assert not verify(read_evidence(lines), [record]).problems

    one_run(
        Port.RESET, python(f"import sys; program = {CONNECTS!r}\n{hidden}{starts}exec(program)"), check, level=level
    )


@pytest.mark.parametrize(("port", "kind"), [(Port.SILENT, "dns"), (Port.GARBAGE, None)])
def test_a_look_up_fails_or_finds_anything(port: Port, kind: str | None) -> None:
    def check(record: dict[str, object], stdout: bytes, log: Path) -> None:
        assert failure_of(record) == kind
        assert stdout.startswith(b"203.0.113.") == (kind is None)

    one_run(port, python(LOOKS_UP), check, "exit")


def test_chance_comes_from_the_seed() -> None:
    assert garbage(Random(7)) == garbage(Random(7)) != garbage(Random(8))


def test_commands_that_tor_refuses_are_refused_alike() -> None:
    async def script() -> None:
        tor = StandIn(Port.CLOSED)
        replies: list[Reply] = []
        for command in ("ATTACHSTREAM 1 1", "CLOSESTREAM 1 1", "CLOSECIRCUIT 9", "SIGNAL NEWNYM"):
            tor.send(command, replies.append)
        assert replies == []
        assert (await tor.ask("GETINFO version"))[0].startswith("version=")
        with pytest.raises(ValueError, match="552"):
            await tor.ask("GETINFO ns/all")
        assert [code for code, _ in replies] == [552, 552, 552, 510]
        tor.close()

    asyncio.run(script())


async def asked_for(tor: StandIn) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A SOCKS client whose stream waits for a controller."""
    reader, writer = await asyncio.open_connection(*await tor.open())
    writer.write(bindings.socks_greeting())
    assert await reader.readexactly(2) == b"\x05\x02"
    writer.write(bindings.socks_auth(b"tag", b"exitpin") + bindings.socks_request(bindings.SOCKS_CONNECT, "a", 80))
    assert await reader.readexactly(2) == b"\x01\x00"
    while len(tor.unheard) < 2:
        await asyncio.sleep(0)
    return reader, writer


def test_a_foreign_stream_waits_for_a_controller_and_is_closed_by_it() -> None:
    async def script() -> None:
        tor = StandIn(Port.SILENT)
        reader, writer = await asked_for(tor)
        new = parse_stream(tor.unheard[0])
        assert new.status == "NEW" and new.socks_username == "tag"
        assert new.source_addr == writer.get_extra_info("sockname")
        tor.send(f"CLOSESTREAM {new.stream_id} 3", lambda reply: None)
        assert (await reader.read())[:2] == b"\x05\x05"
        ends = [parse_stream(line) for line in tor.unheard[2:]]
        assert [(end.status, end.reason) for end in ends] == [
            ("FAILED", "CONNECTREFUSED"),
            ("CLOSED", "CONNECTREFUSED"),
        ]
        writer.close()
        tor.close()

    asyncio.run(script())


class Hasty:
    """A stream's transport to a tool that resets the connection as soon as anything comes."""

    def __init__(self, transport: Any, tool: int) -> None:
        self._transport = transport
        self._tool = tool

    def write(self, content: bytes) -> None:
        self._transport.write(content)
        bindings.disconnect(self._tool)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def test_a_tool_that_hangs_up_in_the_midst_of_garbage_is_no_fault() -> None:
    async def script() -> None:
        tor = StandIn(Port.GARBAGE)
        reader, writer = await asked_for(tor)
        tor.send(f"EXTENDCIRCUIT 0 ${'A' * 40},${'B' * 40} purpose=general", lambda reply: None)
        while not any(" BUILT " in line for line in tor.unheard):
            await asyncio.sleep(0)
        tor.send("ATTACHSTREAM 1 1", lambda reply: None)
        assert (await reader.readexactly(10))[1] == 0
        (stream,) = tor.streams.values()
        stream._transport = Hasty(stream._transport, writer.get_extra_info("socket").fileno())  # type: ignore[assignment]
        stream._play()
        while tor.streams:
            await asyncio.sleep(0)
        writer.close()
        tor.close()

    asyncio.run(asyncio.wait_for(script(), DEADLINE_S))


def test_circuits_take_time_and_fail_as_often_as_asked() -> None:
    async def script() -> None:
        tor = StandIn(Port.CLOSED, seed=5, circuit_failures=0.5)
        for number in range(1, 101):
            tor.send(f"EXTENDCIRCUIT 0 ${'A' * 40},${number:040X} purpose=general", lambda reply: None)
        ends: list[str] = []
        while len(ends) < 100:
            await asyncio.sleep(0)
            ends = [line for line in tor.unheard if line.split()[2] in ("BUILT", "FAILED")]
        assert 30 < sum(parse_circ(line).status == "FAILED" for line in ends) < 70
        tor.close()

    asyncio.run(script())


def test_its_relays_are_of_other_networks_and_no_address_of_theirs_is_in_use() -> None:
    addresses = [relay.address for relay in stand_in_snapshot(4000).relays.values()]
    assert len({address.split(".")[0] + "." + address.split(".")[1] for address in addresses}) == 4000
    assert all(socket.inet_aton(address)[0] >= 240 for address in addresses)
