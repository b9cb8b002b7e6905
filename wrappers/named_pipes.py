"""The named pipes that daemons read: what a contained tool must not write to, since what is done because of it leaves
without Tor.

A daemon is who reads one, has no terminal, and is neither of the caller's session nor of a session of those that have
called him: `cat pipe &` in a shell is that shell's own doing, in whatever window, and so is a make that waits for its
jobs. The kernel has no list of them: all descriptors of all processes are looked at, and those of other users only root
may see. Who waits in open(2) for somebody to write has no descriptor yet, and is not seen either.

To look takes 2.3 us a descriptor, in a thread (`recent.py`). Called by `hidden.py`, before each run. Sources: proc(5),
fifo(7), statx(2).
"""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ..shim import bindings
from .daemons import fitting
from .recent import Recent
from .unix_given import Inode

PATHS_MAX = 64
CALLERS_MAX = 100


class Reader(NamedTuple):
    """A process. `session`: its number; `has_terminal`: somebody has started it, and may see what it does."""

    pid: int
    session: int
    has_terminal: bool


class Pipes(NamedTuple):
    """Who reads which, by path, the oldest first: what a tool makes crowds out nobody; and what each path leads to. Not
    `is_whole`: there may be others, or other names of these."""

    readers: Mapping[str, list[Reader]]
    is_whole: bool
    places: Mapping[str, Inode] = MappingProxyType({})


class Hidden(NamedTuple):
    """What is not to be there for a run. Not `is_whole`: more should be."""

    paths: list[str]
    is_whole: bool


class NamedPipes(Recent[Pipes]):
    """What there is now."""

    def __init__(self, look: Callable[[], Pipes] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(look or pipes_that_are_read, clock)


def hidden_from(
    pipes: Pipes, caller: int, given: Collection[Inode] = (), most: int = PATHS_MAX, proc: Path = Path("/proc")
) -> Hidden:
    """Those of daemons, for a run that this process has called. `given`: what it may have."""
    own = _kin_of(caller, proc) if pipes.readers else _Kin(set(), set())
    others = [
        path
        for path, readers in pipes.readers.items()
        if not any(own.has(reader) for reader in readers) and pipes.places.get(path) not in given
    ]
    paths = list(fitting(others, min(most, PATHS_MAX)))
    return Hidden(paths, pipes.is_whole and len(paths) == len(others))


def pipes_that_are_read(
    proc: Path = Path("/proc"), see: Callable[[str], list[bindings.NamedPipe]] = bindings.named_pipes
) -> Pipes:
    """All that we may see."""
    readers: dict[str, list[Reader]] = {}
    places: dict[str, Inode] = {}
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
                    places[path], changed[path] = Inode.of(status), status.st_ctime_ns
                    names = 1
                is_whole = is_whole and pipe.links == names
    oldest_first = sorted(readers, key=lambda one: (changed[one], one))
    return Pipes({path: readers[path] for path in oldest_first}, is_whole, places)


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


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None
