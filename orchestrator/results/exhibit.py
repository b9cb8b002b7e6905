"""A piece of evidence, and how a record names it: an item of its `evidence`. Pure."""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

LEVEL = 6


class Blob(NamedTuple):
    """Content, packed. `size_bytes`: of the content."""

    sha256: str
    size_bytes: int
    packed: bytes


class Exhibit(NamedTuple):
    """A piece of evidence and what it is to its record. `blob.packed` is empty once the store has it."""

    name: str
    blob: Blob
    is_cut: bool = False

    def kept(self) -> "Exhibit":
        """The same, when its content has been handed to the store: nobody has to hold it any more."""
        return self._replace(blob=self.blob._replace(packed=b""))

    def told(self) -> dict[str, object]:
        """As a record names it."""
        return exhibit(self.name, self.blob, is_cut=self.is_cut)


class BlobError(Exception):
    """A piece that is missing, damaged, or not what its name says; the sentence says which."""


def pack(content: bytes) -> Blob:
    """A piece of evidence. Takes a while for a large one: not for the loop."""
    return Blob(hashlib.sha256(content).hexdigest(), len(content), gzip.compress(content, LEVEL, mtime=0))


def exhibit(name: str, blob: Blob, *, is_cut: bool = False) -> dict[str, object]:
    """How a record names a piece."""
    return {"name": name, "sha256": blob.sha256, "size_bytes": blob.size_bytes, "is_cut": is_cut}


def exhibits(record: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """The items of a record's `evidence` that are pieces of the store's (others are files of the caller's)."""
    found = record.get("evidence")
    for item in found if isinstance(found, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get("sha256"), str):
            yield item
