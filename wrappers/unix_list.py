"""The kernel's list of the Unix sockets of this network: under which names they were bound, and where those stand now.

A name is what was asked for when a socket was bound: since then a folder may have been renamed, the socket unlinked, or
another put in its place. Where it stands, as device and inode, the kernel tells beside the list (sock_diag), if it was
built with that. Decides nothing. Called by `daemons.py`.
Sources: proc(5) /proc/net/unix, sock_diag(7), unix_diag.h, proc(5) mountinfo.
"""

import os
import re
import socket
import stat
import struct
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

LISTENING = 1 << 16
TIMEOUT_S = 1.0

_LINE = re.compile(rb"[0-9a-fA-F]+: [0-9A-F]+ [0-9A-F]+ ([0-9A-F]{8}) [0-9A-F]{4} [0-9A-F]{2} +(\d+)(?: (.+))?", re.S)
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_MESSAGE = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_PLACE = struct.Struct("=II")
_NETLINK_SOCK_DIAG, _BY_FAMILY, _REQUEST_DUMP, _DONE, _ERROR = 4, 20, 0x301, 3, 2
_IN_LISTEN, _SHOW_VFS, _VFS = 1 << 10, 2, 1


class Listed(NamedTuple):
    """One socket. `inode`: the socket's own number, not its file's."""

    name: str
    inode: int
    is_listening: bool


class Place(NamedTuple):
    """Where a socket's file stands, as the kernel has it: of the inode 32 bits."""

    device: int
    inode: int

    @staticmethod
    def of(status: os.stat_result) -> "Place":
        """What stat(2) says, in the kernel's numbers."""
        return Place(os.major(status.st_dev) << 20 | os.minor(status.st_dev), status.st_ino & 0xFFFFFFFF)


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
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _IN_LISTEN, 0, _SHOW_VFS, 0, 0)
    found: dict[int, Place] = {}
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(TIMEOUT_S)
            kernel.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _REQUEST_DUMP, 1, 0) + request)
            while _read(kernel.recv(1 << 16), found):
                pass
    except OSError:
        return {}
    return found


def _read(packet: bytes, found: dict[int, Place]) -> bool:
    """Whether more is to come."""
    while len(packet) >= _HEADER.size:
        size, kind, *_ = _HEADER.unpack_from(packet)
        if kind in (_DONE, _ERROR) or size < _HEADER.size + _MESSAGE.size:
            return False
        inode = _MESSAGE.unpack_from(packet, _HEADER.size)[4]
        content = packet[_HEADER.size + _MESSAGE.size : size]
        while len(content) >= _ATTRIBUTE.size:
            length, attribute = _ATTRIBUTE.unpack_from(content)
            if attribute == _VFS and length == _ATTRIBUTE.size + _PLACE.size:
                number, device = _PLACE.unpack_from(content, _ATTRIBUTE.size)
                found[inode] = Place(device, number)
            content = content[(max(length, _ATTRIBUTE.size) + 3) & ~3 :]
        packet = packet[(size + 3) & ~3 :]
    return True


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
