"""A network of tor's size, made up: the consensus and the server descriptors, as tor hands them out.

Seeded, so that two runs measure the same. Shares are near those of the public network: 28 % of the relays are exits,
some 60 policies make up most of them and the rest have long ones of their own, half allow IPv6, families have 1 to 120
members, and contact lines have letters that UTF-8 alone has. Keys and signatures are noise: nobody here checks them,
but that a relay's fingerprint is the digest of its key.
"""

import base64
import hashlib
from dataclasses import dataclass
from random import Random

RELAYS, EXITS = 9000, 2500
VALID_AFTER = "2026-05-01 12:00:00"
PROTOCOLS = (
    "Conflux=1 Cons=1-2 Desc=1-4 DirCache=2 FlowCtrl=1-2 HSDir=2 HSIntro=4-5 HSRend=1-2 Link=3-5 LinkAuth=3"
    " Microdesc=1-3 Padding=2 Relay=2-6"
)
REDUCED = (
    53,
    79,
    80,
    81,
    88,
    110,
    143,
    194,
    220,
    389,
    443,
    464,
    *range(981, 1040),
)  # as many as the reduced policy has
PRIVATE = ("0.0.0.0/8", "169.254.0.0/16", "127.0.0.0/8", "192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12")
DEFAULT = ("25", "119", "135-139", "445", "563", "1214", "4661-4666", "6346-6429", "6699", "6881-6999")
COUNTRIES = ("us", "de", "nl", "fr", "se", "ch", "ro", "pl", "ca", "gb", "fi", "at", "??")


@dataclass(frozen=True, slots=True)
class MadeUp:
    """What tor says of it: two texts, and the country of each address."""

    consensus: str
    descriptors: str
    countries: dict[str, str]


def make(relays: int = RELAYS, exits: int = EXITS, seed: int = 1) -> MadeUp:
    """The network."""
    rng = Random(seed)
    keys = {hashlib.sha1(key).digest(): key for key in (_key(rng) for _ in range(relays))}
    identities = sorted(keys)
    could_exit = set(rng.sample(range(relays), exits))
    family = _families(identities, rng)
    entries, descriptors, countries = [], [], {}
    for number, identity in enumerate(identities):
        address = f"{rng.choice((5, 23, 37, 45, 51, 62, 78, 94, 104, 135, 185, 193, 199))}" + "".join(
            f".{rng.randrange(256)}" for _ in range(3)
        )
        countries[address] = rng.choice(COUNTRIES)
        policy = _policy(address, rng) if number in could_exit else ["reject *:*"]
        has_ipv6 = number in could_exit and rng.random() < 0.5
        entries.append(_entry(number, identity, address, number in could_exit, rng))
        descriptors.append(_descriptor(number, keys[identity], address, policy, has_ipv6, family[number], rng))
    head = f"network-status-version 3\nvote-status consensus\nconsensus-method 35\nvalid-after {VALID_AFTER}\n"
    foot = "directory-footer\nbandwidth-weights Wbd=0 Wbe=0 Wbg=4131 Wbm=10000\n" + "".join(
        f"directory-signature {'A1' * 20} {'B2' * 20}\n-----BEGIN SIGNATURE-----\n{_noise(256, rng)}"
        "-----END SIGNATURE-----\n"
        for _ in range(9)
    )
    return MadeUp(head + "".join(entries) + foot, "".join(descriptors), countries)


def as_table(countries: dict[str, str], rng: Random, lines: int = 400_000) -> str:
    """A table of `prefix<TAB>asn`: the /16 of each relay, and noise up to the size of a real one."""
    wanted = {
        f"{address.split('.')[0]}.{address.split('.')[1]}.0.0/16": rng.randrange(1, 65000) for address in countries
    }
    while len(wanted) < lines:
        wanted[f"{rng.randrange(1, 224)}.{rng.randrange(256)}.{rng.randrange(256)}.0/24"] = rng.randrange(1, 400_000)
    return "; IP-ASN32-DAT file\n" + "".join(f"{prefix}\t{number}\n" for prefix, number in wanted.items())


def _families(identities: list[bytes], rng: Random) -> list[list[str]]:
    """The members of each relay's family."""
    found: list[list[str]] = []
    while len(found) < len(identities):
        size = min(rng.choices((1, 2, 5, 20, 120), (60, 20, 10, 4, 0.5))[0], len(identities) - len(found))
        members = [f"${identity.hex().upper()}" for identity in identities[len(found) : len(found) + size]]
        found += [members if size > 1 else []] * size
    return found


