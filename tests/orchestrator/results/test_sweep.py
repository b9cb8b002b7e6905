"""A store that is swept: what nobody needs goes, findings and all that they rest on stay, whoever writes meanwhile."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from exitpin.orchestrator.results.blobs import BlobFiles, blobs_directory
from exitpin.orchestrator.results.checking import check_record
from exitpin.orchestrator.results.exhibit import exhibit, exhibits, pack
from exitpin.orchestrator.results.scan_lock import held, is_running
from exitpin.orchestrator.results.stored import Wanted
from exitpin.orchestrator.results.summary import summaries
from exitpin.orchestrator.results.sweep import Keep, sweep

from ..recorded import ids, reader, run_record, scan_record, verdict_record
from .proven import finding, honest, keep, scan

WRITER = Path(__file__).parent.parent / "programs" / "write_evidence.py"
DEADLINE_S = 60
LATER = 10_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A finding with its runs and its control, an honest verdict with a run, and a replay."""
    found = tmp_path / "results.sqlite"
    records, blobs = finding()
    page = pack(b"a page")
    run = run_record(9, key="k3", evidence=[exhibit("stdout", page)])
    replay = run_record(8, key="k1", role="replay")
    keep(
        found,
        [{**scan(), "evidence": [exhibit("consensus", blobs[0])]}, *records, honest(), run, replay],
        [*blobs, page],
    )
    return found


def pieces(path: Path) -> set[str]:
    return set(BlobFiles(blobs_directory(path)).names())


def is_consistent(path: Path) -> bool:
    with reader(path) as store:
        return not any(check_record(store, record).problems for record in store.query(Wanted()))


def test_what_a_record_or_a_scan_names_stays(path: Path) -> None:
    before = pieces(path)
    found = sweep(path)
    assert (found.pieces, found.runs, found.verdicts, found.scans) == (0, 0, 0, 0)
    assert pieces(path) == before


def test_evidence_that_nobody_names_goes_and_so_does_what_a_killed_writer_left(path: Path) -> None:
    blobs = BlobFiles(blobs_directory(path))
    before, orphan = pieces(path), pack(b"nobody's")
    blobs.write(orphan)
    half = blobs.path(orphan.sha256).with_name(f".{'a' * 62}.gz.0123456789abcdef")
    half.write_bytes(b"half")
    old, new = blobs.directory / ".trial-1", blobs.directory / ".trial-2"
    for trial in (old, new):
        trial.touch()
    os.utime(old, (1.0, 1.0))
    trial_found = sweep(path, is_trial=True)
    assert (trial_found.pieces, trial_found.leftovers, trial_found.leftover_bytes) == (1, 2, 4)
    assert half.exists() and orphan.sha256 in pieces(path), "a trial changes nothing"
    found = sweep(path)
    assert (found.pieces, found.piece_bytes, found.leftovers) == (1, len(orphan.packed), 2)
    assert pieces(path) == before
    assert [place.exists() for place in (half, old, new)] == [False, False, True]


@pytest.mark.parametrize("is_trial", [True, False])
@pytest.mark.parametrize("name", [".trial-1", f"aa/.{'a' * 62}.gz.0123456789abcdef", f"aa/{'a' * 62}.gz"])
def test_what_goes_while_it_is_looked_at_is_not_counted(path: Path, name: str, is_trial: bool) -> None:
    gone = blobs_directory(path) / name
    gone.parent.mkdir(exist_ok=True)
    gone.symlink_to("nowhere")  # it has a name, and is not there: as a file that a writer takes away in between
    found = sweep(path, is_trial=is_trial)
    assert (found.pieces, found.piece_bytes, found.leftovers, found.leftover_bytes) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("what", "stays"),
    [
        (Keep.VERDICTS, {"s1-v000000000001", "s1-v000000000002", "s-0001", "s-0002", "s1-0008"}),
        (Keep.FINDINGS, {"s1-v000000000001", "s-0001", "s-0002", "s1-0008"}),
        (Keep.NOTHING, set()),
    ],
)
def test_of_old_scans_stays_what_was_asked_for(what: Keep, stays: set[str], path: Path) -> None:
    trial = sweep(path, LATER, what, is_trial=True)
    assert len(ids(path)) == 6
    found = sweep(path, LATER, what)
    assert set(ids(path)) == stays
    assert (found.runs, found.verdicts, found.scans) == (trial.runs, trial.verdicts, 1)
    assert (found.pieces, found.piece_bytes) == (trial.pieces, trial.piece_bytes)
    assert found.record_bytes == trial.record_bytes > 0
    assert is_consistent(path)
    assert len(pieces(path)) == (4 if stays else 0)


