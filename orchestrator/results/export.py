"""Records on their way out of the store: as they are, or as anybody may read them; as JSON lines, or as rows. Pure.

What is public is `public.py`'s to say; who writes files, the caller's: `results export`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .public import public
from .rows import Row, row_of

Record = Mapping[str, Any]


def chosen(records: Iterable[Record], *, is_public: bool) -> Iterator[Record]:
    """The records that go out, each as it does."""
    for record in records:
        told = public(record) if is_public else record
        if told is not None:
            yield told


def lines(records: Iterable[Record]) -> Iterator[str]:
    """Each as a line of JSON, ASCII only."""
    for record in records:
        yield json.dumps(record, ensure_ascii=True) + "\n"


def rows(records: Iterable[Record]) -> Iterator[Row]:
    """Each as the store's tables hold it: columns, and all of it as JSON."""
    return map(row_of, records)
