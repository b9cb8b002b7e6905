"""What a tool writes: read from its pipes as it comes, capped, and handed on by line where somebody wants lines.

The bytes were possibly written by the suspect: no more than `cap` of them is kept, and `printable` escapes what a
terminal would obey.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Callable

CHUNK = 1 << 16
LINE_MAX = 1 << 16
LAST_READS = 64  # more than the largest pipe holds, and an end for somebody who never stops writing


class Output:
    """One stream of one run. `descriptor` is the end that the tool writes to; close it once the tool has it."""

    def __init__(self, cap: int, on_line: Callable[[bytes], None] | None = None) -> None:
        self._reading, self.descriptor = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reading, False)
        self._cap = cap
        self._on_line = on_line
        self._line = b""
        self._loop = asyncio.get_running_loop()
        self.kept = bytearray()
        self.size = 0
        self._loop.add_reader(self._reading, self._readable)

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
        self._read()

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

    `on_broken` is called once, on the loop, when the reader has gone; after `close`, `problem` says why.
    """

    def __init__(self, descriptor: int, on_broken: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_broken = on_broken
        self.problem: str | None = None
        self._loop = asyncio.get_running_loop()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Queue bytes, which are written whole and in order."""
        self._lines.put(line)

    def close(self) -> None:
        """Return when all of it is written, or can't be."""
        self._lines.put(None)
        self._thread.join()

    def _write(self) -> None:
        while (rest := self._lines.get()) is not None:
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                self.problem = error.strerror
                self._loop.call_soon_threadsafe(self._on_broken)
                return


def printable(line: bytes) -> str:
    """A line for a terminal: every control character but the tab is shown, not obeyed."""
    text = line.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)
