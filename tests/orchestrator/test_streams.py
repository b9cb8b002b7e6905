"""The stream table line by line: what is attached, what is told, what is closed."""

from dataclasses import replace

import pytest

from exitpin.orchestrator.effects import (
    AttachStream,
    CloseStream,
    StreamClosed,
    StreamFailed,
    StreamForeign,
    StreamJoined,
    StreamOpened,
    StreamRemapped,
    StreamSent,
    StreamViolated,
)
from exitpin.orchestrator.model import Claim, Endpoint
from exitpin.orchestrator.outcomes import END_NUMBERS
from exitpin.orchestrator.streams import TRANSITIONS, Status, Stream, Streams

from .values import EXIT, GUARD, OTHER_EXIT, circ_event, claim, new_event, stream_event

WORDS = (
    "NEW", "NEWRESOLVE", "CONTROLLER_WAIT", "SENTCONNECT", "SENTRESOLVE", "REMAP", "SUCCEEDED", "DETACHED", "FAILED",
    "CLOSED", "XOFF_SENT", "XOFF_RECV", "XON_SENT", "XON_RECV",
)  # fmt: skip
# Where Tor's lines may come in each state, by the sequences that Tor was seen to send.
LISTED = {
    Status.ATTACHING: {"CONTROLLER_WAIT", "SENTCONNECT", "SENTRESOLVE", "DETACHED", "FAILED", "CLOSED"},
    Status.SENT: {"REMAP", "SUCCEEDED", "DETACHED", "FAILED", "CLOSED"},
    Status.OPEN: {"REMAP", "XOFF_SENT", "XOFF_RECV", "XON_SENT", "XON_RECV", "FAILED", "CLOSED"},
    Status.CLOSING: {
        "CONTROLLER_WAIT", "FAILED", "SENTCONNECT", "SENTRESOLVE", "REMAP", "SUCCEEDED", "DETACHED", "CLOSED"
    },
    Status.DONE: set(),
}  # fmt: skip


def table(*claims: Claim) -> Streams:
    """Circuit 7 ends at EXIT, 8 at OTHER_EXIT; these claims stand."""
    streams = Streams()
    streams.step_circuit(circ_event(7, "BUILT", (GUARD, EXIT)))
    streams.step_circuit(circ_event(8, "BUILT", (GUARD, OTHER_EXIT)))
    for one in claims:
        assert streams.add_claim(one)
    return streams


def attached(status: Status = Status.ATTACHING) -> tuple[Streams, Claim]:
    """Stream 1 of a claim, in this state."""
    streams, mine = table(claim()), claim()
    assert streams.step(new_event(1, mine)) == [StreamJoined(mine, 1), AttachStream(1, 7)]
    streams.streams[1] = Stream(1, mine, status)
    return streams, mine


def test_a_stream_that_a_ticket_has_attached_is_attached_in_words() -> None:
    mine = replace(claim(), is_ahead=True)
    assert table(mine).step(new_event(1, mine)) == [StreamJoined(mine, 1), AttachStream(1, 7, is_ahead=True)]


def test_a_claimed_stream_is_attached_told_and_forgotten() -> None:
    mine = claim()
    streams = table(mine)
    told = [
        effect
        for event in (
            new_event(1, mine),
            stream_event(1, "CONTROLLER_WAIT"),
            stream_event(1, "SENTCONNECT", 7),
            stream_event(1, "REMAP", 7, target="203.0.113.9:80", words=" SOURCE=EXIT"),
            stream_event(1, "SUCCEEDED", 7),
            stream_event(1, "CLOSED", 7, words=" REASON=END REMOTE_REASON=DONE"),
        )
        for effect in streams.step(event)
    ]
    assert told == [
        StreamJoined(mine, 1),
        AttachStream(1, 7),
        StreamSent(mine, 1),
        StreamRemapped(mine, "203.0.113.9"),
        StreamOpened(mine, 1),
        StreamClosed(mine, 1, "END", "DONE", was_open=True),
    ]
    assert not streams.streams and not streams.claims


def test_a_look_up_is_attached_and_closes_without_having_been_open() -> None:
    mine = claim(is_lookup=True)
    streams = table(mine)
    assert streams.step(new_event(1, mine)) == [StreamJoined(mine, 1), AttachStream(1, 7)]
    assert streams.step(stream_event(1, "SENTRESOLVE", 7)) == [StreamSent(mine, 1)]
    assert streams.step(stream_event(1, "REMAP", 7, target="[2001:db8::9]:0", words=" SOURCE=EXIT")) == [
        StreamRemapped(mine, "2001:db8::9")
    ]
    closed = StreamClosed(mine, 1, "DONE", None, was_open=False)
    assert streams.step(stream_event(1, "CLOSED", 7, words=" REASON=DONE")) == [closed]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("status", list(Status))
