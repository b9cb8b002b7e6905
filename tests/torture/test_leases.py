"""Hundreds of leases of one daemon, some of whose clients are killed: each was its exit's, and nothing is left."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.torture

CLIENT = str(Path(sys.executable).with_name("exitpin"))
CALLS, AT_ONCE, WAIT_S = 500, 8, 60.0
LEVELS = ("shim", "guard", "notify")
SIGNALS = {one.name: int(one) for one in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)}
MARK = "EXITPIN_LEASE_MARK"


def verb(name: str, *words: str) -> "subprocess.CompletedProcess[str]":
    argv = [CLIENT, "daemon", words[0], "--lab", "--name", name, *words[1:]]
    return subprocess.run(argv, capture_output=True, text=True, timeout=WAIT_S, check=False)


def status(name: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(verb(name, "status", "--json").stdout)
    return told


class Loop:
    """`xargs -P8`, with somebody who kills. `outcomes`: how calls ended, by what was done to them."""

    def __init__(self, name: str, addresses: dict[str, str], rng: random.Random, environment: dict[str, str]) -> None:
        self._name = name
        self._addresses = addresses
        self._rng = rng
        self._environment = environment
        self.outcomes: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []

    async def run(self, calls: int, harm: float) -> None:
        names = iter([self._rng.choice(sorted(self._addresses)) for _ in range(calls)])

        async def worker() -> None:
            for nick in names:
                await self._call(nick, harm)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))

    async def _call(self, nick: str, harm: float) -> None:
        words = ["-e", nick, "--containment", self._rng.choice(LEVELS)]
        script = "sleep 0.0$1 & curl -sS -m 30 http://web.test/ip; wait"
        client = await asyncio.create_subprocess_exec(
            CLIENT, "run", "--lab", "--name", self._name, *words, "--", "sh", "-c", script, "sh",
            str(self._rng.randrange(100)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self._environment,
        )  # fmt: skip
        done, told = "", asyncio.create_task(client.communicate())
        if self._rng.random() < harm:
            done = self._rng.choice(sorted(SIGNALS))
            await asyncio.wait({told}, timeout=self._rng.random() * 0.1)
            if told.done():
                done = ""
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(client.pid, SIGNALS[done])  # Popen.send_signal would wait for it, in asyncio's stead
        stdout, said = await asyncio.wait_for(told, WAIT_S)
        assert client.returncode is not None
        self.outcomes[done, client.returncode] += 1
        seen = stdout.decode().strip()
        if (seen and seen != self._addresses[nick]) or (not seen and client.returncode == 0):
            self.wrong.append(f"{nick}: {seen!r}, {client.returncode}, {said.decode()!r}")
        if client.returncode not in (0, -SIGNALS.get(done, 0), 128 + SIGNALS.get(done, -128)):
            self.wrong.append(f"{nick}: {client.returncode}, {said.decode()!r}")


def marked(mark: str) -> list[str]:
    """What still runs with this in its environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return found


def rests(state: Any, mark: str) -> None:
    """Nobody runs or waits, and no run has left anything: a killed client is gone before its run is."""
    told = status(state.name)
    assert (told["running"], told["waiting"]) == (0, 0)
    assert marked(mark) == []
    assert [path for path in state.directory.parent.parent.glob("run-*/*") if path.suffix != ".so"] == []


@pytest.mark.timeout(900)
def test_500_leases_are_their_exits_and_leave_nothing(
    theatre: Any, scale: float, seed: int, tell: Callable[..., None], eventually: Callable[..., None]
) -> None:
    state, calls = theatre.state, max(100, int(CALLS * scale))
    plain = {one.nickname: one.address for one in state.relays if one.role == "exit" and one.behaviour == "plain"}
    mark = f"{os.getpid()}.{time.time()}"
    loop = Loop(state.name, plain, random.Random(seed), {**os.environ, MARK: mark})
    assert verb(state.name, "start").returncode == 0
    try:
        began = time.monotonic()
        asyncio.run(loop.run(calls, 0.0))
        rate = calls / (time.monotonic() - began)
        undisturbed = status(state.name)
        asyncio.run(loop.run(calls, 0.3))
        eventually(lambda: rests(state, mark))
        disturbed = status(state.name)
        tell("leases", {
            "calls": 2 * calls, "at once": AT_ONCE, "calls a second": round(rate, 1), "wrong": len(loop.wrong),
            "ends": {f"{done or 'unharmed'} {code}": count for (done, code), count in sorted(loop.outcomes.items())},
            "running": disturbed["running"], "warm circuits": disturbed["warm_circuits"],
        })  # fmt: skip
        assert loop.wrong == []
        assert (undisturbed["served"], undisturbed["running"], undisturbed["waiting"]) == (calls, 0, 0)
    finally:
        assert verb(state.name, "stop").returncode == 0
    assert not (state.directory.parent.parent / "daemons" / f"lab-{state.name}").exists()
