"""Inside the lab: a session over its Tor, with everything kept that is needed to judge it afterwards."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from errands import Errand

from exitpin.orchestrator.circuits import Pace
from exitpin.orchestrator.evidence import EvidenceLog
from exitpin.orchestrator.first_hops import first_hop_chooser
from exitpin.orchestrator.lab.state import LabState, RelayState, load
from exitpin.orchestrator.loop import Session
from exitpin.orchestrator.model import Run
from exitpin.orchestrator.network import Network, Vantage, open_network
from exitpin.orchestrator.observation import fold
from exitpin.orchestrator.plan import make_plan
from exitpin.orchestrator.ports import Launch, Launcher
from exitpin.orchestrator.runs import Life
from exitpin.orchestrator.streams import Streams

TIMEOUT_S = 120.0
SCAN: dict[str, object] = {"scan_id": "torture", "containment": None}


@dataclass(slots=True)
class Stage:
    """A pinned tor of the lab, and what its exits really are."""

    state: LabState
    network: Network
    rng: Random
    spec: dict[str, Any]
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def exits(self) -> list[RelayState]:
        return [relay for relay in self.state.relays if relay.role == "exit"]

    def addresses_of(self, fingerprint: str) -> list[str]:
        """What targets see of an exit."""
        return next([relay.address, relay.address6] for relay in self.exits if relay.fingerprint == fingerprint)

    def plan(
        self,
        errands_of: Callable[[RelayState], Sequence[Errand]],
        argv: Sequence[str],
        runs: int,
        exits: Sequence[RelayState] = (),
    ) -> list[Run]:
        """`runs` runs over these exits (or all) in a seeded order, each sent out with errands of its own."""
        by_fingerprint = {relay.fingerprint: relay for relay in exits or self.exits}
        relays = [self.network.snapshot.relays[fingerprint] for fingerprint in by_fingerprint]
        repeat = -(-runs // len(relays))
        plan = make_plan(relays, argv, scan_id="torture", timeout_s=TIMEOUT_S, rng=self.rng, repeat=repeat)[:runs]
        return [replace(run, argv=(*argv, *map(str, errands_of(by_fingerprint[run.exit.fingerprint])))) for run in plan]

    def session(
        self,
        launcher: Launcher,
        evidence: EvidenceLog,
        *,
        streams: Streams | None = None,
        on_record: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> Session:
        """A session whose runs' records are gathered in `records`."""

        def finished(life: Life, launch: Launch) -> None:
            record: dict[str, Any] = fold(life, SCAN, {})
            self.records.append(record)
            on_record(record)

        return Session(
            self.network.channel, launcher, pace=Pace(0.0, 0.0, 64, attempts=6),
            first_hops=first_hop_chooser(self.network.snapshot, (), {relay.fingerprint for relay in self.exits}, 2),
            rng=self.rng, evidence=evidence, on_finished=finished, streams=streams,
        )  # fmt: skip

    def evidence(self) -> EvidenceLog:
        """The evidence of this stage: `events.ndjson` in the directory of the spec."""
        header = {"session": "torture", "tor": self.network.tor_version, "started": ""}
        return EvidenceLog(Path(self.spec["directory"], "events.ndjson"), header)

    def write(self, **figures: object) -> None:
        """Leave the records and the figures for the judge."""
        lines = [json.dumps(record) + "\n" for record in self.records]
        Path(self.spec["directory"], "records.ndjson").write_text("".join(lines))
        Path(self.spec["directory"], "figures.json").write_text(json.dumps(figures))


@asynccontextmanager
async def stage(spec: dict[str, Any]) -> AsyncIterator[Stage]:
    """The stage, for as long as the block lasts."""
    state = load(spec["lab"])
    async with open_network(Vantage("lab", state.control_socket, state.name)) as network:
        yield Stage(state, network, Random(spec["seed"]), spec)


def main(act: Callable[[dict[str, Any]], Any]) -> None:
    """Run `act(spec)`, the spec being the JSON file named on the command line. Any exception anywhere is its end."""

    async def strictly() -> None:
        asyncio.get_running_loop().set_exception_handler(give_up)
        await act(json.loads(Path(sys.argv[1]).read_text()))

    asyncio.run(strictly())


def give_up(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A callback or a task has failed: what follows would prove nothing."""
    loop.default_exception_handler(context)
    os._exit(70)
