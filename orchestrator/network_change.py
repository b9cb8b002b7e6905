"""What has changed in a network from one snapshot to the next, as far as exits are concerned. Pure.

Whoever scans for months has to know whom a scan could not ask: exits come and go, and change what they let out. Called
by `results/sightings.py`, which remembers who was seen.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from .counted import counted
from .model import Fingerprint, Relay, Snapshot


@dataclass(frozen=True, slots=True)
class Sighting:
    """An exit as one snapshot had it. `policy`: a digest of its exit policy, empty: it had no descriptor; `flags`: in
    order, with spaces between them."""

    nickname: str
    policy: str
    flags: str

    @classmethod
    def of(cls, relay: Relay) -> "Sighting":
        """The sighting of a relay."""
        policy = "" if relay.policy is None else hashlib.sha256(relay.policy.text.encode(errors="replace")).hexdigest()
        return cls(relay.nickname, policy[:16], " ".join(sorted(relay.flags)))


@dataclass(frozen=True, slots=True)
class NetworkChange:
    """Exits by what became of them. `new`: never seen before; `back`: seen before, and not the last time; `policy`:
    another exit policy; `flags`: with those that it had, and those that it has."""

    before: str
    after: str
    new: tuple[Fingerprint, ...]
    back: tuple[Fingerprint, ...]
    gone: tuple[Fingerprint, ...]
    policy: tuple[Fingerprint, ...]
    flags: Mapping[Fingerprint, tuple[str, str]]

    @property
    def is_any(self) -> bool:
        """Whether any exit has changed."""
        return bool(self.new or self.back or self.gone or self.policy or self.flags)

    def told(self) -> dict[str, object]:
        """As records tell it: the consensuses by their valid-after."""
        return {
            "before": self.before,
            "after": self.after,
            "new": list(self.new),
            "back": list(self.back),
            "gone": list(self.gone),
            "policy": list(self.policy),
            "flags": {name: {"before": was, "after": now} for name, (was, now) in self.flags.items()},
        }

    def sentence(self) -> str:
        """`since the consensus of ...: 3 exits are new, 1 is gone`."""
        return f"since the consensus of {self.before}: {', '.join(self._parts()) or 'no exit has changed'}"

    def _parts(self) -> Iterator[str]:
        for exits, one, many in (
            (self.new, "is new", "are new"),
            (self.back, "is back", "are back"),
            (self.gone, "is gone", "are gone"),
            (self.policy, "has another policy", "have other policies"),
            (self.flags, "has other flags", "have other flags"),
        ):
            if exits:
                yield f"{counted(len(exits), 'exit')} {one if len(exits) == 1 else many}"


def sightings_of(snapshot: Snapshot) -> dict[Fingerprint, Sighting]:
    """The relays of a snapshot that could let something out."""
    return {relay.fingerprint: Sighting.of(relay) for relay in snapshot.relays.values() if relay.could_exit}


def change_of(
    before: tuple[str, Mapping[Fingerprint, Sighting]],
    after: tuple[str, Mapping[Fingerprint, Sighting]],
    known: Collection[Fingerprint],
) -> NetworkChange:
    """From one snapshot to another, each given by its valid-after and its exits. `known`: who was ever seen before."""
    (valid_before, old), (valid_after, new) = before, after
    arrived = [name for name in new if name not in old]
    stayed = [name for name in new if name in old]
    return NetworkChange(
        valid_before,
        valid_after,
        new=tuple(name for name in arrived if name not in known),
        back=tuple(name for name in arrived if name in known),
        gone=tuple(name for name in old if name not in new),
        policy=tuple(name for name in stayed if old[name].policy != new[name].policy),
        flags={name: (old[name].flags, new[name].flags) for name in stayed if old[name].flags != new[name].flags},
    )
