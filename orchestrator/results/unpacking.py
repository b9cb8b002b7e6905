"""The archive of a bundle, unpacked: every byte of it is hostile until it is not.

With I/O: reads it from its beginning to its end, once, into a folder of the caller's. A member is a plain file with one
of the names that a bundle has, or the bundle is refused: no path of it is ever used, and no link is followed. How many
members there may be, how large each, and how much all together, has a limit, so that a small file can't fill a disk.
What they say is `unbundling.py`'s to ask, which calls this.
"""

import gzip
import json
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .bundle import ABOUT, PIECE, README, RECORDS, SCANS, SCHEMA, Allowance

BLOCK = tarfile.BLOCKSIZE
TEXT_MAX = 1 << 20  # README.txt, bundle.json
PIECE_MAX = 65 << 20
RECORDS_MAX = 2 << 30
SCANS_MAX = 64 << 20
UNREADABLE = (OSError, EOFError, zlib.error, tarfile.TarError, ValueError)

Record = dict[str, Any]


class NoBundle(Exception):
    """Why a file is no bundle that this version can read."""


class Unpacked(NamedTuple):
    """What is in the folder now. `told`: what `bundle.json` says; `pieces`: SHA-256 of each piece, as it is named;
    `readme`: what people read of it."""

    told: Record
    pieces: set[str]
    readme: bytes


def unpack(file: gzip.GzipFile, folder: Path, allowed: Allowance) -> Unpacked:
    """Write the members into the folder. `allowed`: to a file of its size. Raises NoBundle, and what reading raises
    (UNREADABLE)."""
    contents: Record | None = None
    left, seen, text_of_all = allowed.unpacked_bytes, set[str](), b""
    for name, size in _members(file):
        limit = _limit(name)
        if name in seen or len(seen) >= allowed.members:
            raise NoBundle(f"it has {name!r} twice" if name in seen else "it has too many members")
        seen.add(name)
        left -= size + BLOCK
        if size > limit or left < 0:
            raise NoBundle(f"{name!r} is larger than anything in a bundle" if size > limit else "it is too large")
        if name in (README, ABOUT):
            text = _exactly(file, size)
            text_of_all = text if name == README else text_of_all
            contents = _contents(text) if name == ABOUT else contents
        elif contents is None:
            raise NoBundle(f"it does not begin with {ABOUT}")
        else:
            _copy(file, size, _place(folder, name))
        _exactly(file, -size % BLOCK)
    if contents is None or not {RECORDS, SCANS} <= seen:
        raise NoBundle("parts of it are missing")
    pieces = (PIECE.fullmatch(name) for name in seen)
    return Unpacked(contents, {found[1] + found[2] for found in pieces if found is not None}, text_of_all)


def _members(file: gzip.GzipFile) -> Iterator[tuple[str, int]]:
    """Name and size of each member, whose content is to be read before the next is asked for."""
    while True:
        block = _exactly(file, BLOCK)
        if not block.strip(b"\0"):
            _expect_the_end(file)
            return
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size < 0:
            raise NoBundle(f"{info.name!r:.80} is no plain file")
        yield info.name, info.size


def _expect_the_end(file: gzip.GzipFile) -> None:
    """Some zeros, and the checksum of all."""
    rest = file.read(TEXT_MAX + 1)
    if len(rest) > TEXT_MAX or rest.strip(b"\0"):
        raise NoBundle("something follows its end")


def _limit(name: str) -> int:
    """How large it may be. Raises NoBundle for what has no place in a bundle."""
    if name in (README, ABOUT):
        return TEXT_MAX
    if name in (RECORDS, SCANS):
        return RECORDS_MAX if name == RECORDS else SCANS_MAX
    if PIECE.fullmatch(name) is None:
        raise NoBundle(f"{name!r:.80} has no place in one")
    return PIECE_MAX


def _place(folder: Path, name: str) -> Path:
    """By the parts of a name that a pattern let through; never by a name."""
    if name in (RECORDS, SCANS):
        return folder / (RECORDS if name == RECORDS else SCANS)
    found = PIECE.fullmatch(name)
    assert found is not None
    return folder / found[1] / f"{found[2]}.gz"


def _contents(text: bytes) -> Record:
    try:
        found = read_json(text)
    except (ValueError, RecursionError):
        found = None
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema == SCHEMA:
        assert isinstance(found, dict)
        return found
    later = re.fullmatch(r"exitpin\.bundle/(\d{1,9})", schema) if isinstance(schema, str) else None
    if later is not None:
        raise NoBundle(f"a newer exitpin made it (version {later[1]} of the format; this one knows {SCHEMA[-1]})")
    raise NoBundle(f"its {ABOUT} has no schema {SCHEMA}")


def read_json(text: bytes) -> object:
    """What a line or a file says. Raises RecursionError, and ValueError for what two programs may read in two ways: a
    name that stands twice in one table, a number that is none."""
    return json.loads(text, object_pairs_hook=_each_name_once, parse_constant=_no_number)


def _each_name_once(pairs: list[tuple[str, object]]) -> Record:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in it")
    return found


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is no number")


def _copy(file: gzip.GzipFile, size: int, place: Path) -> None:
    place.parent.mkdir(exist_ok=True)
    with place.open("xb") as copy:
        while size:
            copy.write(chunk := _exactly(file, min(size, 1 << 20)))
            size -= len(chunk)


def _exactly(file: gzip.GzipFile, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise EOFError("it ends too early")
    return content
