"""The end of a run whose tool has ended: its streams, and what Tor says of them late."""

from errno import ENETUNREACH

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.runs import DRAIN_S, Phase

from .lives import connect, opened

ENDED = ev.TreeEnded(0.1, 4096, 0)


def test_streams_that_are_still_closing_are_waited_for() -> None:
    told, claim = opened()
    assert told.step(ev.ProcessExited(0, None), ENDED) == [fx.SetTimer("s-0001", "drain", DRAIN_S)]
    assert told.life.phase is Phase.DRAINING
    assert told.step(fx.StreamClosed(claim, 9, "END", "DONE", was_open=True)) == [fx.RunDone("s-0001")]
    assert told.life.failure is None


def test_streams_that_never_close_are_not_waited_for_longer() -> None:
    told, _ = opened()
    told.step(ENDED)
    assert told.step(ev.TimerFired("drain")) == [fx.RunDone("s-0001")]


def test_without_tor_nobody_is_waited_for() -> None:
    told, _ = opened()
    told.step(ev.TrustLost("tor died"))
    assert told.step(ENDED) == [fx.RunDone("s-0001")]


def test_what_comes_after_the_end_of_the_tree_opens_nothing() -> None:
    told, _ = opened()
    told.step(ENDED)
    assert told.step(connect(5, 40005)) == [fx.AnswerCall(5, ENETUNREACH)]
    assert told.step(ENDED, ev.LauncherLost("gone")) == []


def test_a_circuit_that_takes_a_stream_along_is_lost_though_the_tool_ended_of_it_before_tor_says_so() -> None:
    told, claim = opened()
    assert fx.RunDone("s-0001") not in told.step(ev.ProcessExited(0, None), ENDED)
    told.step(fx.CircuitClosed("s-0001", 7, "DESTROYED"))
    assert told.step(fx.StreamClosed(claim, 9, "DESTROY", None, True)) == [fx.RunDone("s-0001")]
    assert told.life.failure is not None
    assert (told.life.failure.kind, told.life.failure.blame) == ("circuit-lost", "circuit")
