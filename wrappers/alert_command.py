"""A command that is told something: started with a line on its standard input, and ended when it takes too long.

It is the user's own, and runs as whatever they would type: with their environment and directory, outside of any
containment and of Tor, never through a shell. timeout(1) is its parent and ends its process group: after the deadline,
when we say so, and when we are killed (setpriv(1), PR_SET_PDEATHSIG). It has a session of its own, for a Ctrl-C is for
us to hear. What it prints is read, and its beginning is kept: it goes to nobody's output.

Called by `cli/audit_alerts.py`, on the loop. Decides nothing about whom to tell what.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from .filters import memory_file
from .output import Output, printable
from .watching import watch

OUTPUT_MAX = 4 << 10
SHOWN_MAX = 300  # characters
KILL_AFTER_S = 2
FENCE_S = KILL_AFTER_S + 3.0  # after that not even timeout(1) did its work
TOOK_TOO_LONG, NOT_EXECUTED, NOT_FOUND = 124, 126, 127


class AlertCommand:
    """One command under way. `on_end` is called once, on the loop, with why it failed, or None; `guests`: children of
    ours that no `Household` may take for its orphans."""

    def __init__(
        self,
        argv: Sequence[str],
        line: bytes,
        deadline_s: float,
        environment: Mapping[str, str],
        guests: set[int],
        on_end: Callable[[str | None], None],
    ) -> None:
        """Raises OSError when nothing can be started."""
        self._deadline_s = deadline_s
        self._guests = guests
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._output = Output(OUTPUT_MAX)
        limits = ["timeout", f"--kill-after={KILL_AFTER_S}", "--", f"{deadline_s:g}"]
        try:
            with memory_file(line) as stdin:
                self._process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", "--", *limits, *argv],
                    stdin=stdin, stdout=self._output.descriptor, stderr=self._output.descriptor,
                    env=dict(environment), start_new_session=True,
                )  # fmt: skip
        except (OSError, ValueError):
            self._output.started()
            self._output.finish()
            raise
        self._output.started()
        guests.add(self._process.pid)
        self._ending = -1
        try:
            self._ending = os.pidfd_open(self._process.pid)
            watch(self._loop.add_reader, self._ending, self._ended)
        except OSError:
            self._clear_away()
            raise
        self._fence = self._loop.call_later(deadline_s + FENCE_S, self._kill)

    def end(self) -> None:
        """TERM, and KILL soon after: `on_end` hears of it."""
        self._process.send_signal(signal.SIGTERM)
        self._fence.cancel()
        self._fence = self._loop.call_later(FENCE_S, self._kill)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _ended(self) -> None:
        self._fence.cancel()
        self._on_end(self._problem(self._clear_away()))

    def _clear_away(self) -> int:
        """Its exit status. What it has left in the background is ended, and so is itself, if it goes on."""
        if self._ending >= 0:
            self._loop.remove_reader(self._ending)
            os.close(self._ending)
        self._kill()
        code = self._process.wait()
        self._guests.discard(self._process.pid)
        self._output.finish()
        return code

    def _problem(self, code: int) -> str | None:
        if code == 0:
            return None
        if self._loop.time() - self._began >= self._deadline_s and code in (TOOK_TOO_LONG, 128 + signal.SIGKILL, -9):
            why = f"it took longer than {self._deadline_s:g} s"
        elif code == NOT_EXECUTED:
            why = "it can't be executed"
        elif code == NOT_FOUND:
            why = "it was not found"
        else:
            signo = -code if code < 0 else code - 128 if code > 128 else 0
            why = f"it was ended by signal {signo}" if signo else f"exit status {code}"
        told = printable(bytes(self._output.kept).decode("utf-8", "backslashreplace").strip())
        return f"{why}: {told[:SHOWN_MAX]}" if told else why
