"""A ticket says what would be decided of the next connect, whenever it would be let in without more ado."""

from collections.abc import Callable
from errno import EALREADY, EISCONN
from itertools import count

import pytest

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.model import Claim, Destination, Place, Setup

from .lives import PID, Told, connect, lookup, opened, running, starting, waiting_for_circuit

HELD = (
    Destination("web.test", 443),
    Destination("192.0.2.1", 80),
    Destination("2001:db8::1", 22),
    Destination("name.test", 0),
)


def places(told: Told) -> tuple[Place, ...]:
    ticket = told.life.ticket()
    assert ticket is not None
    return ticket.places


def test_the_next_connect_becomes_what_the_ticket_says() -> None:
    told = running()
    for port in (40001, 40002):
        ticket = told.life.ticket()
        assert ticket is not None
        told.step(connect(port, port, is_ahead=True))
        claim = told.claims()[-1]
        assert (claim.connection, claim.tag, claim.circuit_id) == (ticket.number, ticket.tag, ticket.circuit_id)
        assert claim.is_ahead
        told.step(ev.CallLost(port))


def test_a_tag_is_the_next_connections_until_that_is_there_and_never_another_ones() -> None:
    told = running()
    numbers = count(1)
    told.life.tag_of = lambda number: f"{number}-{next(numbers)}"  # as if it were unguessable
    first = told.life.ticket()
    assert told.life.ticket() == first
    assert first is not None
    assert first.tag == "1-1"
    told.step(connect(2), ev.CallLost(2))
    second = told.life.ticket()
    assert second is not None
    assert (second.number, second.tag) == (2, "2-2")
    assert told.claims()[0].tag == "1-1"


def test_there_is_none_before_the_tool_is_known_to_be_held() -> None:
    assert waiting_for_circuit().life.ticket() is None
    told = starting()
    assert told.life.ticket() is None
    told.step(ev.ProcessStarted(PID))
    assert told.life.ticket() is None
    told.step(ev.Hello(1, PID, "/usr/bin/curl", None))
    assert told.life.ticket() is not None


