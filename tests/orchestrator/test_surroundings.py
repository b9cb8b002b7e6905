"""A session whose surroundings change: a network that Tor calls down, a clock that jumps."""

import asyncio
from collections.abc import Callable, Iterable
from random import Random

from exitpin.orchestrator.circuits import Pace
from exitpin.orchestrator.clocks import Clocks, Jump
from exitpin.orchestrator.effects import NetworkChanged
from exitpin.orchestrator.evidence import EvidenceLog
from exitpin.orchestrator.hop_health import HopHealth
from exitpin.orchestrator.loop import Session
from exitpin.orchestrator.ports import Ahead, Reply
from exitpin.orchestrator.surroundings import Surroundings

from .test_loop import NoTool, turn
from .values import EXIT, GUARD, circ_line, run


class Tor:
    """A control connection that says what it is told to, and builds nothing by itself."""

    on_event: Callable[[str], None]
    on_lost: Callable[[str], None]
    pinning_options: Iterable[str] = ()
    ahead: Ahead | None = None

    def __init__(self) -> None:
        self.unheard: list[str] = []
        self.asked: list[str] = []

    def send(self, command: str, on_reply: Callable[[Reply], None]) -> None:
        self.asked.append(command)
        if command.startswith("EXTENDCIRCUIT"):
            on_reply((250, [f"EXTENDED {self.built}"]))

    @property
    def built(self) -> int:
        return sum(command.startswith("EXTENDCIRCUIT") for command in self.asked)

    def longest_wait_s(self) -> float:
        return 0.0


class Stage:
    """A session, and what is heard of its surroundings."""

    def __init__(self) -> None:
        self.tor = Tor()
        self.clocks = Clocks(1e9, 10.0, 20.0)
        self.network: list[NetworkChanged] = []
        self.jumps: list[Jump] = []
        self.ended: list[str] = []
        around = Surroundings(HopHealth(), self.network.append, lambda: self.clocks, self.jumps.append)
        self.session = Session(
            self.tor, self, pace=Pace(0.0, 0.0), rng=Random(1), evidence=EvidenceLog(None, {}), around=around,
            first_hops=lambda *_: (GUARD,),
            on_finished=lambda life, _: self.ended.append(life.run.run_id),
        )  # fmt: skip

    def prepare(self, *_: object) -> NoTool:
        return NoTool()

    @property
    def states(self) -> list[str]:
        return [told.state for told in self.network]


def played(script: Callable[[Stage], object]) -> None:
    async def play() -> None:
        async with asyncio.timeout(30.0):
            await script(Stage())  # type: ignore[misc]

    asyncio.run(play())


def test_a_network_that_tor_calls_down_is_doubted_until_a_hop_answers() -> None:
    async def script(stage: Stage) -> None:
        stage.tor.on_event("NETWORK_LIVENESS DOWN")
        assert stage.states == ["doubted"]
        stage.session.start(run(1))
        stage.session.start(run(2))
        while not stage.tor.built:
            await turn()
        for _ in range(5):
            await turn()
        assert stage.tor.built == 1, "one circuit, to see"
        stage.tor.on_event(circ_line(1, "EXTENDED", (GUARD,)))
        assert stage.states == ["doubted", "back"]
        while stage.tor.built < 2:
            await turn()

    played(script)


def test_a_clock_that_jumps_is_seen_before_anything_is_made_of_the_event() -> None:
    async def script(stage: Stage) -> None:
        stage.session.start(run(1))
        while not stage.tor.built:
            await turn()
        stage.clocks = stage.clocks._replace(wall=stage.clocks.wall + 90)
        stage.tor.on_event(circ_line(1, "FAILED", (GUARD,), " REASON=TIMEOUT"))
        assert stage.jumps == [Jump(set_s=90)]
        assert stage.states[0] == "doubted" and "the clock was set forward by 90 s" in stage.network[0].reason
        assert stage.ended == [], "who waited for a circuit has lost nothing"

    played(script)


def test_hops_that_do_not_answer_when_asked_are_not_well_and_an_interrupt_waits_for_none() -> None:
    async def script(stage: Stage) -> None:
        asked = asyncio.create_task(stage.session.are_well((GUARD, EXIT), 0.0))
        while not stage.tor.built:
            await turn()
        assert stage.tor.asked[-1] == f"EXTENDCIRCUIT 0 ${GUARD},${EXIT} purpose=general"
        stage.tor.on_event(circ_line(1, "EXTENDED", (GUARD,)))
        assert await asked
        assert await stage.session.are_well((GUARD, EXIT), 0.0), "it has answered since"
        later = asyncio.get_running_loop().time() + 99
        again = asyncio.create_task(stage.session.are_well((GUARD, EXIT), later))
        await turn()
        stage.session.interrupt()
        assert not await again

    played(script)
