"""What the store holds, read back: records by what they are about, newest first, and the scans that they belong to.

Reads only; a scan may be writing meanwhile. First the places of what was asked for are found, then each record is read
when its turn comes: memory stays flat, and somebody who leaves a pager open holds up no writer.
"""

import json
import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...wrappers.database import explained, open_to_read
from ...wrappers.output import printable
from ..errors import OperatorError
from .blobs import BlobFiles, blobs_directory
from .rows import KINDS, ScanRow
from .wanted import REPLAYS, STATUSES, Wanted, order, where

__all__ = ["STATUSES", "Reader", "Unreadable", "Wanted", "open_store"]

Record = dict[str, Any]


class Unreadable(OperatorError):
    """A record, or a scan's, that is no JSON object: somebody else wrote it, or a disk lost it. `name`: its id."""

    def __init__(self, what: str, name: str, why: str) -> None:
        super().__init__(
            f"{what} {printable(name)} can't be read: {printable(why)}.", "`exitpin results verify` tells more."
        )
        self.name = name
        self.why = why


class Accusation(NamedTuple):
    """What a row tells of a finding, without its record."""

    tool: str
    status: str
    severity: str | None
    exit_fingerprint: str
    exit_nickname: str
    record_id: str


class RunTimes(NamedTuple):
    """Of one run, in seconds since the epoch; None: it did not come to that."""

    queue: float | None
    circuit: float | None
    first_stream: float | None
    first_byte: float | None
    end: float | None


class PastVerdict(NamedTuple):
    """A verdict of whatever scan, without its record."""

    tool: str
    params_key: str
    scan_id: str
    status: str
    ended: float


