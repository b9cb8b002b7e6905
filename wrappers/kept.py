"""What a command has written, as far as it is kept in memory. Called by `running.py`."""

from collections.abc import Callable, Mapping
from typing import Any

KEPT_MAX = 16 << 20
"""Bytes of stdout, and of stderr, that are kept."""


class TooMuchOutput(Exception):
    """A command was ended, since it wrote more than `KEPT_MAX` bytes that were to be kept in memory: `_out=FILE`, or
    `_iter=True`, takes any amount. `record`: of its run."""

    def __init__(self, ran: str, record: Mapping[str, Any] | None) -> None:
        super().__init__(ran, record)
        self.record = record

    def __str__(self) -> str:
        return f"over {KEPT_MAX >> 20} MiB of output: {self.args[0]}; give it _out=FILE, or _iter=True"


class Kept:
    """What one stream wrote, as far as it is kept."""

    def __init__(self, on_full: Callable[[Any], None]) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._on_full = on_full

    @property
    def is_full(self) -> bool:
        return self._size > KEPT_MAX

    def write(self, chunk: bytes) -> None:
        if self.is_full:
            return self._on_full(None)
        self._chunks.append(chunk)
        self._size += len(chunk)

    def take(self) -> bytes:
        """All of it, once."""
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)
