"""A store that an earlier version wrote: brought to this one when it is opened, with all that is in it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.results_pair import two_scans
from exitpin.orchestrator.results import standing
from exitpin.orchestrator.results.difference import Side, compare
from exitpin.orchestrator.results.rows import params_key
from exitpin.orchestrator.results.stored import Wanted
from exitpin.orchestrator.results.summary import summaries
from exitpin.wrappers.database import APPLICATION_ID, VERSION

from ..recorded import reader, run_record, verdict_record, write

VERSION_1 = """
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
"""
TOOL = {"id": "tls-cert", "digest": "d1", "params": {"host": "www.example.org"}}
LAB = {"kind": "lab", "name": "mine", "tor": "0.4.9"}
RECORDS = [
    run_record(1, vantage=LAB, evidence=["/home/me/events.ndjson.gz"]),
    verdict_record(1, vantage=LAB, tool=TOOL),
    run_record(2, run_id="s2-0002", scan_id="s2", role="control", tool={}),
    verdict_record(1, verdict_id="s2-v0001", scan_id="s2", vantage=LAB, tool=TOOL, status="tampered", ended=2000.0),
    verdict_record(3, verdict_id="s2-v0003", scan_id="s2", vantage=LAB, tool=TOOL, ended=2001.0),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file as version 1 left it."""
    found = tmp_path / "results.sqlite"
    connection = sqlite3.connect(found)
    connection.executescript(VERSION_1)
    for record in RECORDS:
        kind = "verdict" if "verdict_id" in record else "run"
        row = (
            record[f"{kind}_id"], kind, record["schema"], record["scan_id"], record["key"], record.get("role"),
            record.get("attempt"), record["tool"].get("id"), record["tool"].get("digest"),
            record["exit"]["fingerprint"], record["exit"]["nickname"], record["status"], record.get("severity"), None,
            record.get("started"), record.get("ended", 1000.0), json.dumps(record),
        )  # fmt: skip
        connection.execute(f"INSERT INTO runs VALUES ({', '.join('?' * len(row))})", row)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    return found


@pytest.mark.parametrize("bad", ['{"bad', "[]"])
def test_a_record_that_can_t_be_read_stays_as_it_is(bad: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET record = ? WHERE record_id = 's1-0001'", (bad,))
    with reader(path) as store:
        found = [record.get("verdict_id") or record["run_id"] for record in store.query(Wanted())]
        assert list(store.rows("SELECT record FROM runs WHERE record_id = 's1-0001'")) == [(bad,)]
    assert sorted(found) == ["s1-v0001", "s2-0002", "s2-v0001", "s2-v0003"]


def test_every_record_is_there_as_it_was(path: Path) -> None:
    with reader(path) as store:
        found = {record.get("verdict_id") or record["run_id"]: record for record in store.query(Wanted())}
    assert found == {record.get("verdict_id") or record["run_id"]: record for record in RECORDS}
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_scans_are_listed_as_far_as_their_records_tell(path: Path) -> None:
    with reader(path) as store:
        newest, oldest = summaries(store)
        assert (newest.scan_id, newest.state, newest.tools, newest.exits) == ("s2", "earlier", ("tls-cert",), 2)
        assert (newest.runs, newest.verdicts, newest.counts) == (1, 2, {"tampered": 1, "ok": 1})
        assert (oldest.scan_id, oldest.runs, oldest.counts) == ("s1", 1, {"ok": 1})
        assert store.progress("s1") == ("earlier", 1, 1)
        assert store.latest_scan() == "s2"


def test_parameters_are_known_for_what_they_are(path: Path) -> None:
    with reader(path) as store:
        keys = {verdict.params_key for verdict in standing.in_scan(store, "s2")}
    assert keys == {params_key(TOOL)}


def test_its_scans_can_be_compared_with_each_other_and_with_later_ones(path: Path) -> None:
    later = verdict_record(1, verdict_id="s3-v1", scan_id="s3", vantage=LAB, tool=TOOL, ended=3000.0)
    write(path, [later])
    with reader(path) as store:
        assert two_scans(store, [], None, None) == ("s1", "s2")
        sides = [Side(name, None, tuple(standing.in_scan(store, name))) for name in ("s1", "s2", "s3")]
        assert [change.kind for change in compare(*sides[:2]).changes] == ["new", "new-exit"]
        assert [change.kind for change in compare(*sides[1:]).changes] == ["gone", "gone-exit"]


def test_opening_to_write_migrates_too(path: Path) -> None:
    write(path, [run_record(9)])
    with reader(path) as store:
        assert store.count(Wanted()) == len(RECORDS) + 1
