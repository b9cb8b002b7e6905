"""The kernel's list of the Unix sockets of this network: under which names they were bound, and where those stand now.

A name is what was asked for when a socket was bound: since then a folder may have been renamed, the socket unlinked, or
another put in its place. Where it stands, as device and inode, the kernel tells beside the list (sock_diag), if it was
built with that. Decides nothing. Called by `daemons.py`.
Sources: proc(5), /proc/net/unix and mountinfo.
"""

import os
import re
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from . import unix_diag
from .unix_diag import Place

LISTENING = 1 << 16

_LINE = re.compile(rb"[0-9a-fA-F]+: [0-9A-F]+ [0-9A-F]+ ([0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +(\d+)(?: (.+))?", re.S)


class Listed(NamedTuple):
    """One socket. `inode`: the socket's own number, not its file's."""

    name: str
    inode: int
    is_listening: bool


def listed(proc: Path) -> tuple[list[Listed], bool]:
    """All that have a name; and whether each line of the list could be read."""
    try:
        lines = (proc / "net/unix").read_bytes().split(b"\n")[1:-1]
    except OSError:
        return [], False
    matches = [match for line in lines if (match := _LINE.fullmatch(line))]
    found = [
        Listed(os.fsdecode(match[3]), int(match[2]), bool(int(match[1], 16) & LISTENING))
        for match in matches
        if match[3]
    ]
    return found, len(matches) == len(lines)


def places() -> dict[int, Place]:
    """Of each that listens, by its own number, where it stands; empty where the kernel does not tell."""
    try:
        return {one.inode: one.place for one in unix_diag.listeners() if one.place is not None}
    except OSError:
        return {}


def devices(proc: Path = Path("/proc")) -> set[int]:
    """Those of mounted file systems, in the kernel's numbers. One that stat(2) tells and that is not among them says
    nothing of where a socket stands (btrfs, an overlay of several file systems)."""
    try:
        lines = (proc / "self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return set()
    numbers = [line.split()[2].split(":") for line in lines if len(line.split()) > 2]
    return {int(major) << 20 | int(minor) for major, minor in numbers}


def leads_to(name: str, place: Place | None, comparable: Collection[int]) -> bool:
    """Whether a name leads to a socket; and to the one at this place, where it is told and can be compared. Raises
    OSError."""
    status = os.stat(name)
    if not stat.S_ISSOCK(status.st_mode):
        return False
    there = Place.of(status)
    return place is None or there.device not in comparable or there == place
