"""What a command has written, as far as it is kept in memory, and as which it is returned. Called by `running.py`."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .running import Running

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


class Printed(str):
    """What a command wrote to stdout. `running`: the command, as `_return_cmd=True` would have returned it; a copy is
    text alone."""

    running: "Running"

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str.__str__(self),)

    @property
    def record(self) -> Mapping[str, Any] | None:
        """The record of its run, `exitpin.run/1`."""
        return self.running.record

    @property
    def stdout(self) -> bytes:
        """The same, as it was written: what is no UTF-8 is replaced in the text."""
        return self.running.stdout

    @property
    def stderr(self) -> bytes:
        """What it wrote there; the last lines may be exitpin's."""
        return self.running.stderr

    @property
    def exit_code(self) -> int:
        """0, or what `_ok_code` allowed."""
        return self.running.exit_code


def teed(tee: Any) -> set[Any]:
    """The streams, "out" and "err", that `_tee=` asks to keep though they go elsewhere."""
    asked = {tee} if tee is None or isinstance(tee, str | int) else set(tee)
    return {name for name, words in (("out", {True, "out"}), ("err", {"err", 2})) if asked & words}


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


class Teed:
    """What one stream wrote goes elsewhere, and is kept."""

    def __init__(self, elsewhere: Any, kept: Kept) -> None:
        self._elsewhere, self._kept = elsewhere, kept

    def write(self, chunk: bytes) -> None:
        self._elsewhere.write(chunk)
        self._kept.write(chunk)
