"""STARTTLS stripped on the way, as Python's mail clients and openssl meet it."""

import imaplib
import smtplib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from exitpin.orchestrator.lab import network

pytest.importorskip("cryptography")
from exitpin.wrappers.lab_certificates import make_certificates
from exitpin.wrappers.lab_mail import ImapServer, LineServer, SmtpServer
from exitpin.wrappers.lab_meddle_mail import SmtpOffers, strip_starttls
from exitpin.wrappers.lab_targets import Echo

from .lab_clients import Brought, met, openssl

STYLES = ("remove", "overwrite")


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    return make_certificates(tmp_path, network.build())


def stripped(make: Callable[[], LineServer], visit: Callable[[int], Brought], style: str) -> Brought:
    return met(strip_starttls, make, visit, 25, style=style)


@pytest.mark.parametrize(("style", "traces"), [("remove", set()), ("overwrite", {"xxxxxxxa"})])
def test_smtp_offers_no_tls_and_refuses_it(tls: ssl.SSLContext, style: str, traces: set[str]) -> None:
    def visit(port: int) -> tuple[set[str], list[int]]:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
            codes = [server.ehlo()[0], server.docmd("STARTTLS")[0], server.noop()[0], server.docmd("starttls")[0]]
            return set(server.esmtp_features), codes

    assert stripped(lambda: SmtpServer(tls), visit, style) == (
        {"pipelining", "size", "8bitmime", "help"} | traces,
        [250, 500, 250, 500],
    )


@pytest.mark.parametrize(("style", "traces"), [("remove", set()), ("overwrite", {"XXXXXXXA"})])
def test_imap_offers_no_tls_and_refuses_it(tls: ssl.SSLContext, style: str, traces: set[str]) -> None:
    def visit(port: int) -> tuple[bytes, set[str], str]:
        with imaplib.IMAP4("127.0.0.1", port, timeout=10) as server:
            with pytest.raises(imaplib.IMAP4.error, match="BAD"):
                server._simple_command("STARTTLS")
            return server.welcome, set(server.capabilities), server.noop()[0]

    greeting, offers, noop = stripped(lambda: ImapServer(tls), visit, style)
    assert offers == {"IMAP4REV1", "ID", "LOGINDISABLED"} | traces and noop == "OK"
    assert b"STARTTLS" not in greeting and (b"XXXXXXXA" in greeting) is (style == "overwrite")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("protocol", "server"), [("smtp", SmtpServer), ("imap", ImapServer)])
def test_openssl_gets_no_certificate(
    tls: ssl.SSLContext, protocol: str, server: Callable[[ssl.SSLContext], LineServer], style: str
) -> None:
    text = stripped(lambda: server(tls), lambda port: openssl(port, "-starttls", protocol), style)
    assert "BEGIN CERTIFICATE" not in text and "starttls" in text.lower()


def test_what_speaks_otherwise_passes() -> None:
    def visit(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), 10) as wire:
            wire.sendall(b"250-STARTTLS\n")
            wire.shutdown(socket.SHUT_WR)
            with wire.makefile("rb") as lines:
                return lines.read()

    assert met(strip_starttls, lambda: Echo(b"hello\n"), visit, 25) == b"hello\n250-STARTTLS\n"


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        ([b"250-x\r\n", b"250-STARTTLS\r\n", b"250 y\r\n"], b"250-x\r\n250 y\r\n"),
        ([b"250-x\r\n", b"250-y\r\n", b"250 STARTTLS\r\n"], b"250-x\r\n250 y\r\n"),
        ([b"250-x\r\n", b"250 starttls\r\n", b"250 ok\r\n"], b"250 x\r\n250 ok\r\n"),
        ([b"220 x STARTTLS\r\n"], b"220 x STARTTLS\r\n"),
    ],
)
def test_an_answer_without_the_offer_is_well_formed(lines: list[bytes], seen: bytes) -> None:
    offers = SmtpOffers(is_removed=True)
    assert b"".join(map(offers.rewrite, lines)) == seen
