"""The lab's certificates as openssl sees them: those of its servers and those of men in the middle."""

import asyncio
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exitpin.orchestrator.lab import network

pytest.importorskip("cryptography")
from exitpin.wrappers import lab_certificates
from exitpin.wrappers.lab_certificates import Forger, make_certificates, server_context

from .lab_clients import openssl, serving


def handshake(context: ssl.SSLContext, *words: str) -> str:
    """What `openssl s_client` says about a server with this context."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    return serving(hang_up, lambda port: openssl(port, *words), context)


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    return make_certificates(tmp_path, network.build())


@pytest.mark.parametrize("name", ["web.test", "nonce.any.test", "mail.test", "secure.test", "rotating.test"])
def test_the_labs_authority_vouches_for_its_names(name: str, context: ssl.SSLContext, tmp_path: Path) -> None:
    words = ["-servername", name, "-verify_hostname", name, "-CAfile", str(tmp_path / "ca.pem")]
    assert "Verify return code: 0 (ok)" in handshake(context, *words)


def test_two_certificates_take_turns(context: ssl.SSLContext) -> None:
    seen = set()
    for _ in range(40):
        text = handshake(context, "-servername", network.ROTATING_NAME)
        seen.add(text.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0])
        if len(seen) == 2:
            return
    raise AssertionError("40 handshakes, and only one certificate")


def test_a_chain_of_200_is_sent_whole(context: ssl.SSLContext) -> None:
    text = handshake(context, "-servername", network.LONG_CHAIN_NAME, "-showcerts")
    assert text.count("-----BEGIN CERTIFICATE-----") == 200


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_both_versions_of_tls_are_offered(version: str, context: ssl.SSLContext) -> None:
    assert "Cipher is (NONE)" not in handshake(context, version)


def test_servers_that_start_again_have_the_same_certificates(tmp_path: Path) -> None:
    first, again = (_served(tmp_path) for _ in range(2))
    assert first == again
    other = tmp_path / "other"
    other.mkdir()
    assert _served(other) != first


def _served(directory: Path) -> str:
    text = handshake(make_certificates(directory, network.build()), "-showcerts")
    return text[text.index("-----BEGIN") : text.index("-----END")]


def test_a_forged_certificate_holds_for_who_trusts_its_authority(tmp_path: Path) -> None:
    make_certificates(tmp_path, network.build())
    forged = server_context(*Forger(tmp_path).by_trusted_ca("www.example.org"))
    words = ["-verify_hostname", "www.example.org", "-CAfile"]
    for trusted, holds in (("ca.pem", False), ("rogue-ca.pem", True), ("trusted.pem", True)):
        assert ("Verify return code: 0 (ok)" in handshake(forged, *words, str(tmp_path / trusted))) is holds


@pytest.mark.parametrize("name", ["web.test", "192.0.2.10", "2001:db8:1::10", "x" * 63 + ".test"])
def test_a_self_signed_certificate_vouches_for_itself_alone(name: str, tmp_path: Path) -> None:
    text = handshake(server_context(*Forger(tmp_path).self_signed(name)))
    assert "self-signed certificate" in text


def test_a_name_is_forged_once(tmp_path: Path) -> None:
    forger = Forger(tmp_path)
    assert forger.self_signed("a.test") == forger.self_signed("a.test")
    assert len({forger.self_signed("a.test"), forger.self_signed("b.test"), forger.by_trusted_ca("a.test")}) == 3


def test_forgers_of_one_directory_share_an_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: lab_certificates.make_rogue_ca(tmp_path).pem, range(8)))
    assert set(made) == {(tmp_path / "rogue-ca.pem").read_bytes()}
    assert stat.S_IMODE((tmp_path / "rogue-ca-key.pem").stat().st_mode) == 0o600
