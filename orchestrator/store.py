"""The store of results: one row a record, on disk soon after the run or the verdict has ended.

`Store` writes, from a thread of its own, so that no disk holds up the loop: what waits is committed together. It
decides nothing about what a record holds (`observation.py`, `records.py`) and reads nothing (`stored.py`). A record
that could not be written is an error that the operator hears of: `close` raises it.
"""

import asyncio
import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..wrappers.backlog import Backlog
from ..wrappers.database import PATIENCE_S, create, is_constraint, meaning
from .errors import OperatorError

QUEUED_MAX = 16 << 20
BATCH_MAX = 4 << 20
ROW_COST = 1 << 10  # of a record in the queue, beside its text


class Row(NamedTuple):
    """One record as the table holds it: what people look for, and all of it as JSON."""

    record_id: str
    kind: str
    schema: str
    scan_id: str
    key: str | None
    role: str | None
    attempt: int | None
    tool: str | None
    tool_digest: str | None
    exit_fingerprint: str | None
    exit_nickname: str | None
    status: str
    severity: str | None
    failure_kind: str | None
    started: float | None
    ended: float
    record: str


_WRITE = (
    f"INSERT INTO runs ({', '.join(Row._fields)}) VALUES ({', '.join('?' * len(Row._fields))})"
    f" ON CONFLICT (record_id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in Row._fields)}"
    " WHERE scan_id = excluded.scan_id"
)
"""A run that is judged again has its record replaced; another scan's record never is."""
_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def store_path(env: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/exitpin/results.sqlite`; without that variable, in ~/.local/state."""
    base = env.get("XDG_STATE_HOME", "")
    if not base.startswith("/"):
        base = os.path.join(env.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return Path(base, "exitpin", "results.sqlite")


def row_of(record: Mapping[str, object]) -> Row:
    """The row of an `exitpin.run/1` or `exitpin.verdict/1`. Raises ValueError for what is neither or can't be JSON."""
    schema = record.get("schema")
    kind = {"exitpin.run/1": "run", "exitpin.verdict/1": "verdict"}.get(str(schema))
    if kind is None:
        raise ValueError(f"not a record of exitpin: schema {schema!r}")
    times, tool, of_exit = _table(record, "t"), _table(record, "tool"), _table(record, "exit")
    started = _number(record.get("started"), record.get("start"), times.get("queue"))
    ended = _number(record.get("ended"), times.get("end"), started)
    attempt = record.get("attempt")
    return Row(
        record_id=_text(record[f"{kind}_id"]) or "",
        kind=kind,
        schema=str(schema),
        scan_id=_text(record["scan_id"]) or "",
        key=_text(record.get("key")),
        role=_text(record.get("role")),
        attempt=attempt if isinstance(attempt, int) else None,
        tool=_text(tool.get("id")),
        tool_digest=_text(tool.get("digest")),
        exit_fingerprint=_text(of_exit.get("fingerprint")),
        exit_nickname=_text(of_exit.get("nickname")),
        status=_text(record["status"]) or "",
        severity=_text(record.get("severity") or _table(record, "verdict").get("severity")),
        failure_kind=_text(_table(record, "failure").get("kind")),
        started=started,
        ended=ended or 0.0,
        record=_ENCODE(record),
    )


def _table(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}


def _number(*candidates: object) -> float | None:
    return next((float(n) for n in candidates if isinstance(n, int | float) and not isinstance(n, bool)), None)


def _text(value: object) -> str | None:
    """As SQLite takes it: a lone surrogate has no UTF-8."""
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()


class Store:
    """Where the records of a scan go. Made on the loop; raises OperatorError when the file can't be used.

    `add` never waits; `is_full` and `call_when_drained` say when whoever starts runs should. `on_problem` is called
    once, on the loop, with the first record that could not be written; later ones are still tried.
    """

    def __init__(
        self,
        path: Path,
        on_problem: Callable[[str], None] | None = None,
        max_queued: int = QUEUED_MAX,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.path = path
        self.problem: str | None = None
        self.lost = 0
        self._on_problem = on_problem
        self._connection = create(path, patience_s)
        self._is_closed = False
        self._rows: Backlog[Row] = Backlog(max_queued)
        self._thread = threading.Thread(target=self._write, name="store", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether so much waits to be written that no run should start."""
        return self._rows.is_full

    def call_when_drained(self, resume: Callable[[], None]) -> None:
        """Call `resume` once, on the loop, when half of what may wait does."""
        self._rows.call_when_drained(resume)

    def add(self, record: Mapping[str, object]) -> None:
        """Queue a record, in place of this scan's earlier one of that id; it may change afterwards.

        Raises ValueError for one that `row_of` refuses.
        """
        if self._is_closed:
            raise AssertionError("BUG: a record after the store was closed")
        row = row_of(record)
        self._rows.put(row, len(row.record) + ROW_COST)

    async def close(self) -> None:
        """Return when every record is on disk. Raises OperatorError with the first problem, if there was one."""
        if not self._is_closed:
            self._is_closed = True
            self._rows.finish()
        await asyncio.shield(self._rows.ended)
        if self.problem is not None:
            count = f"{self.lost} record{'s' if self.lost != 1 else ''}"
            raise OperatorError(f"{count} could not be written to {self.path}: {self.problem}.", "They are lost.")

    # In the thread.

    def _write(self) -> None:
        try:
            rows, cost = self._rows.take(BATCH_MAX)
            while rows:
                self._commit(rows)
                self._rows.written(cost)
                rows, cost = self._rows.take(BATCH_MAX)
        finally:
            with contextlib.suppress(sqlite3.Error):  # all is committed; only the log's return to the file is left
                self._connection.close()
            self._rows.over()

    def _commit(self, rows: list[Row]) -> None:
        """All of them in one transaction; one that is refused for itself does not take the others with it."""
        refused: list[str] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for row in rows:
                try:
                    if not self._connection.execute(_WRITE, row).rowcount:
                        refused.append(f"another scan has a record {row.record_id}")
                except sqlite3.IntegrityError as error:
                    if not is_constraint(error):
                        raise
                    refused.append(f"record {row.record_id}: {error}")
            self._connection.execute("COMMIT")
        except Exception as error:
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            why = meaning(error) if isinstance(error, sqlite3.Error) else f"internal error: {error!r}"
            self._rows.tell(self._failed, len(rows), why)
        else:
            if refused:
                self._rows.tell(self._failed, len(refused), refused[0])

    # On the loop again.

    def _failed(self, count: int, why: str) -> None:
        self.lost += count
        if self.problem is None:
            self.problem = why
            if self._on_problem is not None:
                self._on_problem(why)
