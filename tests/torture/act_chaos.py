"""Chaos, inside the lab: runs go about their errands while circuits close, strangers knock, thieves carry their tags.

Spec: lab, seed, directory, connections; `tool` and `hostile` (argv of real tools; without them clients in process),
`interval_s` between two closed circuits, `is_governed`: adapt it; `source_ports`: how many ports all share, each on an
address of its own.
"""

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from clients import ClientLauncher
from errands import Errand, Errands, mixed
from mischief import Closer, Foreigners, Governor, Kind
from stage import Stage, main, stage

from exitpin.orchestrator.containment import contain
from exitpin.orchestrator.lab.state import RelayState
from exitpin.orchestrator.model import Run, Ticket
from exitpin.orchestrator.ports import Ahead, Launcher
from exitpin.orchestrator.streams import Claim
from exitpin.shim import bindings
from exitpin.wrappers.launch import ToolLaunch, ToolLauncher
from exitpin.wrappers.machine import abilities

EACH = 6
AT_ONCE = 64
SHARE = 0.05
HOSTILE_EVERY = 10
PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


class AmbushedLaunch(ToolLaunch):
    """A real run; somebody may be faster at Tor's port than its connections, unless those are made by tickets: every
    other run's are."""

    ambush: Callable[[Claim], Awaitable[None]]

    def go_ahead(self, ticket: Ticket, by: Ahead) -> None:
        if self._run.index % 2:
            super().go_ahead(ticket, by)

    def open_stream(self, call: int, claim: Claim) -> None:
        async def after_the_ambush() -> None:
            await self.ambush(claim)
            super(AmbushedLaunch, self).open_stream(call, claim)

        self._ambushed = asyncio.get_running_loop().create_task(after_the_ambush())


class AmbushedLauncher(ToolLauncher):
    """Starts real tools."""

    ambush: Callable[[Claim], Awaitable[None]]

    def prepare(self, run: Run, post: Callable[[object], None], on_report: Callable[[bytes, int], None]) -> ToolLaunch:
        launch = AmbushedLaunch(self, run, post, on_report)
        launch.ambush = self.ambush
        return launch


class Chaos:
    """The actors, and what becomes of them."""

    def __init__(self, on: Stage) -> None:
        self.on = on
        spec = on.spec
        self.errands = Errands(on.rng, spec.get("first", 0))
        self.foreigners = Foreigners(on.network.socks, self.errands, Random(spec["seed"] + 1), {})
        self.closer = Closer(on.state.control_socket, Random(spec["seed"] + 2), spec["interval_s"])
        self.planned = self.opened = 0

    async def ambush(self, claim: Claim) -> None:
        """What happens between a claim and its connection: mostly nothing, sometimes a stranger, sometimes a thief."""
        draw = self.on.rng.random()
        if draw < SHARE:
            self.foreigners.send(Kind.STRANGER)
        elif draw < 2 * SHARE:
            kind = self.on.rng.choice((Kind.THIEF, Kind.NEIGHBOUR, Kind.TWIN))
            thief = self.foreigners.send(kind, claim)
            if self.on.rng.random() < 0.5:  # half of them come first, the others at the same time
                await asyncio.wait([thief], timeout=10.0)

    def errands_of(self, relay: RelayState) -> list[Errand]:
        return mixed(
            self.errands, {"behaviour": relay.behaviour, "address": relay.address, "address6": relay.address6}, EACH
        )

    def ended(self, record: dict[str, Any]) -> None:
        self.planned += EACH
        self.opened += sum(stream["status"] == "succeeded" for stream in record["streams"])


def launcher_of(on: Stage, chaos: Chaos, directory: str) -> Launcher:
    """Real tools if the spec names one, else clients in process."""
    if on.spec.get("tool"):
        launcher = AmbushedLauncher(
            Path(directory), bindings.PRELOAD, on.network.socks, dict(os.environ),
            containment=contain(on.spec["level"], abilities()),
        )  # fmt: skip
        launcher.ambush = chaos.ambush
        return launcher
    ports = range(45000, 45000 + on.spec["source_ports"])
    return ClientLauncher(on.network.socks, Random(on.spec["seed"] + 3), ports=ports, ambush=chaos.ambush)


