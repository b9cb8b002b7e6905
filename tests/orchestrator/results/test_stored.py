"""What the store holds, read back: found by what it is about, in order, and counted by scan."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exitpin.orchestrator.results.stored import Wanted, open_store
from exitpin.orchestrator.results.summary import summaries
from exitpin.orchestrator.results.wanted import order, where

from ..recorded import ids, reader, run_record, scan_record, verdict_record, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "exitpin" / "results.sqlite"


def test_what_is_written_is_read_back_whole_and_newest_first(path: Path) -> None:
    records = [run_record(1, note="\ud800 \x1b[31m"), verdict_record(2), run_record(3)]
    write(path, records)
    with reader(path) as store:
        assert list(store.query(Wanted())) == records[::-1]
        assert store.record("s1-v0002") == records[1]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(kind="verdict"), [3]),
        (Wanted(kind="run"), [4, 2, 1]),
        (Wanted(scan="s2"), [4]),
        (Wanted(tool="dns-exit"), [2]),
        (Wanted(exit="exit02"), [2]),
        (Wanted(exit="$AB"), []),
        (Wanted(exit="abcd12"), [4]),
        (Wanted(exit="ABCD1"), [4]),
        (Wanted(statuses=frozenset({"tampered", "broken"})), [4, 3]),
        (Wanted(since=1003.5), [4, 3]),
        (Wanted(limit=2), [4, 3]),
        (Wanted(gravest_first=True), [3, 4, 2, 1]),
        (Wanted(exit="' OR 1=1 --"), []),
    ],
)
def test_records_are_found_by_what_they_are_about(path: Path, wanted: Wanted, found: list[int]) -> None:
    elsewhere = {"fingerprint": "ABCD12" + "0" * 34, "nickname": "other"}
    write(
        path,
        [
            run_record(1),
            run_record(2, tool={"id": "dns-exit"}),
            verdict_record(3, status="tampered", severity="high"),
            run_record(4, scan_id="s2", status="broken", exit=elsewhere),
        ],
    )
    assert [int(name[-1]) for name in ids(path, wanted)] == found


def test_what_an_interruption_left_open_is_told_from_what_was_judged(path: Path) -> None:
    verdicts = [verdict_record(1), verdict_record(2, status="error", interrupted=True)]
    write(path, [scan_record("s1", state="interrupted", planned=2), *verdicts])
    with reader(path) as store:
        (scan,) = summaries(store)
        assert (scan.verdicts, scan.open_ones) == (2, 1)


def test_among_equal_statuses_the_severest_comes_first(path: Path) -> None:
    severities = ("info", "critical", "low", "high")
    write(path, [verdict_record(n, status="tampered", severity=word) for n, word in enumerate(severities)])
    assert [int(name[-1]) for name in ids(path, Wanted(gravest_first=True))] == [1, 3, 2, 0]


def test_ids_are_found_by_their_beginning(path: Path) -> None:
    write(path, [run_record(1), run_record(2), run_record(3, run_id="s%_x", scan_id="s2")])
    with reader(path) as store:
        assert store.ids("s1-") == ["s1-0001", "s1-0002"]
        assert store.ids("s%") == ["s%_x"]
        assert store.ids("%") == store.ids("zz") == []
        assert store.scan_ids("s") == ["s1", "s2"]
        assert store.record("s1-") is None


def test_scans_are_counted_from_the_table(path: Path) -> None:
    write(
        path,
        [
            run_record(1),
            run_record(2, role="control"),
            verdict_record(1, status="tampered"),
            verdict_record(3, tool={"id": "dns-exit"}),
            run_record(9, scan_id="s2"),
        ],
    )
    with reader(path) as store:
        newest, oldest = summaries(store)
        assert store.latest_scan() == newest.scan_id == "s2"
        assert (newest.runs, newest.verdicts, newest.counts) == (1, 0, {})
        assert (oldest.started, oldest.ended) == (1001.0, 1005.0)
        assert (oldest.tools, oldest.exits, oldest.runs) == (("dns-exit", "tls-cert"), 2, 2)
        assert (oldest.verdicts, oldest.counts) == (2, {"tampered": 1, "ok": 1})
        assert store.count(Wanted(scan="s1")) == 4


def test_verdicts_are_counted_and_findings_named_without_their_records(path: Path) -> None:
    found = [(1, "suspect", "high"), (2, "tampered", "high"), (3, "ok", None), (4, "broken", None)]
    records = [verdict_record(n, status=status, severity=severity) for n, status, severity in found]
    write(path, [*records, run_record(5, status="broken"), verdict_record(6, status="broken", scan_id="s2")])
    with reader(path) as store:
        tally = {("tls-cert", status): 1 for _, status, _ in found}
        assert store.tally("s1") == tally
        accused = store.accusations("s1", ["tampered", "suspect", "broken"], 2)
        assert [(one.status, one.exit_nickname, one.record_id) for one in accused] == [
            ("tampered", "Exit02", "s1-v0002"),
            ("suspect", "Exit01", "s1-v0001"),
        ]
        assert store.tally("none") == {} and store.accusations("none", ["ok"], 9) == []


def test_the_times_of_runs_are_read_without_their_records(path: Path) -> None:
    write(
        path,
        [run_record(1), run_record(2, tool={"id": "other"}, t={"queue": 5.0, "first_byte": 6.5}), verdict_record(3)],
    )
    with reader(path) as store:
        assert sorted(store.times("s1"), key=lambda one: one.queue or 0.0) == [
            (5.0, None, None, 6.5, None),
            (999.0, None, None, None, 1002.0),
        ]
        assert [one.queue for one in store.times("s1", "other")] == [5.0]


def test_a_run_that_was_asked_anew_counts_for_nothing(path: Path) -> None:
    """It is in the list of runs, for it is kept: as one that was superseded."""
    legs = [{"started": 1.0}, {"started": 2.0}]
    runs = [run_record(1, role="superseded"), run_record(2), run_record(3, role=None)]
    write(path, [scan_record(legs=legs), *runs, verdict_record(2)])
    with reader(path) as store:
        (scan,) = summaries(store)
        assert (scan.runs, scan.verdicts) == (2, 1)
        assert len(list(store.times("s1"))) == 2
        assert store.count(Wanted(scan="s1", kind="run", is_counted=True)) == 2
        assert store.count(Wanted(scan="s1", kind="run")) == 3


def test_a_replay_is_no_scan_that_audited_anybody(path: Path) -> None:
    replay = scan_record("s2", started=2000.0, planned=0, replays="s1-0001")
    again = run_record(7, run_id="s2-0001", scan_id="s2", role="replay", replays="s1-0001")
    write(path, [scan_record("s0", started=1.0), verdict_record(2, scan_id="s0", verdict_id="s0-v0002")])
    write(path, [scan_record(), run_record(1), verdict_record(3), replay, again])
    with reader(path) as store:
        assert [(scan.scan_id, scan.replays) for scan in summaries(store)] == [
            ("s2", "s1-0001"),
            ("s1", None),
            ("s0", None),
        ]
        assert [row.scan_id for row in store.scan_rows()] == ["s1", "s0"]
        assert (store.latest_scan(), store.unfinished_scans()) == ("s1", [])


def test_past_verdicts_on_an_exit_come_from_all_scans_newest_first(path: Path) -> None:
    fingerprint = f"{7:040X}"
    same_exit = {"exit": {"fingerprint": fingerprint, "nickname": "Exit07"}}
    write(path, [verdict_record(n, scan_id=f"s{n}", ended=1000.0 + n, **same_exit) for n in (1, 2, 3)])
    with reader(path) as store:
        assert [(one.scan_id, one.tool, one.status) for one in store.past(fingerprint, 2)] == [
            ("s3", "tls-cert", "ok"),
            ("s2", "tls-cert", "ok"),
        ]
        assert store.past(f"{8:040X}", 2) == []


def test_scans_are_told_newest_first(path: Path) -> None:
    write(path, [scan_record(f"s{n}", started=float(n)) for n in (2, 9, 4)])
    with reader(path) as store:
        assert [row.scan_id for row in store.scan_rows()] == ["s9", "s4", "s2"]
        assert [row.scan_id for row in store.scan_rows(since=4.0)] == ["s9", "s4"]


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.touch()], ids=["no file", "an empty one"])
def test_before_the_first_record_there_is_no_store(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "results.sqlite"
    make(path)
    assert open_store(path) is None


def test_an_empty_store_has_no_latest_scan(path: Path) -> None:
    write(path, [])
    with reader(path) as store:
        assert store.latest_scan() is None and summaries(store) == [] and list(store.query(Wanted())) == []


def test_a_copy_where_nothing_may_be_written_can_be_read(path: Path) -> None:
    write(path, [run_record()])
    path.chmod(0o400)
    path.parent.chmod(0o500)
    assert ids(path) == ["s1-0001"]
    path.parent.chmod(0o700)


def test_a_scan_is_listed_with_what_was_planned_before_it_has_a_record(path: Path) -> None:
    write(path, [scan_record("s1", state="running", ended=None, planned=7, exits=["A"]), verdict_record(1)])
    write(path, [scan_record("s2", started=2000.0, ended=None, state="running", planned=9)])
    with reader(path) as store:
        newest, oldest = summaries(store)
        assert (newest.scan_id, newest.state, newest.planned, newest.verdicts) == ("s2", "running", 9, 0)
        assert (oldest.started, oldest.ended, oldest.exits, oldest.planned) == (1000.0, 1003.0, 1, 7)
        assert summaries(store, limit=1) == [newest]
        assert store.progress("s1") == ("running", 1, 7) and store.progress("zz") == ("earlier", 0, None)


WISHES = [
    Wanted(scan, tool, exit, statuses, kind, since, gravest_first=gravest, is_counted=scan is not None)
    for scan in (None, "s1")
    for tool in (None, "tls-cert")
    for exit in (None, "ABCD", "evil")
    for statuses in (frozenset[str](), frozenset({"tampered", "ok"}))
    for kind in ("run", "verdict")
    for since in (None, 1.0)
    for gravest in (False, True)
]


def test_no_wish_is_answered_by_going_through_all_rows(path: Path) -> None:
    """A scan and an exit are found by an index of theirs; across scans an index alone says what is wanted."""
    write(path, [])
    with reader(path) as store:
        for wish in WISHES:
            which, given = where(wish)
            statement = f"EXPLAIN QUERY PLAN SELECT rowid FROM runs{which}{order(gravest_first=wish.gravest_first)}"
            steps = " / ".join(str(step[-1]) for step in store.rows(f"{statement} LIMIT 50", given))
            if wish.scan is not None or wish.exit is not None:
                assert "runs_by_end" not in steps and "runs_by_status" not in steps, (wish, steps)
                assert "SEARCH" in steps and "SCAN" not in steps, (wish, steps)
            else:
                assert "SEARCH runs USING COVERING INDEX" in steps, (wish, steps)


def test_a_scan_without_a_record_is_found_by_its_beginning_too(path: Path) -> None:
    write(path, [scan_record("s1"), scan_record("s12"), run_record(1), run_record(3, scan_id="s3")])
    with reader(path) as store:
        assert store.scan_ids("s1") == ["s1", "s12"]
        assert store.scan_ids("s") == ["s1", "s12", "s3"]
        assert store.scan_ids("s", limit=2) == ["s1", "s12"]
