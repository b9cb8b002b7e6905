"""Verdicts of a store, their runs, controls and evidence, written into one archive. Called by `results bundle`.

With I/O: reads the store and writes the file. What an archive looks like, and how much may be in it, is `bundle.py`'s;
what is public, `public.py`'s. Lists are written to disk first, since a tar wants to know sizes: memory stays flat,
however many verdicts there are.
"""

import gzip
import hashlib
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import IO, Any, NamedTuple

from ..errors import OperatorError
from .bundle import (
    ABOUT,
    LINE_MAX,
    PARSED,
    README,
    RECORDS,
    SCANS,
    Allowance,
    Contents,
    allowance,
    excess,
    finding_line,
    line_of,
    piece_name,
    readme,
)
from .exhibit import BlobError, exhibits, pack
from .pieces import ALL_MAX
from .public import WITHHELD_PIECES, public, public_scan
from .stored import Reader
from .wanted import FINDINGS

Record = Mapping[str, Any]


def write_bundle(
    file: IO[bytes], reader: Reader, verdict_ids: Sequence[str], *, is_public: bool, exitpin: str
) -> Contents:
    """Write the archive. Raises OperatorError when a piece of evidence is missing or damaged, or when it would hold
    more than a bundle may; OSError.

    `verdict_ids`: which verdicts, each with all that it names; `exitpin`: the version that writes.
    """
    with tempfile.TemporaryFile() as records, tempfile.TemporaryFile() as scans:
        chosen = _Choice(reader, is_public).write(sorted(set(verdict_ids)), records, scans)
        contents = Contents(
            exitpin, is_public, chosen.verdicts, chosen.runs, chosen.scans, len(chosen.pieces),
            {RECORDS: _hash_of(records), SCANS: _hash_of(scans)},
        )  # fmt: skip
        with (
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
        ):
            _add(archive, README, readme(contents, chosen.findings))
            _add(archive, ABOUT, contents.told())
            for sha256 in sorted(chosen.pieces):
                _add(archive, piece_name(sha256), _packed(reader, sha256))
            for name, spooled in ((RECORDS, records), (SCANS, scans)):
                archive.addfile(_member(name, spooled.tell()), _rewound(spooled))
            unpacked_bytes = archive.offset
        _expect_to_be_read(file.tell(), contents, chosen, unpacked_bytes)
    return contents


def _expect_to_be_read(size_bytes: int, contents: Contents, chosen: "_Chosen", unpacked_bytes: int) -> None:
    """Raises OperatorError for a file that nobody would read: it shrank so much that it looks like a trap."""
    allowed = allowance(size_bytes)
    there = Allowance(
        unpacked_bytes, contents.pieces + 4, contents.verdicts + contents.runs, chosen.parsed_bytes, 0, chosen.named
    )
    if any(one > most for one, most in zip(there, allowed, strict=True)):
        raise _refusal("it holds more than a file of its size may hold")


class _Chosen(NamedTuple):
    """What went into the lists. `pieces`: SHA-256 of each that is named; `findings`: a line of the README
    each; `parsed_bytes`, `named`: as in `Allowance`."""

    verdicts: int
    runs: int
    scans: int
    pieces: Collection[str]
    findings: Sequence[str]
    parsed_bytes: int
    named: int


class _Choice:
    """What goes into the lists, as it is written; `write` says what that was, when all of it is."""

    def __init__(self, reader: Reader, is_public: bool) -> None:
        self._reader = reader
        self._is_public = is_public
        self._pieces: set[str] = set()
        self._size = 0
        self._parsed_bytes = 0
        self._named = 0
        self._scan_ids: set[str] = set()
        self._controls: set[str] = set()

    def write(self, verdict_ids: Iterable[str], records: IO[bytes], scans: IO[bytes]) -> _Chosen:
        """The verdicts, then their runs and the controls of all of them, each once, and the scans that these are of.
        Raises OperatorError for more than a bundle may hold."""
        run_ids: set[str] = set()
        findings: list[str] = []
        verdicts = runs = 0
        for record in self._found(verdict_ids):
            verdicts += 1
            run_ids |= _named(record, "runs", "controls")
            findings += [finding_line(record)] if record.get("status") in FINDINGS else []
            records.write(_line(record))
        for record in self._found(sorted(run_ids)):
            runs += 1
            self._controls |= _named(record, "controls")
            records.write(_line(record))
        for record in self._found(sorted(self._controls - run_ids)):
            runs += 1
            records.write(_line(record))
        return _Chosen(
            verdicts, runs, self._write_scans(scans), self._pieces, findings, self._parsed_bytes, self._named
        )

    def _found(self, record_ids: Iterable[str]) -> Iterator[Record]:
        for record_id in record_ids:
            record: Record | None = self._reader.record(record_id)
            if record is not None and self._is_public:
                record = public(record, with_proof=True)
                if record is not None:
                    kept = [item for item in exhibits(record) if item.get("name") not in WITHHELD_PIECES]
                    record = {**record, "evidence": kept}
            if record is None:
                continue
            self._scan_ids.add(str(record.get("scan_id")))
            self._named += sum(len(record.get(name) or ()) for name in ("runs", "controls"))
            for item in exhibits(record):
                told = item.get("size_bytes")
                sha256, size = str(item["sha256"]), told if isinstance(told, int) else 0
                self._parsed_bytes += size if item.get("name") in PARSED else 0
                if sha256 not in self._pieces:
                    self._pieces.add(sha256)
                    self._size += size
            if self._size > ALL_MAX:
                raise _refusal(f"their evidence has more than {ALL_MAX:,} bytes")
            yield record

    def _write_scans(self, scans: IO[bytes]) -> int:
        """The scans, as far as they are known; how many."""
        known = [self._reader.scan(scan_id) for scan_id in sorted(self._scan_ids)]
        found = [scan for scan in known if scan is not None]
        for scan in found:
            scans.write(_line(public_scan(scan) if self._is_public else scan))
        return len(found)


def _line(record: Record) -> bytes:
    """As the lists have it. Raises OperatorError for what nobody would read."""
    line, why = line_of(record), excess(record)
    if why is not None or len(line) >= LINE_MAX:
        name = record.get("verdict_id") or record.get("run_id")
        raise _refusal(f"{name} {why or f'is larger than {LINE_MAX:,} bytes'}")
    return line


def _refusal(why: str) -> OperatorError:
    return OperatorError(f"that is more than a bundle may hold: {why}.", "Choose fewer verdicts. Nothing was written.")


def _named(record: Record, *lists: str) -> set[str]:
    """The runs that these lists of a record name."""
    found = [item.get("run_id") for name in lists for item in record.get(name) or () if isinstance(item, Mapping)]
    return {str(run_id) for run_id in found if run_id}


def _packed(reader: Reader, sha256: str) -> bytes:
    """The piece, its hash checked, packed in the one way that does not depend on who packed it first."""
    try:
        return pack(reader.blobs.read(sha256)).packed
    except BlobError as error:
        raise OperatorError(f"{error}.", "Nothing was written. `exitpin results verify` tells what else is.") from error


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_member(name, len(content)), BytesIO(content))


def _member(name: str, size: int) -> tarfile.TarInfo:
    """No time, no owner: the same choice makes the same bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info


def _hash_of(spooled: IO[bytes]) -> str:
    """SHA-256 of a file that was just written; it stands at its end again."""
    digest = hashlib.file_digest(_rewound(spooled), "sha256")  # type: ignore[arg-type]
    return digest.hexdigest()


def _rewound(spooled: IO[bytes]) -> IO[bytes]:
    spooled.seek(0)
    return spooled
