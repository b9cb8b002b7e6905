"""All launchers of this process, and what becomes of those that part from us before their tree has ended.

Nothing here waits for a process: the loop looks again a little later. Decides when a launcher that does not end is
killed and which of our children are not its orphans; `orphans.py` ends these, and `process.py` decides what that means
for a run.
"""

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import Callable, Generator
from dataclasses import dataclass

from ..shim import bindings
from . import orphans

LOOK_S = 0.005
PATIENCE_S = 1.0
ORPHANS_S = 3.0
SETTLE_S = 5.0

Gone = Callable[[int], None]
"""Called with the launcher's wait status."""


@dataclass(slots=True)
class Parting:
    """A launcher that hung up before its tree had ended, or was hung up on. It is killed at `kill_at` (loop time)."""

    on_gone: Gone
    kill_at: float
    status: int | None = None
    give_up_at: float = 0.0


class Household:
    """All launchers of this process. When one is killed, its orphans become our children (we are a subreaper)."""

    def __init__(self, *others: set[int]) -> None:
        """`others`: sets of children that somebody else starts and ends, each kept by whoever does."""
        import psutil  # noqa: F401 - before the first run: it takes 20 ms, in which the loop would stand still

        self._others = orphans.children()  # such as the keeper of our own tor
        self.guests: set[int] = set()
        """Short commands that threads of ours start meanwhile, and that may be ended all at once (filters.py); below
        zero: one that is about to be there."""
        self._guests = (self.guests, *others)
        bindings.set_child_subreaper()
        self.callers_file_limit = _raise_file_limit()
        """The soft limit of open files that we were given, for tools: one that uses select(2) would not survive a
        descriptor above 1023."""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.launchers: set[int] = set()
        self._ending: set[int] = set()
        self._ending_timer: asyncio.TimerHandle | None = None
        self._parting: dict[int, Parting] = {}
        self._killing: Generator[None, None, bool] | None = None
        self._gone: list[int] = []
        """Launchers that were gone when the killing of orphans began."""

    def leave(self, launcher: int) -> None:
        """A launcher whose tree has ended hung up: reaped now, or soon. To wait for it would hold up the loop until the
        scheduler lets it finish."""
        self._ending.add(launcher)
        self._reap_ending()

    def _reap_ending(self) -> None:
        if self._ending_timer is not None:
            self._ending_timer.cancel()
            self._ending_timer = None
        for pid in list(self._ending):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._ending.discard(pid)
                self.launchers.discard(pid)
        if self._ending:
            self._ending_timer = self._loop.call_later(LOOK_S, self._reap_ending)

    def part(self, launcher: int, on_gone: Gone) -> None:
        """A launcher that may still have a tree is on its own now: `on_gone` is called when nothing is left of either,
        or can't be ended. One that does not end by itself (it may be stopped) is killed."""
        self._parting[launcher] = Parting(on_gone, self._loop.time() + PATIENCE_S)
        self._look()

    def kill(self, launcher: int) -> None:
        """SIGKILL a launcher that has not been waited for; it is still ours to `part` with."""
        if launcher in self.launchers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(launcher, signal.SIGKILL)

    async def settle(self) -> None:
        """Return when every launcher that was parted with is gone, with its orphans; give up after some seconds."""
        deadline = self._loop.time() + SETTLE_S
        while self._parting and self._loop.time() < deadline:
            await asyncio.sleep(LOOK_S)

    def _look(self) -> None:
        """Take one look at all who are parting, and come back while there are any."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        for launcher, parting in self._parting.items():
            if parting.status is None:
                self._reap(launcher, parting, now)
        self._kill_some_orphans(now)
        if self._parting:
            self._timer = self._loop.call_later(0 if self._killing is not None else LOOK_S, self._look)

    def _kill_some_orphans(self, now: float) -> None:
        """As many as a turn allows. When all were looked for, those are told whose launchers were gone before."""
        if self._killing is None:
            self._gone = [launcher for launcher, one in self._parting.items() if one.status is not None]
            if not self._gone:
                return
            self._killing = orphans.killing(lambda: self.launchers.union(self._others, *self._guests))
        try:
            next(self._killing)
        except StopIteration as end:
            self._all_looked_for(now, may_be_more=end.value)
        except OSError:
            self._all_looked_for(now, may_be_more=True)

    def _all_looked_for(self, now: float, *, may_be_more: bool) -> None:
        self._killing = None
        for launcher in self._gone:
            one = self._parting[launcher]
            assert one.status is not None
            if not may_be_more or now >= one.give_up_at:
                del self._parting[launcher]
                self._loop.call_soon(one.on_gone, one.status)

    def _reap(self, launcher: int, parting: Parting, now: float) -> None:
        pid, status = os.waitpid(launcher, os.WNOHANG)
        if pid:
            parting.status, parting.give_up_at = status, now + ORPHANS_S
            self.launchers.discard(launcher)
        elif now >= parting.kill_at:
            self.kill(launcher)


def _raise_file_limit() -> int:
    """Raise our soft limit of open files to the hard one: each connect that waits takes two. What it was before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft
