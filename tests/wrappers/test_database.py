"""The file of results, shared: with others, and with other connections of one process."""

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

NOTE = "INSERT INTO sightings VALUES ('tor', ?, 'nick', '', '', 0, 0)"
LOOK = (
    "import sqlite3, sys; found = sqlite3.connect(sys.argv[1]);"
    "print(found.execute('SELECT count(*) FROM sightings').fetchone()[0]); found.close()"
)


def seen_by_others(path: Path) -> int:
    """How many rows another process reads, which closes the file again, as `results list` does."""
    return int(subprocess.run([sys.executable, "-c", LOOK, path], capture_output=True, check=True).stdout)


def test_a_second_connection_of_a_process_costs_the_first_neither_its_locks_nor_its_log(tmp_path: Path) -> None:
    """Closing any descriptor of a file drops all of a process's POSIX locks on it (fcntl(2)). Without them the next
    reader takes itself for the last one, and removes the log that is still written to."""
    path = tmp_path / "results.sqlite"
    with closing(create(path)) as first:
        create(path).close()
        for row in range(1, 4):
            first.execute(NOTE, (f"{row}",))
            assert seen_by_others(path) == row
        assert path.with_name(f"{path.name}-wal").exists()


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
