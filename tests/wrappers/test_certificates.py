"""Certificates as fields: of honest ones all, of others the fingerprint and why; never an exception."""

import base64
import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from exitpin.wrappers.certificates import BLOCK_MAX, CHAIN_MAX, FIELD_MAX, NAMES_MAX, certificates

FIXTURES = Path(__file__).resolve().parents[2] / "tools.d" / "fixtures" / "tls-cert"
KEY = ec.generate_private_key(ec.SECP256R1())


def made(common_name: str = "a.test", names: tuple[str, ...] = (), serial: int = 7) -> bytes:
    """A self-signed certificate, as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    start = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), serial, start, start + datetime.timedelta(days=30))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def pem(encoded: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(encoded) + b"\n-----END CERTIFICATE-----\n"


def test_what_openssl_printed_gives_every_field() -> None:
    (found,) = certificates((FIXTURES / "self-signed.txt").read_bytes())
    assert (found.subject, found.issuer, found.key) == ("CN=secure.test", "CN=secure.test", "EC, secp256r1")
    assert found.names == ("secure.test",)
    assert found.not_before == "2026-11-21 16:57:53 UTC"
    assert found.sha256 == "ff1ca35e09ec47a9b46ae1c5aac8f278a3fa1fee67c02b0adae444980a680727"
    assert found.problem == ""


def test_each_certificate_stands_once_and_in_order() -> None:
    one, two = made(serial=1), made(serial=2)
    assert [found.serial for found in certificates(b"text\n" + one + two + one)] == ["1", "2"]


def test_of_a_long_chain_only_the_beginning_is_read() -> None:
    assert len(certificates(b"".join(made(serial=n + 1) for n in range(CHAIN_MAX + 3)))) == CHAIN_MAX


def test_long_names_and_many_are_cut() -> None:
    (found,) = certificates(made("x" * 64, tuple(f"{n}.{'y' * 50}.test" for n in range(NAMES_MAX + 5))))
    assert found.names[-1] == "and 5 more"
    assert len(found.names) == NAMES_MAX + 1
    assert all(len(name) <= FIELD_MAX for name in found.names)


def test_hostile_text_in_a_certificate_is_text() -> None:
    name = "</td><script>\u202e"
    (found,) = certificates(made(name))
    assert "script" in found.subject and found.problem == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (pem(b"no certificate"), "can't be parsed"),
        (pem(b""), "can't be parsed"),
        (pem(b"\x30\x82\xff\xff" + b"\x30" * 500), "can't be parsed"),
        (b"-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----", "no base64"),
        (pem(b"\0" * BLOCK_MAX), "larger than"),
    ],
    ids=["text", "nothing", "lengths that lie", "no base64", "too large"],
)
def test_what_is_none_keeps_its_fingerprint_and_says_why(content: bytes, problem: str) -> None:
    (found,) = certificates(content)
    assert problem in found.problem
    assert len(found.sha256) == 64


def test_every_cut_of_a_certificate_is_read_without_an_exception() -> None:
    encoded = base64.b64decode(b"".join(made().splitlines()[1:-1]))
    for size in range(0, len(encoded), 7):
        for broken in (encoded[:size], encoded[:size] + b"\xff" + encoded[size + 1 :]):
            (found,) = certificates(pem(broken))
            assert found.sha256


@pytest.mark.parametrize("content", [b"", b"\xff" * 5000, b"-----BEGIN CERTIFICATE-----\n" * 1000], ids=str)
def test_where_there_is_none_there_is_none(content: bytes) -> None:
    assert certificates(content) == ()
