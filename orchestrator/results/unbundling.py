"""A bundle that somebody sent, checked: its lists, its records and their evidence. Called by `results verify`.

With I/O: `unpacking.py` writes the archive into a temporary folder that goes at the end, and the lists are read from
there a line at a time; what agrees with what is decided by `check.py` and `check_verdict.py`. Nothing is trusted: how
much a record may name, and how much may be read because of it, has a limit (`bundle.excess`, `pieces.py`), so that a
small file can't keep anybody busy for hours.
"""

import gzip
import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ..errors import EXIT_USAGE, OperatorError
from .blobs import BlobFiles
from .bundle import (
    ABOUT,
    FINDINGS_MAX,
    LINE_MAX,
    NESTS_MAX,
    README,
    RECORDS,
    SCANS,
    Allowance,
    allowance,
    excess,
    finding_line,
    readme_accuses,
)  # fmt: skip
from .check import MALFORMED, Checked, check_run, check_scan
from .check_verdict import check_in_scan, check_verdict
from .exhibit import exhibits
from .pieces import ALL_MAX, Pieces, TooMuch
from .rows import RUN, SCAN, VERDICT
from .unpacking import UNREADABLE, NoBundle, Record, Unpacked, read_json, unpack
from .wanted import FINDINGS

SCANS_MAX = 1_000
KEPT, KEPT_BYTES = 250, 32 << 10  # runs of no more than this that need not be read again


def check_bundle(path: Path) -> Iterator[Checked]:
    """Check all that is in it, and tell after each record. Raises OperatorError for what is no bundle."""
    with tempfile.TemporaryDirectory(prefix="exitpin-bundle-") as name:
        folder = Path(name)
        try:
            with gzip.open(path) as file:
                allowed = allowance(path.stat().st_size)
                unpacked = unpack(file, folder, allowed)
        except NoBundle as error:
            raise _refusal(path, error) from error
        except UNREADABLE as error:
            hint = "`exitpin results bundle` makes bundles; `verify EVENTS RECORDS` takes two files."
            raise OperatorError(f"{path} is no bundle, or a damaged one: {error}.", hint, EXIT_USAGE) from error
        try:
            yield from _Bundle(folder, unpacked, allowed).check()
        except (NoBundle, TooMuch) as error:
            raise _refusal(path, error) from error


def _refusal(path: Path, error: Exception) -> OperatorError:
    return OperatorError(f"{path} is no bundle that can be checked: {error}.", "", EXIT_USAGE)


