"""So many starts in a time, as settings spell it: `20/m`. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from .duration import UNITS_MS

_RATE = re.compile(r"(\d{1,6})/(s|m|h)")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` starts in any such period."""

    count: int
    period: str

    @property
    def interval_s(self) -> float:
        """The mean time between two starts."""
        return self.period_s / self.count

    @property
    def period_s(self) -> float:
        """The period, in seconds."""
        return UNITS_MS[self.period] / 1000

    def __str__(self) -> str:
        return f"{self.count}/{self.period}"


PER_DESTINATION = Rate(120, "h")
"""What may go to a door that is not declared the user's own."""


def rate_of(given: Any) -> Rate:
    """Raises ValueError for what is none."""
    match = _RATE.fullmatch(given) if isinstance(given, str) else None
    if match is None or int(match[1]) == 0:
        raise ValueError
    return Rate(int(match[1]), match[2])
