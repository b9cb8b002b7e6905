"""A run's ticket is recalled before each of its steps, and offered again when the turn of the loop is over."""

import asyncio

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.active import Active
from exitpin.orchestrator.model import Ticket
from exitpin.orchestrator.ports import Ahead
from exitpin.orchestrator.runs import Life

from .lives import connect, running
from .test_loop import NoTool, Stage, played, turn
from .values import run


class Nobody:
    """Who would make connects by tickets."""

    def was_sent(self, stream_id: int, circuit_id: int, on_reply: object) -> None:
        raise AssertionError("nothing was")

    def longest_wait_s(self) -> float:
        return 0.0


class Door(NoTool):
    """A launch that tells what it is asked for, and by whose ticket something was done meanwhile."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.done: list[object] = []
        self.post = self.told.append

    def go_ahead(self, ticket: Ticket, by: Ahead) -> None:
        self.told.append(ticket.number)

    def is_attached(self, call: int) -> bool:
        return False

    def recall(self) -> None:
        self.told.append("recalled")
        while self.done:
            self.post(self.done.pop())


def test_a_ticket_is_offered_once_a_turn_and_says_what_is_so_at_its_end() -> None:
    async def script() -> None:
        door, told = Door(), running()
        active = Active(told.life, door, Nobody())
        active.offer_ticket()
        active.offer_ticket()
        told.step(connect(2), ev.CallLost(2))
        await turn()
        assert door.told == [2]
        active.offer_ticket()
        told.step(ev.TrustLost("tor died"))
        await turn()
        assert door.told == [2]

    asyncio.run(script())


def test_where_nobody_makes_connects_by_tickets_nothing_is_asked_of_a_launch() -> None:
    async def script() -> None:
        door = Door()
        active = Active(running().life, door)
        active.offer_ticket()
        active.recall()
        await turn()
        assert door.told == []

    asyncio.run(script())


def test_what_was_done_by_a_ticket_is_stepped_before_what_happened_since() -> None:
    async def script(stage: Stage) -> None:
        door = Door()
        stage.session._control.ahead = Nobody()  # type: ignore[misc]
        stage.prepare = lambda run, post, on_report: setattr(door, "post", post) or door  # type: ignore[method-assign]
        door.start = lambda: None  # type: ignore[method-assign]
        stage.session.start(run(1))
        await turn()
        name = run(1).run_id
        stage.session.post(name, fx.CircuitReady(name, 7, (run(1).exit.fingerprint,)))
        stage.session.post(name, ev.ProcessStarted(101))
        stage.session.post(name, ev.Hello(1, 101, "/usr/bin/curl", None))
        door.done.append(connect(2, is_ahead=True))
        stage.session.post(name, fx.CircuitClosed(name, 7, "DESTROYED"))
        (life,) = lives(stage)
        assert [(one.number, one.is_ahead) for one in life.connections] == [(1, True)]
        assert life.failure is not None
        assert life.failure.kind == "circuit-lost"  # as if it had been reported just before
        stage.session.interrupt()

    played(script)


def lives(stage: Stage) -> list[Life]:
    return [active.life for active in stage.session._active.values()]
