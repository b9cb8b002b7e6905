"""Which connects and look-ups a run with destinations of its own is let do, and what is noted of the others."""

from errno import EACCES

import pytest

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.admission import Allowed, canonical_host
from exitpin.orchestrator.connections import EAI_NONAME
from exitpin.orchestrator.model import Destination, Endpoint, Setup

from .lives import PID, Told, connect, lookup, running

ALLOWED = (
    Destination("Web.Test.", 443),
    Destination("192.0.2.1", 80),
    Destination("2001:DB8:0::1", 22),
    Destination("name.test", 0),
)


def held(resolve: str = "mapped", destinations: tuple[Destination, ...] | None = ALLOWED) -> Told:
    return running(resolve, setup=Setup("/nowhere", destinations=destinations))


def denied(told: Told) -> list[tuple[str, str]]:
    return [(one.reason, one.what) for one in told.life.denied]


def mapped(told: Told, host: str) -> str:
    (answer,) = told.step(lookup(2, host))
    assert isinstance(answer, fx.AnswerCall)
    ((address, _),) = answer.endpoints
    return address


@pytest.mark.parametrize(
    ("host", "canonical"),
    [
        ("Web.TEST.", "web.test"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("1.2.3", "1.2.3"),
    ],
)
def test_a_host_has_one_canonical_form(host: str, canonical: str) -> None:
    assert canonical_host(host) == canonical


@pytest.mark.parametrize("to", [Destination("192.0.2.1", 80), Destination("2001:db8::1", 22)])
def test_a_connect_to_an_allowed_address_goes_to_the_exit(to: Destination) -> None:
    told = held()
    told.step(connect(2, to=to))
    assert [claim.destination for claim in told.claims()] == [to]
    assert told.life.denied == []


@pytest.mark.parametrize(
    "to", [Destination("192.0.2.1", 81), Destination("192.0.2.2", 80), Destination("2001:db8::2", 22)]
)
def test_any_other_connect_is_refused_alone_and_noted(to: Destination) -> None:
    told = held()
    assert told.step(connect(2, to=to)) == [fx.AnswerCall(2, EACCES)]
    assert denied(told) == [("destination", str(to))]
    assert told.life.failure is None and told.claims() == []


def test_a_name_covers_its_mapped_address_at_its_port_only() -> None:
    told = held()
    address = mapped(told, "WEB.test")
    told.step(connect(3, to=Destination(address, 443)))
    assert [claim.destination for claim in told.claims()] == [Destination("web.test", 443)]
    assert told.step(connect(4, 40002, to=Destination(address, 80))) == [fx.AnswerCall(4, EACCES)]
    assert denied(told) == [("destination", "web.test:80")]


@pytest.mark.parametrize("host", ["other.test", "sub.web.test", "test"])
@pytest.mark.parametrize("resolve", ["mapped", "exit"])
def test_a_look_up_of_another_host_is_refused_and_noted(host: str, resolve: str) -> None:
    told = held(resolve)
    assert told.step(lookup(2, host)) == [fx.AnswerCall(2, 0, EAI_NONAME)]
    assert denied(told) == [("destination", host)]


def test_port_0_allows_the_look_up_alone() -> None:
    told = held()
    address = mapped(told, "name.test")
    for port in (0, 80):
        assert told.step(connect(3 + port, to=Destination(address, port))) == [fx.AnswerCall(3 + port, EACCES)]


def test_no_destinations_are_none_and_none_given_are_all() -> None:
    assert held(destinations=()).step(lookup(2, "web.test")) == [fx.AnswerCall(2, 0, EAI_NONAME)]
    for told in (held(destinations=None), running()):
        told.step(connect(2))
        assert len(told.claims()) == 1


def found(told: Told, call: int, host: str, address: str) -> None:
    """The exit has given this address for this host."""
    told.step(lookup(call, host), ev.LookupBound(call, PID, Endpoint("127.64.0.1", 50000 + call), host))
    claim = told.claims()[-1]
    told.step(fx.StreamSent(claim, call), ev.SocksAnswered(call, 0, address))


def test_an_address_that_the_exit_gave_for_an_allowed_name_may_be_connected_to() -> None:
    told = held("exit")
    to = Destination("198.51.100.7", 443)
    assert told.step(connect(2, to=to)) == [fx.AnswerCall(2, EACCES)]
    found(told, 3, "web.test", to.host)
    told.step(connect(4, to=to))
    assert told.claims()[-1].destination == to
    assert told.step(connect(5, 40002, to=Destination(to.host, 80))) == [fx.AnswerCall(5, EACCES)]


def test_an_address_given_for_a_name_that_may_only_be_looked_up_may_not() -> None:
    told = held("exit")
    found(told, 2, "name.test", "198.51.100.7")
    assert told.step(connect(3, to=Destination("198.51.100.7", 443))) == [fx.AnswerCall(3, EACCES)]


def test_a_report_that_is_not_so_is_no_matter_of_destinations() -> None:
    told = held()
    told.step(connect(2, to=Destination("192.0.2.9", 9), source=Endpoint("127.64.0.7", 40001)))
    assert told.life.failure is not None and told.life.failure.kind == "attribution"


def test_what_is_allowed_does_not_depend_on_how_it_is_written() -> None:
    assert Allowed.of([Destination("WEB.test.", 80)]) == Allowed.of([Destination("web.TEST", 80)])
