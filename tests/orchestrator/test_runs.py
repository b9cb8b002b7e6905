"""The life of a run: its phases, what ends it, and which failure is kept."""

from errno import EACCES, ENETUNREACH

import pytest

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.connections import EAI_AGAIN
from exitpin.orchestrator.model import Endpoint
from exitpin.orchestrator.runs import GRAVITY, START_TIMEOUT_S, TERM_GRACE_S, Phase
from exitpin.wrappers.hidden import LOOK_S

from .lives import PID, WEB, Told, connect, opened, queued, running, starting, waiting_for_circuit
from .values import EXIT, GUARD

READY = fx.CircuitReady("s-0001", 7, (GUARD, EXIT))
ENDED = ev.TreeEnded(0.1, 4096, 0)


KILL_SOON = fx.SetTimer("s-0001", "kill", 5.0)


def failure(told: Told) -> tuple[str, str]:
    assert told.life.failure is not None
    return told.life.failure.kind, told.life.failure.blame


def test_a_run_that_does_nothing_goes_through_every_phase() -> None:
    told = queued()
    seen = [told.life.phase]
    assert told.life.begin() == [fx.WantCircuit("s-0001")]
    seen.append(told.life.phase)
    assert told.step(READY) == [fx.StartProcess("s-0001"), fx.SetTimer("s-0001", "start", 60.0)]
    seen.append(told.life.phase)
    assert told.step(ev.ProcessStarted(PID)) == [
        fx.SetTimer("s-0001", "hello", 10.0),
        fx.SetTimer("s-0001", "timeout", 30.0),
    ]
    assert told.step(ev.Hello(1, PID, "/bin/true", None)) == [fx.AnswerCall(1)]
    seen.append(told.life.phase)
    assert told.step(ev.ProcessExited(0, None)) == [KILL_SOON]
    assert told.step(ENDED) == [fx.RunDone("s-0001")]
    seen.append(told.life.phase)
    assert seen == [Phase.QUEUED, Phase.CIRCUIT, Phase.STARTING, Phase.RUNNING, Phase.DONE]
    assert told.life.failure is None and told.life.processes == {PID: "/bin/true"}


@pytest.mark.parametrize("is_hello_first", [True, False])
def test_hello_and_started_may_come_in_either_order(is_hello_first: bool) -> None:
    told = starting()
    events = [ev.Hello(1, PID, "/bin/true", None), ev.ProcessStarted(PID)]
    told.step(*(events if is_hello_first else reversed(events)))
    assert told.life.phase is Phase.RUNNING


def test_a_launcher_that_stands_still_is_waited_for_no_longer_than_a_look_may_take() -> None:
    assert START_TIMEOUT_S > LOOK_S
    told = starting(timeout_s=1.0)
    assert fx.EndTree("s-0001", 0.0) in told.step(ev.TimerFired("start"))
    assert failure(told) == ("shim", "local")
    told.step(ev.TimerFired("kill"), ev.TimerFired("abandon"))
    assert told.life.phase is Phase.DONE


def test_the_hello_of_a_child_does_not_stand_for_the_tools_own() -> None:
    told = starting()
    told.step(ev.ProcessStarted(PID), ev.Hello(1, PID + 1, "/bin/true", None))
    assert told.life.phase is Phase.STARTING
    assert fx.EndTree("s-0001", 0.0) in told.step(ev.TimerFired("hello"))
    assert failure(told) == ("shim", "local")


@pytest.mark.parametrize(("pid", "rc", "found"), [(PID, 127, ("shim", "local")), (PID, 0, None), (PID + 1, 127, None)])
def test_a_supervised_tool_that_fails_because_we_may_not_look_into_it_is_our_failure(
    pid: int, rc: int, found: tuple[str, str] | None
) -> None:
    told = starting()
    told.step(ev.Supervised(), ev.ProcessStarted(PID), ev.Denied(pid, ev.UNTRACEABLE, ""), ev.ProcessExited(rc, None))
    assert told.life.failure is None if found is None else failure(told) == found


def test_a_hook_that_has_no_room_to_report_ends_a_run_that_says_nothing_about_anybody() -> None:
    told = running()
    assert fx.EndTree("s-0001", 0.0) in told.step(ev.Denied(PID, ev.NO_ROOM, str(WEB)))
    told.step(ev.ProcessExited(0, None), ENDED)
    assert failure(told) == ("shim", "local")
    assert told.life.failure is not None and told.life.failure.retryable and str(WEB) in told.life.failure.detail
    assert [each.reason for each in told.life.denied] == [ev.NO_ROOM]


