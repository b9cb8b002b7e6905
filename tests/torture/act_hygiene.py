"""Many runs in one session, inside the lab: what the orchestrator and its tor hold before, and when all is over.

Spec: lab, seed, directory, runs, tool.
"""

import asyncio
import gc
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from errands import Errand, Errands
from mischief import Closer
from stage import Stage, main, stage

from exitpin.orchestrator.containment import contain
from exitpin.orchestrator.lab.state import RelayState
from exitpin.shim import bindings
from exitpin.wrappers.launch import ToolLauncher
from exitpin.wrappers.machine import abilities

AT_ONCE = 32
SETTLE_S = 10.0


def descriptors() -> list[str]:
    """What each of our descriptors is, without its number."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{number}").partition(":[")[0])
    return sorted(found)


async def held(on: Stage, directory: str) -> dict[str, Any]:
    """What there is now: descriptors, open circuits (but for tor's own) and streams in tor, files, children, tasks."""
    gc.collect()
    circuits = "\n".join(await on.network.channel.ask("GETINFO circuit-status")).splitlines()
    ours = [line for line in circuits if " BUILD_FLAGS=" not in line]
    streams = "\n".join(await on.network.channel.ask("GETINFO stream-status")).splitlines()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "descriptors": descriptors(),
        "circuits": len([line for line in ours if " BUILT " in line or " EXTENDED " in line]),
        "streams": len([line for line in streams if line.partition("=")[2][:1].isdigit() or line[:1].isdigit()]),
        "files": sorted(os.listdir(directory)),
        "children": len(children),
        "tasks": len(asyncio.all_tasks()),
    }


async def settled(on: Stage, directory: str, before: dict[str, Any]) -> dict[str, Any]:
    """What there is when it is as before, or when it is clear that it won't be."""
    deadline = asyncio.get_running_loop().time() + SETTLE_S
    while True:
        now = await held(on, directory)
        if now == before or asyncio.get_running_loop().time() > deadline:
            return now


async def act(spec: dict[str, Any]) -> None:
    """The runs; a circuit dies now and then, since what is left over is left over by what went wrong."""
    async with stage(spec) as on:
        errands = Errands(on.rng, spec["first"])

        def errands_of(relay: RelayState) -> list[Errand]:
            return [errands.take(relay.behaviour, on.addresses_of(relay.fingerprint)) for _ in range(2)]

        with tempfile.TemporaryDirectory(prefix="exitpin-", dir="/tmp") as directory:
            launcher = ToolLauncher(
                Path(directory),
                bindings.PRELOAD,
                on.network.socks,
                dict(os.environ),
                containment=contain(None, abilities()),
            )
            evidence = on.evidence()
            before = await held(on, directory)
            session = on.session(launcher, evidence)
            closer = Closer(on.state.control_socket, Random(spec["seed"]), 0.05)
            closing = asyncio.create_task(closer.run())
            await session.run(on.plan(errands_of, spec["tool"], spec["runs"]), AT_ONCE)
            closing.cancel()
            await asyncio.wait([closing])
            after = await settled(on, directory, before)
            evidence.close()
        on.write(
            expected=errands.expected, before=before, after=after, runs=spec["runs"], circuits_closed=closer.closed
        )


if __name__ == "__main__":
    main(act)
