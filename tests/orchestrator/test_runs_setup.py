"""What a run's setup changes in its life."""

from errno import ENETUNREACH

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.model import Setup

from .lives import connect, running


def test_a_setup_says_how_long_a_tool_has_after_term() -> None:
    for event in (ev.TimerFired("timeout"), ev.Interrupted()):
        told = running(setup=Setup("/nowhere", kill_after_s=0.5))
        assert fx.EndTree("s-0001", 0.5) in told.step(event)


def test_too_many_reports_are_the_tools_own_doing_and_end_it() -> None:
    told = running()
    told.step(connect(2))
    assert told.step(ev.ReportsCrowded()) == [
        fx.AnswerCall(2, ENETUNREACH, disconnect=True), fx.EndTree("s-0001", 0.0), fx.SetTimer("s-0001", "kill", 5.0)
    ]  # fmt: skip
    told.step(ev.ProcessExited(None, 15), ev.TreeEnded(0.1, 100, 0))
    failure = told.life.failure
    assert failure is not None and (failure.kind, failure.blame) == ("tool", "tool")
    assert failure.detail == "more than 200,000 reports"


def test_too_many_processes_are_the_tools_own_doing_whatever_else_its_end_brings() -> None:
    told = running(setup=Setup("/nowhere", procs_max=8))
    assert fx.EndTree("s-0001", 0.0) in told.step(ev.TreeCrowded())
    told.step(ev.TimerFired("timeout"), ev.ProcessExited(None, 9), ev.TreeEnded(0.1, 100, 30))
    failure = told.life.failure
    assert failure is not None and (failure.kind, failure.blame) == ("tool", "tool")
    assert failure.detail == "more than 8 processes at a time"
