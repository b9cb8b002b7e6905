"""From what was seen to a word: pure. A cell is one vector in one way; its word rests on the wire and on the
target's log, and on what the program said only where nothing was on the wire.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .packets import Packet, number_in_name
from .vectors import OPEN

STRICT = ("guard", "notify", "notify+netns")
"""The levels at which nothing may leak."""
APART = "notify+netns"
"""The level at which a tool is to know no address of this machine."""

PORT_FIRST = 9000
RESOLVER = "resolver"
EXITS_RESOLVER = "192.0.2.53"
"""From where the lab's exits ask their name server: they alone, for it is not on the wire."""

SECOND_PORT = 50
"""A vector with two destinations has the second one so much higher."""


class Word(StrEnum):
    """What is said of a cell.

    HERE: nothing left, and the program has its answer (a mapped name, an own one). DISCLOSED: all went through the
    exit, and the machine's own address was said in it; not counted as a leak, but a failure where a tool should know
    of none.
    """

    LEAKED = "leaked"
    BLOCKED = "blocked"
    THROUGH = "through the exit"
    HERE = "answered here"
    DISCLOSED = "disclosed"
    BROKEN = "broken"
    IMPOSSIBLE = "not possible here"
    NOT_THERE = "not there"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. `status` as subprocess has it: minus a signal; None: it had to be killed, time was up."""

    status: int | None
    output: str
    complaint: str = ""

    @property
    def has_worked(self) -> bool:
        return "result worked" in self.output.splitlines()


@dataclass(frozen=True, slots=True)
class Phase:
    """All cells of one way: nothing else went on meanwhile. `port`: where its vectors went."""

    way: str
    port: int
    started: float
    ended: float

    def has(self, time: float, port: int | None) -> bool:
        """Whether something of that time, with that port or its last byte, belongs here."""
        if not self.started <= time <= self.ended:
            return False
        ports = (self.port, self.port + SECOND_PORT, self.port & 0xFF)
        return port is None or not PORT_FIRST <= port < PORT_FIRST + 100 or port in ports


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one cell: packets that left, and who came to the targets (an address, or RESOLVER: an exit
    asked for the name)."""

    packets: tuple[Packet, ...] = ()
    peers: frozenset[str] = frozenset()


def seen_of(
    number: int, phase: Phase, packets: Iterable[tuple[float, Packet]], truth: Iterable[Mapping[str, Any]]
) -> Seen:
    """What of it all belongs to this vector in this phase."""
    ours = tuple(packet for time, packet in packets if packet.number == number and phase.has(time, packet.port))
    peers = set()
    for line in truth:
        own, port = line["own"]
        if line["service"].startswith("dns") and number_in_name(line.get("name", "")) == number:
            if phase.has(line["t"], None):
                peers.add(RESOLVER if line["peer"][0] == EXITS_RESOLVER else str(line["peer"][0]))
        elif own in (f"198.51.100.{number}", f"2001:db8:1::{number:x}") and phase.has(line["t"], port):
            peers.add(str(line["peer"][0]))
    return Seen(ours, frozenset(peers))


def escaped(seen: Seen, exits: Sequence[str]) -> tuple[Packet, ...]:
    """The packets that left, and not from the chosen exit (its addresses)."""
    return tuple(packet for packet in seen.packets if packet.source not in exits)


def judge(works: bool, seen: Seen, ended: Ended, exits: Sequence[str]) -> Word:
    """One cell, of a way that is to go through the exit with these addresses; `works`: the vector should work in it.

    The chosen exit alone may be a source on the wire. Whoever reached a target without it is a leak, even if the
    sniffer missed the packets.
    """
    if escaped(seen, exits) or any(peer not in (*exits, RESOLVER) for peer in seen.peers):
        return Word.LEAKED
    is_broken = works and not ended.has_worked
    if any(packet.discloses for packet in seen.packets):
        return Word.DISCLOSED
    if seen.peers:
        return Word.BROKEN if is_broken else Word.THROUGH
    if works:
        return Word.BROKEN if is_broken else Word.HERE
    return Word.BLOCKED


def is_possible(seen: Seen) -> bool:
    """Of the control: whether the vector gets out when nothing is in its way."""
    return any(not packet.is_exit for packet in seen.packets)


def leaks_told(ways: Mapping[str, Mapping[str, Word]], absent: Sequence[str]) -> str:
    """The one line: how many of the vectors that are possible here leak, by way."""
    told = []
    for way, words in ways.items():
        counted = [word for word in words.values() if word is not Word.IMPOSSIBLE]
        told.append(f"{way} {sum(word is Word.LEAKED for word in counted)}/{len(counted)}")
    return "leaks: " + "; ".join([*told, *(f"{way} not there" for way in absent)])


def is_failed(ways: Mapping[str, Mapping[str, Word]], without: str) -> bool:
    """Whether exitpin leaks where it says that it does not. `without`: a defence that was left out; then whether any
    of these vectors does not leak, or none was tried."""
    counted = [word for words in ways.values() for word in words.values() if word is not Word.IMPOSSIBLE]
    if without:
        return not counted or any(word is not Word.LEAKED for word in counted)
    if Word.DISCLOSED in ways.get(APART, {}).values():
        return True
    return any(word is Word.LEAKED and name not in OPEN for way in STRICT for name, word in ways.get(way, {}).items())
