"""The metrics of a watch, in a file, kept fresh.

What they are made of is in the store, and its size on the disk: both take their time, so that they are looked up in a
thread, and only when something has changed. What the watch says of itself is written each time.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OperatorError
from ..report.watch_told import WatchTold
from .results_store import shown
from .say import say
from .whole_file import whole_file

if TYPE_CHECKING:
    from .report_prom import Facts

MODE = 0o644  # whoever monitors is another user


class ToldFile:
    """A file that is written again and again. That it can't be is told once, and it is tried again each time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._has_failed = False

    def write(self, content: bytes) -> None:
        """Any thread's."""
        try:
            if self._path.is_fifo():
                raise OperatorError(
                    f"{shown(self._path)} is a pipe, and a watch waits for nobody to read it.", "Name a file."
                )
            with whole_file(self._path, MODE) as file:
                file.write(content)
        except (OperatorError, OSError) as error:  # the latter: a pipe that nobody reads
            self.failed(error)
        else:
            self._has_failed = False

    def failed(self, error: Exception) -> None:
        """There is nothing to write."""
        if not self._has_failed:
            say(str(error))
        self._has_failed = True


class Metrics:
    """Of a watch on this store. Lives on the loop."""

    def __init__(self, path: Path, store: Path) -> None:
        self._file = ToldFile(path)
        self._store = store
        self._facts: Facts | None = None
        self._told: WatchTold | None = None
        self._is_old = True
        self._writing: asyncio.Task[None] | None = None

    def write(self, told: WatchTold, *, is_changed: bool) -> None:
        """Soon; of several that wait only the last. `is_changed`: whether the store is to be asked again."""
        self._told = told
        self._is_old = self._is_old or is_changed
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def settled(self) -> None:
        """Return when nothing waits to be written."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        while self._told is not None:
            told, self._told = self._told, None
            is_old, self._is_old = self._is_old or self._facts is None, False
            if not await asyncio.to_thread(self._made, told, is_old):
                self._is_old = True

    def _made(self, told: WatchTold, is_old: bool) -> bool:
        """Whether what they are made of is that of now."""
        from . import report_prom

        try:
            if is_old or self._facts is None:
                self._facts = report_prom.facts(self._store)
        except OperatorError as error:
            self._file.failed(error)
            return False
        self._file.write(report_prom.text(self._facts, told))
        return True
