"""Whose an address is, asked of the name server of a run over real sockets of its network."""

from collections.abc import Callable
from pathlib import Path

import dns.name
import dns.rcode
import dns.rrset
import pytest

from exitpin.orchestrator.connections import EAI_NONAME
from exitpin.orchestrator.effects import AnswerCall
from exitpin.orchestrator.events import LookupReported
from exitpin.wrappers.machine import abilities

from .asked_names import RESOLVER, Asked, asking, query

pytestmark = pytest.mark.skipif(bool(abilities().notify_problem), reason=abilities().notify_problem)

REVERSE = "1.0.18.198.in-addr.arpa"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (REVERSE, "198.18.0.1"),
        ("10.2.0.192.IN-ADDR.arpa", "192.0.2.10"),
        ("1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::1"),
    ],
)
def test_whose_an_address_is_is_answered_as_the_hooks_answer_it(tmp_path: Path, name: str, address: str) -> None:
    async def script(asked: Asked) -> None:
        reverse: list[LookupReported] = []

        def answer(event: object) -> None:
            if isinstance(event, LookupReported):
                reverse.append(event)
                asked.run.reports.answer(AnswerCall(event.call, name="Web.test"))

        asked.run.on_event = answer
        reply = await asked.ask(query(name, "PTR"))
        assert [(event.host, event.is_reverse) for event in reverse] == [(address, True)]
        assert reply.answer == [dns.rrset.from_text(dns.name.from_text(name), 0, "IN", "PTR", "Web.test.")]

    asking(tmp_path, script)


def test_who_is_not_known_here_is_a_question_for_a_public_resolver(tmp_path: Path) -> None:
    async def script(asked: Asked) -> None:
        asked.run.on_event = unknown_to(asked)
        asked.send(query("7.2.0.192.in-addr.arpa", "PTR").to_wire())
        report = await asked.forwarded()
        assert str(report.destination) == f"{RESOLVER}:53"

    asking(tmp_path, script)


@pytest.mark.parametrize("name", [REVERSE, "1.0.0.10.in-addr.arpa", "1.1.168.192.in-addr.arpa"])
def test_whose_a_private_address_is_nobody_outside_is_asked(tmp_path: Path, name: str) -> None:
    async def script(asked: Asked) -> None:
        asked.run.on_event = unknown_to(asked)
        reply = await asked.ask(query(name, "PTR"))
        assert reply.rcode() == dns.rcode.SERVFAIL

    asking(tmp_path, script)


def unknown_to(asked: Asked) -> Callable[[object], None]:
    """The core knows no name of any address."""

    def answer(event: object) -> None:
        if isinstance(event, LookupReported):
            asked.run.reports.answer(AnswerCall(event.call, 0, EAI_NONAME))

    return answer


@pytest.mark.parametrize("name", ["2.0.192.in-addr.arpa", "256.2.0.192.in-addr.arpa", "01.2.0.192.in-addr.arpa", "x"])
def test_what_is_the_name_of_no_address_is_any_other_question(tmp_path: Path, name: str) -> None:
    async def script(asked: Asked) -> None:
        asked.send(query(name, "PTR").to_wire())
        assert str((await asked.forwarded()).destination) == f"{RESOLVER}:53"

    asking(tmp_path, script)
