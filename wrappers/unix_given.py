"""The Unix sockets and named pipes of others that runs were given, as they were when that was said: before any tool
could run.

A tool has its user's rights: at the name that was given it can lay a link to another daemon, or that daemon's own file.
So each name is looked up once, and what it led to is kept open, so that nobody else's can get that number. Decides
nothing. Called by `launch.py`; `unix_sockets.py` and `daemons.py` ask.
"""

import contextlib
import os
import stat
import weakref
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Inode(NamedTuple):
    """What a name leads to, whatever it is called later."""

    device: int
    number: int

    @staticmethod
    def of(status: os.stat_result) -> "Inode":
        """As stat(2) has it."""
        return Inode(status.st_dev, status.st_ino)


class GivenFiles:
    """`names`: absolute paths in our own view; others give nothing, nor does one at which there is no file of this kind
    now (`is_kind` of its mode)."""

    def __init__(self, names: Iterable[str], is_kind: Callable[[int], bool]) -> None:
        handles: list[int] = []
        weakref.finalize(self, _close, handles)
        found: dict[str, Inode] = {}
        for path in filter(os.path.isabs, names):
            with contextlib.suppress(OSError):
                handles.append(os.open(path, os.O_PATH | os.O_CLOEXEC))
                status = os.fstat(handles[-1])
                if is_kind(status.st_mode):
                    found[path] = Inode.of(status)
        self.names = frozenset(found)
        self.places = frozenset(found.values())


class GivenSockets(GivenFiles):
    """`names`: of Unix sockets, abstract ones with @."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        names = frozenset(names)
        self.abstract = frozenset(os.fsencode(name) for name in names if name.startswith("@"))
        super().__init__(names, stat.S_ISSOCK)


class GivenPipes(GivenFiles):
    """`names`: of named pipes."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__(names, stat.S_ISFIFO)


def _close(handles: Iterable[int]) -> None:
    for handle in handles:
        os.close(handle)
