"""The store of results: one row a record, on disk soon after the run or the verdict has ended.

`Store` writes, from a thread of its own, so that no disk holds up the loop: what waits is committed together, evidence
first, so that no record ever names a piece that is not there. It decides nothing about what a record holds
(`observation.py`, `records.py`) and reads nothing (`stored.py`). When the disk fails, nothing that comes later is
written either: what is there is the beginning of a scan, without gaps, and `--resume` does the rest. The operator hears
of it: `close` raises it.
"""

import asyncio
import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...wrappers.backlog import Backlog
from ...wrappers.database import PATIENCE_S, RETRY_S, create, is_busy, is_constraint, meaning
from ..errors import OperatorError
from .blobs import BlobFiles, blobs_directory
from .exhibit import Blob
from .rows import Row, ScanRow, row_of, scan_row_of

PATIENCE_MAX_S = 3600.0
QUEUED_MAX = 8 << 20
BATCH_MAX = 4 << 20
ROW_COST = 1 << 10  # of a record in the queue, beside its text

Record = Mapping[str, object]


class Entry(NamedTuple):
    """What is written together: a row, and the evidence that it names."""

    row: Row | ScanRow
    blobs: Sequence[Blob]


def _upsert(table: str, key: str, fields: Sequence[str]) -> str:
    return (
        f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"
        f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in fields)}"
    )


_WRITE_RECORD = _upsert("runs", "record_id", Row._fields) + " WHERE scan_id = excluded.scan_id"
"""A run that is judged again has its record replaced; another scan's record never is."""
_WRITE_SCAN = _upsert("scans", "scan_id", ScanRow._fields)


