"""What a ticket is not for is left to the loop, as it came."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exitpin.shim.tickets import Kind

from .ticketed import CIRCUIT, DEADLINE_S, GRANTED, Scene, request_on, scene, source_of, stream


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


NOT_PLAIN: dict[str, dict[str, Any]] = {
    "another run's nonce": {"nonce": bytes(16).hex()},
    "bound by the tool itself": {"flags": 4},
    "bound to another address": {"source": "127.64.0.8"},
    "another port than reported": {"reported_port": 1},
    "no port to go to": {"destination": ["198.51.100.7", 0]},
    "a mapped address of which nobody knows": {"destination": ["198.19.255.1", 80]},
    "an IPv6 address": {"destination": ["2001:db8::1", 80]},
    "two sockets": {"extra": 1},
    "as many sockets as a packet takes": {"extra": 252},
    "a datagram socket": {"kind": socket.SOCK_DGRAM},
    "one that is silent until more has come than Tor says": {"low_water": 8},
    "no connect": {"op": 3},
    "a reason": {"reason": 1},
    "a reason that nobody knows": {"reason": 99},
    "a flag that nobody knows": {"flags": 8},
    "bytes behind an address": {"destination": ["198.51.100.7", 80], "tail": True},
}


@pytest.mark.parametrize("changes", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_what_is_not_plain_is_left_to_the_loop_as_it_came(on: Scene, changes: dict[str, Any]) -> None:
    ticket = on.issue()
    tool = on.tool(**changes)
    note = on.note()
    assert (note.kind, note.ticket, note.pid) == (Kind.REPORTED, ticket, tool.pid)
    assert len(note.descriptors) == 1 + changes.get("extra", 0)
    assert len(note.packet) == 80
    note.close()
    on.port.settimeout(0)
    with pytest.raises(BlockingIOError):
        on.port.accept()


def test_who_comes_after_what_was_left_to_the_loop_has_no_use_of_the_ticket(on: Scene) -> None:
    """The loop's step may take the number and the tag that it promises."""
    ticket = on.issue()
    on.tool(destination=["2001:db8::1", 80])
    left, returned = on.note(), on.note()
    left.close()
    assert [(note.kind, note.ticket) for note in (left, returned)] == [
        (Kind.REPORTED, ticket), (Kind.RETURNED, ticket),
    ]  # fmt: skip
    on.tool()
    on.reports.settimeout(DEADLINE_S)
    on.reports.accept()[0].close()
    assert on.thread.recall(ticket), "nobody has read it but we"


def test_a_process_that_is_not_of_the_run_has_no_use_of_a_ticket(on: Scene) -> None:
    on.issue(root=1)
    on.tool()
    note = on.note()
    assert note.kind is Kind.REPORTED
    note.close()


def test_a_destination_that_is_not_allowed_is_left_to_the_loop(on: Scene) -> None:
    on.issue(goes_anywhere=False, places=[("198.18.0.1", 443, "web.test")])
    on.tool()
    note = on.note()
    assert note.kind is Kind.REPORTED
    note.close()


def test_who_could_not_be_told_of_success_has_no_answer_yet(on: Scene) -> None:
    on.issue()
    tool = on.tool(is_deaf=True)
    note, connection = on.note(), on.socks()
    request_on(connection)
    assert tool.stdout is not None
    assert tool.stdout.readline() == "deaf\n"
    on.says(stream("NEW", 0, source_of(note)))
    on.hears()
    connection.sendall(GRANTED)
    on.says(stream("SUCCEEDED", CIRCUIT), "250 OK")
    assert {on.note().kind, on.note().kind} == {Kind.REPLIED, Kind.ATTACHED}
    assert not on.thread.is_answered(note.flight)
    tool.kill()
    assert on.note().kind is Kind.HUNG_UP
    assert on.thread.end(note.flight) == (False, True)
    note.close()