def test_a_tool_that_ends_without_a_hello_was_not_contained() -> None:
    told = starting()
    told.step(ev.ProcessStarted(PID), ev.ProcessExited(0, None), ENDED)
    assert failure(told) == ("shim", "local")


def test_a_run_without_time_limit_sets_no_timer_for_it() -> None:
    told = starting(timeout_s=float("inf"))
    assert told.step(ev.ProcessStarted(PID)) == [fx.SetTimer("s-0001", "hello", 10.0)]


def test_timers_that_fire_late_do_nothing() -> None:
    told = running()
    assert told.step(ev.TimerFired("hello")) == []
    told.step(ENDED)
    assert told.step(ev.TimerFired("timeout"), ev.TimerFired("drain")) == []
    assert told.life.failure is None and not told.life.timed_out


def test_a_run_over_its_time_is_ended_with_a_grace() -> None:
    told = running()
    assert told.step(ev.TimerFired("timeout")) == [
        fx.EndTree("s-0001", TERM_GRACE_S),
        fx.SetTimer("s-0001", "kill", TERM_GRACE_S + 5.0),
    ]
    assert failure(told) == ("timeout", "unknown") and told.life.timed_out


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (ev.TrustLost("tor ended the control connection"), "tor"),
        (ev.Interrupted(), "interrupted"),
        (fx.CircuitUnavailable("s-0001", "552 No such router"), "circuit"),
    ],
)
def test_what_ends_a_run_before_its_tool_started_ends_it_at_once(event: object, kind: str) -> None:
    told = waiting_for_circuit()
    assert told.step(event) == [fx.RunDone("s-0001")]
    assert told.life.failure is not None and told.life.failure.kind == kind


@pytest.mark.parametrize(
    ("event", "kind", "status"),
    [
        (ev.ProcessRefused("not-found", 127, "No such file"), "exec", 127),
        (ev.LauncherLost("the launcher ended"), "shim", None),
    ],
)
def test_a_tool_that_never_started_is_done(event: object, kind: str, status: int | None) -> None:
    told = starting()
    assert told.step(event) == [fx.RunDone("s-0001")]
    assert failure(told) == (kind, "local")
    assert (told.life.refused.exit_status if told.life.refused else None) == status


# Attribution.

