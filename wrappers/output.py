"""What a tool writes: read from its pipes as it comes, capped, and handed on by line where somebody wants lines.

The bytes were possibly written by the suspect: no more than `cap` of them is kept, and `printable` escapes what a
terminal would obey.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from typing import Protocol

from .backlog import Backlog
from .watching import watch

CHUNK = 1 << 16
QUEUED_MAX = 4 << 20
LINE_COST = 64  # of a line in the queue, beside its bytes
LINE_MAX = 1 << 16
LAST_READS = 64  # more than the largest pipe holds, and an end for somebody who never stops writing


class Flow(Protocol):
    """Who takes lines, and may have too many of them."""

    @property
    def is_full(self) -> bool:
        """Whether no more should come."""

    def call_when_drained(self, resume: Callable[[], None]) -> None:
        """Call `resume` once, on the loop, when more may come."""


class Output:
    """One stream of one run. `descriptor` is the end that the tool writes to; close it once the tool has it.

    While `flow` is full the pipe is not read: the tool waits, as it would for a slow reader of its own. Where nothing
    can be read after that, `lose` hears why.
    """

    def __init__(
        self,
        cap: int,
        on_line: Callable[[bytes], None] | None = None,
        flow: Flow | None = None,
        lose: Callable[[str], None] = lambda why: None,
    ) -> None:
        """Raises OSError."""
        self._reading, self.descriptor = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reading, False)
        self._cap = cap
        self._on_line = on_line
        self._flow = flow
        self._lose = lose
        self._line = b""
        self._loop = asyncio.get_running_loop()
        self.kept = bytearray()
        self.size = 0
        try:
            watch(self._loop.add_reader, self._reading, self._readable)
        except OSError:
            self.started()
            self._close()
            raise

    @property
    def is_truncated(self) -> bool:
        """Whether the tool wrote more than was kept."""
        return self.size > len(self.kept)

    def started(self) -> None:
        """The tool has its end: ours is closed."""
        os.close(self.descriptor)

    def finish(self) -> None:
        """Read what is left and close; nothing comes after this."""
        for _ in range(LAST_READS):
            if not self._read():
                break
        if self._reading >= 0:
            self._close()

    def _close(self) -> None:
        self._loop.remove_reader(self._reading)
        os.close(self._reading)
        self._reading = -1
        if self._line and self._on_line:
            self._on_line(self._line)
            self._line = b""

    def _readable(self) -> None:
        """One read a turn: a tool that writes as fast as it is read must not hold up the loop, its timeout included."""
        if self._read() and self._flow is not None and self._flow.is_full:
            self._loop.remove_reader(self._reading)
            self._flow.call_when_drained(self._resume)

    def _resume(self) -> None:
        if self._reading < 0:
            return
        try:
            watch(self._loop.add_reader, self._reading, self._readable)
        except OSError as error:
            self._lose(f"what the tool writes could not be read any more: {error.strerror}")

    def _read(self) -> bool:
        """Read once; False when there is nothing more."""
        if self._reading < 0:
            return False
        try:
            chunk = os.read(self._reading, CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self._close()
            return False
        self.size += len(chunk)
        self.kept += chunk[: max(0, self._cap - len(self.kept))]
        if self._on_line:
            self._lines(chunk)
        return True

    def _lines(self, chunk: bytes) -> None:
        assert self._on_line is not None
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            self._on_line(line)
        if len(self._line) > LINE_MAX:
            self._on_line(self._line)
            self._line = b""


class LineWriter:
    """Writes to a stream from a thread of its own, so that a reader who is slow does not hold up the loop.

    `on_broken` is called once, on the loop, when the reader has gone; after `close`, `problem` says why. Nobody is
    stopped from putting lines, but `is_full` says when it should wait: it implements `Flow`.
    """

    def __init__(self, descriptor: int, on_broken: Callable[[], None], max_queued: int = QUEUED_MAX) -> None:
        self._descriptor = descriptor
        self._on_broken = on_broken
        self._lines: Backlog[bytes] = Backlog(max_queued)
        self.problem: str | None = None
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether so much is queued that tools should wait. Nobody waits for a reader who has gone."""
        return self._lines.is_full

    def call_when_drained(self, resume: Callable[[], None]) -> None:
        """Call `resume` once, on the loop, when half of what may be queued is."""
        self._lines.call_when_drained(resume)

    def put(self, line: bytes) -> None:
        """Queue bytes, which are written whole and in order."""
        if line and not self._lines.ended.done():
            self._lines.put(line, len(line) + LINE_COST)

    async def close(self, hurry: asyncio.Event | None = None, patience_s: float = 1.0) -> None:
        """Return when all of it is written, or can't be, or `patience_s` after `hurry` was set."""
        self._lines.finish()
        ended = self._lines.ended
        if hurry is not None:
            hurried = self._loop.create_task(hurry.wait())
            await asyncio.wait((ended, hurried), return_when=asyncio.FIRST_COMPLETED)
            hurried.cancel()
            await asyncio.wait((ended,), timeout=patience_s)
        else:
            await ended
        if not ended.done():
            self.problem = "its reader took too long"

    def _write(self) -> None:
        """In the thread."""
        lines, cost = self._lines.take(CHUNK)
        try:
            while lines:
                rest = b"".join(lines)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
                self._lines.written(cost)
                lines, cost = self._lines.take(CHUNK)
        except OSError as error:
            self.problem = error.strerror
            self._lines.tell(self._on_broken)
        self._lines.over()


def printable(text: str | bytes) -> str:
    """Text for a terminal: every control character but the tab is shown, not obeyed."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)
