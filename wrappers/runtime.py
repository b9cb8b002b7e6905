"""Where exitpin keeps what lives only as long as its processes: private to the user, short enough for Unix sockets."""

import fcntl
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..orchestrator.errors import OperatorError

PATH_MAX = 40
DAEMONS, TOR = "daemons", "tor"
"""Folders of it, in which exitpin's daemons and its own tor listen: closed to every tool."""
NOBODY = 65534
"""Whoever has no number in our user namespace: root, in that of an ordinary user."""


def runtime_directory() -> Path:
    """`$XDG_RUNTIME_DIR/exitpin`, or `/tmp/exitpin-UID` where that is missing, too long, or breaks LD_PRELOAD."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and len(runtime) < PATH_MAX and not set(runtime) & set(" :") and Path(runtime).is_dir():
        return Path(runtime) / "exitpin"
    return Path("/tmp") / f"exitpin-{_uid_outside()}"


def data_directory() -> Path:
    """The DataDirectory of exitpin's own tor (`own_tor.py`), which is kept."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "exitpin" / "tor"


def _uid_outside() -> int:
    """Our uid as it is outside of a lab, where whoever started that is root: the folder is the same for both."""
    uid = os.getuid()
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/uid_map").read_text("ascii").splitlines():
            inside, outside, count = map(int, line.split())
            if inside <= uid < inside + count:
                return outside + uid - inside
    return uid


def private_directory(path: Path) -> Path:
    """Make `path` and what is missing above it, 0700. Raises OperatorError for somebody else's, for a link, and where
    somebody else could put another one in its place."""
    try:
        return _private_directory(path)
    except OSError as error:
        raise OperatorError(
            f"{path} can't be made or looked at: {error.strerror}.", "Set XDG_RUNTIME_DIR to a directory of yours."
        ) from error


def _private_directory(path: Path) -> Path:
    if not path.parent.exists():
        _private_directory(path.parent)
    above = path.parent.stat()
    is_open = above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX
    if is_open or above.st_uid not in (os.geteuid(), 0, NOBODY):
        raise OperatorError(
            f"{path.parent} is not a directory in which only you can rename what is yours.",
            "Remove it, or set XDG_RUNTIME_DIR.",
        )
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OperatorError(
            f"{path} is not a directory that only you can write to.", "Remove it, or set XDG_RUNTIME_DIR."
        )
    return path


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of this file (flock(2)); nobody holds one that is not there."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory in `runtime_directory()` for as long as the block lasts.

    A process that is killed can't remove its own: the lock that the kernel lets go shows that nobody uses it any more,
    and the next one to come removes it.
    """
    base = private_directory(runtime_directory())
    with _locked(base, fcntl.LOCK_EX):
        for stale in base.glob("run-*"):
            with suppress(OSError), _locked(stale, fcntl.LOCK_EX | fcntl.LOCK_NB):
                remove_tree(stale)
        path = Path(tempfile.mkdtemp(prefix="run-", dir=base))
        owner = os.getpid()
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield path
    finally:
        if os.getpid() == owner:  # and not a process that was forked within the block
            remove_tree(path)
        os.close(held)


def remove_tree(directory: str | Path) -> None:
    """Remove what a tool has left: folders that it made read-only, too, and more levels of them than any walk could go
    down, for each is brought up to the top first. Raises nothing. No tool may be at work in it.
    """
    top = os.fspath(directory)
    folders = [] if os.path.islink(top) else [top]
    while folders:
        folder = folders.pop()
        for entry in _entries(folder):
            with suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                    continue
                above = entry.path
                if folder != top:
                    os.chmod(entry.path, 0o700)  # what can't be written to can't be moved
                    above = os.path.join(top, secrets.token_hex(8))
                    os.rename(entry.path, above)
                folders.append(above)
        if folder != top:
            with suppress(OSError):
                os.rmdir(folder)
    with suppress(OSError):
        os.rmdir(top)


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    try:
        os.chmod(folder, 0o700)
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """The lock of a directory. Raises OSError when it is held and `how` does not wait."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
