"""The file of starts: records of a fixed size in a ring, each with its number and its check; who writes holds its lock.

Knows nothing of limits (`starts.py` does). A record is written before the header counts it, and whoever is killed in
between has started nothing. Header and records lie within sectors of the disk each, which a power cut leaves old or
new. So a record that is not there is one that never reached the disk; a record with a bad check is damage.
"""

import fcntl
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from struct import error as StructError

from ..orchestrator.errors import OperatorError

SLOTS = 1 << 16
"""So many starts are kept at most, in 4 MB."""
SIZE = 64
CHUNK = 256
KEY_BYTES = 8
_MAGIC = b"exitpin\x01"
_HEADER = Struct("<8sQQ")
_RECORD = Struct("<QQQ8s8s?")
_CHECK = Struct("<I")


class Damaged(Exception):
    """What the file holds was not written by us like that."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start. `key`: of what; `boot`: the machine's boot, `boot_at`: seconds since that; `wall_at`: since the epoch.
    `is_under_way`: it was decided, and had not happened when this was written."""

    key: bytes
    boot: bytes
    boot_at: float
    wall_at: float
    is_under_way: bool


def short(text: str) -> bytes:
    """What stands for a name in the file: it can be compared, and not read."""
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=KEY_BYTES).digest()


class StartsFile:
    """The open file, made if it is missing (0600, in a folder of 0700). Raises OperatorError.

    `count`: how many records were ever written; `changes`: how often any was, which says whether somebody else wrote.
    All methods want the lock, and raise OSError and Damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = self.changes = 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self.descriptor = os.open(path, flags, 0o600)
            if os.fstat(self.descriptor).st_size == 0:
                _sync_folder(path.parent)
        except OSError as error:
            raise OperatorError(cant_be_kept(path, error), HINT) from error

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)

    def lock(self) -> None:
        """Raises BlockingIOError while somebody else has it: for microseconds, if all is well."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(self) -> None:
        """Let others write."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def is_as_left(self) -> bool:
        """Read the header; whether nobody else has written since."""
        if not os.fstat(self.descriptor).st_nlink:
            raise Damaged("it was removed while it was in use")
        changes, count = self.changes, self.count
        self._read_header()
        if self.changes < changes:
            raise Damaged("it was emptied while it was in use")
        return (changes, count) == (self.changes, self.count)

    def append(self, start: Start) -> int:
        """Write one more; its number."""
        number = self.count
        self._write(number, start)
        self.count += 1
        self._write_header()
        return number

    def rewrite(self, number: int, start: Start) -> None:
        """Write a record once more, if it is still there."""
        if self.count - number <= SLOTS:
            self._write(number, start)
            self._write_header()

    def read(self, number: int) -> Start | None:
        """One record; None: it is not there."""
        found = os.pread(self.descriptor, SIZE, _place(number))
        return _unpacked(found, number)

    def newest(self) -> Iterator[tuple[int, Start]]:
        """All that are there with their numbers, the newest first."""
        number = self.count
        while number > max(0, self.count - SLOTS):
            first = max(0, self.count - SLOTS, number - CHUNK)
            first = max(first, (number - 1) // SLOTS * SLOTS)  # up to where the ring begins again
            block = os.pread(self.descriptor, (number - first) * SIZE, _place(first))
            for each in range(number - 1, first - 1, -1):
                start = _unpacked(block[(each - first) * SIZE : (each - first + 1) * SIZE], each)
                if start is not None:
                    yield each, start
            number = first

    def _read_header(self) -> None:
        found = os.pread(self.descriptor, SIZE, 0)
        if not found:
            self.changes = self.count = 0
            return
        try:
            magic, self.changes, self.count = _HEADER.unpack_from(found)
            (check,) = _CHECK.unpack_from(found, _HEADER.size)
        except StructError as error:
            raise Damaged("it is cut off") from error
        if magic != _MAGIC or check != zlib.crc32(found[: _HEADER.size]):
            raise Damaged("it is damaged, or no file of exitpin's")

    def _write_header(self) -> None:
        self.changes += 1
        self._put(_HEADER.pack(_MAGIC, self.changes, self.count), 0)

    def _write(self, number: int, start: Start) -> None:
        boot_us, wall_us = max(0, round(start.boot_at * 1e6)), max(0, round(start.wall_at * 1e6))
        told = _RECORD.pack(number, boot_us, wall_us, start.boot, start.key, start.is_under_way)
        self._put(told, _place(number))

    def _put(self, told: bytes, place: int) -> None:
        whole = (told + _CHECK.pack(zlib.crc32(told))).ljust(SIZE, b"\0")
        done = 0
        while done < SIZE:  # a disk that is full takes a part, and says so of the next
            done += os.pwrite(self.descriptor, whole[done:], place + done)


def cant_be_kept(path: Path, error: OSError) -> str:
    """The sentence for a file that can't be written."""
    return f"{path}, which keeps limits across restarts, can't be written: {error.strerror or error}."


HINT = "Make room, or name a folder of yours by XDG_STATE_HOME."


def _place(number: int) -> int:
    return SIZE + number % SLOTS * SIZE


def _unpacked(found: bytes, number: int) -> Start | None:
    """None: nothing, or what stood there before, for this one never reached the disk. Raises Damaged."""
    if not any(found):
        return None
    if len(found) < _RECORD.size + _CHECK.size:
        raise Damaged("it is cut off")
    (check,) = _CHECK.unpack_from(found, _RECORD.size)
    if check != zlib.crc32(found[: _RECORD.size]):
        raise Damaged("it is damaged")
    written, boot_us, wall_us, boot, key, is_under_way = _RECORD.unpack_from(found)
    return Start(key, boot, boot_us / 1e6, wall_us / 1e6, is_under_way) if written == number else None


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
