"""Which exits need to be asked first: newcomers, then those under suspicion, then who was not asked for longest. Pure.

A scan that can't ask everybody, or takes days to, begins with those of whom there is most to learn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from ..model import Fingerprint, Relay

RANDOM, NEED = ORDERS = ("random", "need")
"""Who is asked first: it is left to chance, or those who need it most."""


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier scans say of an exit. `asked`: when the latest scan came to it, in seconds since the epoch;
    `is_suspect`: whether that found something. One that was given up before it asked the exit did not come to it."""

    asked: float
    is_suspect: bool


def by_need(
    exits: Sequence[Relay],
    first_seen: Mapping[Fingerprint, float],
    pasts: Mapping[Fingerprint, Past],
    *,
    newcomers_since: float,
    rng: Random,
) -> list[Relay]:
    """The same exits, who needs it most first; equals at random. `first_seen`: by exit, in seconds since the epoch; who
    is not in it was never seen before."""

    def need(relay: Relay) -> tuple[bool, bool, float, float]:
        past = pasts.get(relay.fingerprint)
        is_new = first_seen.get(relay.fingerprint, newcomers_since) >= newcomers_since
        is_suspect, asked = (False, 0.0) if past is None else (past.is_suspect, past.asked)
        return not is_new, not is_suspect, asked, rng.random()

    return sorted(exits, key=need)
