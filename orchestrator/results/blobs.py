"""Evidence on disk: each piece a file that is named by the SHA-256 of what is in it, gzip, and never changed.

The same content is kept once, however many records name it. A file is there whole or not at all: it is written beside
its place, synced and renamed. Whoever writes pieces and the records that name them holds the folder's lock together
with all others who write; who sweeps pieces that nobody names holds it alone. Decides nothing about what is kept.

  FOLDER/ab/cdef....gz    gzip of the content whose SHA-256 is abcdef...
  FOLDER/lock             flock: shared by writers, exclusive for `results gc`
"""

import fcntl
import gzip
import hashlib
import os
import re
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OperatorError
from .exhibit import Blob, BlobError

CONTENT_MAX = 64 << 20  # no piece is larger; what claims to be is no piece of ours
_NAME = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


def blobs_directory(store: Path) -> Path:
    """The folder of a store's evidence."""
    return store.with_name(f"{store.name}.evidence")


class BlobFiles:
    """The evidence of one store. Nothing is made before the first piece, or `prepare`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Make the folder and see that a piece can be written. Raises OperatorError."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            trial = self.directory / f".trial-{secrets.token_hex(8)}"
            os.close(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            trial.unlink()
        except OSError as error:
            hint = "Nothing was started. Make it writable, or name another store by --store."
            raise OperatorError(f"evidence can't be kept in {self.directory}: {error.strerror}.", hint) from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder while pieces and the records that name them are written: nobody sweeps meanwhile."""
        with self._held(fcntl.LOCK_SH):
            yield

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """Hold the folder alone: nobody writes pieces, or records that name them."""
        with self._held(fcntl.LOCK_EX):
            yield

    def write(self, blob: Blob) -> None:
        """Put a piece in its place, on disk when this returns; nothing, if it is there. Raises OSError."""
        place = self.path(blob.sha256)
        if place.exists():
            _sync(place.parent)  # whoever put it there may not have come so far
            return
        if not place.parent.exists():
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync(place.parent.parent)
        beside = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(blob.packed)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(place)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        _sync(place.parent)

    def path(self, sha256: str) -> Path:
        """Where a piece is, or would be. Raises BlobError for what is no SHA-256: a name is never a path."""
        if _NAME.fullmatch(sha256) is None:
            raise BlobError(f"{sha256[:80]!r} names no piece of evidence")
        return self.directory / sha256[:2] / f"{sha256[2:]}.gz"

    def read(self, sha256: str) -> bytes:
        """The content of a piece, its SHA-256 checked. Raises BlobError."""
        digest, content = hashlib.sha256(), bytearray()
        try:
            with gzip.open(self.path(sha256)) as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    content += chunk
                    if len(content) > CONTENT_MAX:
                        raise BlobError(f"evidence {sha256[:16]} is larger than any piece")
        except FileNotFoundError:
            raise BlobError(f"evidence {sha256[:16]} is missing") from None
        except (OSError, EOFError, zlib.error) as error:
            raise BlobError(f"evidence {sha256[:16]} can't be read: {error}") from error
        if digest.hexdigest() != sha256:
            raise BlobError(f"evidence {sha256[:16]} is not what its name says")
        return bytes(content)

    def names(self) -> Iterator[str]:
        """The SHA-256 of each piece that is there."""
        for folder in sorted(self.directory.glob("[0-9a-f][0-9a-f]")):
            for place in sorted(folder.glob("*.gz")):
                name = folder.name + place.name.removesuffix(".gz")
                if _NAME.fullmatch(name):
                    yield name

    @contextmanager
    def _held(self, how: int) -> Iterator[None]:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, how)
            yield
        finally:
            os.close(lock)


def _sync(directory: Path) -> None:
    """A name is on disk only when its folder is."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