def test_a_pair_that_the_table_does_not_list_is_a_violation(status: Status, word: str) -> None:
    assert ((status, word) in TRANSITIONS) == (word in LISTED[status])
    streams, mine = attached(status)
    told = streams.step(stream_event(1, word, 7))
    if word in LISTED[status]:
        assert not [effect for effect in told if isinstance(effect, StreamViolated)]
        following = TRANSITIONS[status, word]
        assert (streams.streams[1].status if 1 in streams.streams else Status.DONE) is following
    else:
        assert told == [CloseStream(1, 1), StreamViolated(mine, 1, f"{word} while {status.value}")]
        assert 1 not in streams.streams


@pytest.mark.parametrize("reason", sorted(END_NUMBERS))
def test_a_detached_stream_is_closed_with_the_exits_reason_and_never_attached_again(reason: str) -> None:
    streams, mine = attached(Status.SENT)
    words = f" REASON=END REMOTE_REASON={reason}"
    assert streams.step(stream_event(1, "DETACHED", 7, words=words)) == [
        CloseStream(1, END_NUMBERS[reason]),
        StreamFailed(mine, 1, "END", reason),
    ]
    assert streams.step(stream_event(1, "CONTROLLER_WAIT", 7)) == []
    assert streams.step(stream_event(1, "FAILED", 0, words=f" REASON={reason}")) == []
    assert len(streams.step(stream_event(1, "CLOSED", 0, words=f" REASON={reason}"))) == 1


def test_a_frozen_exits_timeout_is_closed_with_our_tors_reason() -> None:
    streams, mine = attached(Status.SENT)
    assert streams.step(stream_event(1, "DETACHED", 7, words=" REASON=TIMEOUT")) == [
        CloseStream(1, 7),
        StreamFailed(mine, 1, "TIMEOUT", None),
    ]


def test_a_failed_stream_needs_no_close() -> None:
    streams, mine = attached(Status.SENT)
    words = " REASON=END REMOTE_REASON=CONNECTREFUSED"
    assert streams.step(stream_event(1, "FAILED", 7, words=words)) == [StreamFailed(mine, 1, "END", "CONNECTREFUSED")]


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (Status.ATTACHING, stream_event(1, "SENTCONNECT", 8)),
        (Status.SENT, stream_event(1, "SUCCEEDED", 8)),
        (Status.SENT, stream_event(1, "REMAP", 8, words=" SOURCE=EXIT")),
        (Status.SENT, stream_event(1, "SUCCEEDED", 0)),
        (Status.SENT, stream_event(1, "DETACHED", 8, words=" REASON=TIMEOUT")),
        (Status.OPEN, stream_event(1, "CLOSED", 8, words=" REASON=DONE")),
        (Status.OPEN, stream_event(1, "XOFF_SENT", 8)),
        (Status.OPEN, stream_event(1, "CLOSED", 7, tag="s-0002.1.other", words=" REASON=DONE")),
        (Status.SENT, stream_event(1, "SUCCEEDED", 7, tag="s-0002.1.other")),
        (Status.SENT, stream_event(1, "REMAP", 7, words=" SOURCE=CACHE")),
        (Status.CLOSING, stream_event(1, "SENTCONNECT", 8)),
    ],
)
def test_a_line_that_names_another_circuit_or_tag_or_a_cache_is_a_violation(status: Status, event: object) -> None:
    streams, _ = attached(status)
    told = streams.step(event)  # type: ignore[arg-type]
    assert [type(effect) for effect in told] == [CloseStream, StreamViolated]


def test_controller_wait_still_names_the_old_circuit_and_that_means_nothing() -> None:
    streams, _ = attached(Status.CLOSING)
    assert streams.step(stream_event(1, "CONTROLLER_WAIT", 99)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"tag": "s-0001.2.secret"},
        {"tag": None},
        {"tag": ""},
        {"source": Endpoint("127.64.0.2", 40001)},
        {"source": Endpoint("127.64.0.1", 40002)},
        {"source": None},
    ],
)
def test_a_stream_whose_witnesses_disagree_is_closed_and_counted(changes: dict[str, object]) -> None:
    mine = claim()
    streams = table(mine)
    event = new_event(1, mine, **changes)
    assert streams.step(event) == [CloseStream(1, 1), StreamForeign(event)]
    assert streams.claims == {mine.source: mine}, "the rightful stream may still come"


