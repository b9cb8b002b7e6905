"""A ticket is used for a plain connect and for nothing else, and the tool goes on when all witnesses agree."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.model import Endpoint
from exitpin.shim.tickets import Kind, Note

from .ticketed import CIRCUIT, DEADLINE_S, GRANTED, TAG, Scene, request_on, scene, source_of, stream

ELSEWHERE = CIRCUIT + 1


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


def asked(on: Scene) -> tuple[Note, socket.socket]:
    """A connect under way: Tor has heard what it is to do, and not of a stream yet."""
    note = on.note()
    connection = on.socks()
    assert request_on(connection) == (TAG, "web.test", 80)
    return note, connection


def granted(on: Scene) -> tuple[Note, socket.socket]:
    """One whose stream was attached, as far as we know, and granted by Tor's SOCKS side."""
    on.issue()
    on.tool()
    note, connection = asked(on)
    on.says(stream("NEW", 0, source_of(note)))
    on.hears()
    connection.sendall(GRANTED)
    return note, connection


def answered(on: Scene) -> str:
    """What the last tool was answered."""
    return on.tools[-1].communicate(timeout=DEADLINE_S)[0].strip()


def close(note: Note) -> None:
    """As its owner does."""
    for descriptor in (note.connection, *note.descriptors):
        if descriptor >= 0:
            os.close(descriptor)


def test_a_plain_connect_is_claimed_attached_and_answered_without_the_loop(on: Scene) -> None:
    ticket = on.issue()
    tool = on.tool()
    note, connection = asked(on)
    assert (note.kind, note.ticket, note.pid) == (Kind.WENT, ticket, tool.pid)
    assert (note.host, note.port) == ("web.test", 80)
    on.says(stream("NEW", 0, source_of(note)))
    assert on.hears() == f"ATTACHSTREAM 5 {CIRCUIT}\r\n"
    on.says("250 OK", stream("SENTCONNECT", CIRCUIT))
    connection.sendall(GRANTED)
    on.says(stream("SUCCEEDED", CIRCUIT))
    assert answered(on) == "0"
    heard = [on.note(), on.note()]
    assert {(each.kind, each.code) for each in heard} == {(Kind.ATTACHED, 250), (Kind.REPLIED, 0)}
    assert on.thread.end(note.flight) == (True, True)
    assert on.thread.end(note.flight) == (False, False)
    close(note)


def test_tor_is_asked_for_the_address_that_was_asked_for_where_no_name_is_known(on: Scene) -> None:
    on.issue()
    on.tool(destination=["198.51.100.7", 443])
    note = on.note()
    assert request_on(on.socks()) == (TAG, "198.51.100.7", 443)
    assert not on.thread.end(note.flight)[0]
    close(note)


WRONG: dict[str, list[str]] = {
    "SUCCEEDED on another circuit": [stream("SENTCONNECT", CIRCUIT), stream("SUCCEEDED", ELSEWHERE)],
    "SENTCONNECT on another circuit": [stream("SENTCONNECT", ELSEWHERE), stream("SUCCEEDED", CIRCUIT)],
    "another tag": [stream("SENTCONNECT", CIRCUIT, tag=TAG + "0"), stream("SUCCEEDED", CIRCUIT)],
    "DETACHED in between": [stream("DETACHED", CIRCUIT), stream("SUCCEEDED", CIRCUIT)],
    "Tor's cache": [stream("REMAP", CIRCUIT) + " SOURCE=CACHE", stream("SUCCEEDED", CIRCUIT)],
    "a word that nobody knows": [stream("PONDERS", CIRCUIT), stream("SUCCEEDED", CIRCUIT)],
    "another stream": [stream("SUCCEEDED", CIRCUIT, number=6)],
    "no stream": [],
}


@pytest.mark.parametrize("lines", WRONG.values(), ids=WRONG)
def test_nobody_is_told_of_success_that_is_not_what_was_claimed(on: Scene, lines: list[str]) -> None:
    note, _connection = granted(on)
    on.says(*lines, "250 OK")
    assert {on.note().kind, on.note().kind} == {Kind.REPLIED, Kind.ATTACHED}  # it has read all lines
    assert not on.thread.end(note.flight)[0]
    close(note)
    assert answered(on) == "nothing"


