"""The Unix sockets that listen in this network, as the kernel tells of them: their names, and where their files stand.

Decides nothing. Called by `unix_sockets.py` and `unix_list.py`. Sources: sock_diag(7), unix_diag.h.
"""

import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

TIMEOUT_S = 1.0

_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBHIIIII")
_MESSAGE = struct.Struct("=BBBBIII")
_ATTRIBUTE = struct.Struct("=HH")
_PLACE = struct.Struct("=II")
_NETLINK_SOCK_DIAG, _BY_FAMILY, _REQUEST_DUMP, _DONE, _ERROR = 4, 20, 0x301, 3, 2
_IN_LISTEN, _SHOW_NAME, _SHOW_PLACE = 1 << 10, 1, 2
_NAME, _AT = 0, 1


class Place(NamedTuple):
    """Where a socket's file stands, as the kernel has it: of the inode 32 bits."""

    device: int
    inode: int

    @staticmethod
    def of(status: os.stat_result) -> "Place":
        """What stat(2) says, in the kernel's numbers."""
        return Place(os.major(status.st_dev) << 20 | os.minor(status.st_dev), status.st_ino & 0xFFFFFFFF)


class Listener(NamedTuple):
    """One of them. `inode`: the socket's own number, not its file's; `name`: as it was bound, an abstract one begins
    with a NUL; `place`: None for what has none."""

    inode: int
    name: bytes | None
    place: Place | None


def listeners() -> list[Listener]:
    """All that the kernel tells of. Raises OSError, also where it was built without that."""
    request = _REQUEST.pack(socket.AF_UNIX, 0, 0, _IN_LISTEN, 0, _SHOW_NAME | _SHOW_PLACE, 0, 0)
    found: list[Listener] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(TIMEOUT_S)
        kernel.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _REQUEST_DUMP, 1, 0) + request)
        while _read(kernel.recv(1 << 16), found):
            pass
    return found


def _read(packet: bytes, found: list[Listener]) -> bool:
    """Whether more is to come."""
    while len(packet) >= _HEADER.size:
        size, kind, *_ = _HEADER.unpack_from(packet)
        if kind in (_DONE, _ERROR) or size < _HEADER.size + _MESSAGE.size:
            return False
        inode = _MESSAGE.unpack_from(packet, _HEADER.size)[4]
        told = dict(_attributes(packet[_HEADER.size + _MESSAGE.size : size]))
        place = None
        if len(told.get(_AT, b"")) == _PLACE.size:
            number, device = _PLACE.unpack(told[_AT])
            place = Place(device, number)
        found.append(Listener(inode, told.get(_NAME), place))
        packet = packet[(size + 3) & ~3 :]
    return True


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    while len(content) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(content)
        if size < _ATTRIBUTE.size:
            return
        yield kind, content[_ATTRIBUTE.size : size]
        content = content[(size + 3) & ~3 :]
