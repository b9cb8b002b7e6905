"""A run's names, and what it notes of what was refused."""

from errno import ENETUNREACH

import pytest

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.connections import EAI_NONAME
from exitpin.orchestrator.model import Destination, Endpoint
from exitpin.orchestrator.runs import DENIED_MAX, STRANGERS_MAX

from .lives import PID, connect, lookup, running


def test_a_mapped_name_is_connected_to_by_name_and_shown_as_it_was_asked_for() -> None:
    told = running()
    (answer,) = told.step(lookup(2, "web.test", 4))
    assert isinstance(answer, fx.AnswerCall)
    ((address, _),) = answer.endpoints
    assert told.step(lookup(3, address, is_reverse=True)) == [fx.AnswerCall(3, name="web.test")]
    told.step(connect(4, to=Destination(address, 443)))
    assert [claim.destination for claim in told.claims()] == [Destination("web.test", 443)]
    peer = told.step(ev.PeerAsked(5, told.claims()[0].source, None))
    assert peer == [fx.AnswerCall(5, endpoints=((address, 443),))]


def test_a_mapped_address_that_nobody_was_given_is_refused_and_noted() -> None:
    told = running()
    assert told.step(connect(2, to=Destination("198.18.0.9", 80))) == [fx.AnswerCall(2, ENETUNREACH)]
    assert [denied.reason for denied in told.life.denied] == ["unknown-mapped-address"]


def test_whose_an_address_is_the_exit_is_asked_where_it_resolves() -> None:
    told = running(resolve="exit")
    assert told.step(lookup(2, "192.0.2.10", is_reverse=True)) == [fx.BindLookup(told.life.run.run_id, 2, "192.0.2.10")]
    told.step(ev.LookupBound(2, PID, Endpoint("127.64.0.1", 50002), "192.0.2.10"))
    (claim,) = told.claims()
    told.step(fx.StreamSent(claim, 7))
    (answer,) = told.step(ev.SocksAnswered(2, 0, "web.test"))
    assert answer == fx.AnswerCall(2, name="web.test")
    (connection,) = told.life.connections
    assert (connection.status, connection.resolved) == ("succeeded", None), "Tor's lines do not tell the name"
    assert told.life.connections.names_with("web.test") == set()


def test_what_a_name_server_does_not_know_the_exit_is_asked_in_any_mode() -> None:
    told = running()
    asked = ev.LookupReported(2, ev.NO_PROCESS, "192.0.2.10", 0, True, None)
    assert told.step(asked) == [fx.BindLookup(told.life.run.run_id, 2, "192.0.2.10")]


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.0.1", "fe80::1", "127.0.0.1"])
def test_no_exit_is_asked_whose_a_private_address_is(address: str) -> None:
    told = running(resolve="exit")
    assert told.step(lookup(2, address, is_reverse=True)) == [fx.AnswerCall(2, 0, EAI_NONAME)]


def test_a_name_of_no_mapped_address_and_a_peer_of_no_connection_are_not_invented() -> None:
    told = running()
    assert told.step(lookup(2, "192.0.2.1", is_reverse=True)) == [fx.AnswerCall(2, 0, -2)]
    assert told.step(ev.PeerAsked(3, Endpoint("127.64.0.1", 9), None)) == [fx.AnswerCall(3, ENETUNREACH)]
    told.step(connect(4))
    assert told.step(ev.PeerAsked(5, told.claims()[0].source, "the report says another port")) == [
        fx.AnswerCall(5, ENETUNREACH)
    ]


def test_refusals_are_all_counted_and_kept_once_each_up_to_a_limit() -> None:
    told = running()
    for port in range(DENIED_MAX + 50):
        for _ in range(2):
            told.step(ev.Denied(PID, "udp", f"192.0.2.1:{port}"))
    assert told.life.denied_count == 2 * (DENIED_MAX + 50)
    assert len(told.life.denied) == DENIED_MAX == len(set(told.life.denied))


def test_strangers_crowd_out_nothing_that_the_tool_was_refused() -> None:
    """The tool of another run may knock as often as it likes, from as many processes."""
    told = running()
    for pid in range(DENIED_MAX + 50):
        told.step(ev.Denied(100_000 + pid, "stranger", "HELLO"))
    told.step(ev.Denied(PID, "udp", "192.0.2.1:53"))
    assert told.life.denied[-1] == ev.Denied(PID, "udp", "192.0.2.1:53")
    assert told.life.denied_count == DENIED_MAX + 51
    assert len(told.life.denied) == STRANGERS_MAX + 1


@pytest.mark.parametrize("host", ["x.onion", "X.ONION.", "www.example.org.FP.exit"])
def test_a_name_of_tors_own_is_refused_alone_and_noted(host: str) -> None:
    told = running()
    assert told.step(lookup(2, host)) == [fx.AnswerCall(2, 0, EAI_NONAME)]
    assert told.life.failure is None
    assert [(denied.reason, denied.what) for denied in told.life.denied] == [("name", host)]
