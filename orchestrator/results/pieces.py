"""Pieces of evidence, as they are looked at when records are checked: each is unpacked and hashed once, however often
it is named, and all together may be so large and no larger.

Pure: who reads (`blobs.BlobFiles.read`, its hash checked) is given. Called by `check.py` and `check_verdict.py`.
"""

from collections.abc import Callable

from .exhibit import BlobError

ALL_MAX = 1 << 30  # bytes of the pieces of one bundle, unpacked

Read = Callable[[str], bytes]


class TooMuch(Exception):
    """More than anybody should be made to read; the sentence says what."""


class Pieces:
    """The pieces of a store, or of a bundle. `read`: the content of one; `limit`: how many bytes of them all may be
    read (None: any number, as of one's own store), `parsed_limit` how many of those that somebody parses."""

    def __init__(self, read: Read, limit: int | None = None, parsed_limit: int | None = None) -> None:
        self._read = read
        self._limit = limit
        self._left = limit
        self._parsed_limit = parsed_limit
        self._parsed_left = parsed_limit
        self._known: dict[str, int | BlobError] = {}

    def size(self, sha256: str) -> int:
        """How many bytes a piece has, that is what its name says. Raises BlobError, TooMuch."""
        if sha256 not in self._known:
            self._look(sha256)
        known = self._known[sha256]
        if isinstance(known, BlobError):
            raise known
        return known

    def content(self, sha256: str) -> bytes:
        """What is in it; read again, for no more than one is held at a time. Raises as `size`."""
        known = self._known.get(sha256)
        if isinstance(known, int) and self._parsed_left is not None:
            self._parsed_left -= known
            if self._parsed_left < 0:
                raise TooMuch(
                    f"its events and facts have more than {self._parsed_limit:,} bytes, for a file of its size"
                )
        content = None if isinstance(known, BlobError) else self._look(sha256)
        if content is None:
            self.size(sha256)
            raise AssertionError("BUG: a piece that can't be read has no size")
        return content

    def _look(self, sha256: str) -> bytes | None:
        try:
            content = self._read(sha256)
        except BlobError as error:
            self._known[sha256] = error
            return None
        self._known[sha256] = len(content)
        if self._left is not None:
            self._left -= len(content)
            if self._left < 0:
                raise TooMuch(f"its evidence has more than {self._limit:,} bytes, unpacked")
        return content