def store_path(env: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/exitpin/results.sqlite`; without that variable, in ~/.local/state."""
    base = env.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(env.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return Path(base, "exitpin", "results.sqlite")


def store_patience_s(env: Mapping[str, str]) -> float:
    """For how long somebody else's lock on the store is waited for: `$EXITPIN_STORE_PATIENCE`, in seconds, or 30."""
    try:
        given = float(env.get("EXITPIN_STORE_PATIENCE", ""))
    except ValueError:
        return PATIENCE_S
    return given if 0 <= given <= PATIENCE_MAX_S else PATIENCE_S


class Store:
    """Where the records of a scan go. Made on the loop; raises OperatorError when the file, or the folder of evidence
    beside it, can't be used.

    `add` never waits; `is_full` and `call_when_drained` say when whoever starts runs should. `on_problem` is called
    once, on the loop, with the first record that could not be written; when that was the disk's fault, all that come
    after it are lost, too. `on_recorded` gets, on the loop, the ids of records that are on disk; `on_short_of_files`
    hears that no file can be opened, each time that it is tried, for as long as a lock is waited for.
    """

    def __init__(
        self,
        path: Path,
        on_problem: Callable[[str], None] | None = None,
        max_queued: int = QUEUED_MAX,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.path = path
        self.blobs = BlobFiles(blobs_directory(path))
        self.problem: str | None = None
        self.lost = 0
        self.on_problem = on_problem
        self.on_recorded: Callable[[Sequence[str]], None] | None = None
        self.on_short_of_files: Callable[[str], None] | None = None
        self._patience_s = patience_s
        self._connection = create(path, patience_s)
        try:
            self.blobs.prepare()
        except OperatorError:
            self._connection.close()
            raise
        self._is_closed = False
        self._has_failed = False  # the thread's
        self._entries: Backlog[Entry] = Backlog(max_queued)
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that no run should start."""
        return self._entries.is_full

    def call_when_drained(self, resume: Callable[[], None]) -> None:
        """Call `resume` once, on the loop, when half of what may wait does."""
        self._entries.call_when_drained(resume)

    def add(self, record: Record, blobs: Sequence[Blob] = ()) -> None:
        """Queue a record and its evidence, in place of this scan's earlier one of that id; it may change afterwards.

        Raises ValueError for one that `row_of` refuses.
        """
        row = row_of(record)
        self._put(Entry(row, blobs), len(row.record))

    def add_scan(self, scan: Record, blobs: Sequence[Blob] = ()) -> None:
        """Queue what is known of a scan, in place of what was. Raises ValueError for what is no `exitpin.scan/1`."""
        row = scan_row_of(scan)
        self._put(Entry(row, blobs), len(row.scan))

    def _put(self, entry: Entry, size_bytes: int) -> None:
        if self._is_closed:
            raise AssertionError("BUG: a record after the store was closed")
        self._entries.put(entry, size_bytes + ROW_COST + sum(len(blob.packed) for blob in entry.blobs))

    async def close(self) -> None:
        """Return when every record is on disk. Raises OperatorError with the first problem, if there was one."""
        if not self._is_closed:
            self._is_closed = True
            self._entries.finish()
        await asyncio.shield(self._entries.ended)
        if self.problem is not None:
            count = f"{self.lost} record{'s' if self.lost != 1 else ''}"
            raise OperatorError(f"{count} could not be written to {self.path}: {self.problem}.", "They are lost.")

    async def abandon(self) -> None:
        """As `close`, for whoever has heard of the problem already, or has another one."""
        with contextlib.suppress(OperatorError):
            await self.close()

    # In the thread.

    def _write(self) -> None:
        try:
            entries, cost = self._entries.take(BATCH_MAX)
            while entries:
                self._keep(entries)
                self._entries.written(cost)
                entries, cost = self._entries.take(BATCH_MAX)
        finally:
            with contextlib.suppress(sqlite3.Error):  # all is committed; only the log's return to the file is left
                self._connection.close()
            self._entries.over()

    def _keep(self, entries: list[Entry]) -> None:
        """All of them; where that fails, as many as can be, and nothing that comes later."""
        if self._has_failed:
            self._entries.tell(self._failed, len(entries), "")
            return
        try:
            refused, written = self._written(entries)
        except Exception as error:
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            if len(entries) > 1 and not is_busy(error):
                half = len(entries) // 2
                self._keep(entries[:half])
                self._keep(entries[half:])
            else:
                self._has_failed = True
                self._entries.tell(self._failed, len(entries), self._why(error))
        else:
            if refused:
                self._entries.tell(self._failed, len(refused), refused[0])
            if self.on_recorded is not None:
                self._entries.tell(self.on_recorded, written)

    def _written(self, entries: list[Entry]) -> tuple[list[str], list[str]]:
        """As `_commit`, evidence first. While no file can be opened it is tried again: who has them open may end."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                with self.blobs.writing():
                    for entry in entries:
                        for blob in entry.blobs:
                            self.blobs.write(blob)
                    return self._commit(entries)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE) or time.monotonic() > deadline:
                    raise
                if self.on_short_of_files is not None:
                    self._entries.tell(self.on_short_of_files, str(error.strerror))
                time.sleep(RETRY_S)

    def _commit(self, entries: list[Entry]) -> tuple[list[str], list[str]]:
        """All rows in one transaction; returns why single ones were refused, for they take no others with them, and the
        ids of all other records."""
        refused: list[str] = []
        written: list[str] = []
        rows = {
            (type(row), row.scan_id, row[0]): row for row, _ in entries
        }  # of a run that was judged meanwhile the last one counts
        self._connection.execute("BEGIN IMMEDIATE")
        for row in rows.values():
            statement = _WRITE_RECORD if isinstance(row, Row) else _WRITE_SCAN
            try:
                if not self._connection.execute(statement, row).rowcount:
                    refused.append(f"another scan has a record {row[0]}")
                elif isinstance(row, Row):
                    written.append(row.record_id)
            except sqlite3.IntegrityError as error:
                if not is_constraint(error):
                    raise
                refused.append(f"record {row[0]}: {error}")
        self._connection.execute("COMMIT")
        return refused, written

    def _why(self, error: Exception) -> str:
        if isinstance(error, sqlite3.Error):
            return meaning(error)
        if isinstance(error, OSError):
            return f"evidence can't be kept in {self.blobs.directory}: {error.strerror}"
        return f"internal error: {error!r}"

    # On the loop again.

    def _failed(self, count: int, why: str) -> None:
        self.lost += count
        if self.problem is None:
            self.problem = why
            if self.on_problem is not None:
                self.on_problem(why)
