"""The file of results as SQLite sees it: how it is opened, whose it is, and what its errors mean to an operator.

It decides nothing about records (`results/store.py` writes, `results/stored.py` reads them). WAL: a
reader never waits for a writer, nor a writer for a reader; two writers take turns. A process that is killed loses what
it had not committed, and nothing else (sqlite.org/wal.html). Every commit is synced: a scan has a few in a second.
"""

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from ..orchestrator.errors import OperatorError

APPLICATION_ID = 0x6578_7069  # "expi", in the file's header: nobody else's tables are touched
PATIENCE_S = 30.0
RETRY_S = 0.02

MIGRATIONS = (
    """
    CREATE TABLE runs (
        record_id TEXT PRIMARY KEY NOT NULL,
        kind TEXT NOT NULL,
        schema TEXT NOT NULL,
        scan_id TEXT NOT NULL,
        key TEXT,
        role TEXT,
        attempt INTEGER,
        tool TEXT,
        tool_digest TEXT,
        exit_fingerprint TEXT,
        exit_nickname TEXT,
        status TEXT NOT NULL,
        severity TEXT,
        failure_kind TEXT,
        started REAL,
        ended REAL NOT NULL,
        record TEXT NOT NULL
    ) STRICT;
    CREATE INDEX runs_by_end ON runs (ended);
    CREATE INDEX runs_by_scan ON runs (scan_id, kind, ended);
    CREATE INDEX runs_by_key ON runs (key);
    CREATE INDEX runs_by_exit ON runs (exit_fingerprint, ended);
    """,
    """
    ALTER TABLE runs ADD COLUMN repetition INTEGER;
    ALTER TABLE runs ADD COLUMN params_key TEXT;
    UPDATE runs SET params_key = params_key_2(record);
    CREATE TABLE scans (
        scan_id TEXT PRIMARY KEY NOT NULL,
        started REAL NOT NULL,
        ended REAL,
        state TEXT NOT NULL,
        network TEXT,
        consensus TEXT,
        planned INTEGER,
        exits INTEGER,
        tools TEXT NOT NULL,
        scan TEXT NOT NULL
    ) STRICT;
    INSERT INTO scans
        SELECT scan_id, min(ifnull(started, ended)), max(ended), 'earlier',
            max(CASE WHEN json_valid(record) THEN
                ifnull(json_extract(record, '$.vantage.name'), json_extract(record, '$.vantage.kind')) END),
            max(CASE WHEN json_valid(record) THEN json_extract(record, '$.exit.consensus') END),
            sum(kind = 'verdict'),
            count(DISTINCT CASE WHEN role IS NOT 'control' THEN exit_fingerprint END),
            ifnull(group_concat(DISTINCT tool), ''),
            json_object('schema', 'exitpin.scan/1', 'scan_id', scan_id, 'state', 'earlier')
        FROM runs GROUP BY scan_id;
    DROP INDEX runs_by_end;
    DROP INDEX runs_by_scan;
    DROP INDEX runs_by_key;
    DROP INDEX runs_by_exit;
    CREATE INDEX runs_by_end ON runs (kind, ended, status, severity, tool);
    CREATE INDEX runs_by_scan ON runs (scan_id, kind, status, severity, ended);
    CREATE INDEX runs_by_status ON runs (kind, status, severity, ended, tool);
    CREATE INDEX runs_by_exit ON runs (exit_fingerprint, kind, ended);
    CREATE INDEX runs_by_nickname ON runs (exit_nickname COLLATE NOCASE, kind, ended);
    CREATE INDEX scans_by_start ON scans (started);
    """,
    """
    CREATE TABLE sightings (
        network TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        nickname TEXT NOT NULL,
        policy TEXT NOT NULL,
        flags TEXT NOT NULL,
        first_seen REAL NOT NULL,
        last_seen REAL NOT NULL,
        PRIMARY KEY (network, fingerprint)
    ) STRICT, WITHOUT ROWID;
    """,
)
"""What leads from one version of the file to the next. Its version is how many of them were carried out."""

VERSION = len(MIGRATIONS)

_MEANINGS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it can't be written to",
    sqlite3.SQLITE_BUSY: "somebody else keeps it locked",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened",
    sqlite3.SQLITE_IOERR: "it can't be read or written: a full disk, a quota, or a disk that fails",
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_NOTADB: "it is no file of results",
}
_HINTS = {
    sqlite3.SQLITE_FULL: "Make room, or name another file by --store.",
    sqlite3.SQLITE_IOERR: "Make room, or name another file by --store.",
    sqlite3.SQLITE_BUSY: "End what uses it, or name another file by --store.",
    sqlite3.SQLITE_CORRUPT: "Move it away: the next audit begins a new one.",
}
_OTHER_HINT = "Name another file by --store."


