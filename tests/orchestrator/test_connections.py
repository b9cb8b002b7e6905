"""When a hook gets its answer: only both sides of Tor together say success, and nobody is answered twice."""

from errno import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exitpin.orchestrator import effects as fx
from exitpin.orchestrator import events as ev
from exitpin.orchestrator.connections import EAI_AGAIN, EAI_NONAME
from exitpin.orchestrator.model import Claim, Destination, Endpoint
from exitpin.orchestrator.runs import Life, Phase

from .lives import PID, Told, connect, lookup, opened, queued, running
from .values import EXIT, GUARD


def asked() -> tuple[Told, Claim]:
    """A run whose call 2 has been claimed."""
    told = running()
    told.step(connect(2))
    (claim,) = told.claims()
    return told, claim


def test_a_claim_is_what_was_reported_for_the_runs_circuit_with_a_tag_of_its_own() -> None:
    told, first = asked()
    told.step(connect(3, 40002))
    second = told.claims()[1]
    assert first == Claim(
        "s-0001", 1, Endpoint("127.64.0.1", 40001), "tag1", Destination("192.0.2.1", 80), 7, EXIT, is_lookup=False
    )
    assert second.tag == "tag2"


@pytest.mark.parametrize("is_socks_first", [True, False])
def test_success_is_said_when_both_sides_of_tor_say_so(is_socks_first: bool) -> None:
    told, claim = asked()
    told.step(fx.StreamSent(claim, 9))
    events = [ev.SocksAnswered(2, 0), fx.StreamOpened(claim, 9)]
    first, second = events if is_socks_first else reversed(events)
    assert told.step(first) == []
    assert told.step(second) == [fx.AnswerCall(2, 0)]


def test_a_socks_success_without_a_stream_is_no_success() -> None:
    told, _ = asked()
    assert told.step(ev.SocksAnswered(2, 0)) == []
    assert told.step(ev.TimerFired("call 1")) == [fx.AnswerCall(2, ETIMEDOUT, disconnect=True)]


@pytest.mark.parametrize(
    ("reason", "remote_reason", "error"),
    [("END", "MISC", ECONNREFUSED), ("END", "RESOLVEFAILED", EHOSTUNREACH), ("TIMEOUT", None, ETIMEDOUT)],
)
def test_a_failed_stream_is_answered_with_its_errno_at_once(reason: str, remote_reason: str | None, error: int) -> None:
    told, claim = asked()
    told.step(fx.StreamSent(claim, 9))
    assert told.step(fx.StreamFailed(claim, 9, reason, remote_reason)) == [fx.AnswerCall(2, error, disconnect=True)]
    assert told.step(ev.SocksAnswered(2, 5), fx.StreamClosed(claim, 9, reason, None, was_open=False)) == []
    (connection,) = told.life.connections
    assert (connection.status, connection.reason, connection.remote_reason) == ("failed", reason, remote_reason)
    assert told.life.failure is None, "the tool's own business"


def test_a_stream_that_closes_before_it_was_open_has_failed() -> None:
    told, claim = asked()
    closed = fx.StreamClosed(claim, 9, "END", "CONNECTREFUSED", was_open=False)
    assert told.step(closed) == [fx.AnswerCall(2, ECONNREFUSED, disconnect=True)]


@pytest.mark.parametrize(("reply", "error"), [(-1, ENETUNREACH), (4, EHOSTUNREACH), (6, ETIMEDOUT)])
def test_a_socks_refusal_waits_for_tors_reason_and_stands_if_none_comes(reply: int, error: int) -> None:
    told, _ = asked()
    assert told.step(ev.SocksAnswered(2, reply)) == [fx.SetTimer("s-0001", "socks 1", 1.0)]
    assert told.step(ev.TimerFired("socks 1")) == [fx.AnswerCall(2, error, disconnect=True)]
    (connection,) = told.life.connections
    assert (connection.status, connection.reason) == ("failed", f"SOCKS {reply}")


def test_an_open_stream_that_breaks_had_succeeded() -> None:
    told, claim = opened()
    told.step(fx.StreamFailed(claim, 9, "END", "CONNRESET"))
    told.step(fx.StreamClosed(claim, 9, "END", "CONNRESET", was_open=True))
    (connection,) = told.life.connections
    assert (connection.status, connection.remote_reason) == ("succeeded", "CONNRESET")
    assert len(told.answers()) == 2


