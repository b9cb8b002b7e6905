"""The lines of a command, as an event loop reads them: from its pipe, or, where `sh` has put them in its queue, from
there. The loop goes on meanwhile; whoever leaves them ends the command, and whoever is cancelled has ended it.

Called by `running.py`. Source: sh 2.4, whose `__aiter__` waits in the loop's own thread.
"""

import asyncio
import contextlib
import os
import queue
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .awaited import uninterrupted
from .sh_process import end

if TYPE_CHECKING:
    from .running import Running

LINE_MAX = 1 << 20
LOOK_S = 0.01
Read = Callable[[], Awaitable[bytes]]


class Lines:
    """Those that nobody has read yet, for one loop, whose end is theirs. Raises, after the last one, what waiting for
    the command raises."""

    def __init__(self, running: "Running") -> None:
        self._running = running
        self._read: Read | None = None
        self._files = contextlib.ExitStack()
        self._leave = weakref.finalize(self, _left, running.process, self._files)

    def __aiter__(self) -> "Lines":
        return self

    async def __anext__(self) -> str | bytes:
        try:
            if self._read is None:
                self._read = await self._reading()
            if not self._running.is_read and (line := await self._read()):
                return self._running.decoded(line)
            await asyncio.to_thread(self._running.read_out)
        except asyncio.CancelledError:
            await self.aclose()
            raise
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the command, and wait for its end."""
        self._leave()
        await uninterrupted(asyncio.to_thread(self._running.process.wait))

    async def _reading(self) -> Read:
        """What gives the next line; nothing, after the last one."""
        pipe = self._running.lines
        if pipe is None:
            return partial(_queued, self._running.process._pipe_queue)
        reader = asyncio.StreamReader(LINE_MAX)
        if pipe.closed:
            reader.feed_eof()
        else:
            os.set_blocking(pipe.fileno(), False)
            reader.feed_data(pipe.read1())  # some may have been read of it before
            loop = asyncio.get_running_loop()
            transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
            self._files.callback(loop.call_soon_threadsafe, transport.close)
        return partial(_piped, reader)


async def _piped(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil()
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await reader.readexactly(min(error.consumed, LINE_MAX))


async def _queued(chunks: "queue.Queue[Any]") -> bytes:
    while True:
        with contextlib.suppress(queue.Empty):
            return chunks.get_nowait() or b""
        await asyncio.sleep(LOOK_S)


def _left(process: Any, files: contextlib.ExitStack) -> None:
    """In whichever thread has dropped the last reference, and perhaps after the event loop's end."""
    end(process)
    with contextlib.suppress(RuntimeError):
        files.close()
