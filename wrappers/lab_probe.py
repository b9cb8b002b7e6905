"""Is the lab ready? Sends one stream through every exit and asks the target whom it saw.

A process of its own, started by the supervisor: `python -m exitpin.wrappers.lab_probe SPEC`, SPEC a JSON file.
Prints one JSON line per exit that is ready and exits with 0, or prints an error line and exits with 1. It attaches
its own streams, since nobody else does (`__LeaveStreamsUnattached`), and speaks the control protocol itself: three
commands and two events, while importing a controller library would cost a warm start a tenth of its time. The
orchestrator's controller is a different thing.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..orchestrator.lab.network import PROBE_ADDRESS

TRY_S = 15.0
PAUSE_S = 0.1


@dataclass
class Control:
    """A control connection: commands in order, CIRC and STREAM events to one listener."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    listener: Callable[[list[str]], None]
    waiting: asyncio.Queue["asyncio.Future[list[str]]"] = field(default_factory=asyncio.Queue)

    async def ask(self, command: str) -> list[str]:
        """The reply's lines, codes included; ConnectionError when tor is gone."""
        reply: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait(reply)
        self.writer.write(command.encode() + b"\r\n")
        return await asyncio.wait_for(reply, TRY_S)

    async def listen(self) -> None:
        """Read until tor hangs up."""
        lines: list[str] = []
        while raw := await self.reader.readline():
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            lines.append(line)
            if line[3:4] == "+":
                while (raw := await self.reader.readline()) not in (b".\r\n", b""):
                    lines.append(raw.decode("utf-8", "replace").rstrip("\r\n"))
            elif line[3:4] == " ":
                if line.startswith("650"):
                    self.listener(line.split(" "))
                else:
                    self.waiting.get_nowait().set_result(lines)
                lines = []
        raise ConnectionError("tor closed the control connection")


