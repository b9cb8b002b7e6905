"""What meddlers do to TLS, with openssl and curl before them and a server of the lab behind them."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography")
from exitpin.wrappers import lab_meddle_tls
from exitpin.wrappers.lab_certificates import ROGUE_CA_FILE, leaf_for, server_context
from exitpin.wrappers.lab_meddling import Meddler

from .lab_clients import met, openssl, run

NAME = "web.test"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<body></body>"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(PAGE)
    await writer.drain()
    writer.close()


def through(what: Meddler, directory: Path, visit: Callable[[int], str], **options: Any) -> str:
    """What a visitor brings home from a TLS server behind a meddler."""

    def target() -> asyncio.Protocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), answer)

    return met(what, target, visit, 443, context=server_context(*leaf_for(NAME)), directory=directory, **options)


def curl(port: int, *words: str) -> str:
    return run("curl", "-sS", "--max-time", "10", "--connect-to", f"::127.0.0.1:{port}", *words, f"https://{NAME}/")


def test_a_man_in_the_middle_passes_on_what_it_has_read(tmp_path: Path) -> None:
    told = through(lab_meddle_tls.tls_mitm, tmp_path, lambda port: curl(port, "-k"), ca="self-signed", inside=[])
    assert told == "<body></body>"


def test_what_is_inside_can_be_meddled_with(tmp_path: Path) -> None:
    inside = [{"with": "inject-html", "html": "<i>"}]
    told = through(lab_meddle_tls.tls_mitm, tmp_path, lambda port: curl(port, "-k"), ca="unknown", inside=inside)
    assert told == "<body><i></body>"


@pytest.mark.parametrize(("ca", "said"), [("self-signed", "self-signed"), ("unknown", "unable to get local issuer")])
def test_its_certificate_is_for_the_name_and_not_to_be_trusted(tmp_path: Path, ca: str, said: str) -> None:
    words = ("-servername", "asked.test", "-verify_hostname", "asked.test")
    told = through(lab_meddle_tls.tls_mitm, tmp_path, lambda port: openssl(port, *words), ca=ca, inside=[])
    assert "subject=CN = asked.test" in told and said in told


def test_with_a_trusted_authority_nothing_is_to_be_seen(tmp_path: Path) -> None:
    def visit(port: int) -> str:
        return curl(port, "--cacert", str(tmp_path / ROGUE_CA_FILE))

    through(lab_meddle_tls.tls_mitm, tmp_path, lambda port: curl(port, "-k"), ca="trusted", inside=[])
    assert through(lab_meddle_tls.tls_mitm, tmp_path, visit, ca="trusted", inside=[]) == "<body></body>"


@pytest.mark.parametrize(
    ("below", "words", "passes"),
    [
        ("1.3", (), False),
        ("1.3", ("-tls1_3",), False),
        ("1.3", ("-tls1_2",), True),
        ("1.2", ("-tls1_2",), False),
    ],
)
def test_only_older_versions_pass_a_downgrader(
    tmp_path: Path, below: str, words: tuple[str, ...], passes: bool
) -> None:
    told = through(lab_meddle_tls.tls_downgrade, tmp_path, lambda port: openssl(port, *words), below=below)
    assert ("BEGIN CERTIFICATE" in told) == passes


@pytest.mark.parametrize("what", [lab_meddle_tls.tls_downgrade, lab_meddle_tls.tls_mitm])
def test_what_is_no_tls_reaches_the_target_as_it_is(tmp_path: Path, what: Meddler) -> None:
    """Its answer, an alert of 7 bytes or none at all, is the target's affair."""
    told = through(
        what, tmp_path, lambda port: run("nc", "-N", "-w", "5", "127.0.0.1", str(port), give=b"EHLO there\r\n"),
        below="1.3", ca="self-signed", inside=[],
    )  # fmt: skip
    assert "BEGIN" not in told


def first_words(context: ssl.SSLContext, name: str | None) -> bytes:
    """The ClientHello that Python's ssl would send."""
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(inward, outward, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return outward.read()


@pytest.mark.parametrize(("maximum", "number"), [(ssl.TLSVersion.TLSv1_2, 0x0303), (ssl.TLSVersion.TLSv1_3, 0x0304)])
def test_a_hello_tells_its_name_and_its_newest_version(maximum: ssl.TLSVersion, number: int) -> None:
    context = ssl.create_default_context()
    context.maximum_version = maximum
    wire = first_words(context, "some.name.test")
    assert lab_meddle_tls.parse_hello(wire) == lab_meddle_tls.Hello(wire, "some.name.test", number)


def test_a_hello_that_is_cut_anywhere_is_an_index_error_or_less() -> None:
    wire = first_words(ssl.create_default_context(), "some.name.test")
    for size in range(5, len(wire)):
        try:
            found = lab_meddle_tls.parse_hello(wire[:size])
        except IndexError:
            continue
        assert found.wire == wire[:size]
