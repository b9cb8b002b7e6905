"""Which Unix sockets a run may reach: those that it was given, and those on which it listens itself.

By what a path leads to, and never by its text, which a link, a rename or another name could make mean something else:
the socket is looked up once, in the tool's own view of the file system, and whoever connects keeps hold of it.

Called by `reports.py` for hooks, which connect themselves, and by `supervisor.py`, which connects for the tool: whoever
listens sees our credentials then, so a process that has others reaches only what was given.

Source: net/unix/af_unix.c (SIOCUNIXFILE), openat2(2), credentials(7).
"""

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ..shim import bindings
from . import unix_diag
from .process import Tree
from .unix_diag import Place
from .unix_given import GivenSockets, Inode
from .unix_look_ups import LookUps

_BENEATH, _IN_ROOT = 0x08, 0x10
_CREDENTIALS = (b"Uid:", b"Gid:", b"Groups:")
SIOCUNIXFILE = 0x89E0
DESCRIPTORS_MAX = 10_000
OWN_MAX = 64


class UnixName(NamedTuple):
    """What a tool would connect to: a path, as it has it, or an abstract name, which may hold any bytes."""

    raw: bytes
    is_abstract: bool

    @staticmethod
    def from_address(address: bytes) -> "UnixName":
        """As the kernel reads what follows the family in a sockaddr."""
        is_abstract = address.startswith(b"\0")
        return UnixName(address[1:] if is_abstract else address.partition(b"\0")[0], is_abstract)

    @staticmethod
    def from_report(name: bytes) -> "UnixName":
        """As reports have it: an abstract one begins with @, and a path that would is below ./ there."""
        is_abstract = name.startswith(b"@")
        return UnixName(name[1:] if is_abstract else name, is_abstract)

    @property
    def reported(self) -> bytes:
        """For a report: `from_report` reads it."""
        if self.is_abstract:
            return b"@" + self.raw
        return b"./" + self.raw if self.raw.startswith(b"@") else self.raw

    def __str__(self) -> str:
        """For people."""
        return self.reported.replace(b"\0", b"\\x00").decode("utf-8", "backslashreplace")


@dataclass(slots=True)
class Found:
    """What a path leads to. `error`: what connect(2) would say, 0: there is a socket; `handle`: it, opened by O_PATH;
    None for an abstract one, which has no place."""

    error: int
    is_allowed: bool = False
    handle: int | None = None

    def close(self) -> None:
        """Let it go."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None


class UnixSockets:
    """The rule of one run. `given`: those of others; `may_listen`: only then is there one of its own."""

    def __init__(self, given: GivenSockets, tree: Tree, *, may_listen: bool) -> None:
        self._given = given
        self._tree = tree
        self._may_listen = may_listen
        self._own: dict[Inode, int] = {}
        self._look_ups: LookUps[Found] | None = None

    def close(self) -> None:
        """Let go of the places of its own sockets."""
        if self._look_ups is not None:
            self._look_ups.close()
        for inode in list(self._own):
            os.close(self._own.pop(inode))

    def listens(self, tool_socket: socket.socket) -> None:
        """It is about to listen there: of a run in a network of its own the kernel tells us by no other way. The place
        is kept open, so that nobody else's can be of that number, and forgotten when there are too many."""
        with contextlib.suppress(OSError):  # it has no place, or we are an ordinary user and the network is ours
            place = fcntl.ioctl(tool_socket, SIOCUNIXFILE)
            inode = Inode.of(os.fstat(place))
            if inode in self._own:  # it listened already
                os.close(place)
            self._own.setdefault(inode, place)
        if len(self._own) > OWN_MAX:
            os.close(self._own.pop(next(iter(self._own))))

    def look_up(
        self,
        name: UnixName,
        tid: int,
        then: Callable[[Found], None],
        *,
        is_ours: bool = False,
        is_elsewhere: bool = False,
    ) -> None:
        """`find` it, in a thread: `then` hears of it on the loop, and closes it."""
        self._look_ups = self._look_ups or LookUps(Found)
        self._look_ups.make(lambda: self.find(name, tid, is_ours=is_ours, is_elsewhere=is_elsewhere), then)

    def find(self, name: UnixName, tid: int, *, is_ours: bool = False, is_elsewhere: bool = False) -> Found:
        """Look it up for a thread, or a process; close what is found. `is_ours`: it is we who would connect;
        `is_elsewhere`: in a network of the run's own, where nobody else has abstract names."""
        may_be_own = self._may_listen and not (is_ours and has_other_credentials(tid))
        if name.is_abstract:
            is_given = name.reported in self._given.abstract
            return Found(0, is_given or (may_be_own and (is_elsewhere or self._is_own(name=b"\0" + name.raw))))
        try:
            handle = _open(name.raw, tid)
        except (OSError, ValueError) as error:
            problem = getattr(error, "errno", None) or errno.ENOENT
            return Found(0 if problem == errno.EXDEV else problem)  # by a link of /proc to where nobody else can look
        status = os.fstat(handle)
        if not stat.S_ISSOCK(status.st_mode):
            os.close(handle)
            return Found(errno.ECONNREFUSED)
        is_allowed = Inode.of(status) in self._given.places or (may_be_own and self._is_own(status))
        if not is_allowed and not _may_be_listened_at(status):
            os.close(handle)
            return Found(errno.ECONNREFUSED)
        return Found(0, is_allowed, handle)

    def _is_own(self, status: os.stat_result | None = None, name: bytes = b"") -> bool:
        """Whether whoever listens there is of the run, as we saw, or by the kernel's word, in which an inode has 32
        bits. It is not where there is a doubt: the number is another's, too, or stat(2) has one device and the kernel
        another (on btrfs, and on an overlay of several file systems)."""
        if status is not None and Inode.of(status) in self._own:
            return True
        place = None if status is None else Place.of(status)
        try:
            listeners = unix_diag.listeners()
        except OSError:
            return False
        inodes = {one.inode for one in listeners if (one.name == name if place is None else one.place == place)}
        return bool(inodes) and {f"socket:[{inode}]" for inode in inodes} <= self._descriptors()

    def _descriptors(self) -> set[str]:
        """What the processes of the run have open, as far as it can be seen."""
        import psutil

        found: set[str] = set()
        try:
            children = psutil.Process(self._tree.launcher).children(recursive=True)
        except psutil.Error:
            return found
        for process in children:
            try:
                with os.scandir(f"/proc/{process.pid}/fd") as entries:
                    for entry in entries:
                        found.add(os.readlink(entry.path))
                        if len(found) > DESCRIPTORS_MAX:
                            return found
            except OSError:  # it is gone, or not ours to see
                continue
        return found


