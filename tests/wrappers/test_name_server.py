"""The name server of a run, asked over real sockets of its network; the core is played by the test."""

import asyncio
import contextlib
import errno
import select
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest

from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.events import ConnectReported, Denied, LookupReported
from exitpin.wrappers import name_server
from exitpin.wrappers.machine import abilities

from .asked_names import RESOLVER, Asked, asking, query, with_flags, with_questions
from .fake_hooks import FakeTree, Run, turns

pytestmark = pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)

SEED = 20261129
PACKETS = 4000


NO_QUERIES = {
    "a reply": with_flags(query().to_wire(), 0x8100),
    "a notify": with_flags(query().to_wire(), 4 << 11),
    "no question": with_questions(query().to_wire(), 0),
    "two questions": with_questions(query().to_wire(), 2) + query().to_wire()[12:],
    "a header cut off": query().to_wire()[:11],
    "a name cut off": query().to_wire()[:18],
    "a question cut off": query().to_wire()[:-1],
    "a pointer to itself": query().to_wire()[:12] + b"\xc0\x0c\0\1\0\1",
    "a name too long": query().to_wire()[:12] + b"\x3f" + b"a" * 63 + b"\x3f" + b"b" * 63 + (b"\x3f" + b"c" * 63) * 2
    + b"\0\0\1\0\1",
    "more than we take": query().to_wire() + bytes(1300),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("what", NO_QUERIES)
def test_what_is_no_query_gets_no_answer_and_is_not_kept(tmp_path: Path, what: str) -> None:
    async def script(asked: Asked) -> None:
        asked.answer_lookups()
        asked.send(NO_QUERIES[what])
        await asked.ask(query())
        with pytest.raises(BlockingIOError):
            asked.tool.recv(1)
        assert not asked.names._open

    asking(tmp_path, script)


def packets(rng: Random) -> Iterator[bytes]:
    """Of chance alone, and queries with bytes changed, left out, doubled and cut off."""
    models = [
        query().to_wire(),
        query("a" * 63 + ".test", "AAAA", use_edns=0, payload=65535).to_wire(),
        query("web.test", "TXT", want_dnssec=True, options=[dns.edns.GenericOption(10, b"12345678")]).to_wire(),
        query(".", "NS").to_wire(),
        dns.message.make_response(query()).to_wire(),
    ]
    for _ in range(PACKETS):
        if rng.random() < 0.2:
            yield rng.randbytes(rng.randrange(1300))
            continue
        wire = bytearray(rng.choice(models))
        for _ in range(rng.randrange(6)):
            at = rng.randrange(len(wire)) if wire else 0
            change = rng.randrange(4)
            if change == 0 and wire:
                wire[at] = rng.choice((rng.randrange(256), 0, 0xC0, 0xFF, 63, 64))
            elif change == 1:
                del wire[at:]
            elif change == 2:
                wire[at:at] = wire[at : at + rng.randrange(40)]
            else:
                wire[at:at] = rng.randbytes(rng.randrange(40))
        yield bytes(wire)


def test_whatever_bytes_come_nothing_escapes_and_honest_questions_are_answered(tmp_path: Path) -> None:
    def answer(run: Run, event: object) -> None:
        if isinstance(event, LookupReported):
            run.reports.answer(AnswerCall(event.call, endpoints=(("198.18.0.1", 0),)))
        elif isinstance(event, ConnectReported):
            run.reports.answer(AnswerCall(event.call, errno.ECONNREFUSED))

    async def script(asked: Asked) -> None:
        rng, replies = Random(SEED), 0
        asked.run.on_event = partial(answer, asked.run)
        for packet in packets(rng):
            asked.send(packet, rng.choice((RESOLVER, "192.168.1.1")))
            while select.select(asked.nowhere.servers, (), (), 0)[0]:
                await asyncio.sleep(0)
            await turns()
            with contextlib.suppress(BlockingIOError):
                while reply := asked.tool.recv(65536):
                    dns.message.from_wire(reply)
                    replies += 1
        assert replies > PACKETS / 4
        assert {type(event) for event in asked.run.events} == {LookupReported, ConnectReported, Denied}
        await turns()
        assert not asked.names._open and not asked.names._tasks
        assert (await asked.ask(query())).answer[0][0].to_text() == "198.18.0.1"

    asking(tmp_path, script)


@pytest.mark.parametrize("options", [{}, {"use_edns": 0, "payload": 1232}, {"flags": dns.flags.RD | dns.flags.CD}])
def test_an_address_is_answered_as_dnspython_would(tmp_path: Path, options: dict[str, object]) -> None:
    async def script(asked: Asked) -> None:
        asked.answer_lookups()
        reply = await asked.ask(query("WeB.test", **options))
        assert [(one.name.to_text(), one[0].to_text(), one.ttl) for one in reply.answer] == [
            ("WeB.test.", "198.18.0.1", 0)
        ]
        assert reply.flags & (dns.flags.QR | dns.flags.RA) == dns.flags.QR | dns.flags.RA
        assert (reply.edns >= 0) == ("payload" in options)
        (event,) = asked.run.events
        assert isinstance(event, LookupReported) and (event.host, event.family) == ("WeB.test", 4)

    asking(tmp_path, script)


def test_of_ipv6_addresses_there_are_none(tmp_path: Path) -> None:
    async def script(asked: Asked) -> None:
        reply = await asked.ask(query(kind="AAAA"))
        assert (reply.rcode(), reply.answer, asked.run.events) == (dns.rcode.NOERROR, [], [])

    asking(tmp_path, script)


@pytest.mark.parametrize("answer", [{"error": 101}, {"eai": -3}, {}])
def test_a_look_up_that_fails_is_servfail(tmp_path: Path, answer: dict[str, int]) -> None:
    async def script(asked: Asked) -> None:
        asked.run.on_event = lambda event: asked.run.reports.answer(AnswerCall(event.call, **answer))  # type: ignore[attr-defined,arg-type]
        assert (await asked.ask(query())).rcode() == dns.rcode.SERVFAIL

    asking(tmp_path, script)


def test_a_question_that_is_asked_again_is_looked_up_once(tmp_path: Path) -> None:
    async def script(asked: Asked) -> None:
        for _ in range(3):
            asked.send(query(id=7).to_wire())
            await asyncio.sleep(0.01)
        (event,) = asked.run.events
        assert isinstance(event, LookupReported)
        asked.run.reports.answer(AnswerCall(event.call, endpoints=(("198.18.0.1", 0),)))
        await asked.heard()
        assert not asked.names._open

    asking(tmp_path, script)


@pytest.mark.parametrize("is_member", [None, False])
def test_whose_a_question_is_nobody_says_and_no_process_is_asked_for(tmp_path: Path, is_member: bool | None) -> None:
    """The process that made the last datagram socket may be gone, and somebody else asks."""

    async def script(asked: Asked) -> None:
        asked.answer_lookups()
        reply = await asked.ask(query())
        assert reply.rcode() == dns.rcode.NOERROR
        (event,) = asked.run.events
        assert isinstance(event, LookupReported) and (event.pid, event.problem) == (0, None)
        assert [pid for _, pid in asked.run.packets] == [0]

    asking(tmp_path, script, tree=FakeTree(is_member))


def test_those_beside_too_many_get_no_answer_until_there_are_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name_server, "OPEN_MAX", 5)

    async def script(asked: Asked) -> None:
        for number in range(9):
            asked.send(query(id=number).to_wire())
        await asyncio.sleep(0.05)
        assert len(asked.names._open) == len(asked.run.events) == 5
        for event in asked.run.events[:]:
            asked.run.reports.answer(AnswerCall(event.call, endpoints=(("198.18.0.1", 0),)))  # type: ignore[attr-defined]
        assert {(await asked.heard())[1] for _ in range(5)} == set(range(5))
        asked.answer_lookups()
        await asked.ask(query(id=20))

    asking(tmp_path, script)


