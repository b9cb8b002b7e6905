"""The lab's certificate authority: made anew at each start, for the declared names and addresses."""

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..orchestrator.lab.network import Network

CA_FILE = "ca.pem"
DAYS = 30


def make_certificates(directory: Path, network: Network) -> ssl.SSLContext:
    """Write `ca.pem` into `directory` and return the context of a server that this CA vouches for."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("exitpin lab CA")
    ca_parts = (
        (x509.BasicConstraints(ca=True, path_length=0), True),
        (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True),
        (x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False),
    )
    ca = _sign(ca_name, ca_name, ca_key.public_key(), ca_key, ca_parts)
    parts = (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.SubjectAlternativeName(_subjects(network)), False),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False),
    )
    certificate = _sign(_name("web.test"), ca_name, key.public_key(), ca_key, parts)
    (directory / CA_FILE).write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    pair = directory / "server.pem"
    pair.touch(mode=0o600)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pair.write_bytes(key.private_bytes(*form) + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context


def _subjects(network: Network) -> list[x509.GeneralName]:
    names = ["*.any.test", "*.ip.test", *dict.fromkeys(target.name for target in network.targets)]
    addresses = dict.fromkeys(address for target in network.targets for address in target.addresses)
    return [*map(x509.DNSName, names), *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses)]


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    parts: tuple[tuple[x509.ExtensionType, bool], ...],
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=DAYS)
    )
    for part, critical in parts:
        builder = builder.add_extension(part, critical=critical)
    return builder.sign(signer, hashes.SHA256())
