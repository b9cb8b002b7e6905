"""Which tors this machine has: the program, and processes of it that others started.

Each question is asked of the program or the kernel, without side effects; decides nothing. Called by the doctor.
Source: proc(5).
"""

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from .machine import ask, read


class ForeignTor(NamedTuple):
    """A tor process that shares our network. `is_service`: started by the distribution's unit."""

    pid: int
    is_service: bool


def find_tor(search_path: str) -> tuple[str | None, tuple[int, ...]]:
    """The tor of PATH (or /usr/sbin, which PATH may lack) and its version as numbers, empty if it tells none."""
    found = shutil.which("tor", path=f"{search_path}:/usr/sbin:/usr/local/sbin")
    if found is None:
        return None, ()
    _, output = ask([found, "--version"])
    match = re.search(r"Tor version (\d+(?:\.\d+)+)", output)
    return found, tuple(map(int, match[1].split("."))) if match else ()


def foreign_tors(proc: Path = Path("/proc")) -> list[ForeignTor]:
    """The tor processes in our network namespace that the distribution's service or another user started."""
    own = _link(proc / "self/ns/net")
    found = []
    for directory in proc.iterdir():
        if not directory.name.isdigit() or read(directory / "comm").strip() != "tor":
            continue
        if _link(directory / "ns/net") not in (own, None):  # None: not ours to see, so it may be
            continue
        words = read(directory / "cmdline").split("\0")
        is_service = any(word.endswith(("tor-service-defaults-torrc", "/etc/tor/torrc")) for word in words)
        try:
            is_own = directory.stat().st_uid == os.getuid()
        except OSError:
            continue
        if is_service or not is_own:
            found.append(ForeignTor(int(directory.name), is_service))
    return found


def _link(path: Path) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None
