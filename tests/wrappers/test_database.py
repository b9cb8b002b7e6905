"""The file of results as SQLite sees it: what other connections leave alone, and what is said of a place for it."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.database import create, open_to_read

READER = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM scans').fetchone()[0])"


def seen_by_another_process(path: Path) -> int:
    done = subprocess.run([sys.executable, "-c", READER, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def scan(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "INSERT INTO scans (scan_id, started, state, tools, scan) VALUES (?, 0, 'running', '', '{}')", (name,)
    )
    connection.execute("COMMIT")


def test_a_second_connection_of_the_process_does_not_open_the_first_ones_log_to_others(tmp_path: Path) -> None:
    """A close of the file would drop the locks of all: the next reader would take the log away, and with it what is
    written from then on."""
    path = tmp_path / "results.sqlite"
    with closing(create(path)) as writer:
        scan(writer, "one")
        create(path).close()
        assert seen_by_another_process(path) == 1
        scan(writer, "two")
        assert seen_by_another_process(path) == 2
        assert path.with_name("results.sqlite-wal").exists()


def test_it_is_its_owners_alone_from_the_first_moment(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "results.sqlite"
    before = os.umask(0)
    try:
        create(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_place_where_nothing_can_be_made_is_said(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"results can't be kept in /proc/nowhere/"):
        create(Path("/proc/nowhere/results.sqlite"))


def test_a_place_that_can_not_be_looked_at_is_said(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="File name too long"):
        open_to_read(tmp_path / ("x" * 300))


def test_who_has_it_locked_is_waited_for_and_then_said(tmp_path: Path) -> None:
    path = tmp_path / "results.sqlite"
    create(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with closing(create(path, patience_s=0.1)) as ours, pytest.raises(sqlite3.OperationalError, match="locked"):
            ours.execute("BEGIN IMMEDIATE")