@pytest.mark.parametrize("stage", ["claimed", "sent"])
def test_a_tool_that_went_away_while_it_waited_is_answered_no_more(stage: str) -> None:
    told, claim = asked()
    if stage == "sent":
        told.step(fx.StreamSent(claim, 9))
    told.step(ev.CallLost(2))
    later = (fx.StreamSent(claim, 9), fx.StreamOpened(claim, 9), ev.SocksAnswered(2, 0), ev.TimerFired("call 1"))
    assert told.step(*later) == []
    assert [connection.status for connection in told.life.connections] == ["abandoned"]
    assert [answer.call for answer in told.answers()] == [1]


def test_bytes_and_the_exits_address_are_kept_with_their_connection() -> None:
    told, claim = opened()
    told.step(fx.StreamRemapped(claim, "192.0.2.7"), ev.BytesSeen(9, 5, 0))
    assert told.life.times.first_byte is None
    told.step(ev.BytesSeen(9, 1, 7), ev.BytesSeen(99, 100, 100))
    (connection,) = told.life.connections
    assert (connection.bytes_up, connection.bytes_down, connection.resolved) == (6, 7, "192.0.2.7")
    assert told.life.times.first_byte is not None


def test_bytes_that_tor_tells_of_after_the_end_came_before_it() -> None:
    told, claim = opened()
    told.step(fx.StreamRemapped(claim, "192.0.2.7"), ev.ProcessExited(0, None), ev.TreeEnded(0.1, 4096, 0))
    told.step(ev.BytesSeen(9, 1, 7))
    assert told.life.times.end is not None
    assert told.life.times.first_byte == told.life.times.end


# Look-ups at the exit.


def looked_up() -> tuple[Told, Claim]:
    told = running(resolve="exit")
    assert told.step(lookup(2, "web.test", 4)) == [fx.BindLookup("s-0001", 2, "web.test")]
    told.step(ev.LookupBound(2, PID, Endpoint("127.64.0.1", 50001), "web.test"))
    (claim,) = told.claims()
    assert claim.is_lookup and claim.destination == Destination("web.test", 0)
    return told, claim


def test_a_look_up_is_answered_by_socks_once_it_was_sent() -> None:
    told, claim = looked_up()
    assert told.step(fx.StreamSent(claim, 9)) == []
    answer = fx.AnswerCall(2, endpoints=(("192.0.2.7", 0),))
    assert told.step(ev.SocksAnswered(2, 0, "192.0.2.7")) == [answer]
    (connection,) = told.life.connections
    assert (connection.status, connection.resolved) == ("succeeded", "192.0.2.7")


def test_a_look_up_that_tor_answered_itself_is_not_the_exits_answer() -> None:
    told, _ = looked_up()
    assert told.step(ev.SocksAnswered(2, 0, "192.0.2.7")) == []
    assert told.step(ev.TimerFired("call 1")) == [fx.AnswerCall(2, ETIMEDOUT, EAI_AGAIN, disconnect=True)]


def test_a_look_up_that_fails_says_so_to_the_resolver() -> None:
    told, claim = looked_up()
    told.step(fx.StreamSent(claim, 9), fx.StreamClosed(claim, 9, "DONE", None, was_open=False))
    effects = told.step(ev.SocksAnswered(2, 4))
    assert effects == [fx.AnswerCall(2, EHOSTUNREACH, EAI_AGAIN, disconnect=True)]
    (connection,) = told.life.connections
    assert (connection.status, connection.reason) == ("failed", "RESOLVEFAILED")


def test_tor_has_no_look_up_for_ipv6_alone() -> None:
    assert running(resolve="exit").step(lookup(2, "web.test", 6)) == [fx.AnswerCall(2, 0, EAI_NONAME)]


# Whatever comes.

WORDS = (
    "ready", "unavailable", "closed circuit", "hello", "odd hello", "connect", "odd connect", "lookup", "bound", "peer",
    "denied", "socks", "refused socks", "lost", "sent", "opened", "failed", "closed", "remapped", "violated", "bytes",
    "started", "refused", "exited", "ended", "launcher lost", "timer", "trust lost", "interrupted",
)  # fmt: skip
GENTLE = tuple(word for word in WORDS if word not in ("refused", "launcher lost", "unavailable", "odd hello", "ended"))


