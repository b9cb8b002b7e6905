"""Of many texts as many as a fact can hold, and one digest for the rest, as `storable` does with a long text.

The suspect decides how many there are. So in a set copies take no room from one more text; and what has no room still
makes a difference. What is read ends at a number and not at a time: who was given the same has the same list, however
busy the machine. Pure; called by `extraction.py`.
"""

import hashlib
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from .values import storable

ITEMS_MAX: Final = 1000
READ_MAX: Final = 10_000
"""How many texts are looked at. Where there are more, the digest is that of all bytes that they stand in, too."""


def bounded(
    found: Iterable[str], whole: bytes, *, is_set: bool, most: int = ITEMS_MAX, store: Callable[[str], str] = storable
) -> tuple[list[str], str]:
    """The first `most` texts (of a set: each once, and sorted), and one text for all others, empty if there are none.

    `whole`: the bytes that they stand in; `store` makes a value of a text. Raises what `found` raises.
    """
    left = iter(found)
    kept: list[str] = []
    known: set[bytes] = set()
    others: list[bytes] = []
    for text in islice(left, READ_MAX):
        mark = _digest(text.encode("utf-8", "surrogatepass"))
        if is_set and mark in known:
            continue
        known.add(mark)
        if len(kept) < most:
            kept.append(store(text))
        else:
            others.append(mark)
    if is_set:
        kept, others = sorted(set(kept)), sorted(others)
    if next(left, None) is not None:
        others.append(_digest(whole))
    return kept, f"... and more: sha256:{hashlib.sha256(b''.join(others)).hexdigest()}" if others else ""


def count(found: Iterable[str]) -> int:
    """How many there are, of those that are looked at."""
    return sum(1 for _ in islice(found, READ_MAX))


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
