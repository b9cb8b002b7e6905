"""What may go from a store: evidence that no record names, and what an old scan leaves that nobody needs any more.

Findings stay, with their runs and their controls and all evidence of them, unless somebody says otherwise in so many
words. The folder of evidence is held alone from the first look to the last file, and whoever writes pieces and records
that name them holds it, too: so no record is ever left that names a piece which is gone. Records go before pieces:
who is killed between leaves pieces that nobody names, and the next sweep takes them. Called by `results gc`.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ...wrappers.database import create, explained
from ...wrappers.output import printable
from ..errors import OperatorError
from .blobs import BlobFiles, blobs_directory
from .scan_lock import forget_ended, is_running
from .wanted import FINDINGS

AT_ONCE = 2_000  # rows of one transaction: nobody waits long for the file
TRIAL_S = 3600.0  # whoever tries whether a folder can be written to has long done so
WORTH = 0.1  # of the file: so much of it has to be free before it is written anew


class Keep(StrEnum):
    """What stays of old scans: all verdicts, and the runs that findings rest on; findings alone, and those runs;
    or nothing."""

    VERDICTS = "verdicts"
    FINDINGS = "findings"
    NOTHING = "nothing"


@dataclass(slots=True)
class Swept:
    """What went, or would go. Bytes of records are those of their JSON; `file_bytes`: of the file, before and after;
    `free_bytes`: of it, for what comes next."""

    scans: int = 0
    verdicts: int = 0
    runs: int = 0
    record_bytes: int = 0
    pieces: int = 0
    piece_bytes: int = 0
    leftovers: int = 0
    leftover_bytes: int = 0
    file_bytes: tuple[int, int] = (0, 0)
    free_bytes: int = 0
    problem: str = ""


def sweep(path: Path, before: float | None = None, keep: Keep = Keep.VERDICTS, *, is_trial: bool = False) -> Swept:
    """Sweep a store that exists. Raises OperatorError and OSError.

    What a record that can't be read names may be evidence of a finding: then nothing goes.

    `before`: records of scans that ended earlier than this go, but for what is to be kept (seconds since the epoch;
    None: no record goes); `is_trial`: change nothing, and say what would go.
    """
    blobs = BlobFiles(blobs_directory(path))
    found = Swept()
    with nullcontext() if is_trial else blobs.sweeping(), explained(path), closing(create(path)) as connection:
        size = path.stat().st_size
        try:
            _choose(connection, blobs, before, keep, found)
            _name_the_rest(connection)
        except sqlite3.OperationalError as error:
            raise _unreadable(connection) or error from error
        if not is_trial:
            _delete(connection)
        _sweep_files(connection, blobs, found, is_trial=is_trial)
        if not is_trial:
            forget_ended(blobs.directory)
            _shrink(connection, path, found)
        found.free_bytes = _free_bytes(connection)
        found.file_bytes = (size, path.stat().st_size)
    return found


def _choose(connection: sqlite3.Connection, blobs: BlobFiles, before: float | None, keep: Keep, found: Swept) -> None:
    """Which rows go: their places in the table `going`."""
    connection.executescript(
        "CREATE TEMP TABLE old (scan_id TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;"
        "CREATE TEMP TABLE kept (record_id TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;"
        "CREATE TEMP TABLE going (place INTEGER PRIMARY KEY);"
    )
    if before is None:
        return
    for scan_id in _ended_before(connection, before):
        if not is_running(blobs.directory, scan_id):
            connection.execute("INSERT INTO old VALUES (?)", (scan_id,))
    if keep is not Keep.NOTHING:
        _keep_what_findings_rest_on(connection)
    spared = {
        Keep.VERDICTS: f"kind = 'run' AND {_UNNAMED}",
        Keep.FINDINGS: f"CASE kind WHEN 'run' THEN {_UNNAMED} ELSE status NOT IN {_IN_FINDINGS} END",
        Keep.NOTHING: "true",
    }
    connection.execute(
        f"INSERT INTO going SELECT rowid FROM runs WHERE scan_id IN (SELECT scan_id FROM old) AND {spared[keep]}"
    )
    counted = "SELECT sum(kind = 'verdict'), sum(kind = 'run'), sum(length(record)), count(DISTINCT scan_id) FROM runs"
    counts = connection.execute(f"{counted} WHERE rowid IN (SELECT place FROM going)").fetchone()
    found.verdicts, found.runs, found.record_bytes, found.scans = (int(count or 0) for count in counts)


_IN_FINDINGS = "(" + ", ".join(f"'{status}'" for status in FINDINGS) + ")"
_EMPTIED = (
    "scan_id IN (SELECT scan_id FROM old) AND NOT EXISTS (SELECT 1 FROM runs"
    " WHERE runs.scan_id = scans.scan_id AND runs.rowid NOT IN (SELECT place FROM going))"
)
_UNNAMED = "(role IS NOT 'replay' AND record_id NOT IN (SELECT record_id FROM kept))"


_OBJECT = "CASE WHEN {text} GLOB '{{*' OR json_type({text}) = 'object' THEN {text} ELSE 'no object' END"
"""A record; what is none is malformed to whoever reads it, be it JSON or not."""


def _unreadable(connection: sqlite3.Connection) -> OperatorError | None:
    """Which record made SQLite stop; None: none did."""
    is_none = "CASE WHEN json_valid({text}) THEN json_type({text}) <> 'object' ELSE 1 END"
    for what, table, text in (("record", "runs", "record"), ("scan", "scans", "scan")):
        statement = f"SELECT {what}_id FROM {table} WHERE {is_none.format(text=text)} LIMIT 1"
        for (name,) in connection.execute(statement):
            why = f"{what} {printable(name)} can't be read, and nobody knows what evidence it names."
            return OperatorError(why, "Nothing was removed. `exitpin results verify` tells more.")
    return None


def _ended_before(connection: sqlite3.Connection, before: float) -> list[str]:
    """By their own word, and by their last record."""
    statement = (
        "SELECT scan_id, max(ended) FROM (SELECT scan_id, ended FROM runs"
        " UNION ALL SELECT scan_id, ifnull(ended, started) FROM scans) GROUP BY scan_id HAVING max(ended) < ?"
    )
    return [scan_id for scan_id, _ in connection.execute(statement, (before,))]


def _keep_what_findings_rest_on(connection: sqlite3.Connection) -> None:
    """The runs and controls that findings name, and the controls that those runs name."""
    named = (
        "INSERT OR IGNORE INTO kept SELECT json_extract(runs.record, told.fullkey || '.run_id')"
        " FROM runs, json_each({record}, '$.{list}') AS told WHERE {which}"
        " AND json_extract(runs.record, told.fullkey || '.run_id') IS NOT NULL"
    )
    findings = f"kind = 'verdict' AND status IN {_IN_FINDINGS} AND scan_id IN (SELECT scan_id FROM old)"
    of_those = "record_id IN (SELECT record_id FROM kept)"
    for name, which in (("runs", findings), ("controls", findings), ("controls", of_those)):
        connection.execute(named.format(record=_OBJECT.format(text="runs.record"), list=name, which=which))


def _name_the_rest(connection: sqlite3.Connection) -> None:
    """What records that stay name: the table `named`."""
    connection.execute("CREATE TEMP TABLE named (sha256 TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID")
    for table, column, spared in (
        ("runs", "record", "runs.rowid NOT IN (SELECT place FROM going)"),
        ("scans", "scan", f"NOT ({_EMPTIED})"),
    ):
        text = f"{table}.{column}"
        connection.execute(
            f"INSERT OR IGNORE INTO named SELECT json_extract({text}, item.fullkey || '.sha256')"
            f" FROM {table}, json_each({_OBJECT.format(text=text)}, '$.evidence') AS item WHERE {spared}"
            f" AND json_extract({text}, item.fullkey || '.sha256') IS NOT NULL"
        )


def _delete(connection: sqlite3.Connection) -> None:
    """The rows that go, and scans of which nothing is left."""
    while True:
        places = connection.execute(f"SELECT place FROM going LIMIT {AT_ONCE}").fetchall()
        if not places:
            break
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("DELETE FROM runs WHERE rowid = ?", places)
        connection.execute("COMMIT")
        connection.executemany("DELETE FROM going WHERE place = ?", places)
    connection.execute(f"DELETE FROM scans WHERE {_EMPTIED}")


def _sweep_files(connection: sqlite3.Connection, blobs: BlobFiles, found: Swept, *, is_trial: bool) -> None:
    """Pieces that nobody names, and what was left by who was killed while he wrote one."""
    for name in blobs.names():
        if connection.execute("SELECT 1 FROM named WHERE sha256 = ?", (name,)).fetchone() is None:
            place = blobs.path(name)
            if (known := _look_at(place)) is None:
                continue
            found.pieces += 1
            found.piece_bytes += known.st_size
            if not is_trial:
                place.unlink(missing_ok=True)
    for place, known in _leftovers(blobs.directory):
        found.leftovers += 1
        found.leftover_bytes += known.st_size
        if not is_trial:
            place.unlink(missing_ok=True)


def _leftovers(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for half in directory.glob("[0-9a-f][0-9a-f]/.*.gz.*"):
        if (known := _look_at(half)) is not None:
            yield half, known
    for trial in directory.glob(".trial-*"):
        if (known := _look_at(trial)) is not None and known.st_mtime < time.time() - TRIAL_S:
            yield trial, known


def _look_at(place: Path) -> os.stat_result | None:
    """None: its writer, or another sweep, took it away after it was listed."""
    try:
        return place.stat()
    except FileNotFoundError:
        return None


def _shrink(connection: sqlite3.Connection, path: Path, found: Swept) -> None:
    """Write the file anew when much of it is free, and there is room for the new one beside the old one."""
    size = path.stat().st_size
    try:
        if _free_bytes(connection) > size * WORTH and shutil.disk_usage(path.parent).free > 2 * size:
            connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:  # all that was to go has gone
        found.problem = str(error)


def _free_bytes(connection: sqlite3.Connection) -> int:
    (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_size"))
    return int(pages) * int(size)
