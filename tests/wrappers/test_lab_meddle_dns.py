"""Lies about names, as dig is told them: by an exit's own name server, and on the way to another one."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.lab import network

dns_message = pytest.importorskip("dns.message")
from exitpin.wrappers import lab_dns, lab_meddle_dns  # noqa: E402
from exitpin.wrappers.lab_meddle_dns import Resolvers, falsify, open_resolvers  # noqa: E402
from exitpin.wrappers.lab_targets import DnsOverTcp  # noqa: E402

from .lab_clients import met, run  # noqa: E402

ZONE = lab_dns.zone(network.build())


def free_port() -> int:
    """One that is free for both; a port that is free for datagrams may be some connection's."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                tcp.bind(("127.0.0.1", udp.getsockname()[1]))
                return int(udp.getsockname()[1])


def dig(port: int, *words: str) -> tuple[str, list[str]]:
    """The status and the values that dig prints."""
    text = run("dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=5", *words)
    status = text.partition("status: ")[2].partition(",")[0]
    lines = [line.split() for line in text.splitlines() if line and not line.startswith(";")]
    return status, [line[4] for line in lines if len(line) > 4]


async def opened(kind: str, options: Mapping[str, Any]) -> tuple[int, Resolvers]:
    """A name server of that kind, on a port that nobody else has taken since it was found free."""
    while True:
        port = free_port()
        try:
            return port, await open_resolvers([("127.0.0.1", kind, options)], ZONE, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise


def asked(kind: str, options: Mapping[str, Any], *words: str) -> tuple[str, list[str]]:
    """What dig gets of an exit's name server of that kind."""

    async def both() -> tuple[str, list[str]]:
        port, resolvers = await opened(kind, options)
        try:
            return await asyncio.to_thread(dig, port, *words)
        finally:
            resolvers.close()

    return asyncio.run(both())


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
@pytest.mark.parametrize(
    ("kind", "options", "name", "type_", "status", "values"),
    [
        ("lie", {}, "web.test", "A", "NOERROR", ["192.0.2.66"]),
        ("lie", {}, "web.test", "AAAA", "NOERROR", []),
        ("lie", {}, "nowhere.test", "A", "NXDOMAIN", []),
        ("lie", {"address": "198.51.100.99"}, "a.any.test", "A", "NOERROR", ["198.51.100.99"]),
        ("lie", {"names": {"web.test": "192.0.2.1"}}, "web.test", "A", "NOERROR", ["192.0.2.1"]),
        ("lie", {"names": {"web.test": "192.0.2.1"}}, "v4.test", "A", "NOERROR", ["192.0.2.11"]),
        ("nxdomain-hijack", {}, "nowhere.test", "A", "NOERROR", ["192.0.2.66"]),
        ("nxdomain-hijack", {}, "a.nx.test", "AAAA", "NOERROR", []),
        ("nxdomain-hijack", {}, "web.test", "A", "NOERROR", ["192.0.2.10"]),
        ("rebind", {}, "web.test", "A", "NOERROR", ["127.0.0.1"]),
        ("rebind", {"address": "10.0.0.1"}, "web.test", "A", "NOERROR", ["10.0.0.1"]),
        ("refuse", {}, "web.test", "A", "SERVFAIL", []),
    ],
)
def test_a_name_server_lies_as_declared(
    transport: str, kind: str, options: Mapping[str, Any], name: str, type_: str, status: str, values: list[str]
) -> None:
    assert asked(kind, options, transport, name, type_) == (status, values)


@pytest.mark.parametrize(
    ("meddler", "name", "status", "values"),
    [
        (lab_meddle_dns.dns_lie_tcp, "web.test", "NOERROR", ["192.0.2.66"]),
        (lab_meddle_dns.dns_lie_tcp, "a.nx.test", "NXDOMAIN", []),
        (lab_meddle_dns.dns_hijack_tcp, "web.test", "NOERROR", ["192.0.2.10"]),
        (lab_meddle_dns.dns_hijack_tcp, "a.nx.test", "NOERROR", ["192.0.2.66"]),
    ],
)
def test_a_lie_is_told_on_the_way(meddler: Any, name: str, status: str, values: list[str], tmp_path: Path) -> None:
    seen = met(meddler, lambda: DnsOverTcp(ZONE), lambda port: dig(port, "+tcp", name, "A"), network.DNS_PORT)
    assert seen == (status, values)


def test_two_questions_on_one_connection_are_both_lied_about() -> None:
    def visit(port: int) -> tuple[str, list[str]]:
        return dig(port, "+tcp", "+keepopen", "web.test", "A", "v4.test", "A")

    assert met(lab_meddle_dns.dns_lie_tcp, lambda: DnsOverTcp(ZONE), visit, network.DNS_PORT)[1] == ["192.0.2.66"] * 2


@pytest.mark.parametrize("wire", [b"", b"x", b"\xff" * 40])
def test_what_is_no_dns_goes_on_as_it_came(wire: bytes) -> None:
    assert all(falsify(kind, {}, wire) == wire for kind in lab_meddle_dns.KINDS)


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        asked("nonsense", {}, "web.test")
