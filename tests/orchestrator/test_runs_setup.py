"""What a run's setup changes in its life."""

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.model import Setup

from .lives import running


def test_a_setup_says_how_long_a_tool_has_after_term() -> None:
    for event in (ev.TimerFired("timeout"), ev.Interrupted()):
        told = running(setup=Setup("/nowhere", kill_after_s=0.5))
        assert fx.EndTree("s-0001", 0.5) in told.step(event)


def test_too_many_processes_are_the_tools_own_doing_whatever_else_its_end_brings() -> None:
    told = running(setup=Setup("/nowhere", procs_max=8))
    assert fx.EndTree("s-0001", 0.0) in told.step(ev.TreeCrowded())
    told.step(ev.TimerFired("timeout"), ev.ProcessExited(None, 9), ev.TreeEnded(0.1, 100, 30))
    failure = told.life.failure
    assert failure is not None and (failure.kind, failure.blame) == ("tool", "tool")
    assert failure.detail == "more than 8 processes at a time"