@dataclass
class Probe:
    """What is being waited for, by circuit and by stream name."""

    spec: dict[str, Any]
    control: Control = field(init=False)
    outcomes: dict[str, "asyncio.Future[str]"] = field(default_factory=dict)
    circuits: dict[str, str] = field(default_factory=dict)
    socks: tuple[str, int] = ("", 0)
    tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    def hear(self, words: list[str]) -> None:
        """One event: `650 CIRC id status ...` or `650 STREAM id status ...`."""
        kind, number, status = words[1], words[2], words[3]
        if kind == "CIRC" and not self.outcome(number).done():
            if status in ("BUILT", "FAILED", "CLOSED"):
                self.outcome(number).set_result(status)
        elif kind == "STREAM" and status in ("NEW", "DETACHED"):
            name = next((word[16:-1] for word in words if word.startswith('SOCKS_USERNAME="')), "")
            if status == "NEW" and name in self.circuits:
                self.spawn(self.control.ask(f"ATTACHSTREAM {number} {self.circuits[name]}"))
            elif name in self.circuits:
                self.spawn(self.control.ask(f"CLOSESTREAM {number} 1"))

    def outcome(self, circuit: str) -> "asyncio.Future[str]":
        """The future of the circuit's first decisive status; an event may come before the reply that names it."""
        if circuit not in self.outcomes:
            self.outcomes[circuit] = asyncio.get_running_loop().create_future()
        return self.outcomes[circuit]

    def spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def run(spec: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> None:
    """Wait until every exit has carried a stream; TimeoutError or ConnectionError when that does not come to pass."""
    probe = Probe(spec)
    deadline = time.monotonic() + spec["timeout_s"]
    reader, writer = await _connect(Path(spec["control_socket"]), deadline)
    probe.control = Control(reader, writer, probe.hear)
    listening = asyncio.ensure_future(probe.control.listen())
    work = asyncio.ensure_future(_all_exits(probe, say))
    try:
        done, _ = await asyncio.wait(
            {listening, work}, timeout=max(0.0, deadline - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            raise TimeoutError
        for task in done:
            task.result()
    finally:
        for task in (listening, work):
            task.cancel()
        writer.close()


async def _connect(path: Path, deadline: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_unix_connection(str(path), limit=1 << 24)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)


async def _all_exits(probe: Probe, say: Callable[[dict[str, Any]], None]) -> None:
    cookie = Path(probe.spec["cookie_file"]).read_bytes().hex()
    if not (await probe.control.ask(f"AUTHENTICATE {cookie}"))[0].startswith("250"):
        raise ConnectionError("tor refused the cookie")
    await probe.control.ask("SETEVENTS CIRC STREAM")
    listeners = await probe.control.ask("GETINFO net/listeners/socks")
    host, _, port = listeners[0].partition("=")[2].split('"')[1].rpartition(":")
    probe.socks = (host, int(port))
    say({"socks": [host, int(port)]})
    await _directory(probe)
    say({"directory": True})
    middles = probe.spec["middles"]
    await asyncio.gather(
        *(_one_exit(probe, exit_, middles[n % len(middles)], say) for n, exit_ in enumerate(probe.spec["exits"]))
    )


async def _directory(probe: Probe) -> None:
    """Wait until the client knows every relay, its flags and its descriptor."""
    while True:
        flags = _flags(await probe.control.ask("GETINFO ns/all"))
        descriptors = sum(line.startswith("router ") for line in await probe.control.ask("GETINFO desc/all-recent"))
        known = all("Running" in flags.get(name, ()) for name in probe.spec["relays"])
        voted = all("Exit" in flags.get(name, ()) for name in probe.spec["voted"])
        if known and voted and descriptors >= len(probe.spec["relays"]):
            return
        await asyncio.sleep(PAUSE_S)


def _flags(lines: list[str]) -> dict[str, list[str]]:
    flags: dict[str, list[str]] = {}
    nickname = ""
    for line in lines:
        words = line.split(" ")
        if words[0] == "r":
            nickname = words[1]
        elif words[0] == "s":
            flags[nickname] = words[1:]
    return flags


async def _one_exit(probe: Probe, exit_: dict[str, Any], middle: str, say: Callable[[dict[str, Any]], None]) -> None:
    attempt = 0
    while True:
        attempt += 1
        name = f"{exit_['nickname']}-{attempt}"
        number = ""
        try:
            number = probe.circuits[name] = await _build(probe, middle, exit_["fingerprint"])
            seen = await asyncio.wait_for(_whom_do_you_see(probe, name, exit_["host"]), TRY_S)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            seen = ""
        if number:
            await probe.control.ask(f"CLOSECIRCUIT {number}")
        if seen == exit_["address"]:
            say({"exit": exit_["nickname"], "attempts": attempt})
            return
        if seen:
            raise AssertionError(
                f"BUG: a stream through {exit_['nickname']} came from {seen}, not from {exit_['address']}"
            )
        await asyncio.sleep(PAUSE_S)


async def _build(probe: Probe, middle: str, fingerprint: str) -> str:
    reply = (await probe.control.ask(f"EXTENDCIRCUIT 0 ${middle},${fingerprint} purpose=general"))[0]
    if not reply.startswith("250 EXTENDED "):
        raise ConnectionError(reply)
    number = reply.split(" ")[2]
    status = await asyncio.wait_for(asyncio.shield(probe.outcome(number)), TRY_S)
    if status != "BUILT":
        raise ConnectionError(f"circuit {status}")
    return number


async def _whom_do_you_see(probe: Probe, name: str, host: str) -> str:
    """The address that the probe target saw, asked through Tor. SOCKS5 step by step: tor wants no pipelining."""
    reader, writer = await asyncio.open_connection(*probe.socks)
    try:
        writer.write(b"\x05\x01\x02")
        _expect(await reader.readexactly(2), b"\x05\x02")
        user = name.encode()
        writer.write(b"\x01" + bytes([len(user)]) + user + b"\x01x")
        _expect(await reader.readexactly(2), b"\x01\x00")
        writer.write(b"\x05\x01\x00\x03" + bytes([len(host)]) + host.encode() + (80).to_bytes(2, "big"))
        _expect((await reader.readexactly(10))[:2], b"\x05\x00")
        writer.write(f"GET /ip HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        return (await reader.read(4096)).decode().rpartition("\r\n\r\n")[2].strip()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def _expect(got: bytes, wanted: bytes) -> None:
    if got != wanted:
        raise ConnectionError(f"SOCKS said {got.hex()}")


def specification(exits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Choose the host that each exit is probed with: a name where it has DNS, else the address."""
    return [{**exit_, "host": "probe.test" if exit_["has_dns"] else PROBE_ADDRESS} for exit_ in exits]


def main() -> int:
    spec = json.loads(Path(sys.argv[1]).read_text())

    def say(fact: dict[str, Any]) -> None:
        print(json.dumps(fact), flush=True)

    try:
        asyncio.run(run(spec, say))
    except TimeoutError:
        say({"error": f"Not every exit was ready after {spec['timeout_s']} s."})
        return 1
    except (ConnectionError, OSError) as error:
        say({"error": f"The lab's client tor failed: {error}."})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
