"""The Unix sockets of daemons on this machine: what a contained tool must not see, since work that is handed over there
leaves without Tor.

Those that stand in the kernel's list of this network, and whatever socket lies where daemons put theirs: a daemon of
another network (a container's) has one, too. Found once a session; a daemon that starts later is not among them. Called
by `launch.py`. Source: proc(5) /proc/net/unix.
"""

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

PLACES = {"/run": 4, "/tmp": 2}
"""Where daemons put theirs, and how deep it is looked."""
ENTRIES_MAX = 20_000
SOCKETS_MAX = 500  # as many as the launcher takes


def sockets_of_others(
    ours: str, allowed: Collection[str], proc: Path = Path("/proc"), places: Mapping[str, int] = PLACES
) -> list[str]:
    """Their paths, no more than the launcher takes. `ours`: the folder of our own; `allowed`: what the run may have."""
    found = dict.fromkeys(_resolved([*_listed(proc), *_lying_about(places)]))
    kept = {os.path.realpath(path) for path in allowed if path.startswith("/")}
    own = os.path.realpath(ours) + os.sep
    return [path for path in found if path not in kept and not path.startswith(own)][:SOCKETS_MAX]


def _listed(proc: Path) -> Iterator[str]:
    """`Num RefCount Protocol Flags Type St Inode Path`; abstract names begin with @."""
    try:
        lines = (proc / "net/unix").read_text("utf-8", "surrogateescape").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        parts = line.split(None, 7)
        if len(parts) == 8 and parts[7].startswith("/"):
            yield parts[7]


def _lying_about(places: Mapping[str, int]) -> Iterator[str]:
    left = ENTRIES_MAX
    folders = list(places.items())[::-1]
    while folders:
        folder, depth = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    left -= 1
                    if left < 0:
                        return
                    if entry.is_dir(follow_symlinks=False) and depth > 1:
                        folders.append((entry.path, depth - 1))
                    elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                        yield entry.path
        except OSError:  # not ours to look into, and so not the tool's
            continue


def _resolved(paths: list[str]) -> Iterator[str]:
    """Each socket under its one name."""
    for path in paths:
        try:
            if stat.S_ISSOCK(os.stat(path).st_mode):
                yield os.path.realpath(path)
        except OSError:
            continue