NOT_OURS = "the report says another port"
PROBLEMS = {
    "hello": ev.Hello(5, PID, "/bin/true", NOT_OURS),
    "connect": connect(5, problem=NOT_OURS),
    "look-up": ev.LookupReported(5, PID, "web.test", 0, False, NOT_OURS),
    "another address": connect(5, source=Endpoint("127.64.0.2", 40001)),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_report_in_doubt_is_refused_and_ends_the_tree_at_once(name: str) -> None:
    told = running()
    told.step(connect(2))
    effects = told.step(PROBLEMS[name])
    assert [(wish.call, wish.error) for wish in effects if isinstance(wish, fx.AnswerCall)] == [
        (5, EACCES),
        (2, ENETUNREACH),
    ]
    assert effects[-2:] == [fx.EndTree("s-0001", 0.0), KILL_SOON]
    assert failure(told) == ("attribution", "local")


def test_a_socket_that_the_tool_bound_itself_may_come_from_another_address() -> None:
    told = running()
    told.step(connect(2, source=Endpoint("127.0.0.1", 40001), is_weak=True))
    assert told.life.failure is None and [claim.source.host for claim in told.claims()] == ["127.0.0.1"]


def test_a_violated_stream_ends_the_tree_at_once() -> None:
    told, claim = opened()
    assert told.step(fx.StreamViolated(claim, 9, "the tag changed")) == [fx.EndTree("s-0001", 0.0), KILL_SOON]
    assert failure(told) == ("attribution", "local")
    assert told.step(ENDED) == [fx.RunDone("s-0001")], "nothing of it is waited for"


ENDINGS = {
    "attribution": ev.Hello(5, PID, "", NOT_OURS),
    "tor": ev.TrustLost("tor died"),
    "circuit": fx.CircuitUnavailable("s-0001", "TIMEOUT"),
    "circuit-lost": fx.CircuitClosed("s-0001", 7, "DESTROYED"),
    "timeout": ev.TimerFired("timeout"),
    "interrupted": ev.Interrupted(),
}


@pytest.mark.parametrize("first", ENDINGS)
@pytest.mark.parametrize("second", ENDINGS)
def test_the_gravest_failure_is_kept_whatever_came_first(first: str, second: str) -> None:
    told, _ = opened()
    told.step(ENDINGS[first], ENDINGS[second])
    assert told.life.failure is not None
    assert told.life.failure.kind == min(first, second, key=GRAVITY.index)


@pytest.mark.parametrize("name", ENDINGS)
def test_nothing_is_opened_while_the_tree_is_being_ended(name: str) -> None:
    told, _ = opened()
    told.step(ENDINGS[name])
    assert told.step(connect(6, 40006)) == [fx.AnswerCall(6, ENETUNREACH)]
    assert told.step(ev.LookupBound(7, PID, Endpoint("127.64.0.1", 40007), "web.test")) == [
        fx.AnswerCall(7, ENETUNREACH, EAI_AGAIN)
    ]


# Circuits.


def test_a_circuit_that_closes_with_a_stream_open_ends_the_run() -> None:
    told, _ = opened()
    assert told.step(fx.CircuitClosed("s-0001", 7, "DESTROYED/CHANNEL_CLOSED")) == [
        fx.EndTree("s-0001", 0.0),
        KILL_SOON,
    ]
    assert failure(told) == ("circuit-lost", "circuit")
    assert [circuit.reason for circuit in told.life.circuits] == ["DESTROYED/CHANNEL_CLOSED"]


def test_a_circuit_that_closes_idle_is_replaced_at_the_next_connect() -> None:
    told, claim = opened()
    told.step(fx.StreamClosed(claim, 9, "DONE", None, was_open=True))
    assert told.step(fx.CircuitClosed("s-0001", 7, "FINISHED")) == []
    assert told.step(connect(3, 40003)) == [fx.WantCircuit("s-0001"), fx.SetTimer("s-0001", "call 2", 90.0)]
    assert told.step(connect(4, 40004)) == [fx.SetTimer("s-0001", "call 3", 90.0)], "one replacement is coming"
    effects = told.step(fx.CircuitReady("s-0001", 8, (GUARD, EXIT)))
    assert [(wish.call, wish.claim.circuit_id) for wish in effects if isinstance(wish, fx.OpenStream)] == [
        (3, 8),
        (4, 8),
    ]
    assert told.life.failure is None


def test_a_tree_that_does_not_end_is_killed_and_then_abandoned() -> None:
    told = running()
    told.step(ev.Interrupted())
    assert told.step(ev.TimerFired("kill")) == [fx.KillTree("s-0001"), fx.SetTimer("s-0001", "abandon", 5.0)]
    assert told.step(ev.TimerFired("abandon")) == [fx.RunDone("s-0001")]
    assert failure(told) == ("interrupted", "local")


def test_a_stream_is_the_runs_from_its_first_word_on() -> None:
    told = running()
    told.step(connect(2))
    (claim,) = told.claims()
    told.step(fx.StreamJoined(claim, 9), ev.ProcessExited(None, 9))
    assert told.step(ev.TreeEnded(0.1, 1000, 0)) == [fx.SetTimer("s-0001", "drain", 3.0)]
    assert told.step(fx.StreamClosed(claim, 9, "DONE", None, was_open=False))[-1] == fx.RunDone("s-0001")


def test_one_replacement_is_wanted_even_if_whoever_asked_for_it_went_away() -> None:
    told = running()
    told.step(fx.CircuitClosed("s-0001", 7, "FINISHED"), connect(2), ev.CallLost(2))
    assert told.step(connect(3, 40003)) == [fx.SetTimer("s-0001", "call 2", 90.0)]


def test_no_replacement_ends_the_run_and_answers_who_waits() -> None:
    told = running()
    told.step(fx.CircuitClosed("s-0001", 7, "FINISHED"), connect(2))
    assert told.step(fx.CircuitUnavailable("s-0001", "TIMEOUT")) == [
        fx.AnswerCall(2, ENETUNREACH, disconnect=True),
        fx.EndTree("s-0001", 0.0),
        KILL_SOON,
    ]
    assert failure(told) == ("circuit", "unknown")


def test_an_unknown_event_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="BUG"):
        running().step(WEB)


def test_a_connection_that_succeeded_and_broke_has_succeeded() -> None:
    told, claim = opened()
    told.step(fx.StreamFailed(claim, 9, "CONNRESET", None))
    told.step(fx.StreamClosed(claim, 9, "CONNRESET", None, was_open=False))
    (connection,) = told.life.connections
    assert (connection.status, connection.reason, connection.is_closed) == ("succeeded", "CONNRESET", True)
