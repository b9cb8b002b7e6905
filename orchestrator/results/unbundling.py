"""A bundle that somebody sent, checked: every byte of it is hostile until it is not.

Read from its beginning to its end, once, into a temporary folder that goes at the end. A member is a plain file with
one of the names that a bundle has, or the bundle is refused: no path of it is ever used, and no link is followed. How
many members there may be, how large each, and how much all together, has a limit, so that a small file can't fill a
disk. What the records say is `check.py`'s to judge. Called by `results verify`.
"""

import gzip
import hashlib
import json
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..errors import EXIT_USAGE, OperatorError
from .blobs import BlobFiles
from .bundle import ABOUT, PIECE, README, RECORDS, SCANS, SCHEMA
from .check import MALFORMED, Checked, check_run, check_verdict
from .exhibit import exhibits

BLOCK = tarfile.BLOCKSIZE
MEMBERS_MAX = 200_000
TEXT_MAX = 1 << 20  # README.txt, bundle.json
PIECE_MAX = 65 << 20
LIST_MAX = 2 << 30
ALL_MAX = 4 << 30
LINE_MAX = 64 << 20
_FAILED = (OSError, EOFError, zlib.error, tarfile.TarError, ValueError)

Record = dict[str, Any]


class NoBundle(Exception):
    """Why a file is no bundle that this version can read."""


def check_bundle(path: Path) -> Iterator[Checked]:
    """Check all that is in it, and tell after each record. Raises OperatorError for what is no bundle."""
    with tempfile.TemporaryDirectory(prefix="exitpin-bundle-") as name:
        folder = Path(name)
        try:
            with gzip.open(path) as file:
                contents = _unpack(file, folder)
        except NoBundle as error:
            raise OperatorError(f"{path} is no bundle that can be checked: {error}.", "", EXIT_USAGE) from error
        except _FAILED as error:
            hint = "`exitpin results bundle` makes bundles; `verify EVENTS RECORDS` takes two files."
            raise OperatorError(f"{path} is no bundle, or a damaged one: {error}.", hint, EXIT_USAGE) from error
        yield _check_lists(folder, contents)
        yield from _Bundle(folder).check(contents)


def _unpack(file: gzip.GzipFile, folder: Path) -> Record:
    """Write the members into the folder; returns what `bundle.json` says. Raises NoBundle, and what reading raises."""
    contents: Record | None = None
    left, seen = ALL_MAX, set[str]()
    for name, size in _members(file):
        limit = _limit(name)
        if name in seen or len(seen) >= MEMBERS_MAX:
            raise NoBundle(f"it has {name!r} twice" if name in seen else "it has too many members")
        seen.add(name)
        left -= size
        if size > limit or left < 0:
            raise NoBundle(f"{name!r} is larger than anything in a bundle" if size > limit else "it is too large")
        if name in (README, ABOUT):
            text = _exactly(file, size)
            contents = _contents(text) if name == ABOUT else contents
        elif contents is None:
            raise NoBundle(f"it does not begin with {ABOUT}")
        else:
            _copy(file, size, _place(folder, name))
        _exactly(file, -size % BLOCK)
    if contents is None or not {RECORDS, SCANS} <= seen:
        raise NoBundle("parts of it are missing")
    contents["pieces there"] = sum(PIECE.fullmatch(name) is not None for name in seen)
    return contents


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
        return LIST_MAX
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
        found = json.loads(text)
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


def _check_lists(folder: Path, contents: Record) -> Checked:
    """Whether the lists are those that bundle.json tells of."""
    hashes, found = contents.get("hashes"), Checked()
    for name in (RECORDS, SCANS):
        with (folder / name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not isinstance(hashes, dict) or hashes.get(name) != digest:
            found.problems += (f"{name} is not the list that {ABOUT} tells of",)
    return found


class _Bundle:
    """What was unpacked, with the places of its runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs = BlobFiles(folder)
        self._runs: dict[str, int] = {}
        self._named: set[str] = set()

    def check(self, contents: Record) -> Iterator[Checked]:
        """Each record, and whether anything is in it that nobody names."""
        with (self._folder / RECORDS).open("rb") as file:
            problems = [self._index(*line) for line in _lines(file)]
            yield Checked(problems=tuple(filter(None, problems)))
            for _, place, record in _lines(file):
                if record is not None:
                    yield self._check(file, record)
                    file.seek(place)
                    file.readline(LINE_MAX)
        extra = contents["pieces there"] - len(self._named)
        yield Checked(problems=(f"it holds {extra} pieces that no record names",) if extra > 0 else ())

    def _index(self, number: int, place: int, record: Record | None) -> str:
        """Remember what stands there; returns what is wrong with it, or nothing."""
        if record is None:
            return f"line {number} of {RECORDS} is no record"
        self._named.update(str(item["sha256"]) for item in exhibits(record))
        run_id = str(record.get("run_id"))
        if "verdict_id" not in record and self._runs.setdefault(run_id, place) != place:
            return f"{run_id}: it has two records"
        return ""

    def _check(self, file: IO[bytes], record: Record) -> Checked:
        if "verdict_id" in record:
            return check_verdict(record, self._blobs.read, lambda run_id: self._run(file, run_id))
        return check_run(record, self._blobs.read)

    def _run(self, file: IO[bytes], run_id: str) -> Record | None:
        place = self._runs.get(run_id)
        return None if place is None else next(_lines(file, place))[2]


def _lines(file: IO[bytes], start: int = 0) -> Iterator[tuple[int, int, Record | None]]:
    """Number, place and content of each line; None for what is no record."""
    file.seek(start)
    number = 0
    while line := file.readline(LINE_MAX):
        number += 1
        place = file.tell() - len(line)
        try:
            found = json.loads(line)
        except MALFORMED:
            found = None
        is_record = isinstance(found, dict) and ("verdict_id" in found or "run_id" in found)
        yield number, place, found if is_record else None
