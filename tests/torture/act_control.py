"""One negative control, inside the lab: clients whose streams are joined by a rule wrong on purpose, or by ours.

Spec: `join`: "full", "port only" (exitmap's whole rule) or the name of a weak join; `attack`: a `Kind`, sent each time
that a claim stands and before its own connection is made; "": none, but the clients share very few source ports.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from clients import ClientLauncher
from errands import Errand, Errands
from mischief import Foreigners, Kind
from stage import main, stage

from exitpin.orchestrator.lab.state import RelayState
from exitpin.orchestrator.streams import Claim, Streams

sys.path.insert(1, str(Path(__file__).parent.parent / "orchestrator"))
from weak_joins import WEAK_JOINS, PortOnlyStreams

EACH = 4
AT_ONCE = 32
FEW_PORTS = range(45000, 45004)


def streams_of(join: str) -> Streams:
    """The table with that rule."""
    if join == "full":
        return Streams()
    return PortOnlyStreams() if join == "port only" else Streams(join=WEAK_JOINS[join])


def attack_by(foreigners: Foreigners, kind: str) -> Callable[[Claim], Awaitable[None]] | None:
    """The ambush: the attacker's attempt to its end, the victim's connection after it."""
    return (lambda claim: foreigners.attack(Kind[kind], claim)) if kind else None


async def act(spec: dict[str, Any]) -> None:
    """The runs, and what became of them."""
    async with stage(spec) as on:
        errands = Errands(on.rng, spec["first"])
        foreigners = Foreigners(on.network.socks, errands, Random(spec["seed"] + 1), {})

        def errands_of(relay: RelayState) -> list[Errand]:
            return [errands.good("plain", on.addresses_of(relay.fingerprint)) for _ in range(EACH)]

        ambush = attack_by(foreigners, spec["attack"])
        ports = range(0) if ambush else FEW_PORTS
        launcher = ClientLauncher(on.network.socks, Random(spec["seed"] + 2), ports=ports, ambush=ambush)
        evidence = on.evidence()
        session = on.session(launcher, evidence, streams=streams_of(spec["join"]))
        plain = [relay for relay in on.exits if relay.behaviour == "plain"]
        await asyncio.wait_for(session.run(on.plan(errands_of, ["client"], spec["runs"], plain), AT_ONCE), 240)
        evidence.close()
        on.write(
            expected=errands.expected, runs=spec["runs"], connections=EACH * spec["runs"],
            foreign_sent=sum(foreigners.sent.values()), foreign_granted=foreigners.granted,
            victims={where: on.addresses_of(exit_) for where, exit_ in foreigners.victims.items()},
            foreign_streams=session.foreign_streams, trust_lost=session.trust_lost,
        )  # fmt: skip


if __name__ == "__main__":
    main(act)
