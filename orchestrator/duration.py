"""A time, as people give it to options, settings and parameters: `90s`, `1.5h`, `1d`. Pure."""

import re

UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DAY_S = 86_400.0
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,18})?) ?(ms|s|m|h|d)?")


def duration_s(text: str) -> float:
    """`45s`, `500ms`, `1.5h`, `1d`, or seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return float(match[1]) * UNITS_MS[match[2] or "s"] / 1000
