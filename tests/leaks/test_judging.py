"""What is said of a cell, and of all of them."""

from collections.abc import Mapping
from typing import Any

import pytest

from .judging import Ended, Phase, Seen, Word, is_failed, is_possible, judge, leaks_told, seen_of
from .packets import Packet
from .vectors import DEFENCES, NUMBER_MAX, NUMBERS, OPEN, PASSED_OVER, VECTORS, Vector

EXITS = ("203.0.113.11", "2001:db8:e::11")
MACHINE = "100.64.0.1"
PHASE = Phase("shim", 9001, 100.0, 110.0)

WORKED = Ended(0, "connect = 0\nresult worked\n")
REFUSED = Ended(1, "connect = -1 EACCES\nresult refused\n")
CRASHED = Ended(-11, "")
HUNG = Ended(None, "")


def packet(source: str, number: int | None = 17, port: int | None = 9001, discloses: bool = False) -> Packet:
    return Packet(number, port, source, "198.51.100.17", source in EXITS or source == "203.0.113.12", "tcp", discloses)


def seen(*sources: str, peers: tuple[str, ...] = ()) -> Seen:
    return Seen(tuple(packet(source) for source in sources), frozenset(peers))


@pytest.mark.parametrize(
    ("works", "what", "ended", "word"),
    [
        (True, seen(EXITS[0], peers=EXITS[:1]), WORKED, Word.THROUGH),
        (True, seen(EXITS[1], peers=EXITS[1:]), WORKED, Word.THROUGH),
        (True, seen(EXITS[0], peers=EXITS[:1]), CRASHED, Word.BROKEN),
        (True, seen(), REFUSED, Word.BROKEN),
        (True, seen(), HUNG, Word.BROKEN),
        (True, seen(), WORKED, Word.HERE),
        (False, seen(), REFUSED, Word.BLOCKED),
        (False, seen(), CRASHED, Word.BLOCKED),
        (False, seen(), WORKED, Word.BLOCKED),
        (False, seen(EXITS[0], peers=EXITS[:1]), REFUSED, Word.THROUGH),
        (False, seen(peers=("resolver",)), REFUSED, Word.THROUGH),
        (False, seen(MACHINE), REFUSED, Word.LEAKED),
        (True, seen(MACHINE, EXITS[0], peers=(MACHINE, EXITS[0])), WORKED, Word.LEAKED),
        (True, seen(MACHINE), CRASHED, Word.LEAKED),
        (True, seen("203.0.113.12", peers=("203.0.113.12",)), WORKED, Word.LEAKED),
        (True, seen(peers=(MACHINE,)), WORKED, Word.LEAKED),
        (False, seen(""), REFUSED, Word.LEAKED),
    ],
)
def test_the_wire_decides_and_then_the_program(works: bool, what: Seen, ended: Ended, word: Word) -> None:
    assert judge(works, what, ended, EXITS) is word


def test_an_address_told_through_the_exit_is_no_leak_but_told() -> None:
    what = Seen((packet(EXITS[0], discloses=True),), frozenset(EXITS[:1]))
    assert judge(False, what, WORKED, EXITS) is Word.DISCLOSED


def line(own: str, port: int, peer: str, t: float = 105.0, **more: Any) -> Mapping[str, Any]:
    return {"t": t, "service": "sink", "own": [own, port], "peer": [peer, 40000], **more}


@pytest.mark.parametrize(
    ("time", "one", "belongs"),
    [
        (105.0, packet(MACHINE), True),
        (105.0, packet(MACHINE, number=18), False),
        (105.0, packet(MACHINE, number=None), False),
        (105.0, packet(MACHINE, port=9002), False),
        (105.0, packet(MACHINE, port=9051), True),
        (105.0, packet(MACHINE, port=512), True),
        (105.0, packet(MACHINE, port=None), True),
        (99.0, packet(MACHINE), False),
        (111.0, packet(MACHINE, port=None), False),
    ],
)
def test_a_packet_belongs_to_its_vector_and_its_phase(time: float, one: Packet, belongs: bool) -> None:
    assert bool(seen_of(17, PHASE, [(time, one)], []).packets) is belongs


