"""Whether a scan is under way: a lock that whoever carries it out holds, and the kernel lets go of however that ends.

`audit` holds it, `results list` and `results gc` ask. Its file is FOLDER/scans/SCAN_ID.lock, FOLDER being that of the
store's evidence (`blobs.blobs_directory`). A scan whose state says that it runs, and whose lock is free, was killed.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import EXIT_USAGE, OperatorError

PATIENCE_S = 1.0  # whoever only asks holds it for a moment, too
RETRY_S = 0.02
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")


@contextmanager
def held(directory: Path, scan_id: str, patience_s: float = PATIENCE_S, what: str = "") -> Iterator[None]:
    """Hold the scan's lock; its file is there while it is held. `directory`: the folder of evidence; `what`: in words,
    what else goes by that name.

    Raises OperatorError when somebody else holds it, and where no file can be made.
    """
    place, name = _place(directory, scan_id), what or f"scan {scan_id}"
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = _locked(place, time.monotonic() + patience_s)
    except OSError as error:
        raise OperatorError(f"{name} can't be locked in {place.parent}: {error.strerror}.") from error
    if lock is None:
        hint = "Wait for its end, or end it: two at once would ask everything twice."
        raise OperatorError(f"{name} is running.", hint, EXIT_USAGE)
    try:
        yield
    finally:
        with suppress(OSError):  # a folder that became unwritable keeps the name: what matters is who holds it
            place.unlink()  # still held: nobody can lock the name between this and the close
        os.close(lock)


def is_running(directory: Path, scan_id: str) -> bool:
    """Whether somebody holds the scan's lock at this moment."""
    try:
        lock = os.open(_place(directory, scan_id), os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def forget_ended(directory: Path) -> None:
    """Remove the files that killed scans have left. Each is locked first: its name may be somebody else's by now."""
    for place in (directory / "scans").glob("*.lock"):
        try:
            lock = os.open(place, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(lock, place):
                place.unlink()
        except BlockingIOError:
            pass
        finally:
            os.close(lock)


def true_state(directory: Path, scan_id: str, state: str) -> str:
    """A scan's state: what its row says, or `killed` for one that says it runs, and does not."""
    return "killed" if state == "running" and not is_running(directory, scan_id) else state


def _locked(place: Path, deadline: float) -> int | None:
    """The descriptor of the locked file; None: somebody else has it, and kept it. Raises OSError."""
    while True:
        lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(lock, place):
                return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                return None
            time.sleep(RETRY_S)
        os.close(lock)


def _is_at(lock: int, place: Path) -> bool:
    """Whether the file still has its name: who held it before may have removed it after it was opened here."""
    try:
        return os.path.samestat(os.fstat(lock), place.stat())
    except FileNotFoundError:
        return False


def _place(directory: Path, scan_id: str) -> Path:
    """Raises ValueError for an id that is no name of a file."""
    if _NAME.fullmatch(scan_id) is None:
        raise ValueError(f"{scan_id[:80]!r} is no id of a scan")
    return directory / "scans" / f"{scan_id}.lock"
