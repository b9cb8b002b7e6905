"""The Unix sockets of daemons on this machine: what a contained tool must not see, since work that is handed over there
leaves without Tor.

Those that stand in the kernel's list of this network, and whatever socket lies where daemons put theirs: a daemon of
another network (a container's) has one, too. A name in the list need not be one by which the socket is reached (ssh
gives its masters another, within the folder; postfix binds names within its working directory), so that folders are
searched, too. Nor need it be there any more: what listens and was not found has lost its file, or stands elsewhere.
Nothing is cut silently: `Sockets.is_whole` says whether all were found that could be. Called by
`hidden.py`. Sources: unix(7), net/unix/af_unix.c; `unix_list.py`.
"""

import contextlib
import os
import socket
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

from ..shim import bindings
from . import unix_list
from .unix_diag import Place
from .unix_given import Inode
from .unix_list import Listed

PLACES = {"/run": 4, "/tmp": 2}
"""Where daemons put theirs, and how deep it is looked."""
WORKING_DIRECTORIES = ("/run", "/var/lib", "/var/spool")
"""Below these are the working directories of daemons whose own can't be asked for."""
ENTRIES_MAX = 20_000
"""Of each place; and of all folders of listed sockets."""
TRIES_MAX = 20_000
"""Of names within working directories: each of them in each."""
BYTES_MAX = 1 << 17
"""Of all names: they go into a command line, with the tool's own and its environment (execve(2): 2 MiB)."""
ADDRESS_MAX = 108


class Sockets(NamedTuple):
    """Their paths. Not `is_whole`: there may be others, or names by which one of these is still reached."""

    paths: list[str]
    is_whole: bool


def sockets_of_others(
    ours: str,
    allowed: Collection[Inode],
    proc: Path = Path("/proc"),
    places: Mapping[str, int] = PLACES,
    most: int = bindings.HIDDEN_MAX,
) -> Sockets:
    """All on which somebody may listen, the oldest first: what a tool makes crowds out nobody. `ours`: the folder of
    our own; `allowed`: where those are that the run may have; `most`: what the launcher takes."""
    search = _Search(proc)
    for place, depth in places.items():
        search.below(place, depth, ENTRIES_MAX)
    search.listed()
    own = os.path.realpath(ours) + os.sep
    live = search.live()
    search.account_for(live)
    others = [path for path in live if not search.is_one_of(allowed, path) and not path.startswith(own)]
    paths = list(fitting(others, most))
    return Sockets(paths, search.is_whole and len(paths) == len(others))


def fitting(paths: Iterable[str], most: int) -> Iterator[str]:
    """The first of them: so many, and so many bytes."""
    left = BYTES_MAX
    for number, path in enumerate(paths):
        left -= len(os.fsencode(path)) + 1
        if number >= most or left < 0:
            return
        yield path


