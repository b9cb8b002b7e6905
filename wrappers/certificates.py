"""The certificates that a server's peer was handed, as fields that people can compare. Called by `report/`.

They come from a suspect. cryptography parses X.509 in Rust, in this process: no program is started for it, so it works
where filters can't (they want namespaces). What it refuses keeps its fingerprint and says why; nothing here raises.
Decides nothing about trust: no signature is checked, no name compared.
"""

import base64
import binascii
import hashlib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from .values import pem_blocks

CONTENT_MAX = 1 << 20  # of what is searched for certificates
BLOCK_MAX = 64 << 10  # of one, as PEM
CHAIN_MAX = 8
NAMES_MAX = 20
FIELD_MAX = 300  # characters


@dataclass(frozen=True, slots=True)
class Certificate:
    """`sha256`: of what the PEM encodes. `problem`: why the other fields are empty."""

    sha256: str
    subject: str = ""
    issuer: str = ""
    serial: str = ""
    not_before: str = ""
    not_after: str = ""
    names: tuple[str, ...] = ()
    key: str = ""
    signature: str = ""
    problem: str = ""


def certificates(content: bytes) -> tuple[Certificate, ...]:
    """Those that stand in it as PEM, in that order, each once; the first CHAIN_MAX."""
    found: dict[str, Certificate] = {}
    for block in pem_blocks(content[:CONTENT_MAX], "CERTIFICATE"):
        certificate = _certificate(block)
        found.setdefault(certificate.sha256, certificate)
        if len(found) == CHAIN_MAX:
            break
    return tuple(found.values())


def _certificate(block: bytes) -> Certificate:
    try:
        encoded = base64.b64decode(block.split(b"-----")[2].translate(None, b"\r\n\t "), validate=True)
    except (binascii.Error, ValueError):
        return Certificate(hashlib.sha256(block).hexdigest(), problem="no base64")
    sha256 = hashlib.sha256(encoded).hexdigest()
    if len(block) > BLOCK_MAX:
        return Certificate(sha256, problem=f"larger than {BLOCK_MAX >> 10} KiB: not read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of certificates that are slightly wrong; what is too wrong raises
            return _parsed(x509.load_der_x509_certificate(encoded), sha256)
    except Exception as error:  # the bytes are the suspect's: whatever the parser makes of them is a finding, no crash
        return Certificate(sha256, problem=_short(f"can't be parsed: {error}"))


def _parsed(found: x509.Certificate, sha256: str) -> Certificate:
    return Certificate(
        sha256=sha256,
        subject=_short(found.subject.rfc4514_string()) or "(empty)",
        issuer=_short(found.issuer.rfc4514_string()) or "(empty)",
        serial=f"{found.serial_number:x}"[:FIELD_MAX],
        not_before=f"{found.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC",
        not_after=f"{found.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC",
        names=tuple(_names(found)),
        key=_key(found),
        signature=_signature(found),
    )


def _names(found: x509.Certificate) -> Iterator[str]:
    try:
        names: Iterable[x509.GeneralName] = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    except ValueError as error:
        yield _short(f"can't be parsed: {error}")
        return
    told = list(names)
    yield from (_short(str(getattr(name, "value", name))) for name in told[:NAMES_MAX])
    if len(told) > NAMES_MAX:
        yield f"and {len(told) - NAMES_MAX} more"


def _key(found: x509.Certificate) -> str:
    try:
        key = found.public_key()
    except Exception:  # of a kind that is not known, or no point of its curve
        return "unknown"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA, {key.key_size} bits"
    if isinstance(key, dsa.DSAPublicKey):
        return f"DSA, {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC, {key.curve.name}"
    return type(key).__name__.removeprefix("_").removesuffix("PublicKey")


def _signature(found: x509.Certificate) -> str:
    name = getattr(found.signature_algorithm_oid, "_name", "")
    return _short(name if name and name != "Unknown OID" else found.signature_algorithm_oid.dotted_string)


def _short(text: str) -> str:
    return text if len(text) <= FIELD_MAX else f"{text[:FIELD_MAX]}... ({len(text)} characters)"
