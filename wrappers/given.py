"""What a tool is given to read: bytes on a pipe, as fast as it takes them, and then their end."""

import asyncio
import contextlib
import os

from .watching import watch


class Input:
    """The stdin of one run. `descriptor` is the end that the tool reads; it is closed by `started`.

    No bytes: /dev/null. Nothing here waits for the tool, and a tool that does not read, or hangs up, is no error.
    """

    def __init__(self, content: bytes) -> None:
        """Raises OSError."""
        self._rest = memoryview(content)
        self._writing = -1
        self._loop = asyncio.get_running_loop()
        if not content:
            self.descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            return
        self.descriptor, self._writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._writing, False)
        try:
            watch(self._loop.add_writer, self._writing, self._write)
        except OSError:
            self.started()
            self.finish()
            raise

    def started(self) -> None:
        """The tool has its end: ours is closed."""
        os.close(self.descriptor)

    def finish(self) -> None:
        """Hang up, whatever is left."""
        if self._writing >= 0:
            self._loop.remove_writer(self._writing)
            os.close(self._writing)
            self._writing = -1

    def _write(self) -> None:
        with contextlib.suppress(BlockingIOError):
            try:
                self._rest = self._rest[os.write(self._writing, self._rest) :]
            except BrokenPipeError:
                self._rest = self._rest[:0]
            if not self._rest:
                self.finish()
