"""Questions that a run's name server passes on, through the exit, and what comes back: passed on as it is, or not."""

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.events import ConnectReported, Denied, LookupReported
from exitpin.orchestrator.model import Destination
from exitpin.wrappers import name_server
from exitpin.wrappers.machine import abilities

from .asked_names import RESOLVER, Asked, asking, query, with_flags, with_questions
from .fake_hooks import turns

pytestmark = pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)

SEED = 20261129

Resolver = Callable[[bytes], bytes]


async def through_the_exit(asked: Asked, wire: bytes, resolver: Resolver) -> bytes:
    """What a tool hears to a question that a resolver behind the exit answers with these bytes (no length before)."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def connect(event: object) -> None:
            assert isinstance(event, ConnectReported) and (event.pid, event.problem) == (0, None)
            assert str(event.destination) == f"{RESOLVER}:53"
            tool_socket = asked.run.reports.calls[event.call].tool_socket
            assert tool_socket is not None
            tool_socket.connect(listening.getsockname())
            asked.run.reports.answer(AnswerCall(event.call))

        asked.run.on_event = connect
        asked.send(wire)
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        connection, _ = await loop.sock_accept(listening)
        with connection:
            got = await loop.sock_recv(connection, 65536)
            assert got == struct.pack("!H", len(wire)) + wire, "as it came"
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(connection, resolver(wire))
            connection.shutdown(socket.SHUT_WR)
            return await asked.heard()


def framed(wire: bytes) -> bytes:
    return struct.pack("!H", len(wire)) + wire


def text_reply(wire: bytes, size: int = 10) -> bytes:
    reply = dns.message.make_response(dns.message.from_wire(wire))
    reply.answer.append(dns.rrset.from_text("web.test.", 5, "IN", "TXT", *[f"{n:0200}" for n in range(size)]))
    return reply.to_wire()


@pytest.mark.parametrize(
    ("options", "size", "is_whole"),
    [
        ({}, 2, True),
        ({}, 3, False),
        ({"use_edns": 0, "payload": 4096}, 15, True),
        ({"use_edns": 0, "payload": 65535}, 30, False),
        ({"use_edns": 0, "payload": 100}, 2, True),
    ],
)
def test_another_question_goes_through_the_exit_as_it_is_and_its_answer_comes_back_as_it_is(
    tmp_path: Path, options: dict[str, object], size: int, is_whole: bool
) -> None:
    async def script(asked: Asked) -> None:
        wire = query(kind="TXT", **options).to_wire()
        due = text_reply(wire, size)
        heard = await through_the_exit(asked, wire, lambda query: framed(due))
        if is_whole:
            assert heard == due
        else:
            assert dns.message.from_wire(heard).flags & dns.flags.TC
            assert len(heard) < 512
        await turns()
        assert not asked.names._open and not asked.names._tasks

    asking(tmp_path, script)


LIES: dict[str, Resolver] = {
    "another id": lambda wire: framed(bytes([wire[0] ^ 1]) + text_reply(wire)[1:]),
    "a query": framed,
    "another name": lambda wire: framed(text_reply(wire).replace(b"web", b"wob", 1)),
    "another type": lambda wire: framed(text_reply(wire).replace(b"\0\x10\0\1", b"\0\x11\0\1", 1)),
    "another opcode": lambda wire: framed(with_flags(text_reply(wire), 0xA180)),
    "two questions": lambda wire: framed(with_questions(text_reply(wire), 2)),
    "no question": lambda wire: framed(with_questions(with_flags(wire, 0x8180), 0)),
    "a header cut off": lambda wire: framed(text_reply(wire)[:11]),
    "less than announced": lambda wire: framed(text_reply(wire))[:50],
    "half a length": lambda wire: b"\0",
    "no byte": lambda wire: framed(b""),
    "nothing": lambda wire: b"",
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_answer_to_the_question_is_not_passed_on(tmp_path: Path, lie: str) -> None:
    async def script(asked: Asked) -> None:
        wire = query(kind="TXT").to_wire()
        reply = dns.message.from_wire(await through_the_exit(asked, wire, LIES[lie]))
        assert reply.rcode() == dns.rcode.SERVFAIL and not reply.answer

    asking(tmp_path, script)


def test_a_refusal_may_come_without_the_question_and_a_name_in_other_letters(tmp_path: Path) -> None:
    async def script(asked: Asked) -> None:
        wire = query(kind="TXT").to_wire()
        refused = with_questions(with_flags(wire, 0x8185), 0)[:12]
        assert await through_the_exit(asked, wire, lambda wire: framed(refused)) == refused
        shouted = text_reply(wire, 1).replace(b"web", b"WEB", 1)
        assert await through_the_exit(asked, wire, lambda wire: framed(shouted)) == shouted

    asking(tmp_path, script)


def test_replies_of_any_bytes_are_survived(tmp_path: Path) -> None:
    rng = Random(SEED)

    async def script(asked: Asked) -> None:
        wire = query(kind="TXT").to_wire()
        for _ in range(200):
            reply = bytearray(framed(text_reply(wire, 2)))
            for _ in range(rng.randrange(8)):
                reply[rng.randrange(60)] = rng.randrange(256)
            heard = await through_the_exit(asked, wire, lambda wire, reply=bytes(reply): reply)  # type: ignore[misc]
            assert heard[:2] == wire[:2] and len(heard) <= 512

    asking(tmp_path, script)


@pytest.mark.parametrize("to", ["192.168.1.1", "127.0.0.53", "100.64.0.53"])
def test_a_private_resolver_is_asked_nothing(tmp_path: Path, to: str) -> None:
    async def script(asked: Asked) -> None:
        wire = query("a b.test", "TXT").to_wire()
        asked.tool.sendto(wire, (to, 53))
        reply = dns.message.from_wire(await asked.heard())
        assert reply.rcode() == dns.rcode.SERVFAIL
        (event,) = asked.run.events
        assert event == Denied(0, "dns", f"a\\032b.test. IN TXT of {to}, which is private")

    asking(tmp_path, script)


@pytest.mark.parametrize("kind", ["TXT", "HTTPS", "ANY"])
@pytest.mark.parametrize("name", ["hidden.onion", "HIDDEN.Onion", "a b.onion", "web.test.exit"])
def test_of_names_that_are_tors_own_nobody_is_asked_whatever_the_question(tmp_path: Path, name: str, kind: str) -> None:
    async def script(asked: Asked) -> None:
        asked.send(query(name, kind).to_wire())
        reply = dns.message.from_wire(await asked.heard())
        assert reply.rcode() == dns.rcode.SERVFAIL
        assert asked.run.events == [Denied(0, "name", f"{name.replace(' ', chr(92) + '032')}. IN {kind}")]

    asking(tmp_path, script)


@pytest.mark.parametrize(
    ("family", "to"), [(socket.AF_INET, "198.18.0.1"), (socket.AF_INET6, "fd65:7869:7470:696e::1")]
)
@pytest.mark.parametrize("question", [("web.test", "TXT"), ("8.8.8.8.in-addr.arpa", "PTR")])
def test_a_resolver_that_is_named_is_connected_to_as_by_any_tool_and_admission_says_whether(
    tmp_path: Path, family: int, to: str, question: tuple[str, str]
) -> None:
    """What `dig @name` asks where names are mapped; here the address stands for no name."""

    async def script(asked: Asked) -> None:
        def answer(event: object) -> None:
            if isinstance(event, LookupReported):  # whose 8.8.8.8 is: the exit does not know
                asked.run.reports.answer(AnswerCall(event.call, 0, socket.EAI_NONAME))
            if isinstance(event, ConnectReported):
                asked.run.reports.answer(AnswerCall(event.call, errno.ENETUNREACH))

        asked.run.on_event = answer
        asked.tool.close()
        asked.tool = asked.names.datagrams(family)
        asked.tool.setblocking(False)
        asked.send(query(*question).to_wire(), to)
        assert dns.message.from_wire(await asked.heard()).rcode() == dns.rcode.SERVFAIL
        event = asked.run.events[-1]
        assert isinstance(event, ConnectReported)
        assert (event.pid, event.problem, event.destination) == (0, None, Destination(to, 53))

    asking(tmp_path, script)


def test_too_many_that_wait_for_their_resolver_are_servfail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_server, "FORWARDED_MAX", 3)

    async def script(asked: Asked) -> None:
        for number in range(4):
            asked.send(query(kind="TXT", id=number).to_wire())
        reply = dns.message.from_wire(await asked.heard())
        assert (reply.id, reply.rcode()) == (3, dns.rcode.SERVFAIL)
        assert len(asked.names._tasks) == len(asked.run.reports.calls) == 3
        for event in asked.run.events:
            asked.run.reports.answer(AnswerCall(event.call, 111))  # type: ignore[attr-defined]
        assert {(await asked.heard())[1] for _ in range(3)} == {0, 1, 2}

    asking(tmp_path, script)