class _Search:
    """What has been found: each socket under every name of its own, without those of symbolic links."""

    def __init__(self, proc: Path) -> None:
        self.is_whole = True
        self._proc = proc
        self._listed: list[Listed] = []
        self._relative: Counter[str] = Counter()
        self._directories: list[str] = []
        self._found: dict[str, os.stat_result] = {}
        self._read: set[str] = set()

    def live(self) -> list[str]:
        """Those on which somebody may listen, the oldest first: nobody can set the time of the last change."""
        live = {path: status for path, status in self._found.items() if _may_listen(path)}
        names = Counter((status.st_dev, status.st_ino) for status in live.values())
        if any(status.st_nlink > names[status.st_dev, status.st_ino] for status in live.values()):
            self.is_whole = False
        return sorted(live, key=lambda path: (live[path].st_ctime_ns, path))

    def is_one_of(self, places: Collection[Inode], path: str) -> bool:
        """Whether the socket that was found under this path is at one of these places."""
        return Inode.of(self._found[path]) in places

    def below(self, folder: str, depth: int, left: int) -> int:
        """Search a folder, so many levels of them and so many entries; how many of these are left."""
        folders = [(os.path.realpath(folder), depth)]
        while folders and left >= 0:
            folder, depth = folders.pop()
            self._read.add(folder)
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        left -= 1
                        if left < 0:
                            self.is_whole = False
                            break
                        if entry.is_dir(follow_symlinks=False):
                            if depth > 1:
                                folders.append((entry.path, depth - 1))
                        elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                            self._note(entry)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                self.is_whole = self.is_whole and _is_closed(folder)
        return left

    def _note(self, entry: "os.DirEntry[str]") -> None:
        with contextlib.suppress(OSError):
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISSOCK(status.st_mode):
                self._found[entry.path] = status

    def listed(self) -> None:
        """What the kernel's list has, and what lies beside it."""
        self._listed, is_readable = unix_list.listed(self._proc)
        self.is_whole = self.is_whole and is_readable
        absolute = [one.name for one in self._listed if one.name.startswith("/")]
        self._relative = Counter(one.name for one in self._listed if one.is_listening and one.name[0] not in "/@")
        self._directories = _working_directories(self._proc) if self._relative else []
        within = [os.path.join(*pair) for pair in islice(product(self._directories, self._relative), TRIES_MAX)]
        if len(within) < len(self._directories) * len(self._relative):
            self.is_whole = False
        names = dict.fromkeys([*absolute, *within])
        for name in names:
            self._try(name)
        left = ENTRIES_MAX
        folders = dict.fromkeys(map(os.path.dirname, names))
        for folder in dict.fromkeys(map(os.path.realpath, filter(os.path.isdir, folders))):
            left -= 1
            if folder not in self._read:
                left = self.below(folder, 1, left)

    def _try(self, path: str) -> None:
        try:
            status = os.stat(path)
        except OSError:
            return
        if stat.S_ISSOCK(status.st_mode):
            self._found[os.path.realpath(path)] = status

    def account_for(self, live: Collection[str]) -> None:
        """Is each that listens among them, or where the tool can't go either? Not asked where that is said already."""
        ends = Counter(path[at + 1 :] for path in live for at, one in enumerate(path) if one == os.sep)
        missing = ((name, count - ends[name]) for name, count in self._relative.items())
        self.is_whole = self.is_whole and all(count <= 0 or self._has_closed(name, count) for name, count in missing)
        lost = self._lost() if self.is_whole else set()
        if lost and lost & {one.inode for one in unix_list.listed(self._proc)[0]}:  # it has not ended meanwhile
            self.is_whole = False

    def _has_closed(self, name: str, count: int) -> bool:
        folder = os.path.dirname(name)
        closed = (one for one in self._directories if folder and _is_closed(os.path.join(one, folder)))
        return sum(1 for _ in islice(closed, count)) == count

    def _lost(self) -> set[int]:
        """The numbers of those that listen, have a whole path, and are not where it leads."""
        listening = [one for one in self._listed if one.is_listening and one.name.startswith("/")]
        told, comparable = unix_list.places(), unix_list.devices()
        found = {Place.of(status) for status in self._found.values()}
        lost, seen = set(), set()
        for one in listening:
            place = told.get(one.inode)
            if place in found:  # by whatever name
                continue
            try:
                is_there = unix_list.leads_to(one.name, place, comparable)
            except PermissionError:
                is_there = _is_out_of_our_hands(one.name)
            except OSError:
                is_there = False
            if not is_there or one.name in seen:  # a name leads to one
                lost.add(one.inode)
            seen.add(one.name)
        return lost


def _working_directories(proc: Path) -> list[str]:
    """Those of all processes that we may ask, and where others have theirs."""
    found: dict[str, None] = {}
    for pid in os.listdir(proc):
        if pid.isdigit():
            with contextlib.suppress(OSError):
                found[os.path.join("/", os.readlink(proc / pid / "cwd"))] = None  # it may be "(unreachable)/..."
    for place in WORKING_DIRECTORIES:
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            found.update((entry.path, None) for entry in entries if entry.is_dir(follow_symlinks=False))
    return list(found)


def _is_closed(folder: str) -> bool:
    """Whether nothing below it can be reached, by whatever name: it, or one above it, may not be searched, and is not
    ours to open. To be read is another right: who knows a name needs none."""
    path = Path(os.path.realpath(folder))
    try:
        for one in (*reversed(path.parents), path):
            status = os.stat(one)
            if stat.S_ISDIR(status.st_mode) and not os.access(one, os.X_OK):
                return status.st_uid != os.getuid()
    except OSError:
        pass  # nobody can say
    return False


def _is_out_of_our_hands(path: str) -> bool:
    """Whether what was bound there is still there, and closed: nothing on the way down to a folder that is closed could
    have been put there in place of another by whoever has our rights."""
    for folder in reversed(Path(path).parents):
        if os.access(folder, os.W_OK):
            return False
        if not os.access(folder, os.X_OK):
            return _is_closed(os.fspath(folder))
    return False


def _may_listen(path: str) -> bool:
    """Not: the socket's owner is gone, and its file was left. The kernel looks for the owner, in whatever network,
    before it compares types: a datagram socket finds the one of a stream without disturbing it."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as probe:
            if len(os.fsencode(path)) < ADDRESS_MAX:
                probe.connect(path)
            else:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
                try:
                    probe.connect(f"/proc/self/fd/{place}")
                finally:
                    os.close(place)
    except ConnectionRefusedError:
        return False
    except OSError:
        pass  # nobody can say: it counts as one
    return True
