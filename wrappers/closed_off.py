"""What is closed off from every run, whoever listens there, now or later: the folders in which exitpin's daemons and
its own tor listen; and terminals, but for the caller's, since whoever holds the other end of one may act on what is
written there (a serial line that leads into a network).

Decides nothing. Called by `launch.py`, before each run that has mounts of its own. Sources: pts(4), proc_pid_stat(5).
"""

import os
from contextlib import suppress
from pathlib import Path

from ..shim import bindings
from .runtime import DAEMONS, TOR, private_directory, runtime_directory

TERMINALS = Path("/dev/pts")


def closed_off(caller: int | None = None, terminals: Path = TERMINALS, proc: Path = Path("/proc")) -> list[str]:
    """Their paths. `caller`: the process whose terminals the run may use; None: it has none. Raises OSError, and
    OperatorError where a folder is not ours alone."""
    folders = [str(private_directory(runtime_directory() / name)) for name in (DAEMONS, TOR)]
    kept = set() if caller is None else _terminals_of(caller, proc)
    others = [path for path, device in _usable(terminals).items() if device not in kept]
    if len(folders) + len(others) > bindings.CLOSED_MAX:
        raise OSError(f"over {bindings.CLOSED_MAX - len(folders)} terminals are open")
    return folders + others


def _usable(terminals: Path) -> dict[str, int]:
    """Each with its device number. What we may not open no tool may."""
    found = {}
    with suppress(FileNotFoundError), os.scandir(terminals) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # closed meanwhile
                if entry.name.isdigit() and os.access(entry.path, os.R_OK | os.W_OK, effective_ids=True):
                    found[entry.path] = entry.stat(follow_symlinks=False).st_rdev
    return found


def _terminals_of(process: int, proc: Path) -> set[int]:
    """The device numbers of its standard streams, and of its controlling terminal."""
    found = set()
    for number in range(3):
        with suppress(OSError):
            found.add(os.stat(proc / str(process) / "fd" / str(number)).st_rdev)
    with suppress(OSError):
        found.add(int((proc / str(process) / "stat").read_bytes().rpartition(b")")[2].split()[4]))
    return found