class Reader:
    """A store that is only read. Close it, or use it as a context.

    A record that can't be read is passed over, for it must not hide all others: `on_unreadable` hears of it, once.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self.blobs = BlobFiles(blobs_directory(path))
        self.on_unreadable: Callable[[Unreadable], None] | None = None
        self._passed_over: set[str] = set()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing can be read any more."""
        self._connection.close()

    def query(self, wanted: Wanted) -> Iterator[Record]:
        """The records, newest first (or gravest first), each read as it is asked for. Raises OperatorError."""
        for place in self.places(wanted):
            try:
                found = self.at(place)
            except Unreadable as unreadable:
                self._pass_over(unreadable)
            else:
                if found is not None:
                    yield found

    def places(self, wanted: Wanted) -> "array[int]":
        """Where the records stand, in the same order: eight bytes each. Raises OperatorError."""
        return array("q", self._each("rowid", wanted))

    def names(self, wanted: Wanted) -> list[str]:
        """The ids of the records, in the same order. Raises OperatorError."""
        return list(self._each("record_id", wanted))

    def _each(self, column: str, wanted: Wanted) -> Iterator[Any]:
        which, given = where(wanted)
        limit = "" if wanted.limit is None else f" LIMIT {int(wanted.limit)}"
        statement = f"SELECT {column} FROM runs{which}{order(gravest_first=wanted.gravest_first)}{limit}"
        return (value for (value,) in self.rows(statement, given))

    def at(self, place: int) -> Record | None:
        """The record that stands there; None: it is there no more. Raises Unreadable."""
        found = self._one("SELECT record_id, CAST(record AS BLOB) FROM runs WHERE rowid = ?", [place])
        return _parsed("record", *found) if found else None

    def count(self, wanted: Wanted) -> int:
        """How many records there are, whatever the limit."""
        which, given = where(wanted)
        return int(self._one(f"SELECT count(*) FROM runs{which}", given)[0])

    def has(self, wanted: Wanted) -> bool:
        """Whether there is any such record."""
        which, given = where(wanted)
        return bool(self._one(f"SELECT EXISTS (SELECT 1 FROM runs{which})", given)[0])

    def record(self, record_id: str, *, strictly: bool = False) -> Record | None:
        """The record with exactly this id; None: there is none. `strictly`: raise Unreadable, and do not pass it over,
        as who asks for nothing else wants it."""
        statement = "SELECT record_id, CAST(record AS BLOB) FROM runs WHERE record_id = ?"
        return self._named("record", statement, record_id, strictly=strictly)

    def ids(self, prefix: str, limit: int = 10) -> list[str]:
        """The record ids that begin so, in order."""
        return self._names("SELECT record_id FROM runs WHERE", "record_id", prefix, limit)

    def scan_ids(self, prefix: str, limit: int = 10) -> list[str]:
        """The ids of scans that begin so, in order: those of which there is no record yet, too."""
        told = self._names("SELECT scan_id FROM scans WHERE", "scan_id", prefix, limit)
        recorded = self._names("SELECT DISTINCT scan_id FROM runs WHERE", "scan_id", prefix, limit)
        return sorted({*told, *recorded})[:limit]

    def latest_scan(self) -> str | None:
        """The scan that wrote last; a replay is none."""
        newest = (
            "SELECT ended, rowid, scan_id FROM runs WHERE kind = ? AND role IS NOT 'replay'"
            " ORDER BY ended DESC, rowid DESC LIMIT 1"
        )
        found = [row for kind in KINDS.values() if (row := self._one(newest, [kind])) is not None]
        return str(max(found)[2]) if found else None

    def unfinished_scans(self) -> list[str]:
        """The scans that can be gone on with, the latest first; one of them may be running."""
        unfinished = "state NOT IN ('done', 'earlier') AND ifnull(planned, 1) > 0"
        return [
            scan_id for (scan_id,) in self.rows(f"SELECT scan_id FROM scans WHERE {unfinished} ORDER BY started DESC")
        ]

    def scan(self, scan_id: str, *, strictly: bool = False) -> Record | None:
        """What is known of a scan (`exitpin.scan/1`); None: there is no such scan. `strictly`: as of a record."""
        statement = "SELECT scan_id, CAST(scan AS BLOB) FROM scans WHERE scan_id = ?"
        return self._named("scan", statement, scan_id, strictly=strictly)

    def scan_rows(self, since: float | None = None) -> Iterator[ScanRow]:
        """What is known of the scans that began at or after `since`, newest first; a replay is none. Raises
        OperatorError."""
        statement = (
            f"SELECT {', '.join(ScanRow._fields)} FROM scans WHERE started >= ? AND {REPLAYS} IS NULL"
            " ORDER BY started DESC, rowid DESC"
        )
        with explained(self.path):
            yield from map(
                ScanRow._make, self._connection.execute(statement, (float("-inf") if since is None else since,))
            )

    def tally(self, scan_id: str) -> dict[tuple[str, str], int]:
        """How many verdicts a scan has, by tool and status."""
        statement = (
            "SELECT ifnull(tool, ''), status, count(*) FROM runs WHERE scan_id = ? AND kind = 'verdict' GROUP BY 1, 2"
        )
        with explained(self.path):
            return {(tool, status): count for tool, status, count in self._connection.execute(statement, (scan_id,))}

    def accusations(self, scan_id: str, statuses: Iterable[str], limit: int) -> list[Accusation]:
        """The verdicts of a scan with one of these statuses, the gravest first, no more than `limit`."""
        words = sorted(statuses)
        statement = (
            "SELECT ifnull(tool, ''), status, severity, ifnull(exit_fingerprint, ''), ifnull(exit_nickname, ''),"
            f" record_id FROM runs WHERE scan_id = ? AND kind = 'verdict' AND status IN ({', '.join('?' * len(words))})"
            f"{order(gravest_first=True)} LIMIT {int(limit)}"
        )
        with explained(self.path):
            return list(map(Accusation._make, self._connection.execute(statement, (scan_id, *words))))

    def times(self, scan_id: str, tool: str | None = None) -> Iterator[RunTimes]:
        """When each run of a scan that counts, controls included, came how far; `tool`: of this one. Raises
        OperatorError."""
        columns = ", ".join(f"json_extract(record, '$.t.{name}')" for name in RunTimes._fields)
        which, given = where(Wanted(scan=scan_id, tool=tool, kind="run", is_counted=True))
        with explained(self.path):
            statement = f"SELECT {columns} FROM runs{which} AND json_valid(record)"
            yield from map(RunTimes._make, self._connection.execute(statement, given))

    def past(self, fingerprint: str, limit: int) -> list[PastVerdict]:
        """The verdicts on an exit in all scans, newest first, no more than `limit`."""
        statement = (
            "SELECT ifnull(tool, ''), ifnull(params_key, ''), scan_id, status, ended FROM runs"
            f" WHERE exit_fingerprint = ? AND kind = 'verdict' ORDER BY ended DESC, rowid DESC LIMIT {int(limit)}"
        )
        with explained(self.path):
            return list(map(PastVerdict._make, self._connection.execute(statement, (fingerprint,))))

    def progress(self, scan_id: str) -> tuple[str, int, int | None]:
        """A scan's state as its row has it, how many verdicts there are, and how many are planned (None: not known)."""
        state, planned = self._one("SELECT state, planned FROM scans WHERE scan_id = ?", [scan_id]) or ("earlier", None)
        return state, self.count(Wanted(scan=scan_id, kind="verdict")), planned

    def rows(self, statement: str, given: Iterable[object] = ()) -> Iterator[Any]:
        """What a SELECT finds, for the modules beside this one. Raises OperatorError."""
        with explained(self.path):
            yield from self._connection.execute(statement, tuple(given))

    def _named(self, what: str, statement: str, name: str, *, strictly: bool) -> Record | None:
        found = self._one(statement, [name])
        try:
            return _parsed(what, *found) if found else None
        except Unreadable as unreadable:
            if strictly:
                raise
            self._pass_over(unreadable)
            return None

    def _pass_over(self, unreadable: Unreadable) -> None:
        if unreadable.name not in self._passed_over:
            self._passed_over.add(unreadable.name)
            if self.on_unreadable is not None:
                self.on_unreadable(unreadable)

    def _one(self, statement: str, given: list[object]) -> Any:
        with explained(self.path):
            return self._connection.execute(statement, given).fetchone()

    def _names(self, select: str, column: str, prefix: str, limit: int) -> list[str]:
        # a range and not LIKE: an id may hold a wildcard, and a range is found by its index
        statement = f"{select} {column} >= ? AND {column} < ? ORDER BY {column} LIMIT {int(limit)}"
        text = prefix.encode("utf-8", "backslashreplace").decode()
        with explained(self.path):
            return [name for (name,) in self._connection.execute(statement, (text, text + "\U0010ffff"))]


def _parsed(what: str, name: str, content: bytes) -> Record:
    try:
        found = json.loads(content)
    except RecursionError:
        raise Unreadable(what, name, "it is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(what, name, str(error)) from error
    if not isinstance(found, dict):
        raise Unreadable(what, name, "it is no object of JSON")
    return found


def open_store(path: Path) -> Reader | None:
    """The store to read; None: nothing was recorded yet. Raises OperatorError."""
    connection = open_to_read(path)
    return None if connection is None else Reader(connection, path)
