"""Where a circuit broke while it was built, and so who may be blamed for it. Pure; called by the pool.

What Tor tells: the hops that answered (the path of its CIRC lines), and of a request that it refuses the relay that it
does not know. A circuit that broke before the exit says nothing about the exit. One that broke on the way to the exit
may be the last hop's fault or the exit's: nobody is blamed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .circuit import Circuit
from .effects import CircuitFailed
from .model import Fingerprint, Hop

FIRST_HOP, UNKNOWN = "first-hop", "unknown"
_UNKNOWN_RELAY = re.compile(r'No such router "\$?([0-9A-Fa-f]{40})')
DESTROYED = "DESTROYED"
"""Tor's reason for a circuit that a relay ended (control-spec 4.1.1); of all others Tor itself is the author."""
NOT_STARTED = "551"
"""Couldn't start circuit: not even a connection to the first hop could be begun."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A circuit that was not built. `reached`: how many hops answered; `suspects`: the relays one of which failed;
    `failed`: the one that did, if there is but one."""

    reached: int
    suspects: tuple[Fingerprint, ...]
    is_at_exit: bool

    @property
    def failed(self) -> Fingerprint | None:
        return self.suspects[0] if len(self.suspects) == 1 else None

    @property
    def blame(self) -> str:
        return UNKNOWN if self.is_at_exit else FIRST_HOP


def broken_at(path: Sequence[Fingerprint], reached: int) -> Broken:
    """Where a circuit of this path broke, of which so many hops had answered."""
    reached = min(reached, len(path) - 1)
    return Broken(reached, tuple(path[max(0, reached - 1) : reached + 1]), reached == len(path) - 1)


def refused(path: Sequence[Fingerprint], reply: str) -> Broken:
    """Where a circuit broke that Tor did not even begin. `reply`: code and text of its answer to EXTENDCIRCUIT."""
    named = _UNKNOWN_RELAY.search(reply)
    if named is not None and (relay := Fingerprint(named[1].upper())) in path:
        place = tuple(path).index(relay)
        return Broken(0, (relay,), place == len(path) - 1)
    if reply.startswith(NOT_STARTED):
        return Broken(0, (path[0],), False)
    return Broken(0, (), True)


def hops_in_common(path: Sequence[Fingerprint], told: Sequence[Hop]) -> int:
    """How many relays of a path, from the first one on, a CIRC line names as well."""
    count = 0
    for asked, hop in zip(path, told, strict=False):
        if asked != hop.fingerprint:
            break
        count += 1
    return count


def told_of(circuit: Circuit, broken: Broken, reason: str) -> CircuitFailed:
    """What its run is told of a circuit that was not built."""
    return CircuitFailed(
        circuit.run_id, circuit.circuit_id, circuit.path, broken.reached, reason, broken.suspects, broken.blame
    )