def with_hostile_ones(chaos: Chaos, plan: list[Run]) -> list[Run]:
    """Every tenth tool is one that speaks to the report socket by itself, with errands that it alone may not reach."""
    spec, tor = chaos.on.spec, ",".join(map(str, chaos.on.network.socks))
    if not spec.get("hostile"):
        return plan
    exits = {relay.fingerprint: relay for relay in chaos.on.exits}

    def hostile(run: Run) -> Run:
        relay = exits[run.exit.fingerprint]
        good = [chaos.errands.literal([relay.address]) for _ in range(EACH)]
        bad = [f"!{chaos.errands.forbidden()}" for _ in range(EACH)]
        return replace(run, argv=(*spec["hostile"], str(spec["seed"] + run.index), tor, *map(str, good), *bad))

    return [hostile(run) if run.index % HOSTILE_EVERY == 0 else run for run in plan]


def shared_ports(records: list[dict[str, Any]]) -> int:
    """How many connections came from a port that had served another run before."""
    seen: dict[int, str] = {}
    runs = [(stream["source_port"], record["run_id"]) for record in records for stream in record["streams"]]
    return sum(seen.setdefault(port, run_id) != run_id for port, run_id in runs)


@contextmanager
def few_ports(count: int) -> Iterator[None]:
    """The kernel gives only so many source ports to each address of the lab; nothing changes for 0."""
    kept = PORT_RANGE.read_text()
    try:
        if count:
            PORT_RANGE.write_text(f"40000 {40000 + count}")
        yield
    finally:
        PORT_RANGE.write_text(kept)


async def act(spec: dict[str, Any]) -> None:
    """The whole play."""
    async with stage(spec) as on:
        with few_ports(spec["source_ports"] if spec.get("tool") else 0):
            await play(on)


async def play(on: Stage) -> None:
    """The runs, and all that happens to them."""
    spec = on.spec
    chaos = Chaos(on)
    tool = spec.get("tool") or ["client"]
    plan = with_hostile_ones(chaos, on.plan(chaos.errands_of, tool, spec["connections"] // EACH))
    evidence = on.evidence()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="exitpin-", dir="/tmp") as directory:
        session = on.session(launcher_of(on, chaos, directory), evidence, on_record=chaos.ended)
        background = [asyncio.create_task(chaos.closer.run())]
        if spec["is_governed"]:
            governor = Governor(chaos.closer, lambda: (chaos.opened, max(1, chaos.planned)))
            background.append(asyncio.create_task(governor.run()))
        try:
            await session.run(plan, AT_ONCE)
            seconds = time.monotonic() - began
            await chaos.foreigners.end()
        finally:
            for task in background:
                task.cancel()
            evidence.close()
    failures = Counter(record["failure"]["kind"] if record["failure"] else "none" for record in on.records)
    on.write(
        expected=chaos.errands.expected,
        repeated=chaos.errands.repeated,
        connections=EACH * len(plan),
        runs=len(plan),
        hostile=[run.run_id for run in plan if spec.get("hostile") and run.index % HOSTILE_EVERY == 0],
        seconds=seconds,
        circuits_closed=chaos.closer.closed,
        interval_ms=1000 * chaos.closer.interval_s,
        foreign_sent={kind.value: count for kind, count in chaos.foreigners.sent.items()},
        foreign_refused=chaos.foreigners.refused,
        foreign_granted=chaos.foreigners.granted,
        foreign_streams=session.foreign_streams,
        failures=failures,
        ports_shared=shared_ports(on.records),
        trust_lost=session.trust_lost,
    )


if __name__ == "__main__":
    main(act)
