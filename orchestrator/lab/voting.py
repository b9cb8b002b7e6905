"""The pace of a lab that lives: how often its authorities vote, and how long a consensus of theirs is valid.

A lab without such a pace is *frozen*: it has one directory for good, and no authorities. Pure.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import EXIT_USAGE, OperatorError

DAY_S = 86400
INTERVAL_LEAST_S = 10  # MIN_VOTE_INTERVAL_TESTING of tor
INTERVAL_MOST_S = 1800
VALID_LEAST, VALID_MOST = 2, 100
VALID_DEFAULT = 3

_TIME = re.compile(r"^(valid-after|fresh-until|valid-until) ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Voting:
    """A consensus each `interval_s` seconds, valid for `valid` intervals."""

    interval_s: int
    valid: int = VALID_DEFAULT


@dataclass(frozen=True, slots=True)
class Validity:
    """The times of a consensus (dir-spec 3.4.1), in seconds since 1970."""

    valid_after: float
    fresh_until: float
    valid_until: float


def checked(interval_s: float, valid: int | None) -> Voting:
    """The pace that was asked for. OperatorError when tor would not keep it."""
    if interval_s != int(interval_s) or not INTERVAL_LEAST_S <= interval_s <= INTERVAL_MOST_S or DAY_S % interval_s:
        raise OperatorError(
            f"Authorities can't vote each {interval_s:g} s.",
            f"Use whole seconds from {INTERVAL_LEAST_S} to {INTERVAL_MOST_S} into which a day divides evenly, such as "
            "--voting 10s, 20s, 1m or 5m.",
            EXIT_USAGE,
        )
    valid = VALID_DEFAULT if valid is None else valid
    if not VALID_LEAST <= valid <= VALID_MOST:
        raise OperatorError(
            f"A consensus can't be valid for {valid} intervals.",
            f"Use --valid with {VALID_LEAST} to {VALID_MOST}.",
            EXIT_USAGE,
        )
    return Voting(int(interval_s), valid)


def validity_of(consensus: str) -> Validity | None:
    """The times of a consensus, from its beginning; None when it has none."""
    found = {name: datetime.fromisoformat(when).replace(tzinfo=UTC).timestamp() for name, when in _times(consensus)}
    try:
        return Validity(found["valid-after"], found["fresh-until"], found["valid-until"])
    except KeyError:
        return None


def _times(consensus: str) -> list[tuple[str, str]]:
    return [(match[1], match[2]) for match in _TIME.finditer(consensus)]
