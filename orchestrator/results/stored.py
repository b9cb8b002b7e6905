"""What the store holds, read back: records by what they are about, newest first, and the scans that they belong to.

Reads only; a scan may be writing meanwhile. First the places of what was asked for are found, then each record is read
when its turn comes: memory stays flat, and somebody who leaves a pager open holds up no writer.
"""

import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ...wrappers.database import explained, open_to_read
from ..tool import GRAVEST_FIRST, SEVERITIES
from .blobs import BlobFiles, blobs_directory
from .rows import ScanRow

Record = dict[str, Any]

STATUSES = tuple(map(str, GRAVEST_FIRST))
BY_SEVERITY = SEVERITIES[::-1]
PREFIX_MIN = 4  # of a fingerprint; fewer digits name too many relays
HEX = frozenset("0123456789ABCDEF")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records; None or empty: any. `exit`: the beginning of a fingerprint, or a nickname; `since`: ended at or
    after, in seconds since the epoch; `gravest_first`: by status and severity, then newest first."""

    scan: str | None = None
    tool: str | None = None
    exit: str | None = None
    statuses: frozenset[str] = frozenset()
    kind: str | None = None
    since: float | None = None
    limit: int | None = None
    gravest_first: bool = False


@dataclass(frozen=True, slots=True)
class ScanSummary:
    """One scan, counted. `counts`: its verdicts by status, the gravest first; `runs`: its runs, controls included."""

    scan_id: str
    started: float
    ended: float
    tools: tuple[str, ...]
    exits: int
    runs: int
    verdicts: int
    counts: dict[str, int]


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
    """A store that is only read. Close it, or use it as a context."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self.blobs = BlobFiles(blobs_directory(path))

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing can be read any more."""
        self._connection.close()

    def query(self, wanted: Wanted) -> Iterator[Record]:
        """The records, newest first (or gravest first), each read as it is asked for. Raises OperatorError."""
        where, given = _conditions(wanted)
        order = f"{_rank('status', STATUSES)}, {_rank('severity', BY_SEVERITY)}, " if wanted.gravest_first else ""
        limit = "" if wanted.limit is None else f" LIMIT {int(wanted.limit)}"
        places = array("q")
        with explained(self.path):
            statement = f"SELECT rowid FROM runs{where} ORDER BY {order}ended DESC, rowid DESC{limit}"
            places.extend(place for (place,) in self._connection.execute(statement, given))
        for place in places:
            with explained(self.path):
                found = self._connection.execute("SELECT record FROM runs WHERE rowid = ?", (place,)).fetchone()
            if found is not None:
                yield json.loads(found[0])

    def count(self, wanted: Wanted) -> int:
        """How many records there are, whatever the limit."""
        where, given = _conditions(wanted)
        return int(self._one(f"SELECT count(*) FROM runs{where}", given)[0])

    def record(self, record_id: str) -> Record | None:
        """The record with exactly this id."""
        found = self._one("SELECT record FROM runs WHERE record_id = ?", [record_id])
        return json.loads(found[0]) if found else None

    def ids(self, prefix: str, limit: int = 10) -> list[str]:
        """The record ids that begin so, in order."""
        return self._names("SELECT record_id FROM runs WHERE", "record_id", prefix, limit)

    def scan_ids(self, prefix: str, limit: int = 10) -> list[str]:
        """The scan ids that begin so, in order."""
        return self._names("SELECT DISTINCT scan_id FROM runs WHERE", "scan_id", prefix, limit)

    def latest_scan(self) -> str | None:
        """The scan that wrote last."""
        found = self._one("SELECT scan_id FROM runs ORDER BY ended DESC, rowid DESC LIMIT 1", [])
        return str(found[0]) if found else None

    def scan(self, scan_id: str) -> Record | None:
        """What is known of a scan (`exitpin.scan/1`); None: there is no such scan."""
        found = self._one("SELECT scan FROM scans WHERE scan_id = ?", [scan_id])
        return json.loads(found[0]) if found else None

    def scan_rows(self, since: float | None = None) -> Iterator[ScanRow]:
        """What is known of the scans that began at or after `since`, newest first. Raises OperatorError."""
        statement = (
            f"SELECT {', '.join(ScanRow._fields)} FROM scans WHERE started >= ? ORDER BY started DESC, rowid DESC"
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
            f" ORDER BY {_rank('status', STATUSES)}, {_rank('severity', BY_SEVERITY)}, ended DESC, rowid DESC"
            f" LIMIT {int(limit)}"
        )
        with explained(self.path):
            return list(map(Accusation._make, self._connection.execute(statement, (scan_id, *words))))

    def times(self, scan_id: str, tool: str | None = None) -> Iterator[RunTimes]:
        """When each run of a scan, controls included, came how far; `tool`: of this one. Raises OperatorError."""
        columns = ", ".join(f"json_extract(record, '$.t.{name}')" for name in RunTimes._fields)
        where, given = _conditions(Wanted(scan=scan_id, tool=tool, kind="run"))
        with explained(self.path):
            yield from map(RunTimes._make, self._connection.execute(f"SELECT {columns} FROM runs{where}", given))

    def past(self, fingerprint: str, limit: int) -> list[PastVerdict]:
        """The verdicts on an exit in all scans, newest first, no more than `limit`."""
        statement = (
            "SELECT ifnull(tool, ''), ifnull(params_key, ''), scan_id, status, ended FROM runs"
            f" WHERE exit_fingerprint = ? AND kind = 'verdict' ORDER BY ended DESC, rowid DESC LIMIT {int(limit)}"
        )
        with explained(self.path):
            return list(map(PastVerdict._make, self._connection.execute(statement, (fingerprint,))))

    def scans(self, limit: int | None = None) -> list[ScanSummary]:
        """Every scan, newest first."""
        by_status = ", ".join(f"sum(kind = 'verdict' AND status = '{status}')" for status in STATUSES)
        statement = (
            "SELECT scan_id, min(ifnull(started, ended)), max(ended), group_concat(DISTINCT tool),"
            " count(DISTINCT CASE WHEN role IS NOT 'control' THEN exit_fingerprint END),"
            f" sum(kind = 'run'), sum(kind = 'verdict'), {by_status}"
            f" FROM runs GROUP BY scan_id ORDER BY 2 DESC LIMIT {-1 if limit is None else int(limit)}"
        )
        with explained(self.path):
            return [_summary(row) for row in self._connection.execute(statement)]

    def _one(self, statement: str, given: list[object]) -> Any:
        with explained(self.path):
            return self._connection.execute(statement, given).fetchone()

    def _names(self, select: str, column: str, prefix: str, limit: int) -> list[str]:
        # a range and not LIKE: an id may hold a wildcard, and a range is found by its index
        statement = f"{select} {column} >= ? AND {column} < ? ORDER BY {column} LIMIT {int(limit)}"
        text = prefix.encode("utf-8", "backslashreplace").decode()
        with explained(self.path):
            return [name for (name,) in self._connection.execute(statement, (text, text + "\U0010ffff"))]


def open_store(path: Path) -> Reader | None:
    """The store to read; None: nothing was recorded yet. Raises OperatorError."""
    connection = open_to_read(path)
    return None if connection is None else Reader(connection, path)


def _conditions(wanted: Wanted) -> tuple[str, list[object]]:
    """The WHERE clause, or nothing, and its values."""
    found: list[tuple[str, Iterable[object]]] = []
    if wanted.scan is not None:
        found.append(("scan_id = ?", [wanted.scan]))
    if wanted.tool is not None:
        found.append(("tool = ?", [wanted.tool]))
    if wanted.exit is not None:
        found.append(_exit_condition(wanted.exit))
    if wanted.statuses:
        found.append((f"status IN ({', '.join('?' * len(wanted.statuses))})", sorted(wanted.statuses)))
    if wanted.kind is not None:
        found.append(("kind = ?", [wanted.kind]))
    if wanted.since is not None:
        found.append(("ended >= ?", [wanted.since]))
    if not found:
        return "", []
    return " WHERE " + " AND ".join(text for text, _ in found), [value for _, values in found for value in values]


def _exit_condition(name: str) -> tuple[str, list[object]]:
    digits = name.removeprefix("$").upper()
    if len(digits) < PREFIX_MIN or not set(digits) <= HEX:
        return "exit_nickname = ? COLLATE NOCASE", [name]
    return (
        "(exit_nickname = ? COLLATE NOCASE OR (exit_fingerprint >= ? AND exit_fingerprint < ?))",
        [name, digits, digits + "G"],
    )


def _rank(column: str, order: tuple[str, ...]) -> str:
    cases = " ".join(f"WHEN '{word}' THEN {number}" for number, word in enumerate(order))
    return f"CASE {column} {cases} ELSE {len(order)} END"


def _summary(row: tuple[Any, ...]) -> ScanSummary:
    scan_id, started, ended, tools, exits, runs, verdicts, *counts = row
    by_status = {status: count for status, count in zip(STATUSES, counts, strict=True) if count}
    names = tuple(sorted(tools.split(","))) if tools else ()
    return ScanSummary(scan_id, started, ended, names, exits, runs, verdicts, by_status)