def test_a_name_that_no_host_can_have_is_a_question_for_a_resolver(tmp_path: Path) -> None:
    async def script(asked: Asked) -> None:
        for name in (".", "a b.test", r"a\.b.test", r"\255.test", "x" * 60 + r".\000.test"):
            wire = query(name).to_wire()
            asked.tool.sendto(wire, ("192.168.1.1", 53))
            assert dns.message.from_wire(await asked.heard()).rcode() == dns.rcode.SERVFAIL
            assert isinstance(asked.run.events.pop(), Denied)

    asking(tmp_path, script)


@pytest.mark.parametrize(("kind", "told"), [("A", ["127.0.0.1"]), ("AAAA", [])])
@pytest.mark.parametrize("name", ["localhost", "WEB.LocalHost"])
def test_localhost_is_this_machine(tmp_path: Path, name: str, kind: str, told: list[str]) -> None:
    async def script(asked: Asked) -> None:
        reply = await asked.ask(query(name, kind))
        assert [one[0].to_text() for one in reply.answer] == told and not asked.run.events

    asking(tmp_path, script)


def test_over_ipv6_it_is_asked_alike(tmp_path: Path) -> None:
    async def script(asked: Asked) -> None:
        if len(asked.nowhere.servers) < 2:
            pytest.skip("no IPv6 here")
        asked.answer_lookups()
        asked.tool.close()
        asked.tool = asked.names.datagrams(socket.AF_INET6)
        asked.tool.setblocking(False)
        reply = await asked.ask(query(), "2001:db8::53")
        assert reply.answer[0][0].to_text() == "198.18.0.1"

    asking(tmp_path, script)