class _Bundle:
    """What was unpacked, with the places of its runs."""

    def __init__(self, folder: Path, unpacked: Unpacked, allowed: Allowance) -> None:
        self._folder = folder
        self._told = unpacked.told
        self._files = unpacked.pieces
        self._unnamed = set(unpacked.pieces)
        self._readme = unpacked.readme
        self._pieces = Pieces(BlobFiles(folder).read, ALL_MAX, allowed.parsed_bytes)
        self._allowed = allowed
        self._left_named = allowed.named
        self._verdicts: set[str] = set()
        self._questions: set[str] = set()
        self._findings: list[str] = []
        self._unrested: set[str] = set()
        self._runs: dict[str, int] = {}
        self._scans: dict[str, Record] = {}
        self._kept: OrderedDict[int, Record] = OrderedDict()
        self._left = allowed.again_bytes

    def check(self) -> Iterator[Checked]:
        """The lists, each scan, each record, and whether there is as much as is said, and no more than is named."""
        yield Checked(problems=tuple(self._wrong_hashes()))
        with (self._folder / SCANS).open("rb") as file:
            for number, _, scan in _lines(file):
                try:
                    yield self._check_scan(number, scan)
                except MALFORMED:
                    yield Checked(problems=(f"line {number} of {SCANS} is no scan",))
        with (self._folder / RECORDS).open("rb") as file:
            problems = [self._index(*line) for line in _lines(file)]
            self._unrested = set(self._runs)
            yield Checked(problems=(*filter(None, problems), *self._wrong_counts()))
            for _, place, record in _lines(file):
                if record is not None:
                    yield self._check(file, record)
                    file.seek(place)
                    file.readline(LINE_MAX)
        if self._unrested:
            yield Checked(problems=(f"it holds {len(self._unrested)} runs that nothing rests on",))

    def _wrong_hashes(self) -> Iterator[str]:
        """Whether the lists are those that bundle.json tells of."""
        hashes = self._told.get("hashes")
        for name in (RECORDS, SCANS):
            with (self._folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if not isinstance(hashes, dict) or hashes.get(name) != digest:
                yield f"{name} is not the list that {ABOUT} tells of"

    def _wrong_counts(self) -> Iterator[str]:
        there = {
            "verdicts": len(self._verdicts), "runs": len(self._runs), "scans": len(self._scans),
            "pieces": len(self._files),
        }  # fmt: skip
        for name, count in there.items():
            if self._told.get(name) != count:
                yield f"{ABOUT} tells of {self._told.get(name)!r:.40} {name}, there are {count}"
        if self._unnamed:
            yield f"it holds {len(self._unnamed)} pieces that no record names"
        if readme_accuses(self._readme, self._findings):
            yield f"{README} names other findings than the records do"

    def _check_scan(self, number: int, scan: Record | None) -> Checked:
        if scan is None or scan.get("schema") != SCAN or not isinstance(scan.get("scan_id"), str):
            return Checked(problems=(f"line {number} of {SCANS} is no scan",))
        scan_id = scan["scan_id"]
        found = check_scan(scan, None)
        if scan_id in self._scans:
            found.problems += (f"{scan_id}: it has two records",)
        if len(self._scans) >= SCANS_MAX:
            raise NoBundle(f"it has more than {SCANS_MAX:,} scans")
        self._scans[scan_id] = {name: scan.get(name) for name in ("exits", "tools", "vantage")}
        return found

    def _index(self, number: int, place: int, record: Record | None) -> str:
        """Remember what stands there; returns what is wrong with it, or nothing. Raises NoBundle."""
        try:
            return self._remember(number, place, record)
        except MALFORMED:
            return f"line {number} of {RECORDS} is no record"

    def _remember(self, number: int, place: int, record: Record | None) -> str:
        if number > self._allowed.records:
            raise NoBundle(f"it has more than {self._allowed.records:,} records")
        if record is not None and (why := excess(record)) is not None:
            raise NoBundle(f"line {number} of {RECORDS} {why}")
        if record is None or not _is_record(record):
            return f"line {number} of {RECORDS} is no record"
        self._count_named(record)
        self._unnamed.difference_update(str(item["sha256"]) for item in exhibits(record))
        record_id = str(record.get("verdict_id", record.get("run_id")))
        if "verdict_id" in record:
            question = f"{record.get('scan_id')!s:.200} {record.get('key')!s:.200}"
            is_twice = record_id in self._verdicts or ("key" in record and question in self._questions)
            self._verdicts.add(record_id)
            self._questions |= {question} if record.get("key") is not None else set()
            if record.get("status") in FINDINGS and len(self._findings) < FINDINGS_MAX:
                self._findings.append(finding_line(record))
        else:
            is_twice = self._runs.setdefault(record_id, place) != place
        return f"{record_id}: it has two records" if is_twice else ""

    def _count_named(self, record: Record) -> None:
        """Each that a record names is looked at. Raises NoBundle."""
        lists = (record.get(name) for name in ("runs", "controls"))
        self._left_named -= sum(len(items) for items in lists if isinstance(items, list))
        if self._left_named < 0:
            raise NoBundle(f"its records name more than {self._allowed.named:,} runs and controls")

    def _check(self, file: IO[bytes], record: Record) -> Checked:
        self._unrested.difference_update(_named(record))
        try:
            return self._check_record(file, record)
        except MALFORMED as error:
            name = record.get("verdict_id") or record.get("run_id")
            return Checked(problems=(f"{name}: it can't be read: {type(error).__name__}",))

    def _check_record(self, file: IO[bytes], record: Record) -> Checked:
        if "verdict_id" not in record:
            return check_run(record, self._pieces)
        found = check_verdict(record, self._pieces, lambda run_id: self._run(file, run_id), is_whole=True)
        found.problems += tuple(check_in_scan(record, self._scans.get(str(record.get("scan_id")))))
        return found

    def _run(self, file: IO[bytes], run_id: str) -> Record | None:
        """A run by its id: many verdicts name the same controls."""
        place = self._runs.get(run_id)
        if place is None:
            return None
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        record = next(_lines(file, place))[2]
        size = file.tell() - place
        self._left -= size
        if self._left < 0:
            raise TooMuch(f"its verdicts name more than {self._allowed.again_bytes:,} bytes of runs")
        if record is not None and size <= KEPT_BYTES:
            self._kept[place] = record
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return record


def _is_record(record: Record) -> bool:
    name, schema = ("verdict_id", VERDICT) if "verdict_id" in record else ("run_id", RUN)
    return (
        isinstance(record.get(name), str)
        and record.get("schema") == schema
        and ("run_id" in record) != (name != "run_id")
    )


def _named(record: Record) -> Iterator[str]:
    """The runs that it names."""
    for name in ("runs", "controls"):
        items = record.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict) and isinstance(item.get("run_id"), str):
                yield item["run_id"]


def _lines(file: IO[bytes], start: int = 0) -> Iterator[tuple[int, int, Record | None]]:
    """Number, place and content of each line; None for what is no object. Raises NoBundle for one that is too long."""
    file.seek(start)
    number = 0
    while line := file.readline(LINE_MAX):
        number += 1
        if len(line) == LINE_MAX and not line.endswith(b"\n"):
            raise NoBundle(f"a line of it has more than {LINE_MAX:,} bytes")
        place = file.tell() - len(line)
        try:
            if line.count(b"[") + line.count(b"{") > NESTS_MAX:
                raise NoBundle(f"a line of it has more than {NESTS_MAX:,} lists")
            found = read_json(line)
        except MALFORMED:
            found = None
        yield number, place, found if isinstance(found, dict) else None