def test_a_claim_is_used_once() -> None:
    mine = claim()
    streams = table(mine)
    assert streams.step(new_event(1, mine)) == [StreamJoined(mine, 1), AttachStream(1, 7)]
    assert [type(effect) for effect in streams.step(new_event(2, mine))] == [CloseStream, StreamForeign]


def test_a_stream_id_is_attached_once_even_if_it_comes_back_with_a_claim_of_its_own() -> None:
    first, second = claim(1), claim(2)
    streams = table(first, second)
    streams.step(new_event(1, first))
    streams.step(stream_event(1, "CLOSED", 0, words=" REASON=DONE"))
    assert [type(effect) for effect in streams.step(new_event(1, second))] == [CloseStream, StreamForeign]


def test_an_endpoint_that_is_claimed_already_is_not_claimed_again() -> None:
    streams = table(claim())
    assert not streams.add_claim(claim(1, tag="s-0001.9.other"))
    assert streams.claims[claim().source].tag == claim().tag


def test_a_dropped_claim_leaves_its_endpoint_foreign_and_free() -> None:
    mine, others = claim(1), claim(2, run_id="s-0002")
    streams = table(mine, others)
    streams.drop_claim(mine.source, others.tag)
    assert streams.claims[mine.source] == mine, "it is another's to drop"
    streams.drop_claim(mine.source, mine.tag)
    assert [type(effect) for effect in streams.step(new_event(1, mine))] == [CloseStream, StreamForeign]
    assert streams.add_claim(mine)
    streams.drop_claims_of("s-0001")
    assert streams.claims == {others.source: others}


@pytest.mark.parametrize(
    "lines",
    [
        [circ_event(7, "CLOSED", words=" REASON=DESTROYED REMOTE_REASON=CHANNEL_CLOSED")],
        [circ_event(7, "FAILED", words=" REASON=TIMEOUT")],
        [circ_event(7, "BUILT", (GUARD, OTHER_EXIT))],
        [circ_event(7, "EXTENDED", (GUARD, EXIT, OTHER_EXIT))],
        [circ_event(7, "BUILT", words=" CONFLUX_ID=00")],
        [circ_event(7, "CLOSED"), circ_event(8, "BUILT")],
    ],
)
def test_a_stream_is_never_attached_to_a_circuit_that_is_not_open_at_the_claims_exit(lines: list[object]) -> None:
    mine = claim()
    streams = table(mine)
    for line in lines:
        streams.step_circuit(line)  # type: ignore[arg-type]
    assert streams.step(new_event(1, mine)) == [CloseStream(1, 5), StreamFailed(mine, 1, "CANT_ATTACH", None)]


@pytest.mark.parametrize("is_lookup", [False, True])
def test_a_stream_with_the_other_command_is_a_violation(is_lookup: bool) -> None:
    mine = claim(is_lookup=is_lookup)
    streams = table(mine)
    event = new_event(1, claim(is_lookup=not is_lookup))
    assert streams.step(event) == [CloseStream(1, 1), StreamViolated(mine, 1, "wrong command")]


@pytest.mark.parametrize("purpose", ["DIR_FETCH", "DIR_UPLOAD", "DIRPORT_TEST"])
def test_tors_own_streams_are_let_be(purpose: str) -> None:
    streams = table()
    target = f"198.51.100.7.${GUARD}.exit:9001"
    assert streams.step(stream_event(1, "NEW", target=target, tag=None, words=f" PURPOSE={purpose}")) == []
    assert streams.step(stream_event(1, "SENTCONNECT", 3, target=target, tag=None)) == []


def test_a_stream_that_tor_takes_to_no_circuit_fails_by_tors_own_word_and_alone() -> None:
    streams, mine = attached()
    assert streams.refuse_attach(1, False) == [CloseStream(1, 1)]
    failed = stream_event(1, "FAILED", 0, words=" REASON=TORPROTOCOL")
    assert streams.step(failed) == [StreamFailed(mine, 1, "TORPROTOCOL", None)]


def test_a_refused_attach_closes_the_stream_once() -> None:
    streams, mine = attached()
    assert streams.refuse_attach(1, True) == [CloseStream(1, 5), StreamFailed(mine, 1, "CANT_ATTACH", None)]
    assert streams.refuse_attach(1, True) == []
    assert streams.refuse_attach(2, True) == []
    assert streams.step(stream_event(1, "CLOSED", 0, words=" REASON=DESTROY")) == [
        StreamClosed(mine, 1, "DESTROY", None, was_open=False)
    ]


def test_circuit_0_can_not_be_wished_for() -> None:
    with pytest.raises(AssertionError, match="BUG"):
        AttachStream(1, 0)
