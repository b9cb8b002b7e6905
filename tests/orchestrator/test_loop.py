"""A session whose runs are begun one by one, over a Tor that says nothing and a launcher that starts nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from random import Random

import pytest

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events
from exitpin.orchestrator.circuits import Pace
from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.evidence import EvidenceLog
from exitpin.orchestrator.loop import Session
from exitpin.orchestrator.model import Claim, Endpoint, Run, Setup
from exitpin.orchestrator.ports import Ahead, Launch, Post, Reply
from exitpin.orchestrator.runs import Life

from .lives import PID, connect
from .values import GUARD, run

DEADLINE_S = 30.0


class SilentTor:
    """A control connection on which nothing ever comes."""

    on_event: Callable[[str], None]
    on_lost: Callable[[str], None]
    pinning_options: Iterable[str] = ()
    ahead: Ahead | None = None

    def __init__(self) -> None:
        self.unheard: list[str] = []

    def send(self, command: str, on_reply: Callable[[Reply], None]) -> None:
        pass

    def longest_wait_s(self) -> float:
        return 0.0


class NoTool:
    """A run's hold on nothing."""

    def start(self) -> str | None:
        return "nothing is started here"

    def end(self, grace_s: float) -> None:
        pass

    def kill(self) -> None:
        pass

    def open_stream(self, call: int, claim: Claim) -> None:
        pass

    def bind_lookup(self, call: int, host: str) -> None:
        pass

    def answer(self, answer: AnswerCall) -> None:
        pass

    def close(self) -> None:
        pass


class LosesWhatItOpens(NoTool):
    """A run's hold on a launcher that is gone as soon as anything is asked of it."""

    def __init__(self, post: Post) -> None:
        self._post = post

    def start(self) -> str | None:
        return None

    def open_stream(self, call: int, claim: Claim) -> None:
        self._post(events.LauncherLost("no room to wait for tor's answer"))


class Stage:
    """A session, the lives of its runs that have ended, and what to do when one does."""

    def __init__(self) -> None:
        self.ended: list[Life] = []
        self.unpreparable: set[str] = set()
        self.losing: set[str] = set()
        self.then: Callable[[Life], None] = lambda life: None
        self.session = Session(
            SilentTor(), self, pace=Pace(0.0, 0.0), first_hops=lambda *_: (GUARD,), rng=Random(1),
            evidence=EvidenceLog(None, {}), on_finished=self._finished,
        )  # fmt: skip

    def prepare(self, run: Run, post: Post, on_report: Callable[[bytes, int], None]) -> Launch:
        if run.run_id in self.unpreparable:
            raise OSError("no room")
        return LosesWhatItOpens(post) if run.run_id in self.losing else NoTool()

    def _finished(self, life: Life, launch: Launch | None) -> None:
        self.ended.append(life)
        self.then(life)

    def lose_circuit(self, run: Run) -> None:
        self.session.post(run.run_id, fx.CircuitUnavailable(run.run_id, "TIMEOUT"))

    def run_tool(self, run: Run, pid: int) -> None:
        self.session.post(run.run_id, fx.CircuitReady(run.run_id, pid, (GUARD, run.exit.fingerprint)))
        self.session.post(run.run_id, events.ProcessStarted(pid))
        self.session.post(run.run_id, events.Hello(0, pid, "/usr/bin/tool", None))

    def names(self) -> list[str]:
        return [life.run.run_id for life in self.ended]


def played(script: Callable[[Stage], Awaitable[None]]) -> None:
    async def play() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await script(Stage())

    asyncio.run(play())


async def turn() -> None:
    await asyncio.sleep(0)


def test_a_session_that_was_not_told_to_finish_goes_on_with_nothing_to_do() -> None:
    async def script(stage: Stage) -> None:
        serving = asyncio.create_task(stage.session.serve())
        stage.session.start(run(1))
        await turn()
        assert stage.session.active_count == 1
        stage.lose_circuit(run(1))
        await turn()
        await turn()
        assert stage.session.active_count == 0 and not serving.done()
        stage.session.finish()
        await serving

    played(script)


def test_a_session_told_to_finish_waits_for_what_runs() -> None:
    async def script(stage: Stage) -> None:
        serving = asyncio.create_task(stage.session.serve())
        stage.session.start(run(1))
        stage.session.finish()
        await turn()
        await turn()
        assert not serving.done()
        stage.lose_circuit(run(1))
        await serving
        assert stage.names() == ["s-0001"]

    played(script)


