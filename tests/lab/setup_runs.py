"""Inside the lab: runs with a setup, all side by side, begun one by one: python setup_runs.py LAB DIRECTORY < SPEC.

SPEC is a JSON object: for each name the run's argv, timeout_s and setup (destinations as [host, port], stdin as text).
Prints a JSON object: for each name the record, with what the tool wrote and left.
"""

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from exitpin.orchestrator.circuits import Pace
from exitpin.orchestrator.containment import contain
from exitpin.orchestrator.evidence import EvidenceLog
from exitpin.orchestrator.first_hops import first_hop_chooser
from exitpin.orchestrator.lab.state import LabState, load
from exitpin.orchestrator.loop import Session
from exitpin.orchestrator.model import Destination, Relay, Run, Setup
from exitpin.orchestrator.network import Vantage, open_network
from exitpin.orchestrator.observation import fold
from exitpin.orchestrator.plan import make_plan
from exitpin.orchestrator.ports import Launch
from exitpin.orchestrator.runs import Life
from exitpin.shim import bindings
from exitpin.wrappers.launch import ToolLaunch, ToolLauncher
from exitpin.wrappers.machine import abilities
from exitpin.wrappers.runtime import scratch_directory

Spec = dict[str, dict[str, Any]]


def make_runs(spec: Spec, exit_: Relay, directory: Path, rng: Random) -> dict[str, Run]:
    """A run for each name."""
    plan = make_plan([exit_], (), scan_id="setup", timeout_s=30.0, rng=rng, repeat=len(spec))
    runs = {}
    for run, (name, given) in zip(plan, spec.items(), strict=True):
        setup = dict(given.get("setup", {}))
        if "destinations" in setup:
            setup["destinations"] = tuple(Destination(host, port) for host, port in setup["destinations"])
        setup["environment"] = tuple(setup.get("environment", {}).items())
        setup["stdin"] = setup.get("stdin", "").encode()
        made = Setup(str(directory / name), **setup)
        runs[name] = replace(run, argv=tuple(given["argv"]), timeout_s=given.get("timeout_s", 30.0), setup=made)
    return runs


async def carry_out(lab: LabState, spec: Spec, directory: Path, scratch: Path) -> dict[str, Any]:
    """The records."""
    told: dict[str, Any] = {}
    asyncio.get_running_loop().set_exception_handler(give_up)
    async with open_network(Vantage("lab", lab.control_socket, lab.name)) as network:
        rng = Random(7)
        exit_ = network.snapshot.relays[next(r.fingerprint for r in lab.relays if r.role == "exit")]
        runs = make_runs(spec, exit_, directory, rng)
        names = {run.run_id: name for name, run in runs.items()}

        def finished(life: Life, launch: Launch | None) -> None:
            assert isinstance(launch, ToolLaunch)
            outputs = {"stdout": launch.stdout, "stderr": launch.stderr}
            told[names[life.run.run_id]] = {
                **fold(life, {"scan_id": "setup"}, {"truncated": any(o and o.is_truncated for o in outputs.values())}),
                **{name: bytes(output.kept).decode() if output else None for name, output in outputs.items()},
                "artifacts_bytes": launch.artifacts_bytes,
            }
            if len(told) == len(runs):
                session.finish()

        session = Session(
            network.channel,
            ToolLauncher(
                scratch, bindings.PRELOAD, network.socks, os.environ, containment=contain(None, abilities())
            ),
            pace=Pace(0.0, 0.0, 64), first_hops=first_hop_chooser(network.snapshot, (), {exit_.fingerprint}, 2),
            rng=rng, evidence=EvidenceLog(None, {}), on_finished=finished,
        )  # fmt: skip
        for run in runs.values():
            session.start(run)
        await session.serve()
    return told


def give_up(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A callback has failed: nobody would be told of its run."""
    loop.default_exception_handler(context)
    os._exit(70)


def main() -> None:
    """See above."""
    with scratch_directory() as scratch:
        lab, directory = load(sys.argv[1]), Path(sys.argv[2])
        print(json.dumps(asyncio.run(carry_out(lab, json.load(sys.stdin), directory, scratch))))


if __name__ == "__main__":
    main()
