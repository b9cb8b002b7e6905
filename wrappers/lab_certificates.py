"""The lab's certificates: its authority, made anew for each lab, and what hostile exits forge.

The targets call `make_certificates` once. A man in the middle calls `Forger`, in whatever process it lives: all of
them share the one rogue authority of the lab's directory. Keys are of P-256, which costs a fraction of a millisecond.
Needs `cryptography`, which comes with asyncssh (extra `lab`).
"""

import datetime
import ipaddress
import json
import os
import random
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..orchestrator.lab.network import LONG_CHAIN_NAME, ROTATING_NAME, Network

CA_FILE = "ca.pem"
SERVERS_FILE = "servers.json"
ROGUE_CA_FILE = "rogue-ca.pem"
ROGUE_KEY_FILE = "rogue-ca-key.pem"
TRUSTED_FILE = "trusted.pem"
DAYS = 30
ROTATED = 2
LONG_CHAIN = 200
NAME_MAX = 64  # ub-common-name (RFC 5280, appendix A.1)

Pair = tuple[bytes, bytes]  # a certificate (or a chain, its leaf first) and the leaf's private key, both in PEM


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate and the key that signs in its name."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def leaf(self, names: Sequence[x509.GeneralName], subject: str) -> Pair:
        """A server's certificate with a key of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = _sign(_name(subject), self.certificate.subject, key, self.key, _leaf_parts(names, self.key))
        return issued.public_bytes(serialization.Encoding.PEM), _private_pem(key)

    def sub(self, subject: str) -> "Authority":
        """An authority that this one vouches for."""
        key = ec.generate_private_key(ec.SECP256R1())
        return Authority(_sign(_name(subject), self.certificate.subject, key, self.key, _ca_parts(key)), key)


def make_authority(subject: str) -> Authority:
    """A new authority that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(_sign(_name(subject), _name(subject), key, key, _ca_parts(key)), key)


def make_certificates(directory: Path, network: Network) -> ssl.SSLContext:
    """The context of the lab's servers; it answers by the name that a client asks for (SNI).

    Writes `ca.pem`, the lab's authority, into `directory`; `rogue-ca.pem`, that of men in the middle; and
    `trusted.pem`, both: what a client trusts that has been given a false authority.
    """
    rogue = make_rogue_ca(directory)
    pem, own, *rotated = _kept(directory, network)
    (directory / TRUSTED_FILE).write_text(pem[0] + rogue.pem.decode())
    (directory / CA_FILE).write_text(pem[0])
    context = server_context(*map(str.encode, own))
    turns = [server_context(*map(str.encode, pair)) for pair in rotated]

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        if name == ROTATING_NAME:
            connection.context = random.choice(turns)
        elif name == LONG_CHAIN_NAME:
            connection.context = _long_chain()

    context.sni_callback = choose
    return context


def _kept(directory: Path, network: Network) -> list[list[str]]:
    """The authority's certificate, and the pairs of the servers: made once, the same when they start again."""
    path = directory / SERVERS_FILE
    if not path.exists():
        authority = make_authority("exitpin lab CA")
        pairs = [authority.leaf(_subjects(network), "web.test")]
        pairs += [authority.leaf([x509.DNSName(ROTATING_NAME)], ROTATING_NAME) for _ in range(ROTATED)]
        made = [[authority.pem.decode()], *([one.decode() for one in pair] for pair in pairs)]
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(made))
        draft.rename(path)
    kept: list[list[str]] = json.loads(path.read_text())
    return kept


def make_rogue_ca(directory: Path) -> Authority:
    """The rogue authority of a directory, made when it isn't there. Safe in several processes at once."""
    path = directory / ROGUE_KEY_FILE
    if not path.exists():
        made = make_authority("Honest Trust Services CA")
        draft = directory / f".{ROGUE_KEY_FILE}.{os.urandom(4).hex()}"
        draft.touch(mode=0o600)
        draft.write_bytes(_private_pem(made.key) + made.pem)
        with suppress(FileExistsError):  # another process was faster: its authority is the one
            os.link(draft, path)
        draft.unlink()
    pair = path.read_bytes()
    key = serialization.load_pem_private_key(pair, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    authority = Authority(x509.load_pem_x509_certificate(pair), key)
    if not (public := directory / ROGUE_CA_FILE).exists():
        public.write_bytes(authority.pem)
    return authority


class Forger:
    """Certificates for any name that a client asks for; each name has one of each kind."""

    def __init__(self, directory: Path) -> None:
        self._rogue = make_rogue_ca(directory)
        self._known: dict[tuple[str, str], Pair] = {}

    def self_signed(self, name: str) -> Pair:
        """A certificate that only itself vouches for, and its key, in PEM. `name`: a host name or an address."""
        return self._once("self", name)

    def by_trusted_ca(self, name: str) -> Pair:
        """A certificate of the rogue authority, and its key, in PEM. `name`: a host name or an address."""
        return self._once("rogue", name)

    def _once(self, kind: str, name: str) -> Pair:
        if (kind, name) not in self._known:
            self._known[kind, name] = leaf_for(name, self._rogue if kind == "rogue" else None)
        return self._known[kind, name]


def leaf_for(name: str, authority: Authority | None = None) -> Pair:
    """A server's certificate for one name or address, signed by an authority or by its own key."""
    names, subject = [_general(name)], name[:NAME_MAX]
    if authority is not None:
        return authority.leaf(names, subject)
    key = ec.generate_private_key(ec.SECP256R1())
    issued = _sign(_name(subject), _name(subject), key, key, _leaf_parts(names, key))
    return issued.public_bytes(serialization.Encoding.PEM), _private_pem(key)


def server_context(certificates: bytes, key: bytes) -> ssl.SSLContext:
    """The context of a server with this chain and key (TLS 1.2 and 1.3); neither touches a disk."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    descriptor = os.memfd_create("pair")
    try:
        os.write(descriptor, key + certificates)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context


@cache
def _long_chain() -> ssl.SSLContext:
    """A chain that is long for its own sake, to a root that nobody trusts; made when it is asked for first."""
    above = [make_authority("link 0")]
    for number in range(1, LONG_CHAIN - 1):
        above.append(above[-1].sub(f"link {number}"))
    leaf, key = above[-1].leaf([x509.DNSName(LONG_CHAIN_NAME)], LONG_CHAIN_NAME)
    return server_context(leaf + b"".join(authority.pem for authority in reversed(above)), key)


def _subjects(network: Network) -> list[x509.GeneralName]:
    names = ["*.any.test", "*.ip.test", *dict.fromkeys(target.name for target in network.targets)]
    addresses = dict.fromkeys(address for target in network.targets for address in target.addresses)
    return [*map(x509.DNSName, names), *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses)]


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _ca_parts(key: ec.EllipticCurvePrivateKey) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    return (
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
    )


def _leaf_parts(
    names: Sequence[x509.GeneralName], signer: ec.EllipticCurvePrivateKey
) -> tuple[tuple[x509.ExtensionType, bool], ...]:
    return (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.SubjectAlternativeName(names), False),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form)


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    parts: tuple[tuple[x509.ExtensionType, bool], ...],
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=DAYS)
    )
    for part, critical in parts:
        builder = builder.add_extension(part, critical=critical)
    return builder.sign(signer, hashes.SHA256())