def has_other_credentials(tid: int) -> bool:
    """Whether a thread's user, groups or file system user are not ours; so, too, when it is gone. no_new_privs keeps a
    tool from getting others by execve(2); root may change them by itself."""
    try:
        return _credentials(b"%d" % tid) != _credentials(b"thread-self")
    except OSError:
        return True


def _credentials(thread: bytes) -> list[list[bytes]]:
    """Effective and file system user and group, and all groups: what SO_PEERCRED and SO_PEERGROUPS tell, and what opens
    files."""
    with open(b"/proc/" + thread + b"/status", "rb") as status:
        lines = [line.split() for line in status if line.startswith(_CREDENTIALS)]
    return [numbers if name == b"Groups:" else [numbers[1], numbers[3]] for name, *numbers in lines]


def _open(path: bytes, tid: int) -> int:
    """What a path leads to for a thread, whose root and mounts may not be ours. Raises OSError, ValueError."""
    if b"\0" in path:
        raise ValueError("no path")
    place = b"/proc/%d/%s" % (tid, b"root" if path.startswith(b"/") else b"cwd")
    start = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        return bindings.open_path(start, path, _IN_ROOT if path.startswith(b"/") else _BENEATH)
    except OSError as error:
        if error.errno == errno.EXDEV and not path.startswith(b"/"):  # it leads out of the working directory
            return _open(_working_directory(tid) + b"/" + path, tid)
        if error.errno != errno.ENOSYS:
            raise
        return os.open(place + b"/" + path.lstrip(b"/"), os.O_PATH | os.O_CLOEXEC)  # before Linux 5.6
    finally:
        os.close(start)


def _working_directory(tid: int) -> bytes:
    """A thread's, as it calls it itself. Raises OSError."""
    cwd, root = (os.readlink(b"/proc/%d/%s" % (tid, link)) for link in (b"cwd", b"root"))
    inside = cwd.removeprefix(root.rstrip(b"/"))
    if not inside.startswith(b"/") or len(inside) + len(root.rstrip(b"/")) != len(cwd):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return inside


def _may_be_listened_at(status: os.stat_result) -> bool:
    """Whether a socket listens that was bound to an inode of that number, on whatever device (the kernel's number and
    stat(2)'s differ on some). Where not, connect(2) would say so, too, and the tool may well start a server of its
    own; unless somebody listens in another network, who is not reached, either."""
    inode = Place.of(status).inode
    try:
        return any(one.place is not None and one.place.inode == inode for one in unix_diag.listeners())
    except OSError:
        return True