def test_a_run_may_be_started_while_another_is_reported_even_after_finish() -> None:
    async def script(stage: Stage) -> None:
        serving = asyncio.create_task(stage.session.serve())
        stage.session.start(run(1))
        stage.then = lambda life: stage.session.start(run(2)) if life.run.index == 1 else None
        stage.session.finish()
        await turn()
        stage.lose_circuit(run(1))
        assert stage.session.active_count == 1
        await turn()
        assert not serving.done()
        stage.lose_circuit(run(2))
        await serving
        assert stage.names() == ["s-0001", "s-0002"]

    played(script)


def test_thousands_of_runs_that_end_at_once_and_start_the_next_one_do_not_nest() -> None:
    async def script(stage: Stage) -> None:
        count = 3000
        stage.unpreparable = {f"s-{index:04d}" for index in range(0, count, 2)}
        stage.then = lambda life: (
            stage.session.start(replace(run(1), run_id=f"s-{len(stage.ended):04d}"))
            if len(stage.ended) < count
            else stage.session.finish()
        )
        stage.session.lose_trust("tor has ended")
        stage.session.start(replace(run(1), run_id="s-0000"))
        await stage.session.serve()
        assert len(set(stage.names())) == count
        assert {life.failure.kind for life in stage.ended if life.failure} == {"shim", "tor"}

    played(script)


def test_nothing_is_heard_of_a_run_before_start_has_returned() -> None:
    async def script(stage: Stage) -> None:
        stage.unpreparable = {"s-0001"}
        stage.session.start(run(1))
        assert stage.ended == [] and stage.session.active_count == 1
        await turn()
        assert stage.names() == ["s-0001"] and stage.session.active_count == 0

    played(script)


def test_an_interrupt_ends_what_runs_and_what_was_just_started_and_the_session_waits_for_finish() -> None:
    async def script(stage: Stage) -> None:
        serving = asyncio.create_task(stage.session.serve())
        stage.session.start(run(1))
        await turn()
        stage.session.start(run(2))
        stage.session.interrupt()
        assert [life.failure.kind for life in stage.ended if life.failure] == ["interrupted", "interrupted"]
        await turn()
        assert not serving.done()
        stage.session.finish()
        await serving

    played(script)


def test_a_session_that_is_over_starts_nothing() -> None:
    async def script(stage: Stage) -> None:
        stage.session.finish()
        await stage.session.serve()
        with pytest.raises(AssertionError, match="BUG"):
            stage.session.start(run(1))

    played(script)


def test_a_plan_is_run_as_many_at_a_time_as_allowed() -> None:
    async def script(stage: Stage) -> None:
        stage.unpreparable = {"s-0003"}
        running = asyncio.create_task(stage.session.run([run(1), run(2), run(3), run(4)], 2))
        await turn()
        assert stage.session.active_count == 2
        stage.lose_circuit(run(1))
        await turn()
        assert stage.names() == ["s-0001", "s-0003"] and stage.session.active_count == 2
        stage.lose_circuit(run(2))
        stage.lose_circuit(run(4))
        await running
        assert stage.names() == ["s-0001", "s-0003", "s-0002", "s-0004"]

    played(script)


def test_a_run_that_is_lost_by_what_was_asked_for_it_is_lost_alone() -> None:
    """It ends in the midst of a step, whose other effects are still to come."""

    async def script(stage: Stage) -> None:
        stage.losing = {"s-0001", "s-0002"}  # of the second nothing is asked
        for one in (run(1), run(2)):
            stage.session.start(one)
        await turn()
        for pid, one in enumerate((run(1), run(2)), PID):
            stage.run_tool(one, pid)
        stage.session.post("s-0001", connect(1, 40001, source=Endpoint(run(1).address, 40001)))
        assert [(life.run.run_id, life.failure and life.failure.detail) for life in stage.ended] == [
            ("s-0001", "no room to wait for tor's answer")
        ]
        assert stage.session.trust_lost is None and stage.session.active_count == 1

    played(script)


@pytest.mark.parametrize(("setup", "resolve"), [(None, "mapped"), (Setup("/nowhere", resolve="exit"), "exit")])
def test_a_runs_setup_says_how_its_names_are_resolved(setup: Setup | None, resolve: str) -> None:
    async def script(stage: Stage) -> None:
        stage.session.start(run(1, setup=setup))
        stage.session.interrupt()
        assert [life.resolve for life in stage.ended] == [resolve]

    played(script)