def test_an_attach_that_tor_refuses_is_told_and_answered_by_nobody(on: Scene) -> None:
    note, _connection = granted(on)
    on.says('552 Unknown circuit "77"', stream("SUCCEEDED", CIRCUIT))
    heard = {each.kind: each for each in (on.note(), on.note())}
    refusal = heard[Kind.ATTACHED]
    assert (refusal.code, refusal.packet, refusal.stream, refusal.circuit) == (552, b'Unknown circuit "77"', 5, CIRCUIT)
    assert not on.thread.end(note.flight)[0]
    close(note)


def test_a_stream_of_which_one_witness_differs_is_not_attached(on: Scene) -> None:
    on.issue()
    on.tool()
    note, _ = asked(on)
    host, port = source_of(note)
    on.says(
        stream("NEW", 0, Endpoint("127.64.0.8", port), number=11),
        stream("NEW", 0, Endpoint(host, port ^ 1), number=12),
        stream("NEW", 0, Endpoint(host, port), tag=TAG[:-1], number=13),
        stream("NEW", 0, Endpoint(host, port), tag=TAG[:-1] + "0", number=14),
        stream("NEW", 0, Endpoint(host, port), number=15).replace("PURPOSE=USER", "PURPOSE=DIR_FETCH"),
        stream("NEWRESOLVE", 0, Endpoint(host, port), number=16),
        stream("NEW", CIRCUIT, Endpoint(host, port), number=17),
        stream("NEW", 0, Endpoint(host, port), number=18),
        stream("NEW", 0, Endpoint(host, port), number=19),  # claimed once
    )
    assert on.hears() == f"ATTACHSTREAM 18 {CIRCUIT}\r\n"
    on.says("250 OK")
    assert on.note().stream == 18
    assert not on.thread.end(note.flight)[0]
    close(note)


def test_a_ticket_that_was_recalled_is_used_by_nobody(on: Scene) -> None:
    assert on.thread.recall(on.issue())
    on.tool()
    on.reports.setblocking(True)
    on.reports.settimeout(DEADLINE_S)
    connection, _ = on.reports.accept()
    connection.settimeout(DEADLINE_S)
    assert len(connection.recv(1000)) == 80
    connection.close()
    assert on.notes() == []
    assert answered(on) == "nothing"


def test_who_has_said_nothing_when_the_ticket_is_recalled_is_handed_over(on: Scene) -> None:
    ticket = on.issue()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as hook:
        hook.connect(on.reports.getsockname())
        while on.thread.recall(ticket):
            ticket = on.issue()
        (note,) = on.notes()
    assert (note.kind, note.pid) == (Kind.ACCEPTED, os.getpid())
    close(note)


def test_who_says_much_that_is_not_plain_is_soon_left_to_the_loop(on: Scene) -> None:
    ticket = on.issue()
    hooks = []
    for _ in range(100):
        hook = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        hook.connect(on.reports.getsockname())
        hooks.append(hook)
        if any(note.kind is Kind.RETURNED for note in on.unread):
            break
        on.unread += on.thread.notes()
    while not any(note.kind is Kind.RETURNED for note in on.unread):
        on.unread.append(on.note())
    kinds = [note.kind for note in on.notes()]
    assert kinds.count(Kind.ACCEPTED) == 17
    assert on.thread.recall(ticket)
    for hook in hooks:
        hook.close()


def test_the_loop_is_left_in_peace_for_the_only_connect_that_there_is(on: Scene) -> None:
    on.issue()
    on.tool()
    connection = on.socks()
    assert request_on(connection) == (TAG, "web.test", 80)
    first = on.note()  # after some milliseconds
    on.issue(tag=TAG + "1")
    on.tool()
    second = on.note()
    assert (first.kind, second.kind) == (Kind.WENT, Kind.WENT)
    assert not on.thread.is_hushed()
    for note in (first, second):
        on.thread.end(note.flight)
        close(note)