class Story:
    """A life to which anything may happen, but that what speaks of a claim or a timer needs one to speak of."""

    def __init__(self, resolve: str) -> None:
        self.told: Told = queued(resolve)
        self.told.wishes += self.told.life.begin()
        self.calls = 0
        self.circuits = 6
        self.phases = [self.told.life.phase]

    def event(self, word: str, pick: int) -> object | None:
        call, port = self.calls + 1, 40000 + pick
        claims = self.told.claims()
        claim = claims[pick % len(claims)] if claims else None
        timers = [wish.name for wish in self.told.wishes if isinstance(wish, fx.SetTimer)]
        bound = [wish for wish in self.told.wishes if isinstance(wish, fx.BindLookup)]
        anytime = {
            "ready": fx.CircuitReady("s-0001", self.circuits + 1, (GUARD, EXIT)),
            "unavailable": fx.CircuitUnavailable("s-0001", "TIMEOUT"),
            "closed circuit": fx.CircuitClosed("s-0001", self.circuits, "DESTROYED"),
            "hello": ev.Hello(call, PID, "/bin/true", None),
            "odd hello": ev.Hello(call, PID, "/bin/true", "foreign"),
            "connect": connect(call, port),
            "odd connect": connect(call, port, Destination("198.18.0.9", 80)),
            "lookup": lookup(call, f"n{pick}.test", (0, 4, 6)[pick % 3]),
            "peer": ev.PeerAsked(call, Endpoint("127.64.0.1", port), None),
            "denied": ev.Denied(PID, "udp", "x"),
            "socks": ev.SocksAnswered(pick, 0, "192.0.2.7"),
            "refused socks": ev.SocksAnswered(pick, -1),
            "lost": ev.CallLost(pick),
            "bytes": ev.BytesSeen(pick, 1, 1),
            "started": ev.ProcessStarted(PID),
            "refused": ev.ProcessRefused("not-found", 127, ""),
            "exited": ev.ProcessExited(0, None),
            "ended": ev.TreeEnded(0.1, 1, 0),
            "launcher lost": ev.LauncherLost("gone"),
            "trust lost": ev.TrustLost("gone"),
            "interrupted": ev.Interrupted(),
        }
        if word == "timer":
            return ev.TimerFired(timers[pick % len(timers)]) if timers else None
        if word == "bound":
            return ev.LookupBound(bound[-1].call, PID, Endpoint("127.64.0.1", port), "n") if bound else None
        if word not in anytime:
            return None if claim is None else stream_event(word, claim, pick)
        self.circuits += word == "ready"
        return anytime[word]

    def happens(self, word: str, pick: int) -> None:
        event = self.event(word, pick)
        if event is None or (word == "bound" and self.is_bound_already(event)):
            return
        self.calls = max(self.calls, getattr(event, "call", 0))
        self.told.step(event)
        self.phases.append(self.told.life.phase)

    def is_bound_already(self, event: object) -> bool:
        return any(c.call == getattr(event, "call", 0) for c in self.told.life.connections)


def stream_event(word: str, claim: Claim, pick: int) -> object:
    stream_id = 100 + claim.connection
    return {
        "sent": fx.StreamSent(claim, stream_id),
        "opened": fx.StreamOpened(claim, stream_id),
        "failed": fx.StreamFailed(claim, stream_id, *(("END", "MISC"), ("DESTROY", None))[pick % 2]),
        "closed": fx.StreamClosed(claim, stream_id, "DONE", None, was_open=pick % 2 == 0),
        "remapped": fx.StreamRemapped(claim, "192.0.2.7"),
        "violated": fx.StreamViolated(claim, stream_id, "the tag changed"),
    }[word]


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.one_of(st.sampled_from(WORDS), st.sampled_from(GENTLE)), st.integers(0, 12)), max_size=60),
    st.sampled_from(["mapped", "exit"]),
)
def test_whatever_comes_no_call_is_answered_twice_and_a_life_goes_forward(
    happenings: list[tuple[str, int]], resolve: str
) -> None:
    story = Story(resolve)
    for word, pick in [("ready", 0), ("started", 0), ("hello", 0), *happenings]:
        story.happens(word, pick)
    life: Life = story.told.life
    answered = [answer.call for answer in story.told.answers()]
    assert len(answered) == len(set(answered)), "answered twice"
    assert set(answered) <= set(range(1, story.calls + 1)), "answered without having been asked"
    assert story.phases == sorted(story.phases), "backwards"
    assert sum(isinstance(wish, fx.RunDone) for wish in story.told.wishes) == (life.phase is Phase.DONE)
    assert sum(isinstance(wish, fx.StartProcess) for wish in story.told.wishes) == 1
    assert len({claim.tag for claim in story.told.claims()}) == len(story.told.claims()), "claimed twice"
