"""One process of `exitpin audit`, as a watch starts it: what it says is passed on, its last sentence kept.

It is in a process group of its own, so that a Ctrl-C reaches it through the watch alone, and ends when that is killed.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from .audit import OF_WATCH

LINE_MAX = 1 << 16
LATE_S = 5.0
"""For so long what is still said is waited for when it has ended: whoever it left behind may keep its stderr open."""
NAME = "exitpin: "
WHY = "stopped: "
"""With this it says why it ends before its time; then come its findings, and how to go on."""
EXITPIN = (sys.executable, "-m", "exitpin")


class Child:
    """`command`: the words after `exitpin`."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], program: Sequence[str] = EXITPIN
    ) -> None:
        self._command = [*program, *command]
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._due_signal: int | None = None
        self.last_sentence = ""

    async def run(self) -> int:
        """Carry it out; its exit status, negative: the signal that ended it. Raises OSError if it can't be started."""
        said, transport = await self._started()
        assert self._process is not None
        if self._due_signal is not None:
            self.signal(self._due_signal)
        reading = asyncio.ensure_future(self._pass_on(said))
        try:
            status = await self._process.wait()
            await asyncio.wait((reading,), timeout=LATE_S)
        finally:
            reading.cancel()
            transport.close()
        return status

    async def _started(self) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
        """Start it; what it says. A pipe of our own: asyncio would wait for the end of one of its own."""
        ours, theirs = os.pipe()
        file = open(ours, "rb", buffering=0)  # noqa: SIM115 - the transport closes it
        try:
            said = asyncio.StreamReader(limit=LINE_MAX)
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(said), file
            )
        except BaseException:
            file.close()
            os.close(theirs)
            raise
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stderr=theirs,
                env={**self._environment, OF_WATCH: str(os.getpid())},
                process_group=0,
            )
        except BaseException:
            transport.close()
            raise
        finally:
            os.close(theirs)
        return said, transport

    def signal(self, signo: int) -> None:
        """Send it a signal, if it still is there; as soon as it is, if it is not yet."""
        if self._process is None:
            self._due_signal = signo
        elif self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.Signals(signo))

    async def _pass_on(self, lines: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await lines.readline()
            except ValueError:  # a line without an end: what of it was read is gone
                continue
            if not line:
                return
            text = line.decode(errors="replace")
            sys.stderr.write(text)
            sys.stderr.flush()
            is_reason = text.startswith(NAME + WHY)
            if text.startswith(NAME) and (is_reason or not self.last_sentence.startswith(WHY)):
                self.last_sentence = text.removeprefix(NAME).strip()
