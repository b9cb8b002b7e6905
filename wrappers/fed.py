"""What one command writes, where it is another one's stdin and no pipe joins the two: the output that is kept of it, or
what nobody has read yet of its lines. `sh` would wait for a queue that nothing is put in.

Called by `commands.py`. Source: sh 2.4, its `input_thread`.
"""

import io
import queue
import time
from collections.abc import Iterator
from functools import partial

from .running import CHUNK, Running

LOOK_S = 0.05


class Output:
    """Of a command; iterated in the thread that feeds the other one. It gives nothing, from time to time, so that this
    sees whether the other one has ended. Raises there what the command raises."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def __iter__(self) -> Iterator[bytes]:
        if self._running.lines is not None:
            return self._read(self._running.lines)
        call_args = self._running.call_args
        return self._queued() if call_args["iter"] or call_args["iter_noblock"] else self._kept()

    def _read(self, lines: io.BufferedReader) -> Iterator[bytes]:
        while not lines.closed and (chunk := lines.read1(CHUNK)):
            yield chunk
        self._running.wait()

    def _queued(self) -> Iterator[bytes]:
        chunk: bytes | None = b""
        while chunk is not None:
            yield chunk
            try:
                chunk = self._running.process._pipe_queue.get(timeout=LOOK_S)
            except queue.Empty:
                chunk = b""
        self._running.wait()

    def _kept(self) -> Iterator[bytes]:
        while self._running.is_alive():
            yield b""
            time.sleep(LOOK_S)
        yield from iter(partial(io.BytesIO(self._running.stdout).read, CHUNK), b"")
