"""A store as half a year of scans leaves it, made up: two scans a day of one tool through some 2,500 exits.

Rows go straight into the tables, without their indexes, which are made at the end by the very statements of the
schema: so it takes a minute and not ten. Relays come and go, some exits lie now and then, a few are broken, and each
scan has its errors; who they are is drawn by a seed. The last two scans have the snapshots that they went by, of 9,000
relays, as evidence (`documents.py`).
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random

from documents import fingerprint_of, snapshot

from exitpin.orchestrator.results.blobs import BlobFiles, blobs_directory
from exitpin.orchestrator.results.exhibit import Exhibit, pack
from exitpin.orchestrator.results.rows import Row, ScanRow, row_of, scan_row_of
from exitpin.wrappers.database import create

HALF_A_DAY_S = 43_200
RUN_S, APART_S = 20.0, 1.5
BEGINNING = 1_770_000_000.0
TOOL = {
    "id": "tls-cert",
    "summary": "Does this exit hand us the server's own certificate?",
    "digest": sha256(b"tls-cert").hexdigest(),
    "argv": ["openssl", "s_client", "-connect", "{{host}}:{{port}}", "-servername", "{{host}}", "-verify_return_error"],
    "binary": "/usr/bin/openssl",
    "version": "3.5.4",
    "params": {"host": "www.example.org", "port": "443"},
}
COMES_AND_GOES = 0.01  # of all exits, from one scan to the next
STATUSES = {"tampered": 0.002, "suspect": 0.003, "broken": 0.01, "error": 0.01}
SEVERITIES = {"tampered": "critical", "suspect": "critical"}
CONTROLS = 4
WITH_SNAPSHOTS = 2
AT = 1234567890.25  # stands for the time of a verdict in its template


@dataclass(frozen=True, slots=True)
class Size:
    """How much: `records` is their product."""

    scans: int = 360
    exits: int = 2500

    @property
    def records(self) -> int:
        return self.scans * self.exits


def fill(path: Path, size: Size, seed: int = 1) -> None:
    """Make the store."""
    connection = create(path)
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute("PRAGMA synchronous = OFF")
    for scan, rows in _scans(size, Random(seed), BlobFiles(blobs_directory(path))):
        connection.execute("BEGIN")
        connection.executemany(_insert("runs", Row._fields), rows)
        connection.execute(_insert("scans", ScanRow._fields), scan)
        connection.execute("COMMIT")
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def record_bytes(path: Path) -> int:
    """How long the JSON of a record is, on average over the last ones."""
    connection = sqlite3.connect(path)
    some = "SELECT record FROM runs ORDER BY rowid DESC LIMIT 2500"
    (found,) = connection.execute(f"SELECT avg(length(record)) FROM ({some})").fetchone()
    connection.close()
    return int(found)


def _insert(table: str, fields: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"


def _scans(size: Size, rng: Random, blobs: BlobFiles) -> Iterator[tuple[ScanRow, list[Row]]]:
    """Each scan, and its verdicts in the order in which they came."""
    exits, newest = list(range(size.exits)), size.exits
    templates = {status: _template(status) for status in ("ok", *STATUSES)}
    for number in range(size.scans):
        began = BEGINNING + number * HALF_A_DAY_S
        scan_id = f"synth-{number:04d}-{rng.randbytes(3).hex()}"
        rows = [
            _row(templates[_status(rng)], scan_id, place, exit_number, began + place * APART_S)
            for place, exit_number in enumerate(rng.sample(exits, len(exits)))
        ]
        evidence = _kept(blobs, exits, number) if size.scans - number <= WITH_SNAPSHOTS else []
        yield scan_row_of(_scan(scan_id, began, exits, evidence)), rows
        for place in rng.sample(range(len(exits)), int(size.exits * COMES_AND_GOES)):
            exits[place], newest = newest, newest + 1


def _kept(blobs: BlobFiles, exits: list[int], number: int) -> list[dict[str, object]]:
    """The snapshot of a scan, put where its evidence is."""
    found = [Exhibit(name, pack(content)) for name, content in snapshot(exits, number)]
    for one in found:
        blobs.write(one.blob)
    return [one.told() for one in found]


def _status(rng: Random) -> str:
    chance = rng.random()
    for status, share in STATUSES.items():
        chance -= share
        if chance < 0:
            return status
    return "ok"


def _row(template: tuple[Row, str], scan_id: str, place: int, exit_number: int, at: float) -> Row:
    row, text = template
    fingerprint, verdict_id = fingerprint_of(exit_number), f"{scan_id}-v{place:012x}"
    nickname = f"relay{exit_number}"
    told = {
        "@SCAN": scan_id, "@VERDICT": verdict_id, "@FINGERPRINT": fingerprint, "@NICKNAME": nickname,
        str(AT): str(at + RUN_S),
    }  # fmt: skip
    for mark, value in told.items():
        text = text.replace(mark, value)
    return row._replace(
        record_id=verdict_id, scan_id=scan_id, key=sha256(fingerprint.encode()).hexdigest(),
        exit_fingerprint=fingerprint, exit_nickname=nickname, started=at, ended=at + RUN_S, record=text,
    )  # fmt: skip


def _template(status: str) -> tuple[Row, str]:
    """A verdict of this status, with marks where verdicts differ."""
    lied = 3 if status in SEVERITIES else 0
    failure = {"kind": "timeout", "blame": "exit", "retryable": True, "detail": "no answer in time"}
    seen = {"chain": [sha256(b"leaf").hexdigest(), sha256(b"issuer").hexdigest()], "verify_code": 0}
    controls = [
        {"vantage": "exit", "exit": fingerprint_of(-n), "run_id": f"@SCAN-{n:04d}", "at": BEGINNING, "facts": seen}
        for n in range(1, CONTROLS + 1)
    ]  # fmt: skip
    runs = [
        {"run_id": f"@SCAN-{n:04d}", "role": "confirm" if n else "probe", "status": status,
         "reason": f"why run {n} is {status}", "t": BEGINNING, "doubts": []}
        for n in range(lied or 1)
    ]  # fmt: skip
    record = {
        "schema": "exitpin.verdict/1", "verdict_id": "@VERDICT", "scan_id": "@SCAN", "key": sha256(b"key").hexdigest(),
        "status": status, "severity": SEVERITIES.get(status), "rule": 2, "when": "verify_code is not 0",
        "reason": f"a reason of some length, as rules give them, for a verdict that is {status}", "lied": lied,
        "of": 3 if lied else 1, "undecided": [], "layer": "stream" if status == "error" else None,
        "blame": None if status == "ok" else "exit", "retryable": False, "tool": TOOL,
        "exit": {
            "fingerprint": "@FINGERPRINT", "nickname": "@NICKNAME", "addresses": ["203.0.113.7"],
            "observed_address": None, "flags": ["Exit", "Fast", "Running", "Stable", "V2Dir", "Valid"],
            "family": [fingerprint_of(7), fingerprint_of(8)], "contact": "noc at example dot org",
            "consensus": "2026-05-01 00:00:00",
        },
        "vantage": {"kind": "own", "name": None, "tor": "0.4.9.11"}, "started": BEGINNING, "ended": AT,
        "interrupted": False, "runs": runs, "controls": controls,
        "failure": failure if status in ("broken", "error") else None,
        "evidence": [], "reproduce": "exitpin audit tls-cert -e @FINGERPRINT -p host=www.example.org",
    }  # fmt: skip
    row = row_of(record)
    return row, row.record


def _scan(scan_id: str, began: float, exits: list[int], evidence: list[dict[str, object]]) -> dict[str, object]:
    leg = {"started": began, "ended": began + 3800.0, "how": "done", "consensus": "x", "evidence": evidence}
    return {
        "schema": "exitpin.scan/1", "scan_id": scan_id, "state": "done", "started": began, "ended": began + 3800.0,
        "exitpin": "0.1.0", "vantage": {"kind": "own", "name": None, "tor": "0.4.9.11"},
        "consensus": "2026-05-01 00:00:00", "snapshot": {"sha256": "0" * 64, "size_bytes": 1}, "seed": 1, "repeat": 1,
        "tools": [{**TOOL, "word": "tls-cert", "key": "k", "secret": []}],
        "exits": [fingerprint_of(number) for number in exits], "planned": len(exits), "legs": [leg], "settings": {},
    }  # fmt: skip
