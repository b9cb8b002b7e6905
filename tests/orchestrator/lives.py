"""A run's life, brought by a few words to where a test begins; and the reports of its hooks."""

from dataclasses import dataclass, field

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.effects import Effect
from exitpin.orchestrator.model import Claim, Destination, Endpoint, Times
from exitpin.orchestrator.runs import Life

from .values import EXIT, GUARD, run

PID = 101
WEB = Destination("192.0.2.1", 80)
SOURCE = Endpoint("127.64.0.1", 40001)


@dataclass
class Told:
    """A life, and everything that it wished for, in order."""

    life: Life
    wishes: list[Effect] = field(default_factory=list)
    now: float = 1000.0

    def step(self, *events: object) -> list[Effect]:
        """What the last of these events leads to."""
        effects: list[Effect] = []
        for event in events:
            self.now += 1
            effects = self.life.step(event, self.now)
            self.wishes += effects
        return effects

    def answers(self) -> list[fx.AnswerCall]:
        return [wish for wish in self.wishes if isinstance(wish, fx.AnswerCall)]

    def claims(self) -> list[Claim]:
        return [wish.claim for wish in self.wishes if isinstance(wish, fx.OpenStream)]


def queued(resolve: str = "mapped", **changes: object) -> Told:
    return Told(Life(run(**changes), Times(queue=1000.0), lambda number: f"tag{number}", resolve))


def waiting_for_circuit() -> Told:
    told = queued()
    told.wishes += told.life.begin()
    return told


def starting(resolve: str = "mapped", **changes: object) -> Told:
    told = queued(resolve, **changes)
    told.wishes += told.life.begin()
    told.step(fx.CircuitReady("s-0001", 7, (GUARD, EXIT)))
    return told


def running(resolve: str = "mapped", **changes: object) -> Told:
    """Its first process has said hello."""
    told = starting(resolve, **changes)
    told.step(ev.ProcessStarted(PID), ev.Hello(1, PID, "/usr/bin/curl", None))
    return told


def connect(call: int, port: int = SOURCE.port, to: Destination = WEB, **changes: object) -> ev.ConnectReported:
    given = {
        "call": call, "pid": PID, "source": Endpoint(SOURCE.host, port), "destination": to, "is_weak": False,
        "problem": None, **changes,
    }  # fmt: skip
    return ev.ConnectReported(**given)  # type: ignore[arg-type]


def lookup(call: int, host: str, family: int = 0, is_reverse: bool = False) -> ev.LookupReported:
    return ev.LookupReported(call, PID, host, family, is_reverse, None)


def opened() -> tuple[Told, Claim]:
    """A run whose call 2 was opened as stream 9, and told so."""
    told = running()
    told.step(connect(2))
    (claim,) = told.claims()
    told.step(fx.StreamSent(claim, 9), fx.StreamOpened(claim, 9), ev.SocksAnswered(2, 0))
    return told, claim
