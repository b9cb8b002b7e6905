"""What several verbs of `results` take on their command lines, as argparse wants it."""

import argparse
import re
import time
from datetime import UTC, datetime

from ..results.wanted import FINDINGS, STATUSES

_AGE = re.compile(r"(\d{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def statuses(text: str) -> frozenset[str]:
    """`tampered,broken`; `findings` stands for those that accuse an exit."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    wrong = [word for word in words if word not in (*STATUSES, "findings")]
    if wrong or not words:
        raise argparse.ArgumentTypeError(f"{text!r}: say some of {', '.join(STATUSES)}, or findings")
    return frozenset(name for word in words for name in (FINDINGS if word == "findings" else (word,)))


def since(text: str) -> float:
    """`7d` ago, or a date: in seconds since the epoch."""
    match = _AGE.fullmatch(text)
    if match:
        return time.time() - int(match[1]) * _SECONDS[match[2]]
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: say a time such as 24h or 7d, or a date such as 2026-05-01"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def count(text: str) -> int:
    """A number from 0."""
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r}: say a number from 0")
    return int(text)