def _policy(address: str, rng: Random) -> list[str]:
    first = [f"reject {network}:*" for network in (*PRIVATE, address)]
    kind = rng.random()
    if kind < 0.35:
        return [*first, *(f"reject *:{port}" for port in DEFAULT), "accept *:*"]
    if kind < 0.75:
        return [*first, *(f"accept *:{ports}" for ports in REDUCED), "reject *:*"]
    if kind < 0.9:
        return [*first, "accept *:80", "accept *:443", "reject *:*"]
    blocked = (f"reject {rng.randrange(1, 224)}.{rng.randrange(256)}.{rng.randrange(256)}.0/24:*" for _ in range(60))
    return [*first, *blocked, "accept *:53", "accept *:80", "accept *:443", "accept *:8000-9000", "reject *:*"]


def _entry(number: int, identity: bytes, address: str, is_exit: bool, rng: Random) -> str:
    flags = {"Running", "Valid", "V2Dir", *(["Exit"] if is_exit and rng.random() < 0.95 else [])}
    flags |= {
        flag for flag, share in (("Fast", 0.9), ("Stable", 0.8), ("Guard", 0.5), ("HSDir", 0.6)) if rng.random() < share
    }
    flags |= {"BadExit"} if is_exit and rng.random() < 0.01 else set()
    words = [base64.b64encode(one).decode().rstrip("=") for one in (identity, rng.randbytes(20))]
    unmeasured = " Unmeasured=1" if rng.random() < 0.1 else ""
    also = f"a [2001:db8:{number:x}::1]:9001\n" if rng.random() < 0.5 else ""
    return (
        f"r relay{number:05} {words[0]} {words[1]} 2038-01-01 00:00:00 {address} 9001 0\n"
        f"{also}s {' '.join(sorted(flags))}\nv Tor 0.4.8.16\npr {PROTOCOLS}\n"
        f"w Bandwidth={int(rng.lognormvariate(9, 1.4))}{unmeasured}\np accept 80,443\n"
    )


def _key(rng: Random) -> bytes:
    """As tor writes an RSA key of 1,024 bits (RFC 8017, A.1.1)."""
    return b"\x30\x81\x89\x02\x81\x81\x00" + rng.randbytes(128) + b"\x02\x03\x01\x00\x01"


def _descriptor(
    number: int, key: bytes, address: str, policy: list[str], has_ipv6: bool, family: list[str], rng: Random
) -> str:
    name = hashlib.sha1(key).hexdigest().upper()
    lines = [
        f"router relay{number:05} {address} 9001 0 0", "identity-ed25519", _block("ED25519 CERT", rng.randbytes(140)),
        f"master-key-ed25519 {_noise(32, rng).strip()[:43]}", "platform Tor 0.4.8.16 on Linux", f"proto {PROTOCOLS}",
        "published 2026-05-01 03:12:44", f"fingerprint {' '.join(name[at : at + 4] for at in range(0, 40, 4))}",
        "uptime 1234567", "bandwidth 1073741824 1073741824 25834521", f"extra-info-digest {name} {'x' * 43}",
        "onion-key", _block("RSA PUBLIC KEY", _key(rng)), "signing-key", _block("RSA PUBLIC KEY", key),
        "onion-key-crosscert", _block("CROSSCERT", rng.randbytes(128)),
        "ntor-onion-key-crosscert 0", _block("ED25519 CERT", rng.randbytes(108)),
        *([f"family {' '.join(family)}"] if family else []),
        "hidden-service-dir",
        f"contact email:tor[]operator{number // 9}.example url:operator{number // 9}.example Jos\xe9 \U0001f9c5",
        f"ntor-onion-key {'k' * 43}", *policy,
        *(["ipv6-policy accept 80,443" if rng.random() < 0.5 else "ipv6-policy reject 25,119"] if has_ipv6 else []),
        "tunnelled-dir-server", f"router-sig-ed25519 {'s' * 86}", "router-signature",
        _block("SIGNATURE", rng.randbytes(128)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _block(name: str, content: bytes) -> str:
    return f"-----BEGIN {name}-----\n{_lines(content)}-----END {name}-----"


def _noise(size: int, rng: Random) -> str:
    return _lines(rng.randbytes(size))


def _lines(content: bytes) -> str:
    text = base64.b64encode(content).decode()
    return "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))
