"""The file of results as SQLite sees it: what other connections leave alone."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from exitpin.wrappers.database import create

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