@pytest.mark.parametrize(
    ("told", "peers"),
    [
        (line("198.51.100.17", 9001, EXITS[0]), {EXITS[0]}),
        (line("2001:db8:1::11", 9001, EXITS[1]), {EXITS[1]}),
        (line("198.51.100.17", 9002, EXITS[0]), set()),
        (line("198.51.100.18", 9001, EXITS[0]), set()),
        (line("198.51.100.17", 9001, EXITS[0], t=99.0), set()),
        (line("192.0.2.53", 53, "192.0.2.53", service="dns-udp", name="198-51-100-17.ip.test"), {"resolver"}),
        (line("198.51.100.53", 53, MACHINE, service="dns-udp", name="198-51-100-17.ip.test"), {MACHINE}),
        (line("198.51.100.53", 53, MACHINE, service="dns-udp", name="web.test"), set()),
    ],
)
def test_the_targets_log_tells_who_came(told: Mapping[str, Any], peers: set[str]) -> None:
    assert seen_of(17, PHASE, [], [told]).peers == peers


def test_a_vector_is_possible_where_it_gets_out_by_itself() -> None:
    assert is_possible(seen(MACHINE))
    assert not is_possible(seen(EXITS[0]))
    assert not is_possible(seen())


def test_what_is_not_possible_here_is_not_counted() -> None:
    words = {"a": Word.LEAKED, "b": Word.BLOCKED, "c": Word.IMPOSSIBLE, "d": Word.THROUGH}
    assert leaks_told({"shim": words}, ["guard"]) == "leaks: shim 1/3; guard not there"


@pytest.mark.parametrize(
    ("ways", "without", "failed"),
    [
        ({"shim": {"a": Word.LEAKED}, "torsocks": {"a": Word.LEAKED}}, "", False),
        ({"guard": {"a": Word.BLOCKED, "b": Word.BROKEN, "c": Word.DISCLOSED}}, "", False),
        ({"guard": {"a": Word.BLOCKED, "b": Word.LEAKED}}, "", True),
        ({"notify": {"a": Word.LEAKED}}, "", True),
        ({"notify": {"a": Word.DISCLOSED}, "notify+netns": {"a": Word.THROUGH}}, "", False),
        ({"notify+netns": {"a": Word.DISCLOSED}}, "", True),
        ({}, "", False),
        ({"guard": {"a": Word.LEAKED, "b": Word.IMPOSSIBLE}}, "landlock", False),
        ({"guard": {"a": Word.LEAKED, "b": Word.BLOCKED}}, "landlock", True),
        ({"guard": {"a": Word.IMPOSSIBLE}}, "landlock", True),
        ({}, "landlock", True),
    ],
)
def test_exitpin_fails_where_it_leaks_at_guard_or_notify(
    ways: Mapping[str, Mapping[str, Word]], without: str, failed: bool
) -> None:
    assert is_failed(ways, without) is failed


def test_each_vector_has_an_address_of_its_own() -> None:
    assert len(NUMBERS) == len(VECTORS) == len(set(NUMBERS.values()))
    assert not set(NUMBERS.values()) & PASSED_OVER
    assert max(NUMBERS.values()) <= NUMBER_MAX


def test_a_program_without_hooks_should_work_at_notify_alone() -> None:
    static = Vector("exec-static", "exec", works_at_notify=True)
    assert [way for way in ("bare", "shim", "guard", "notify", "torsocks") if static.should_work(way)] == ["notify"]


def test_a_defence_names_vectors_that_there_are() -> None:
    assert {name for names in DEFENCES.values() for name in names} | OPEN.keys() <= NUMBERS.keys()