def test_controls_that_only_a_run_of_a_finding_names_stay(path: Path) -> None:
    records, _ = finding()
    verdict, run, control = records
    run["controls"], verdict["controls"] = verdict["controls"], []
    keep(path, [verdict, run, control])
    sweep(path, LATER, Keep.FINDINGS)
    assert set(ids(path)) == {"s1-v000000000001", "s-0001", "s-0002", "s1-0008"}


def test_what_is_left_of_a_scan_decides_whether_it_is_listed(path: Path) -> None:
    sweep(path, LATER, Keep.FINDINGS)
    with reader(path) as store:
        assert [one.scan_id for one in summaries(store)] == ["s1"]
    sweep(path, LATER, Keep.NOTHING)
    with reader(path) as store:
        assert summaries(store) == []


def test_scans_that_ended_later_or_run_are_not_touched(path: Path) -> None:
    keep(path, [scan_record("s2", ended=LATER + 1), run_record(20, scan_id="s2")])
    keep(path, [scan_record("s3", state="running", ended=None), run_record(30, scan_id="s3")])
    with held(blobs_directory(path), "s3"):
        sweep(path, LATER, Keep.NOTHING)
    assert set(ids(path)) == {"s1-0020", "s1-0030"}
    sweep(path, LATER, Keep.NOTHING)
    assert set(ids(path)) == {"s1-0020"}, "a scan that was killed is no reason to wait"


def test_a_scan_goes_by_its_last_record_and_not_by_its_word(path: Path) -> None:
    keep(path, [scan_record("s2", ended=None, started=1.0), verdict_record(2, scan_id="s2", ended=LATER + 5)])
    sweep(path, LATER, Keep.NOTHING)
    assert ids(path) == ["s1-v0002"]


def test_names_of_locks_of_killed_scans_go_and_a_held_one_stays(path: Path) -> None:
    folder = blobs_directory(path)
    with held(folder, "s1"):
        (folder / "scans" / "s0.lock").touch()
        sweep(path)
        assert [place.name for place in (folder / "scans").iterdir()] == ["s1.lock"]
        assert is_running(folder, "s1")


def test_the_file_gets_smaller_when_much_of_it_is_free(path: Path) -> None:
    keep(path, [run_record(n, run_id=f"x-{n}", note="x" * 5000) for n in range(400)])
    found = sweep(path, LATER, Keep.FINDINGS)
    before, after = found.file_bytes
    assert before > 2_000_000 > 10 * after
    assert path.stat().st_size == after and found.free_bytes == 0
    assert is_consistent(path)


def test_records_of_whatever_form_name_what_they_name(path: Path) -> None:
    odd = [None, "events.gz", {"name": "x"}, {"sha256": None}, [], {}]
    keep(path, [run_record(40 + n, evidence=value) for n, value in enumerate([odd, None, "text", 7, {"a": 1}])])
    before = pieces(path)
    sweep(path)
    assert pieces(path) == before


def test_a_writer_waits_for_the_sweeper_and_the_sweeper_for_the_writer(path: Path) -> None:
    blobs = BlobFiles(blobs_directory(path))
    done = threading.Event()

    def run() -> None:
        sweep(path)
        done.set()

    with blobs.writing():
        thread = threading.Thread(target=run)
        thread.start()
        assert not done.wait(0.2)
    assert done.wait(DEADLINE_S)
    thread.join()


@pytest.mark.slow
def test_no_record_ever_names_a_piece_that_a_sweeper_took(path: Path) -> None:
    """The writer writes the same few pieces again and again, and takes their records away: pieces come and go."""
    writer = subprocess.Popen([sys.executable, str(WRITER), str(path), "3"], stdout=subprocess.PIPE, text=True)
    swept, deadline = 0, time.monotonic() + DEADLINE_S
    while writer.poll() is None:
        assert time.monotonic() < deadline
        swept += sweep(path, 2_000.0, Keep.NOTHING).pieces
    assert writer.communicate()[0].strip() == "written" and writer.returncode == 0
    assert swept > 0, "nothing was ever swept: the test shows nothing"
    with reader(path) as store:
        named = {str(item["sha256"]) for record in store.query(Wanted()) for item in exhibits(record)}
    assert named and named <= pieces(path)
    assert is_consistent(path)
