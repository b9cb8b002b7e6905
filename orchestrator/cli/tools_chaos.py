"""`exitpin tools test --chaos`: every tool run for real against dead ports, without Tor and without a network.

The real session, launcher and shim run on the stand-in for tor, one run for each tool and `Port`; what may come of it
is `tools_chaos_rules.py`'s. Nothing leaves the machine, and no privileges are needed.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

from ...shim import bindings
from ...wrappers.extraction import Harvest, extract
from ...wrappers.launch import ToolLauncher
from ...wrappers.machine import abilities
from ...wrappers.output import printable
from ...wrappers.requirements import Requirements
from ...wrappers.runtime import scratch_directory
from ...wrappers.stand_in import Port, StandIn, stand_in_relay
from ..audit.assessing import Assessor, ended_run
from ..audit.cases import Role
from ..audit.controls import ControlPool
from ..audit.errands import Audit, Errand, Place, make_run
from ..audit.params import bind, run_destinations, run_values, share
from ..circuits import Pace
from ..containment import contain
from ..duration import duration_s
from ..errors import EXIT_FAILED, EXIT_USAGE, OperatorError
from ..evidence import SCHEMA as EVENTS
from ..evidence import EvidenceLog
from ..loop import Session
from ..model import Fingerprint, Relay, Run
from ..plan import NONCE_BYTES, run_address
from ..ports import Launch
from ..runs import Life
from ..tool import Tool
from ..witness import Witness
from .guarding import guarding
from .tools_chaos_rules import ALONE, Outcome, Trial, healthy_harvest, judge_trial

JOBS = 16
TIMEOUT_MAX_S = 8.0
INTERRUPTED = 130
HEADER = {"session": "chaos", "tor": "stand-in", "started": "now"}


def run_chaos(tools: Sequence[Tool], args: argparse.Namespace) -> int:
    """Run the tools against dead ports and print what came of it: 0 when every tool takes them for what they are."""
    return asyncio.run(Chaos(tools, args, dict(os.environ)).execute())


class Chaos:
    """Each tool with each port, at the same time as far as `JOBS` allows."""

    def __init__(self, tools: Sequence[Tool], args: argparse.Namespace, environment: Mapping[str, str]) -> None:
        self._tools = tools
        self._args = args
        self._environment = environment
        self._rng = Random(args.seed)
        self._timeout_max_s = TIMEOUT_MAX_S if args.timeout is None else _timeout_s(args.timeout)
        self._trials: dict[str, Trial] = {}
        self._ports: dict[Fingerprint, Port] = {}
        self._unmet: dict[str, str] = {}
        self._guests: set[int] = set()
        self._containment = contain(None, abilities())
        self._witness = Witness({"schema": EVENTS, **HEADER})
        self._is_interrupted = False

    async def execute(self) -> int:
        """Carry everything out, and print it. Raises OperatorError before the first run, never after."""
        shared = share(self._tools, self._args.params)
        bound = [bind(tool, shared[tool.id], {}, is_lab=True) for tool in self._tools]
        healthy = {tool.id: healthy_harvest(tool) for tool in self._tools}
        requirements = Requirements(self._environment, self._containment)
        with scratch_directory() as directory:
            plan: list[Run] = []
            for one in bound:
                unmet = requirements.unmet(one.tool)
                if unmet is not None:
                    self._unmet[one.tool.id] = unmet
                    continue
                audit = Audit(one.tool, one, one.tool.id, ControlPool(one.tool.baseline), (), ())
                plan += [self._plan(Errand(audit, self._exit(one.tool, port), Role.PROBE), directory) for port in Port]
            trust_lost = await self._carry_out(plan, directory)
            outcomes = [] if self._is_interrupted else await self._judge(healthy)
        return self._conclude(outcomes, trust_lost)

    def _exit(self, tool: Tool, port: Port) -> Relay:
        """Named after its tool and port, so that what comes of chance does not depend on who else is tested."""
        name = Fingerprint(hashlib.sha1(f"{tool.id} {port}".encode(), usedforsecurity=False).hexdigest().upper())
        self._ports[name] = port
        return replace(stand_in_relay(len(self._ports), str(port)), fingerprint=name)

    def _plan(self, errand: Errand, directory: Path) -> Run:
        index = len(self._trials) + 1
        place = Place(
            run_id=f"chaos-{index:04d}",
            index=index,
            address=run_address(self._rng.getrandbits(22)),
            nonce=self._rng.randbytes(NONCE_BYTES),
            directory=str(directory / str(index)),
        )
        values = run_values(
            errand.audit.bound,
            errand.relay,
            run_id=place.run_id,
            nonce=f"{self._rng.getrandbits(64):016x}",
            artifacts=f"{place.directory}/artifacts",
        )
        doors = run_destinations(errand.audit.tool, values, errand.relay)
        self._trials[place.run_id] = Trial(errand, self._ports[errand.exit], place.directory, values)
        return make_run(errand, place, values, doors, self._timeout_max_s)

    async def _carry_out(self, plan: Sequence[Run], directory: Path) -> str | None:
        """All runs; why nothing of it can be trusted, or None."""
        tor = StandIn(lambda exit: self._ports[exit], self._rng.getrandbits(64))
        launcher = ToolLauncher(
            directory, bindings.PRELOAD, await tor.open(), self._environment, containment=self._containment
        )
        self._guests = launcher.household.guests
        guard = stand_in_relay(len(plan) + 1)
        session = Session(
            tor,
            launcher,
            pace=Pace(build_delay_s=0.0, build_jitter_s=0.0, pending_max=JOBS),
            first_hops=lambda exit, tried, rng: (guard.fingerprint,),
            rng=self._rng,
            evidence=EvidenceLog(None, HEADER, self._witness.note),
            on_finished=self._finished,
        )

        def interrupted(_: int) -> None:
            self._is_interrupted = True
            session.interrupt()

        with guarding(interrupted, session.lose_trust), closing(tor):
            await session.run(plan, JOBS)
            await launcher.household.settle()
        return session.trust_lost

    def _finished(self, life: Life, launch: Launch | None) -> None:
        trial = self._trials[life.run.run_id]
        trial.connections = len(life.connections)
        trial.entries = self._witness.of(life.run.run_id, life.circuit_ids)
        trial.lookups = sum(connection.is_lookup for connection in life.connections)
        trial.denied = tuple(f"{denied.reason} {denied.what}" for denied in life.denied)
        trial.ended = ended_run(life, launch, trial.values, {"scan_id": "chaos"})

    async def _judge(self, healthy: Mapping[str, Harvest | None]) -> list[Outcome]:
        """The outcomes, in the order of tools and ports; nothing for runs that never began."""
        path = self._environment.get("PATH", os.defpath)
        facts = {
            tool.id: (await asyncio.to_thread(extract, tool, harvest, path=path, guests=self._guests)).facts
            for tool in self._tools
            if (harvest := healthy[tool.id]) is not None
        }
        assessor = Assessor(path, self._guests)
        outcomes: list[Outcome] = []
        for trial in self._trials.values():
            if trial.ended is not None:
                trial.healthy = facts.get(trial.tool.id)
                await assessor.read(trial.tool, trial.ended, trial.entries, trial.directory)
                outcomes += await asyncio.to_thread(judge_trial, trial)
        assessor.close()
        return outcomes

    # What is shown.

    def _conclude(self, outcomes: Sequence[Outcome], trust_lost: str | None) -> int:
        if self._args.json:
            for outcome in outcomes:
                print(json.dumps(outcome.table(), ensure_ascii=True))
        elif outcomes:
            _print_table([tool for tool in self._tools if tool.id not in self._unmet], outcomes)
        unasked = {o.tool for o in outcomes} - {o.tool for o in outcomes if o.rule == ALONE}
        for name in sorted(unasked):
            print(f"exitpin: rule b was not asked of {name}: no fixture shows a healthy control", file=sys.stderr)
        for name, why in self._unmet.items():
            print(f"exitpin: {name} was not tested: {printable(why)}", file=sys.stderr)
        if self._is_interrupted:
            return INTERRUPTED
        if trust_lost is not None:
            print(f"exitpin: nothing of this can be trusted: {printable(trust_lost)}", file=sys.stderr)
            return EXIT_FAILED
        tested = len({outcome.tool for outcome in outcomes})
        failed = len({outcome.tool for outcome in outcomes if outcome.problem})
        print(f"exitpin: {tested - failed} of {tested} tools take dead ports for what they are", file=sys.stderr)
        return 1 if failed else 0


def _timeout_s(text: str) -> float:
    """Raises OperatorError for what is no time, or none at all."""
    try:
        timeout_s = duration_s(text)
    except ValueError:
        timeout_s = 0.0
    if timeout_s <= 0:
        raise OperatorError(f"--timeout wants a time, e.g. 30s or 2m, not {text!r}.", "", EXIT_USAGE)
    return timeout_s


def _print_table(tools: Sequence[Tool], outcomes: Sequence[Outcome]) -> None:
    """A line a tool: what comes of each port by rule b; then a line for each that must not come of it."""
    width = max(len(tool.id) for tool in tools)
    columns = max(len(f"!a {outcome.shown_status}") for outcome in outcomes)
    columns = max(columns, *(len(port) for port in Port))
    print(" ".join([" " * width, *(f"{port:{columns}}" for port in Port)]).rstrip())
    for tool in tools:
        cells = [_cell([o for o in outcomes if o.tool == tool.id and o.port is port]) for port in Port]
        print(" ".join([f"{tool.id:{width}}", *(f"{cell:{columns}}" for cell in cells)]).rstrip())
    for line in dict.fromkeys(f"{outcome.tool}: {outcome.problem}" for outcome in outcomes if outcome.problem):
        print(printable(line))


def _cell(outcomes: Sequence[Outcome]) -> str:
    wrong = next((outcome for outcome in reversed(outcomes) if outcome.problem), None)
    if wrong is not None:
        return f"!{wrong.rule} {wrong.shown_status}"
    return outcomes[-1].shown_status if outcomes else "-"
