"""What a selection needs of server descriptors (dir-spec, 2.1.1), read from their bytes: policy, family, contact.

Relays write them, so nothing in them is believed but what tor has checked: the signatures, that the key they were made
with is the relay's, that a family certificate is for this relay. Whose descriptor it is, that key tells, and no line.
One odd descriptor costs its relay its policy, and nobody else anything.
"""

import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from ..orchestrator import router_text
from ..orchestrator.model import Fingerprint
from ..orchestrator.policy import ExitPolicy, parse_descriptor_policy

_COMMENT = re.compile(rb"[ \t\r]#.*")
_POLICY = re.compile(rb"^(?:accept|reject) .*$", re.MULTILINE)
_IPV6_POLICY = re.compile(rb"^ipv6-policy +((?:accept|reject) \S+)", re.MULTILINE)
FAMILY_KEY, SIGNED_WITH = 12, 4
"""The type of a family's certificate, and that of the extension that holds the key it is signed with (cert-spec)."""


@dataclass(frozen=True, slots=True)
class Described:
    """Of one relay. `policy`: None for one that can't be read; `family`: fingerprints and nicknames that it names;
    `family_ids`: keys of families that it has a certificate of; `text`: all of it, unless it lets nothing out."""

    policy: ExitPolicy | None
    family: frozenset[str]
    family_ids: frozenset[str]
    contact: str
    text: bytes = b""


@dataclass(slots=True)
class Texts(Mapping[Fingerprint, str]):
    """Documents by relay, kept as bytes: most are never looked at, and as text one letter may cost four bytes."""

    _kept: dict[Fingerprint, bytes] = field(default_factory=dict)

    def add(self, fingerprint: Fingerprint, text: bytes) -> None:
        self._kept[fingerprint] = text

    def __getitem__(self, fingerprint: Fingerprint) -> str:
        return self._kept[fingerprint].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[Fingerprint]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def descriptors(text: bytes, named: Callable[[], Mapping[Fingerprint, bytes]]) -> dict[Fingerprint, Described]:
    """The descriptors of the text, by the relay that has signed them. `named`: those that a consensus names, by their
    digests; asked for if there are several of one relay. Of those that one is taken, which the authorities have seen,
    too; else the newest."""
    families: dict[bytes, frozenset[str]] = {}
    places: dict[Fingerprint, tuple[int, int]] = {}
    found: dict[Fingerprint, Described] = {}
    for place in router_text.places(text):
        one = text[slice(*place)]
        parts = router_text.parts(one)
        name = router_text.fingerprint(parts.keys)
        if name is None:
            continue
        if name in places:
            other, digest = text[slice(*places[name])], named().get(name)
            if _rank(other, digest) >= _rank(one, digest):
                continue
        places[name] = place
        found[name] = _described(one, parts, families)
    return found


def _rank(one: bytes, digest: bytes | None) -> tuple[bool, bytes]:
    """The higher, the more is a descriptor that of its relay now. `digest`: that of the one in the consensus."""
    return router_text.digest(one) == digest, _line(router_text.parts(one).lines, b"\npublished ")


def _described(one: bytes, parts: router_text.Parts, families: dict[bytes, frozenset[str]]) -> Described:
    family = _line(parts.lines, b"\nfamily ")
    if family not in families:
        families[family] = frozenset(
            word.removeprefix("$")[:40].upper() for word in family.decode("ascii", "replace").split()
        )
    policy = _policy(parts.lines)
    return Described(
        policy,
        families[family],
        frozenset(map(_family_id, parts.certificates)) - {""} if parts.certificates else frozenset(),
        _line(parts.lines, b"\ncontact ").decode("utf-8", "surrogateescape"),
        b"" if policy is not None and policy.is_reject_all() else one,
    )


def _line(text: bytes, keyword: bytes) -> bytes:
    """What stands behind a keyword (`\\ncontact `), or nothing."""
    at = text.find(keyword)
    return text[at + len(keyword) : text.index(b"\n", at + 1)].lstrip() if at >= 0 else b""


def _policy(lines: bytes) -> ExitPolicy | None:
    first = min((at for at in (lines.find(b"\naccept "), lines.find(b"\nreject ")) if at >= 0), default=-1)
    if first < 0 and b"\naccept6 " not in lines and b"\nreject6 " not in lines:
        return None  # tor takes none without any
    rules = b"\n".join(_POLICY.findall(lines, first)) if first >= 0 else b""  # those of IPv6 hold for no client
    if b"#" in rules:
        rules = _COMMENT.sub(b"", rules)
    ipv6 = _IPV6_POLICY.search(lines) if b"\nipv6-policy " in lines else None
    try:
        return parse_descriptor_policy(rules.decode("ascii"), ipv6[1].decode("ascii") if ipv6 else "")
    except ValueError:
        return None


def _family_id(certificate: bytes) -> str:
    """`ed25519:KEY` of the family that signed a certificate (cert-spec, 2.1), as microdescriptors name it; empty for
    what is none. Not verified here: tor takes no descriptor whose certificates are not this relay's."""
    try:
        raw = router_text.decoded(certificate)
    except binascii.Error:
        return ""
    if len(raw) < 40 + 64 or raw[0] != 1 or raw[1] != FAMILY_KEY:
        return ""
    at = 40
    for _ in range(raw[39]):
        size, kind = int.from_bytes(raw[at : at + 2]), raw[at + 2 : at + 3]
        if kind == bytes([SIGNED_WITH]) and size == 32 and at + 4 + 32 + 64 <= len(raw):
            key = raw[at + 4 : at + 36]
            return "ed25519:" + binascii.b2a_base64(key, newline=False).decode().rstrip("=")
        at += 4 + size
    return ""