@pytest.mark.parametrize(
    "event",
    [
        fx.CircuitClosed("s-0001", 7, "DESTROYED"),
        ev.TrustLost("tor died"),
        ev.Interrupted(),
        ev.TimerFired("timeout"),
        ev.TreeEnded(0.0, None, 0),
        ev.LauncherLost("gone"),
        ev.WentAstray("a bug"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_there_is_none_once_the_next_connect_would_wait_or_be_refused(event: object) -> None:
    told = running()
    told.step(event)
    assert told.life.ticket() is None


def test_a_name_that_was_asked_for_leads_to_itself_at_both_of_its_addresses() -> None:
    told = running()
    told.step(lookup(2, "Web.Test."), lookup(3, "ssh.test"))
    assert places(told) == (
        Place("198.18.0.1", 0, "web.test"),
        Place("fd65:7869:7470:696e::1", 0, "web.test"),
        Place("198.18.0.2", 0, "ssh.test"),
        Place("fd65:7869:7470:696e::2", 0, "ssh.test"),
    )
    ticket = told.life.ticket()
    assert ticket is not None
    assert ticket.goes_anywhere


def test_of_many_names_the_last_are_known() -> None:
    told = running()
    told.step(*(lookup(number, f"n{number}.test") for number in range(2, 100)))
    assert {place.host for place in places(told)} == {f"n{number}.test" for number in range(88, 100)}


def test_a_run_with_destinations_goes_to_those_alone() -> None:
    told = running(setup=Setup("/nowhere", destinations=HELD))
    ticket = told.life.ticket()
    assert ticket is not None
    assert not ticket.goes_anywhere
    assert ticket.places == (Place("192.0.2.1", 80, "192.0.2.1"),)
    told.step(lookup(2, "web.test"), lookup(3, "name.test"))
    assert set(places(told)) == {
        Place("192.0.2.1", 80, "192.0.2.1"),
        Place("198.18.0.1", 443, "web.test"),
        Place("fd65:7869:7470:696e::1", 443, "web.test"),
    }


@pytest.mark.parametrize("setup", [None, Setup("/nowhere", destinations=HELD)], ids=["any", "held"])
def test_a_connect_to_a_place_of_a_ticket_is_let_in_and_leads_to_its_host(setup: Setup | None) -> None:
    told = running(setup=setup)
    told.step(lookup(2, "web.test"), lookup(3, "name.test"), lookup(4, "other.test"))
    for call, place in enumerate(places(told), 10):
        port = place.port or 8080
        told.step(connect(call, 41000 + call, Destination(place.address, port)))
        assert told.claims()[-1].destination == Destination(place.host, port)


def test_a_run_is_not_over_before_tor_has_told_of_a_stream_that_its_tool_has_had_already() -> None:
    """By a ticket a tool may connect, and end, before a line about its stream has been read."""
    told = running()
    told.step(connect(2, is_ahead=True))
    assert told.life.connections.has_live()
    effects = told.step(ev.TreeEnded(0.0, None, 0))
    assert fx.RunDone("s-0001") not in effects
    (claim,) = told.claims()
    told.step(fx.StreamJoined(claim, 9))
    assert told.life.times.end == told.now  # no stream is there after the end of its run
    told.step(fx.StreamSent(claim, 9), fx.StreamOpened(claim, 9), ev.SocksAnswered(2, 0))
    assert told.step(fx.StreamClosed(claim, 9, "END", "DONE", True)) == [fx.RunDone("s-0001")]
    (connection,) = told.life.connections
    assert (connection.stream_id, connection.status) == (9, "succeeded")


@pytest.mark.parametrize(
    "first_heard",
    [lambda claim: fx.StreamFailed(claim, 9, "CANT_ATTACH", None), lambda claim: fx.StreamViolated(claim, 9, "odd")],
    ids=["its circuit is gone", "it is not what was claimed"],
)
def test_no_stream_is_there_after_the_end_of_its_run_whatever_is_first_heard_of_it(
    first_heard: Callable[[Claim], object],
) -> None:
    told = running()
    told.step(connect(2, is_ahead=True), ev.TreeEnded(0.0, None, 0))
    told.step(first_heard(told.claims()[0]))
    assert told.life.times.end == told.now


def test_a_connect_by_a_ticket_of_which_tor_never_tells_holds_a_run_up_for_the_drain_time_alone() -> None:
    told = running()
    told.step(connect(2, is_ahead=True), ev.TreeEnded(0.0, None, 0))
    assert told.step(ev.TimerFired("drain")) == [fx.RunDone("s-0001")]


def test_a_connect_by_a_ticket_whose_maker_has_gone_holds_nothing_up() -> None:
    told = running()
    told.step(connect(2, is_ahead=True), ev.CallLost(2))
    assert told.step(ev.TreeEnded(0.0, None, 0)) == [fx.RunDone("s-0001")]


def test_a_launcher_that_is_lost_does_not_make_a_run_forget_a_stream_that_tor_has_yet_to_tell_of() -> None:
    told = running()
    told.step(connect(2, is_ahead=True))
    assert fx.RunDone("s-0001") not in told.step(ev.LauncherLost("killed"))
    (claim,) = told.claims()
    told.step(fx.StreamJoined(claim, 9), fx.StreamSent(claim, 9), fx.StreamOpened(claim, 9))
    assert told.step(fx.StreamClosed(claim, 9, "END", "DONE", True)) == [fx.RunDone("s-0001")]


def test_a_stream_that_is_awaited_is_heard_of_whatever_has_become_of_its_maker() -> None:
    told = running()
    told.step(connect(2, is_ahead=True))
    (connection,) = told.life.connections
    connection.is_awaited = True  # as the session does, when Tor was told to attach it
    told.step(ev.CallLost(2))
    assert told.step(ev.TreeEnded(0.0, None, 0)) != [fx.RunDone("s-0001")]
    (claim,) = told.claims()
    told.step(fx.StreamJoined(claim, 9), fx.StreamSent(claim, 9))
    assert told.step(fx.StreamClosed(claim, 9, "END", "DONE", False)) == [fx.RunDone("s-0001")]
    assert (connection.stream_id, connection.status) == (9, "abandoned")


def test_when_nothing_can_be_proven_any_more_no_stream_is_called_a_mistake_of_attribution() -> None:
    told = running()
    told.step(connect(2, is_ahead=True))
    (claim,) = told.claims()
    told.step(ev.TrustLost("an option was changed"), fx.StreamJoined(claim, 9))
    told.step(fx.StreamViolated(claim, 9, "SENTCONNECT on circuit 8, claimed for 7"))
    assert told.life.failure is not None
    assert told.life.failure.kind == "tor"


def test_there_is_no_ticket_while_a_connect_waits() -> None:
    told = running()
    told.step(connect(2))
    assert told.life.ticket() is None


def test_what_was_done_by_a_ticket_and_would_not_be_is_an_attribution_error() -> None:
    told = running()
    told.step(ev.WentAstray("a connect was let through that should not have been"))
    assert told.life.failure is not None
    assert (told.life.failure.kind, told.life.failure.blame) == ("attribution", "local")


def test_what_ends_a_run_is_not_called_a_mistake_when_a_connect_was_faster() -> None:
    told, _ = opened()
    told.step(ev.TimerFired("timeout"), ev.WentAstray("answered before"))
    assert told.life.failure is not None
    assert told.life.failure.kind == "timeout"


def test_who_connects_a_socket_that_another_connects_just_now_is_told_so_and_nothing_comes_of_it() -> None:
    for is_ahead in (False, True):
        told = running()
        told.step(connect(1, 40001, is_ahead=is_ahead))
        assert told.step(connect(2, 40001)) == [fx.AnswerCall(2, EALREADY)]
        assert (told.life.failure, len(told.life.connections)) == (None, 1)
        told.step(ev.CallLost(1))
        assert len(told.claims()) == 1


def test_the_endpoint_of_a_stream_that_is_still_to_be_heard_of_is_nobody_elses() -> None:
    told = running()
    told.step(connect(1, 40001, is_ahead=True))
    told.life.connections.by_call[1].is_awaited = True
    told.step(ev.CallLost(1))
    assert told.step(connect(2, 40001)) == [fx.AnswerCall(2, EALREADY)]
    told.step(fx.StreamJoined(told.claims()[0], 9))
    assert isinstance(told.step(connect(3, 40001))[0], fx.OpenStream)


def test_a_socket_that_another_has_connected_meanwhile_is_his() -> None:
    told = opened()[0]
    assert told.step(connect(5, 40001, is_taken=True)) == [fx.AnswerCall(5, EISCONN)]
    assert isinstance(told.step(connect(6, 40001))[0], fx.OpenStream), "another one, that is bound to the same port"
    assert told.step(connect(7, 40001, is_taken=True)) == [fx.AnswerCall(7, EALREADY)]
