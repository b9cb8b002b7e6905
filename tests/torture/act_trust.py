"""Trust is lost in the middle of many connections, inside the lab: what becomes of the runs, and what is left.

Spec: lab, seed, directory, runs, tool, `after`: how many streams succeed first, `harm`: "dropped": the control
connection ends; "flipped": another controller lets Tor attach streams by itself.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from errands import Errand, Errands
from mischief import break_off
from stage import main, stage

from exitpin.orchestrator.containment import contain
from exitpin.orchestrator.lab.state import RelayState
from exitpin.shim import bindings
from exitpin.wrappers.launch import ToolLauncher
from exitpin.wrappers.machine import abilities
from exitpin.wrappers.tor import ControlChannel, authenticate

EACH = 6
AT_ONCE = 64
SETTLE_S = 10.0


async def act(spec: dict[str, Any]) -> None:
    """The runs, and the harm in the middle of them."""
    async with stage(spec) as on:
        errands = Errands(on.rng, spec["first"])
        other = ControlChannel(authenticate(on.state.control_socket))
        seen = 0

        def errands_of(relay: RelayState) -> list[Errand]:
            return [errands.good(relay.behaviour, on.addresses_of(relay.fingerprint)) for _ in range(EACH)]

        def harm() -> None:
            if spec["harm"] == "dropped":
                break_off(on.network.channel)
            else:
                other.send("SETCONF __LeaveStreamsUnattached=0", lambda reply: None)

        with tempfile.TemporaryDirectory(prefix="exitpin-", dir="/tmp") as directory:
            launcher = ToolLauncher(
                Path(directory),
                bindings.PRELOAD,
                on.network.socks,
                dict(os.environ),
                containment=contain(None, abilities()),
            )
            evidence = on.evidence()
            session = on.session(launcher, evidence)
            heard = on.network.channel.on_event

            def count(line: str) -> None:
                nonlocal seen
                if line.startswith("STREAM ") and " SUCCEEDED " in line:
                    seen += 1
                    if seen == spec["after"]:
                        harm()
                heard(line)

            on.network.channel.on_event = count
            try:
                await session.run(on.plan(errands_of, spec["tool"], spec["runs"]), AT_ONCE)
            finally:
                await other.ask("SETCONF __LeaveStreamsUnattached=1")
                other.close()
                evidence.close()
            files = [name for name in os.listdir(directory) if name.endswith(".s")]
        children = await left()
        on.write(
            expected=errands.expected,
            runs=spec["runs"],
            succeeded=seen,
            trust_lost=session.trust_lost,
            files=files,
            children=len(children),
        )


async def left() -> list[str]:
    """Children that are there, and stay: a launcher that has told its end is one for a moment more."""
    deadline = time.monotonic() + SETTLE_S
    while (children := Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()) and (
        time.monotonic() < deadline
    ):
        await asyncio.sleep(0.01)
    return children


if __name__ == "__main__":
    main(act)