def test_it_is_known_of_a_flight_whether_tor_was_told_to_attach_its_stream(on: Scene) -> None:
    on.issue()
    on.tool()
    note, _ = asked(on)
    on.says(stream("NEW", 0, source_of(note)))
    on.hears()
    on.tools[-1].kill()
    gone = on.note()
    assert gone.kind is Kind.HUNG_UP
    assert on.thread.end(note.flight) == (False, True)
    close(note)


def test_a_second_connect_waits_for_the_next_ticket(on: Scene) -> None:
    on.issue()
    on.tool()
    first, _ = asked(on)
    on.tool()
    on.reports.settimeout(DEADLINE_S)
    connection, _ = on.reports.accept()
    connection.close()
    assert not on.thread.end(first.flight)[0]
    close(first)


def test_a_tool_that_is_killed_while_it_waits_is_told_of(on: Scene) -> None:
    on.issue()
    tool = on.tool()
    note, _ = asked(on)
    tool.kill()
    gone = on.note()
    assert (gone.kind, gone.flight) == (Kind.HUNG_UP, note.flight)
    assert not on.thread.end(note.flight)[0]
    close(note)


@pytest.mark.parametrize(
    "reply", [b"\x05\x01\x00\x01" + bytes(6), b"\x04\x00", b""], ids=["refused", "no SOCKS", "ended"]
)
def test_what_tors_socks_side_says_else_is_told(on: Scene, reply: bytes) -> None:
    on.issue()
    on.tool()
    note, connection = asked(on)
    connection.sendall(reply)
    connection.close()
    told = on.note()
    assert (told.kind, told.flight, told.code) == (Kind.REPLIED, note.flight, 1 if len(reply) == 10 else -1)
    assert not on.thread.end(note.flight)[0]
    close(note)


SENSELESS = {
    "nothing": "",
    "a reply without a command": "250 OK\r\n",
    "no reply": "nonsense\r\n",
    "a bare line feed": "650 STREAM 1\n",
    "a line without an end": "x" * 70_000,
}


@pytest.mark.parametrize("words", SENSELESS.values(), ids=SENSELESS)
def test_a_control_connection_that_ends_or_makes_no_sense_is_lost_and_issues_nothing_more(
    on: Scene, words: str
) -> None:
    on.control.sendall(words.encode())
    on.control.close()
    note = on.note()
    assert note.kind is Kind.LOST
    assert note.packet
    with pytest.raises(OSError, match="not connected"):
        on.issue()


TOO_MUCH: dict[str, dict[str, Any]] = {
    "tag": {"tag": "x" * 128},
    "no host": {"places": [("198.18.0.1", 0, "")]},
    "places": {"places": [("198.18.0.1", 0, "x")] * 33},
}


@pytest.mark.parametrize("changes", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_no_ticket_can_hold_is_refused(on: Scene, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"ticket|host"):
        on.issue(**changes)


@pytest.mark.parametrize("changes", [{"circuit": 0}, {"tag": ""}], ids=["circuit 0", "no tag"])
def test_a_circuit_of_tors_choice_or_a_stream_of_anybodys_has_no_ticket(on: Scene, changes: dict[str, Any]) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        on.issue(**changes)


def test_what_tor_answers_late_is_left_to_the_loop_which_may_have_given_it_up(on: Scene) -> None:
    on.issue(patience_ms=0)
    on.tool()
    note, connection = asked(on)
    on.says(stream("NEW", 0, source_of(note)))
    assert on.hears() == f"ATTACHSTREAM 5 {CIRCUIT}\r\n"
    connection.sendall(GRANTED)
    on.says("250 OK", stream("SUCCEEDED", CIRCUIT))
    assert {on.note().kind, on.note().kind} == {Kind.REPLIED, Kind.ATTACHED}
    assert on.thread.end(note.flight) == (False, True)
    close(note)