def _params_key_2(record: str) -> str | None:
    """The column `params_key` as version 2 of the file began with it: a migration is history, whatever becomes of
    `results/rows.py`."""
    try:
        found = json.loads(record)
    except (ValueError, RecursionError):  # its reader says so
        return None
    tool = found.get("tool") if isinstance(found, dict) else None
    if not isinstance(tool, dict) or tool.get("id") is None:
        return None
    params = tool.get("params")
    told = sorted((str(name), str(value)) for name, value in params.items()) if isinstance(params, dict) else []
    return hashlib.sha256(json.dumps([tool["id"], told]).encode()).hexdigest()


def create(path: Path, patience_s: float = PATIENCE_S) -> sqlite3.Connection:
    """Open `path` to write, made if it is missing (0600, in directories of 0700) and brought to this version.

    The connection may be used by any one thread at a time; nothing is committed but by COMMIT. Raises OperatorError.
    """
    _is_there(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            # Never opened if it is there: a close drops all locks that this process has on it (fcntl(2)), SQLite's,
            # too, and the next reader would take the log away from whoever writes.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise OperatorError(f"results can't be kept in {path}: {error.strerror}.", _OTHER_HINT) from error
    with explained(path):
        connection = _connect(path, "rw", patience_s)
        try:
            version = _version(connection, path)
            _write_ahead(connection, path, patience_s)
            connection.execute("PRAGMA synchronous = FULL")
            if version < VERSION:
                _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_to_read(path: Path, patience_s: float = PATIENCE_S) -> sqlite3.Connection | None:
    """Open `path` and change nothing in it; None: there is no such file, or nothing in it. Raises OperatorError.

    A file of an older version is brought to this one first.
    """
    if not _is_there(path):
        return None
    with explained(path):
        connection = _reader(path, patience_s)
        try:
            version = _version(connection, path)
        except BaseException:
            connection.close()
            raise
        if version == VERSION:
            return connection
        connection.close()
        if version == 0:
            return None
        create(path, patience_s).close()
        return _reader(path, patience_s)


def _is_there(path: Path) -> bool:
    """Raises OperatorError for a directory, and for a place that can't be looked at."""
    try:
        if not path.is_dir():
            return path.exists()
    except OSError as error:
        raise OperatorError(f"{path}: {error.strerror}.", _OTHER_HINT) from error
    raise OperatorError(f"{path} is a directory.", "Name the file of results in it, or a new one, by --store.")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What SQLite raises, as one sentence about `path` and what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise OperatorError(f"{path}: {meaning(error)}.", _HINTS.get(_primary(error), _OTHER_HINT)) from error


def meaning(error: sqlite3.Error) -> str:
    """Why it failed, as the rest of a sentence."""
    known = _MEANINGS.get(_primary(error))
    return f"{known} ({error})" if known else str(error)


def is_constraint(error: sqlite3.Error) -> bool:
    """Whether only this row was refused, and not the file's ability to take rows."""
    return _primary(error) == sqlite3.SQLITE_CONSTRAINT


def is_busy(error: BaseException) -> bool:
    """Whether somebody else kept the file locked for as long as anybody waits."""
    return isinstance(error, sqlite3.Error) and _primary(error) == sqlite3.SQLITE_BUSY


def _primary(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _connect(path: Path, mode: str, patience_s: float) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode if '=' in mode else f'mode={mode}'}",
        uri=True, timeout=patience_s, isolation_level=None, check_same_thread=False,
    )  # fmt: skip


def _reader(path: Path, patience_s: float) -> sqlite3.Connection:
    """WAL wants a file beside the one that is read; where none can be made and none is needed, it does without."""
    has_log = path.with_name(f"{path.name}-wal").exists()
    if has_log or os.access(path.parent, os.W_OK):
        return _connect(path, "ro", patience_s)
    return _connect(path, "mode=ro&immutable=1", patience_s)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """The file's version, 0 for an empty one. Raises OperatorError for a foreign file, and for one of the future."""
    with closing(
        connection.execute(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
            " FROM pragma_application_id, pragma_user_version"
        )
    ) as found:
        application, version, objects = found.fetchone()
    if application != APPLICATION_ID and (application or version or objects):
        raise OperatorError(f"{path} is a database, but not one of exitpin's.", _OTHER_HINT)
    if version > VERSION:
        raise OperatorError(
            f"{path} was written by a newer exitpin (version {version} of the file; this one knows {VERSION}).",
            "Nothing in it was changed. Use that exitpin, or name another file by --store.",
        )
    return int(version)


def _write_ahead(connection: sqlite3.Connection, path: Path, patience_s: float) -> None:
    """Turn WAL on. SQLite does not wait for the lock that this takes; two who begin at once both want it."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if _primary(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_S)
    if mode != "wal":
        raise OperatorError(f"{path} is on a file system that can't share it.", "Name a local file by --store.")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """All of it or nothing: the version is read again under the lock."""
    connection.create_function("params_key_2", 1, _params_key_2, deterministic=True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection, path)
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        if version < VERSION:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
