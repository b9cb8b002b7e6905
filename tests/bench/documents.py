"""A consensus and server descriptors of the size of the Tor network's, made up: 9,000 relays, some of which are exits.

From one snapshot to the next one exit in 50 gets or loses a flag, and one in 100 another policy.
"""

from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha1, sha256

RELAYS = 9000
FILLER = "A" * 64  # stands for the keys and signatures of a descriptor, of which a line has as many


@cache
def fingerprint_of(relay: int) -> str:
    """Of the relay with this number."""
    return sha1(_key(relay)).hexdigest().upper()


def snapshot(exits: list[int], number: int) -> Iterator[tuple[str, bytes]]:
    """The documents by name. `exits`: their numbers; `number`: of the snapshot."""
    others = [sha256(b"other %d" % n).hexdigest()[:40].upper() for n in range(RELAYS - len(exits))]
    entries = [_entry(name, _flags(name, number)) for name in map(fingerprint_of, exits)]
    entries += [_entry(name, "Fast Guard HSDir Running Stable V2Dir Valid") for name in others]
    yield "consensus", ("network-status-version 3\n" + "".join(entries) + "directory-footer\n").encode()
    yield "descriptors", "".join(_descriptor(exit, number) for exit in exits).encode()


def _key(relay: int) -> bytes:
    """As tor writes an RSA key of 1,024 bits (RFC 8017, A.1.1)."""
    return b"\x30\x81\x89\x02\x81\x81\x00" + 4 * sha256(b"relay %d" % relay).digest() + b"\x02\x03\x01\x00\x01"


def _flags(name: str, number: int) -> str:
    return "Exit Fast Running Valid" + (" Stable" if (int(name[:4], 16) + number) % 50 else "")


def _entry(name: str, flags: str) -> str:
    identity = b64encode(bytes.fromhex(name)).decode().rstrip("=")
    return (
        f"r relay{name[:6]} {identity} {identity} 2026-05-01 00:00:00 203.0.113.7 9001 0\n"
        f"a [2001:db8::7]:9001\ns {flags}\nv Tor 0.4.9.11\n"
        "pr Conflux=1 Cons=1-2 Desc=1-2 DirCache=2 FlowCtrl=1-2 HSDir=2 HSIntro=4-5 HSRend=1-2 Link=1-5 Microdesc=1-2\n"
        "w Bandwidth=12000\np accept 20-23,43,53,79-81,88,110,143,194,220,389,443,464,531,543-544,554,563,636,706,749\n"
    )


def _descriptor(exit: int, number: int) -> str:
    name, key = fingerprint_of(exit), b64encode(_key(exit)).decode()
    port = 25 + (number if int(name[:4], 16) % 100 == 0 else 0)
    spaced = " ".join(name[place : place + 4] for place in range(0, 40, 4))
    keys = "".join(f"{FILLER}\n" for _ in range(17))
    return (
        f"router relay{name[:6]} 203.0.113.7 9001 0 0\nidentity-ed25519\n{keys}platform Tor 0.4.9.11 on Linux\n"
        f"published 2026-05-01 00:00:{number % 60:02}\nfingerprint {spaced}\nuptime 100000\n"
        f"signing-key\n-----BEGIN RSA PUBLIC KEY-----\n{key}\n-----END RSA PUBLIC KEY-----\nfamily ${name} ${name}\n"
        f"contact noc at example dot org\n{''.join(f'reject {net}:*' + chr(10) for net in PRIVATE)}reject *:{port}\n"
        f"accept *:*\nipv6-policy accept 80,443\nrouter-signature\n-----BEGIN SIGNATURE-----\n{FILLER}\n"
        "-----END SIGNATURE-----\n"
    )


PRIVATE = ("0.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8", "192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12")
