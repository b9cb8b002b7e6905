"""The store: what is written is there, whoever else writes, reads or dies; and what can't be written is said."""

import asyncio
import json
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.results.rows import row_of
from exitpin.orchestrator.results.store import Store, store_path
from exitpin.orchestrator.results.stored import Wanted, open_store
from exitpin.wrappers.database import MIGRATIONS, VERSION

from ..recorded import ids, reader, run_record, write

WRITER = Path(__file__).parent.parent / "programs" / "write_records.py"
DEADLINE_S = 60


def is_sound(path: Path) -> bool:
    connection = sqlite3.connect(path)
    (word,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return bool(word == "ok")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "exitpin" / "results.sqlite"


def start(path: Path, *words: object) -> "subprocess.Popen[str]":
    command = [sys.executable, str(WRITER), str(path), *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def last_words(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, _ = process.communicate(timeout=DEADLINE_S)
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    return said


def test_file_and_directory_are_the_users_alone(path: Path) -> None:
    write(path, [run_record()])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_log_and_index_beside_the_file_are_the_users_alone_too(path: Path) -> None:
    async def go() -> list[int]:
        store = Store(path)
        store.add(run_record())
        found = [stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir() if each.is_file()]
        await store.close()
        return found

    assert set(asyncio.run(go())) == {0o600}


def test_a_killed_writer_loses_only_what_was_not_committed(path: Path) -> None:
    writer = start(path, "s1", 500, 2000, "--forever")
    assert writer.stdout is not None and writer.stdout.readline() == "written 500\n"
    deadline = time.monotonic() + DEADLINE_S
    while len(ids(path)) < 1000:
        assert time.monotonic() < deadline
    writer.send_signal(signal.SIGKILL)
    assert writer.wait(DEADLINE_S) == -signal.SIGKILL
    assert path.with_name("results.sqlite-wal").exists()
    found = sorted(ids(path))
    assert len(found) >= 1000
    assert found == [f"s1-{number:08d}" for number in range(len(found))]
    assert is_sound(path)
    write(path, [run_record(scan_id="s2")])
    assert len(ids(path)) == len(found) + 1


def test_two_writers_take_turns_and_nobody_loses_anything(path: Path) -> None:
    writers = [start(path, name, 1000, 500) for name in ("s1", "s2")]
    assert [last_words(writer)["problem"] for writer in writers] == ["", ""]
    assert len(ids(path, Wanted(scan="s1"))) == len(ids(path, Wanted(scan="s2"))) == 1000
    assert is_sound(path)


def test_a_reader_holds_up_no_writer_and_sees_what_it_asked_for(path: Path) -> None:
    write(path, [run_record(number) for number in range(20)])
    with reader(path) as store:
        found = store.query(Wanted())
        assert next(found)["run_id"] == "s1-0019"
        write(path, [run_record(number) for number in range(20, 40)], patience_s=0.1)
        assert len(list(found)) == 19
        assert len(list(store.query(Wanted()))) == 40


def test_a_store_of_the_future_is_refused_and_left_as_it_is(path: Path) -> None:
    write(path, [run_record()])
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(OperatorError, match="written by a newer exitpin"):
        write(path, [run_record(2)])
    with pytest.raises(OperatorError, match="Nothing in it was changed"):
        open_store(path)
    assert path.read_bytes() == before


def test_somebody_elses_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (what TEXT)")
    connection.close()
    before = path.read_bytes()
    for call in (lambda: write(path, []), lambda: open_store(path)):
        with pytest.raises(OperatorError, match="not one of exitpin's"):
            call()
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello " * 1000)
    for call in (lambda: write(path, []), lambda: open_store(path)):
        with pytest.raises(OperatorError, match="no file of results"):
            call()


def test_the_version_is_the_number_of_migrations(path: Path) -> None:
    write(path, [])
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    assert tables == [("runs",), ("scans",), ("sightings",)]
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_directory_that_takes_no_file_is_an_error_before_anything_runs() -> None:
    with pytest.raises(OperatorError, match="Permission denied"):
        write(Path("/sys/results.sqlite"), [])  # of nobody, not even of root


def test_a_place_that_can_hold_no_file_is_an_error_before_anything_runs() -> None:
    with pytest.raises(OperatorError, match=r"results can't be kept in /proc/exitpin/results\.sqlite"):
        write(Path("/proc/exitpin/results.sqlite"), [])


def test_a_full_disk_is_said_and_what_was_committed_stays(path: Path) -> None:
    said = last_words(start(path, "s1", 3000, 5000, "--file-limit", 3 << 20))
    assert "could not be written" in said["problem"] and "a full disk, a quota" in said["problem"]
    found = ids(path)
    assert 0 < len(found) < 3000
    assert is_sound(path)
    write(path, [run_record(scan_id="s2")])
    assert len(ids(path)) == len(found) + 1


def test_a_lock_that_nobody_gives_back_is_said_once_and_nothing_hangs(path: Path) -> None:
    write(path, [run_record()])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    told: list[str] = []
    with pytest.raises(OperatorError, match=r"2 records could not be written to .*keeps it locked"):
        write(path, [run_record(2), run_record(3)], patience_s=0.05, on_problem=told.append)
    other.execute("ROLLBACK")
    other.close()
    assert len(told) == 1
    assert ids(path) == ["s1-0001"]


def test_a_lock_that_is_given_back_is_waited_for(path: Path) -> None:
    async def go() -> None:
        store = Store(path)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        store.add(run_record())
        asyncio.get_running_loop().call_later(0.05, other.execute, "ROLLBACK")
        await store.close()
        other.close()

    asyncio.run(go())
    assert ids(path) == ["s1-0001"]


def test_a_run_that_is_judged_again_has_its_record_replaced(path: Path) -> None:
    write(path, [run_record(1), run_record(2), run_record(1, status="tampered")])
    with reader(path) as store:
        assert [record["status"] for record in store.query(Wanted())] == ["ok", "tampered"]
        assert store.count(Wanted(statuses=frozenset({"tampered"}))) == 1


def test_another_scans_record_is_never_replaced_and_takes_no_other_with_it(path: Path) -> None:
    with pytest.raises(OperatorError, match=r"1 record could not be written .*another scan has a record s1-0001"):
        write(path, [run_record(1), run_record(1, scan_id="s2", status="broken"), run_record(2)])
    assert ids(path, Wanted(statuses=frozenset({"ok"}))) == ["s1-0002", "s1-0001"]


@pytest.mark.parametrize("record", [{"schema": "other/1"}, run_record(1, facts={"n": float("nan")})])
def test_what_is_no_record_is_refused_at_once(record: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        row_of(record)


def test_a_store_with_much_to_write_says_so_until_half_is_written(path: Path) -> None:
    async def go() -> list[bool]:
        store = Store(path, max_queued=100_000)
        seen = [store.is_full]
        for number in range(100):
            store.add(run_record(number, note="x" * 2000))
        seen.append(store.is_full)
        drained = asyncio.Event()
        store.call_when_drained(drained.set)
        await asyncio.wait_for(drained.wait(), DEADLINE_S)
        seen.append(store.is_full)
        await store.close()
        return seen

    assert asyncio.run(go()) == [False, True, False]


@pytest.mark.slow
def test_ten_thousand_records_are_written_and_read_in_flat_memory(path: Path) -> None:
    said = last_words(start(path, "s1", 10_000, 10_000))
    assert said["problem"] == ""
    assert said["grown_kib"] < 64 << 10, "all of them are 100 MB"
    count = "import sys, resource; from pathlib import Path; from exitpin.orchestrator.results.stored import *\n"
    count += "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    count += "print(sum(1 for _ in open_store(Path(sys.argv[1])).query(Wanted(gravest_first=True))))\n"
    count += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    told = subprocess.run([sys.executable, "-c", count, str(path)], capture_output=True, text=True, timeout=DEADLINE_S)
    read, grown_kib = map(int, told.stdout.split())
    assert read == 10_000
    assert grown_kib < 16 << 10


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/exitpin/results.sqlite"),
        ({"HOME": "/h"}, "/h/.local/state/exitpin/results.sqlite"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/exitpin/results.sqlite"),
    ],
)
def test_the_store_is_where_state_belongs(env: dict[str, str], expected: str) -> None:
    assert str(store_path(env)) == expected


def test_whoever_asks_hears_what_is_on_disk_and_not_what_was_refused(path: Path) -> None:
    write(path, [run_record(1)])
    told: list[str] = []

    async def go() -> None:
        store = Store(path)
        store.on_recorded = told.extend
        store.add(run_record(1, scan_id="s2"))
        store.add(run_record(2))
        await store.abandon()

    asyncio.run(go())
    assert told == ["s1-0002"]
