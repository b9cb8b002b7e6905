"""The named pipes that daemons read: what a contained tool must not write to, since what is done because of it leaves
without Tor.

A daemon is who reads one, has no terminal, and is neither of the caller's session nor of a session of those that have
called him: `cat pipe &` in a shell is that shell's own doing, in whatever window, and so is a make that waits for its
jobs. The kernel has no list of them: all descriptors of all processes are looked at, and those of other users only root
may see. Who waits in open(2) for somebody to write has no descriptor yet, and is not seen either.

To look takes 2.3 us a descriptor. Up to some two thousand of them the loop waits for it; where it takes longer, it is
done beside the loop, which goes on by what was found before, for a while. Called by `launch.py`, before each run.
Sources: proc(5), fifo(7), statx(2).
"""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, wait
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import NamedTuple

from ..shim import bindings
from .daemons import fitting
from .hidden import FRESH_PER_LOOK, FRESH_S

HOLD_S = 0.005
"""A look that takes no longer may hold up the loop."""
OLD_S = 10.0
"""What is older than that is waited for anew; and older than is seen where runs follow each other."""
WAIT_S = 2.0
"""And no longer than that: a path may lead to a server that does not answer."""
PATHS_MAX = 64
CALLERS_MAX = 100


class Reader(NamedTuple):
    """A process. `session`: its number; `has_terminal`: somebody has started it, and may see what it does."""

    pid: int
    session: int
    has_terminal: bool


class Pipes(NamedTuple):
    """Who reads which, by path, the oldest first: what a tool makes crowds out nobody. Not `is_whole`: there may be
    others, or other names of these."""

    readers: Mapping[str, list[Reader]]
    is_whole: bool


class Hidden(NamedTuple):
    """What is not to be there for a run. Not `is_whole`: more should be."""

    paths: list[str]
    is_whole: bool


class NamedPipes:
    """What there is now, a second old at most; older where a look takes so long that it would hold up the loop."""

    def __init__(
        self,
        look: Callable[[], Pipes] | None = None,
        clock: Callable[[], float] = time.monotonic,
        proc: Path = Path("/proc"),
    ) -> None:
        self._look = look or (lambda: pipes_that_are_read(proc))
        self._clock = clock
        self._proc = proc
        self._looking: Future[tuple[Pipes, float, float]] | None = None
        self._found = Pipes({}, False)
        self._began = self._fresh_until = float("-inf")
        self._took_s = 0.0

    def hidden(self, caller: int, allowed: Collection[str] = (), most: int = PATHS_MAX) -> Hidden:
        """Those of daemons, for a run that this process has called. `allowed`: what it may have."""
        found = self._now()
        own = _kin_of(caller, self._proc) if found.readers else _Kin(set(), set())
        kept = {place for path in allowed if (place := _place(path)) is not None}
        others = [
            path
            for path, readers in found.readers.items()
            if not any(own.has(reader) for reader in readers) and _place(path) not in kept
        ]
        paths = list(fitting(others, min(most, PATHS_MAX)))
        return Hidden(paths, found.is_whole and len(paths) == len(others))

    def _now(self) -> Pipes:
        now = self._clock()
        if self._looking is not None and self._looking.done():
            self._take()
        if now >= self._fresh_until and self._looking is None:
            self._looking = Future()
            Thread(target=self._carry_out, args=(self._looking,), daemon=True).start()
            if self._took_s <= HOLD_S or now - self._began > max(OLD_S, 2 * FRESH_PER_LOOK * self._took_s):
                self._take()
        return self._found

    def _take(self) -> None:
        assert self._looking is not None
        if not wait([self._looking], WAIT_S).done:
            self._found = self._found._replace(is_whole=False)  # until it has ended
            return
        looking, self._looking = self._looking, None
        self._found, self._began, ended = looking.result()
        self._took_s = ended - self._began
        self._fresh_until = ended + max(FRESH_S, FRESH_PER_LOOK * self._took_s)

    def _carry_out(self, looking: "Future[tuple[Pipes, float, float]]") -> None:
        """In a thread of its own."""
        try:
            began = self._clock()
            looking.set_result((self._look(), began, self._clock()))
        except BaseException as error:
            looking.set_exception(error)


def pipes_that_are_read(
    proc: Path = Path("/proc"), see: Callable[[str], list[bindings.NamedPipe]] = bindings.named_pipes
) -> Pipes:
    """All that we may see."""
    readers: dict[str, list[Reader]] = {}
    changed: dict[str, int] = {}
    is_whole = True
    for pid in filter(str.isdigit, os.listdir(proc)):
        folder = f"{proc}/{pid}/fd"
        try:
            pipes = see(folder)
        except PermissionError:
            is_whole = False
            continue
        except OSError:
            continue  # it has ended
        is_whole = is_whole and len(pipes) < bindings.NAMED_PIPES_MAX
        for pipe in pipes:
            with contextlib.suppress(OSError):
                path, (reader, _) = os.readlink(f"{folder}/{pipe.fd}"), _look_at(int(pid), proc)
                names = 0  # that we know
                status = _status(path)
                if status is not None and (status.st_dev, status.st_ino) == (pipe.device, pipe.inode):
                    readers.setdefault(path, []).append(reader)
                    changed[path] = status.st_ctime_ns
                    names = 1
                is_whole = is_whole and pipe.links == names
    return Pipes({path: readers[path] for path in sorted(readers, key=lambda one: (changed[one], one))}, is_whole)


class _Kin(NamedTuple):
    """Whose reading is the caller's own doing."""

    pids: set[int]
    sessions: set[int]

    def has(self, reader: Reader) -> bool:
        return reader.has_terminal or reader.pid in self.pids or reader.session in self.sessions


def _kin_of(caller: int, proc: Path) -> _Kin:
    kin = _Kin(set(), set())
    with contextlib.suppress(OSError):  # somebody has ended meanwhile
        for one in islice(_callers(caller, proc), CALLERS_MAX):
            kin.pids.add(one.pid)
            kin.sessions.add(one.session)
    return kin


def _callers(caller: int, proc: Path) -> Iterator[Reader]:
    """The caller, who has called him, and so on up to what init has started: that is a service (the one of a user or a
    desktop, cron, sshd), and none of them unless it is the caller itself. Raises OSError."""
    one, parent = _look_at(caller, proc)
    yield one
    while parent > 1:
        one, parent = _look_at(parent, proc)
        if parent > 1:
            yield one


def _look_at(pid: int, proc: Path) -> tuple[Reader, int]:
    """A process, and its parent. Raises OSError. The name, in brackets, may hold anything."""
    fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    return Reader(pid, int(fields[3]), fields[4] != b"0"), int(fields[1])


def _place(path: str) -> tuple[int, int] | None:
    status = _status(path)
    return None if status is None else (status.st_dev, status.st_ino)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None
