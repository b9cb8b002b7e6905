"""The lab's mail servers as openssl and Python's own clients meet them."""

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

from .lab_clients import openssl, visited

SERVERS = {"smtp": SmtpServer, "imap": ImapServer}


@pytest.fixture
def meet(tmp_path: Path) -> Callable[[type[LineServer], Callable[[int], str]], str]:
    """What a visitor brings home from a server with the lab's certificate."""
    tls = make_certificates(tmp_path, network.build())
    return lambda server, visit: visited(lambda: server(tls), visit)


Meet = Callable[[type[LineServer], Callable[[int], str]], str]


@pytest.mark.parametrize("protocol", ["smtp", "imap"])
def test_openssl_begins_tls(protocol: str, meet: Meet, tmp_path: Path) -> None:
    words = ["-starttls", protocol, "-verify_hostname", "mail.test", "-CAfile", str(tmp_path / "ca.pem")]
    text = meet(SERVERS[protocol], lambda port: openssl(port, *words))
    assert "Verify return code: 0 (ok)" in text


def test_smtp_takes_no_mail_and_says_so_politely(meet: Meet) -> None:
    def visit(port: int) -> str:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as server:
            assert server.ehlo()[0] == 250 and server.has_extn("starttls")
            server.starttls(context=ssl._create_unverified_context())
            assert server.ehlo()[0] == 250 and not server.has_extn("starttls")
            assert server.noop()[0] == 250
            assert server.docmd("STARTTLS")[0] == 503
            return f"{server.mail('me@example.org')[0]} {server.docmd('XYZZY')[0]}"

    assert meet(SmtpServer, visit) == "550 500"


def test_imap_speaks_before_the_log_in(meet: Meet) -> None:
    def visit(port: int) -> str:
        with imaplib.IMAP4("127.0.0.1", port, timeout=10) as server:
            before = server.capabilities
            server.starttls(ssl._create_unverified_context())
            assert server.noop()[0] == "OK"
            with pytest.raises(imaplib.IMAP4.error, match="account"):
                server.login("me", "secret")
            return f"{'STARTTLS' in before} {'STARTTLS' in server.capabilities}"

    assert meet(ImapServer, visit) == "True False"


def test_what_comes_in_the_clear_behind_starttls_is_not_obeyed(meet: Meet) -> None:
    def visit(port: int) -> str:
        with socket.create_connection(("127.0.0.1", port), 10) as wire, wire.makefile("rb") as lines:
            wire.sendall(b"STARTTLS\r\nNOOP\r\n")
            assert lines.readline().startswith(b"220") and lines.readline().startswith(b"220")
            with ssl._create_unverified_context().wrap_socket(wire) as tls:
                tls.sendall(b"EHLO me\r\n")
                return tls.recv(8).decode()

    assert meet(SmtpServer, visit) == "250-mail"  # the NOOP's answer would be "250 2.0."


def test_a_line_without_an_end_ends_the_connection(meet: Meet) -> None:
    def visit(port: int) -> str:
        with socket.create_connection(("127.0.0.1", port), 10) as wire:
            wire.recv(100)
            try:
                wire.sendall(b"x" * 100000)
                return wire.recv(100).decode()
            except ConnectionError:
                return ""

    assert meet(SmtpServer, visit) == ""
