"""One process of `exitpin audit`, as a watch starts it: what it says is passed on, its last sentence kept.

It is in a process group of its own, so that a Ctrl-C reaches it through the watch alone, and ends when that is killed.
"""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

LINE_MAX = 1 << 16
NAME = "exitpin: "


class Child:
    """`command`: the words after `exitpin`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = [sys.executable, "-m", "exitpin", *command]
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._due_signal: int | None = None
        self.last_sentence = ""

    async def run(self) -> int:
        """Carry it out; its exit status, negative: the signal that ended it. Raises OSError if it can't be started."""
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
            env=self._environment, process_group=0, limit=LINE_MAX,
        )  # fmt: skip
        assert process.stderr is not None
        if self._due_signal is not None:
            self.signal(self._due_signal)
        await self._pass_on(process.stderr)
        return await process.wait()

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
            if text.startswith(NAME):
                self.last_sentence = text.removeprefix(NAME).strip()
