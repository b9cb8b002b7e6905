"""What exits declared, and what the authorities said of them, in the snapshots of two scans: whose policy or flags are
others now. Pure.

The documents are those that a scan keeps as evidence: the consensus, and the server descriptors of the exits that it
was to ask (dir-spec 2.1.1, 3.4.1). Relays wrote the descriptors: what of them is shown has to be escaped, and only so
many lines of a policy are told. Called by `results diff`, and by `audit --resume`, which asks if a network is the same.
"""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..router_text import fingerprint, parts, places

POLICY, FLAGS = "policy", "flags"
LINES_MAX = 40  # of a policy that are told
LINE_MAX = 120  # characters
IDENTITY_LENGTH = 27  # base64 without its padding

_NICKNAME = re.compile(rb"[A-Za-z0-9]{1,19}")
_POLICY = re.compile(rb"\n((?:accept|reject|ipv6-policy) [^\n]*)")
_Flags = dict[str, tuple[str, frozenset[str]]]
"""Nickname and flags, by fingerprint."""


class Documents(NamedTuple):
    """The documents of one leg of a scan. `descriptors`: of the exits that it was to ask."""

    consensus: bytes
    descriptors: bytes


class ExitChange(NamedTuple):
    """Of one exit. `kind`: policy or flags; `lost`, `gained`: the flags, or the lines of its policy, that were and are
    no more, and the other way round; of a policy that is only in another order all lines."""

    kind: str
    exit: str
    nickname: str
    lost: tuple[str, ...]
    gained: tuple[str, ...]


def exit_changes(before: Sequence[Documents], after: Sequence[Documents], exits: Collection[str]) -> list[ExitChange]:
    """What is not as it was of these exits (fingerprints), policies first. `before`, `after`: the legs of two scans,
    the latest last. What one of the scans does not tell of an exit is no change."""
    (policies, old), (now_policies, new) = (_told_by(legs, exits) for legs in (before, after))
    names = {name: nickname for told in (old, new) for name, (nickname, _) in told.items()}
    found = [
        ExitChange(POLICY, name, names.get(name, ""), *_difference(policies[name], now_policies[name]))
        for name in policies.keys() & now_policies.keys()
        if policies[name] != now_policies[name]
    ]
    for name in old.keys() & new.keys():
        was, now = old[name][1], new[name][1]
        if was != now:
            found.append(ExitChange(FLAGS, name, names[name], tuple(sorted(was - now)), tuple(sorted(now - was))))
    return sorted(found, key=lambda change: (change.kind != POLICY, change.nickname, change.exit))


def is_known_to(consensus: bytes, relays: Collection[str]) -> bool:
    """Whether any of these relays (fingerprints) stands in a consensus."""
    return bool(_flags(consensus, relays))


def _told_by(legs: Sequence[Documents], exits: Collection[str]) -> tuple[dict[str, tuple[str, ...]], _Flags]:
    """Policies and flags, by fingerprint: both by the leg that was the last to ask that exit."""
    policies: dict[str, tuple[str, ...]] = {}
    flags: _Flags = {}
    for leg in reversed(legs):
        asked = _policies(leg.descriptors, {name for name in exits if name not in policies})
        policies |= asked
        flags |= _flags(leg.consensus, asked.keys()) if asked else {}
    if legs:
        flags |= _flags(legs[-1].consensus, {name for name in exits if name not in policies})
    return policies, flags


def _flags(consensus: bytes, exits: Collection[str]) -> _Flags:
    wanted = {b64encode(bytes.fromhex(name)).rstrip(b"="): name for name in exits if len(name) == 40 and _is_hex(name)}
    found = {}
    for entry in (b"\n" + consensus).split(b"\nr ")[1:]:
        nickname, _, rest = entry.partition(b" ")
        name = wanted.get(rest[:IDENTITY_LENGTH])
        if name is not None and _NICKNAME.fullmatch(nickname):
            flags = entry.partition(b"\ns")[2].partition(b"\n")[0]
            found[name] = _text(nickname), frozenset(_text(flags).split())
    return found


def _is_hex(text: str) -> bool:
    return set(text) <= set("0123456789ABCDEF")


def _policies(descriptors: bytes, exits: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The lines of each exit's policy, by fingerprint."""
    found: dict[str, tuple[str, ...]] = {}
    for begin, end in places(descriptors):
        one = parts(descriptors[begin:end])
        name = fingerprint(one.keys)
        if name is not None and name in exits:
            found[name] = tuple(map(_text, _POLICY.findall(one.lines)))
    return found


def _difference(was: Sequence[str], now: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    lost, gained = Counter(was) - Counter(now), Counter(now) - Counter(was)
    if not lost and not gained:
        return _told(was), _told(now)
    return _told(list(lost.elements())), _told(list(gained.elements()))


def _told(lines: Sequence[str]) -> tuple[str, ...]:
    some = [line[:LINE_MAX] for line in lines[:LINES_MAX]]
    return (*some, f"... ({len(lines)} lines)") if len(lines) > LINES_MAX else tuple(some)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")
