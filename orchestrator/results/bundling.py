"""Verdicts of a store, their runs, controls and evidence, written into one archive. Called by `results bundle`.

What an archive looks like is `bundle.py`'s; what is public, `public.py`'s. Lists are written to disk first, since a tar
wants to know sizes: memory stays flat, however many verdicts there are.
"""

import gzip
import hashlib
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import IO, Any

from ..errors import OperatorError
from .bundle import ABOUT, README, RECORDS, SCANS, Contents, line_of, piece_name, readme
from .exhibit import BlobError, exhibits, pack
from .public import WITHHELD_PIECES, public, public_scan
from .stored import Reader
from .wanted import FINDINGS

Record = Mapping[str, Any]


def write_bundle(
    file: IO[bytes], reader: Reader, verdict_ids: Sequence[str], *, is_public: bool, exitpin: str
) -> Contents:
    """Write the archive. Raises OperatorError when a piece of evidence is missing or damaged, OSError.

    `verdict_ids`: which verdicts, each with all that it names; `exitpin`: the version that writes.
    """
    with tempfile.TemporaryFile() as records, tempfile.TemporaryFile() as scans:
        chosen = _Chosen(reader, is_public)
        for record in chosen.records(sorted(set(verdict_ids))):
            records.write(line_of(record))
        for scan in chosen.scans():
            scans.write(line_of(scan))
        contents = Contents(
            exitpin, is_public, chosen.verdicts, chosen.runs, len(chosen.scan_ids), len(chosen.pieces),
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
    return contents


class _Chosen:
    """What goes into the archive, known once `records` has been gone through."""

    def __init__(self, reader: Reader, is_public: bool) -> None:
        self._reader = reader
        self._is_public = is_public
        self.scan_ids: set[str] = set()
        self.pieces: set[str] = set()
        self.findings: list[str] = []
        self.verdicts = 0
        self.runs = 0

    def records(self, verdict_ids: Iterable[str]) -> Iterator[Record]:
        """The verdicts, then their runs and the controls of all of them, each once."""
        run_ids: set[str] = set()
        for record in self._found(verdict_ids):
            self.verdicts += 1
            run_ids |= _named(record, "runs", "controls")
            yield record
            if record.get("status") in FINDINGS:
                self.findings.append(_words(record))
        controls: set[str] = set()
        for record in self._found(sorted(run_ids)):
            self.runs += 1
            controls |= _named(record, "controls")
            yield record
        for record in self._found(sorted(controls - run_ids)):
            self.runs += 1
            yield record

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
            self.scan_ids.add(str(record.get("scan_id")))
            self.pieces.update(str(item["sha256"]) for item in exhibits(record))
            yield record

    def scans(self) -> Iterator[Record]:
        """The scans that the records are of, as far as they are known."""
        known = {scan_id: self._reader.scan(scan_id) for scan_id in sorted(self.scan_ids)}
        self.scan_ids = {scan_id for scan_id, scan in known.items() if scan is not None}
        for scan in known.values():
            if scan is not None:
                yield public_scan(scan) if self._is_public else scan


def _named(record: Record, *lists: str) -> set[str]:
    """The runs that these lists of a record name."""
    found = [item.get("run_id") for name in lists for item in record.get(name) or () if isinstance(item, Mapping)]
    return {str(run_id) for run_id in found if run_id}


def _words(record: Record) -> str:
    """A finding in one line of the README."""
    tool, of_exit = record.get("tool") or {}, record.get("exit") or {}
    return f"{record.get('status')} {tool.get('id')} {of_exit.get('fingerprint')}: {str(record.get('reason'))[:200]!r}"


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
