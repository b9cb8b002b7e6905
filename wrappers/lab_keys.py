"""A lab's keys and frozen directory: made once, cached by shape, shared by labs that start at the same time.

One directory per shape under the cache: `keys/NICKNAME/` (tor's own key files), `directory/` (the client's cached-*
files), `identities.json`. It appears in one rename, and is only looked at under the shape's lock.
Needs `cryptography`, which comes with asyncssh (extra `lab`).
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ..orchestrator.errors import OperatorError
from ..orchestrator.lab.network import Network, Relay
from .lab_tors import FROZEN_MAX_AGE_S, TEMPLATE_VERSION, Identities

LINK_KEY_SOURCE = Path(__file__).resolve().parent.parent / "shim" / "lab" / "link_key.c"
FROZEN_FILES = ("cached-consensus", "cached-certs", "cached-descriptors", "cached-descriptors.new")


def shape(network: Network, tor_version: str) -> str:
    """What keys and directory depend on, as a directory name. Targets are no part of it, nor what exits do unsaid."""
    relays = [
        (one.nickname, one.role, one.address, one.or_port, one.address6, one.dir_port, one.policy, one.is_voted_exit)
        for one in network.relays
    ]
    facts = json.dumps([TEMPLATE_VERSION, tor_version, relays])
    return f"{len(network.exits)}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"


@contextmanager
def locked(cache: Path, name: str) -> Iterator[None]:
    """Hold the shape's lock; the kernel drops it when we die."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(cache / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_fresh(directory: Path, now: float) -> bool:
    """Whether the shape's directory is complete and young enough to be used."""
    try:
        age_s = now - (directory / "identities.json").stat().st_mtime
    except FileNotFoundError:
        return False
    return 0 <= age_s < FROZEN_MAX_AGE_S


def found(network: Network, keys: Path) -> Identities:
    """Make the identities of a new network under `keys`: authorities whole, of relays only the RSA identity.

    The relays' other keys are made by tor at its first start; fingerprints must be known before, for the votes.
    """
    certificates = {relay.nickname: _start_gencert(relay, keys) for relay in network.authorities}
    fingerprints = {relay.nickname: make_identity(keys / relay.nickname) for relay in network.relays}
    for process in certificates.values():
        _, complaint = process.communicate(timeout=120)
        if process.returncode != 0:
            raise OperatorError(f"tor-gencert failed: {complaint.decode(errors='replace').strip()}.")
    return Identities(fingerprints, {nickname: _v3_identity(keys / nickname) for nickname in certificates})


def freeze(target: Path, network: Network, who: Identities, tor_root: Path, client_dir: Path) -> None:
    """Store keys and directory of a running network as the shape's directory, in one step."""
    draft = target.with_name(f"{target.name}.{os.urandom(4).hex()}.new")
    try:
        for relay in network.relays:
            shutil.copytree(tor_root / relay.nickname / "keys", draft / "keys" / relay.nickname)
        (draft / "directory").mkdir()
        for name in FROZEN_FILES:
            if (client_dir / name).exists():
                shutil.copy2(client_dir / name, draft / "directory" / name)
        (draft / "identities.json").write_text(json.dumps(asdict(who)))
        if target.exists():
            old = target.with_name(draft.name.removesuffix(".new") + ".old")
            target.rename(old)
            shutil.rmtree(old)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def thaw(source: Path, network: Network, tor_root: Path, client_dir: Path, *, relays: bool) -> Identities:
    """Copy the client's directory, and the relays' keys if asked, from the cache to where tors will start."""
    if relays:
        for relay in network.relays:
            shutil.copytree(source / "keys" / relay.nickname, tor_root / relay.nickname / "keys")
    for name in FROZEN_FILES:
        if (source / "directory" / name).exists():
            shutil.copy2(source / "directory" / name, client_dir / name)
    return Identities(**json.loads((source / "identities.json").read_text()))


def sweep(cache: Path, now: float) -> None:
    """Remove shapes that are too old to be used, and what a killed start has left."""
    for entry in cache.iterdir():
        if entry.is_dir() and now - entry.stat().st_mtime > 2 * FROZEN_MAX_AGE_S:
            shutil.rmtree(entry, ignore_errors=True)


def link_key_environment(cache: Path) -> dict[str, str]:
    """The environment that gives a lab relay a ready TLS key; empty (tor makes its own) without source or compiler."""
    if not LINK_KEY_SOURCE.exists():
        return {}
    digest = hashlib.sha256(LINK_KEY_SOURCE.read_bytes()).hexdigest()[:12]
    library, key = cache / f"link-key-{digest}.so", cache / "link-key.pem"
    with locked(cache, "link-key"):
        if not library.exists() and not _compile(library):
            return {}
        if not key.exists():
            _write_private(key, _pem(rsa.generate_private_key(65537, 2048)))
    return {"LD_PRELOAD": str(library), "EXITPIN_LAB_LINK_KEY": str(key)}


def _compile(library: Path) -> bool:
    import sh

    draft = library.with_suffix(".new")
    flags = ("-std=c11", "-O2", "-shared", "-fPIC", "-fvisibility=hidden")
    try:
        sh.Command("cc")(*flags, "-o", draft, LINK_KEY_SOURCE, "-ldl", _tty_out=False, _timeout=60)
    except (sh.CommandNotFound, sh.ErrorReturnCode, sh.TimeoutException):
        return False
    draft.rename(library)
    return True


def _start_gencert(relay: Relay, keys: Path) -> "subprocess.Popen[bytes]":
    directory = keys / relay.nickname
    directory.mkdir(mode=0o700, parents=True)
    names = ("authority_identity_key", "authority_signing_key", "authority_certificate")
    identity, signing, certificate = (str(directory / name) for name in names)
    command = ["tor-gencert", "--create-identity-key", "--passphrase-fd", "0", "-m", "12"]
    command += ["-a", f"{relay.address}:{relay.dir_port}", "-i", identity, "-s", signing, "-c", certificate]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        raise OperatorError("The lab needs the program `tor-gencert`.", "It comes with tor.") from error
    assert process.stdin is not None
    process.stdin.write(b"lab\n")
    process.stdin.flush()
    return process


def _v3_identity(directory: Path) -> str:
    for line in (directory / "authority_certificate").read_text().splitlines():
        word, _, value = line.partition(" ")
        if word == "fingerprint":
            return value.strip()
    raise AssertionError("BUG: a certificate of tor-gencert without a fingerprint line")


def make_identity(directory: Path) -> str:
    """A relay's RSA identity as tor stores it; returns its fingerprint: SHA-1 of the PKCS #1 public key (tor-spec)."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = rsa.generate_private_key(65537, 1024)
    _write_private(directory / "secret_id_key", _pem(key))
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return hashlib.sha1(public).hexdigest().upper()


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
