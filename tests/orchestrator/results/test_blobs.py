"""Evidence on disk: what is there is whole, is what its name says, and is never swept from under a record."""

import gzip
import multiprocessing
import os
import resource
import stat
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.results.blobs import BlobFiles, blobs_directory
from exitpin.orchestrator.results.exhibit import BlobError, Exhibit, exhibits, pack

CONTENT = b"what an exit gave\x00\xff" * 100


@pytest.fixture
def files(tmp_path: Path) -> BlobFiles:
    found = BlobFiles(blobs_directory(tmp_path / "results.sqlite"))
    found.prepare()
    return found


def test_what_is_written_is_read_back_and_named_by_its_content(files: BlobFiles) -> None:
    blob = pack(CONTENT)
    files.write(blob)
    assert files.read(blob.sha256) == CONTENT
    assert list(files.names()) == [blob.sha256]
    assert gzip.decompress(files.path(blob.sha256).read_bytes()) == CONTENT
    assert files.directory.name == "results.sqlite.evidence"


def test_the_same_content_is_kept_once_and_packed_alike(files: BlobFiles) -> None:
    assert pack(CONTENT) == pack(CONTENT)
    files.write(pack(CONTENT))
    before = files.path(pack(CONTENT).sha256).stat()
    files.write(pack(CONTENT))
    assert os.path.samestat(before, files.path(pack(CONTENT).sha256).stat())


def test_only_its_owner_may_read_it(files: BlobFiles) -> None:
    blob = pack(CONTENT)
    files.write(blob)
    place = files.path(blob.sha256)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == stat.S_IMODE(files.directory.stat().st_mode) == 0o700


def test_a_write_that_fails_leaves_nothing(files: BlobFiles) -> None:
    blob = pack(CONTENT)
    files.path(blob.sha256).parent.mkdir()
    files.path(blob.sha256).parent.joinpath("in-the-way").touch()

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            files.write(blob)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in files.path(blob.sha256).parent.iterdir()] == ["in-the-way"]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda place: place.unlink(), "is missing"),
        (lambda place: place.write_bytes(gzip.compress(b"other")), "is not what its name says"),
        (lambda place: place.write_bytes(b"\x1f\x8bgarbage"), "can't be read"),
        (lambda place: place.write_bytes(place.read_bytes()[:-20]), "can't be read"),
        (lambda place: place.write_bytes(b""), "is not what its name says"),
    ],
)
def test_what_is_not_there_or_not_whole_is_said(files: BlobFiles, spoil: object, why: str) -> None:
    blob = pack(CONTENT)
    files.write(blob)
    spoil(files.path(blob.sha256))  # type: ignore[operator]
    with pytest.raises(BlobError, match=why):
        files.read(blob.sha256)


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "ab", "A" * 64, "0" * 63 + "/", "0" * 65])
def test_a_name_is_never_a_path(files: BlobFiles, name: str) -> None:
    with pytest.raises(BlobError, match="names no piece"):
        files.read(name)


def test_a_piece_that_unpacks_without_end_is_refused(files: BlobFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exitpin.orchestrator.results.blobs.CONTENT_MAX", 1 << 20)
    blob = pack(bytes(4 << 20))
    files.write(blob)
    with pytest.raises(BlobError, match="larger than any piece"):
        files.read(blob.sha256)


def test_a_folder_that_takes_nothing_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    tmp_path.joinpath("results.sqlite.evidence").touch()
    with pytest.raises(OperatorError, match=r"evidence can't be kept in .*Nothing was started"):
        BlobFiles(tmp_path / "results.sqlite.evidence").prepare()


def _sweep(directory: Path, started: object, done: object) -> None:
    started.set()  # type: ignore[attr-defined]
    with BlobFiles(directory).sweeping():
        done.set()  # type: ignore[attr-defined]


def test_who_sweeps_waits_for_who_writes_and_writers_wait_for_nobody_but_him(files: BlobFiles) -> None:
    context = multiprocessing.get_context("spawn")  # a fork would hold the locks, too
    started, done = context.Event(), context.Event()
    with files.writing(), files.writing():
        sweeper = context.Process(target=_sweep, args=(files.directory, started, done))
        sweeper.start()
        assert started.wait(20)
        assert not done.wait(0.2)
    assert done.wait(20)
    sweeper.join(20)
    assert sweeper.exitcode == 0


def test_a_record_names_pieces_and_files_of_the_callers_stand_beside_them() -> None:
    told = Exhibit("events", pack(CONTENT), is_cut=True).told()
    assert told == {"name": "events", "sha256": pack(CONTENT).sha256, "size_bytes": len(CONTENT), "is_cut": True}
    record = {"evidence": [told, {"name": "events", "file": "/e.gz"}, "/old.gz", None]}
    assert list(exhibits(record)) == [told]
    assert list(exhibits({})) == []
    assert Exhibit("x", pack(b"y")).kept().blob.packed == b""
