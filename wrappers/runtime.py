"""Where exitpin keeps what lives only as long as its processes: private to the user, short enough for Unix sockets."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from ..orchestrator.errors import OperatorError

PATH_MAX = 40


def runtime_directory() -> Path:
    """`$XDG_RUNTIME_DIR/exitpin`, or `/tmp/exitpin-UID` where that is missing, too long, or breaks LD_PRELOAD."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and len(runtime) < PATH_MAX and not set(runtime) & set(" :") and Path(runtime).is_dir():
        return Path(runtime) / "exitpin"
    return Path("/tmp") / f"exitpin-{os.getuid()}"


def private_directory(path: Path) -> Path:
    """Make `path` and what is missing above it, 0700. Raises OperatorError for somebody else's, or a link."""
    if not path.parent.exists():
        private_directory(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OperatorError(
            f"{path} is not a directory that only you can write to.", "Remove it, or set XDG_RUNTIME_DIR."
        )
    return path
