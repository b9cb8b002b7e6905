"""A bundle: made the same way twice, checked by itself, and refused when it is anything else."""

import gzip
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.results import bundling, unbundling
from exitpin.orchestrator.results.bundle import ABOUT, ITEMS_MAX, README, RECORDS, SCANS, allowance
from exitpin.orchestrator.results.exhibit import pack
from exitpin.orchestrator.results.stored import Reader

from ..recorded import reader
from .bundled import Members, bundled, checked, members, other, packed, without
from .planted import ADDRESS, HIDDEN, SECRET, planted_run, planted_scan, planted_verdict
from .proven import OUTPUT, finding, honest, keep, scan


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Reader]:
    records, blobs = finding()
    keep(tmp_path / "results.sqlite", [scan(), *records, honest()], blobs)
    with reader(tmp_path / "results.sqlite") as found:
        yield found


def test_a_bundle_holds_all_that_a_finding_rests_on_and_is_consistent(store: Reader, tmp_path: Path) -> None:
    found = checked(tmp_path, bundled(store))
    assert found.problems == ()
    assert (found.verdicts, found.runs, found.streams, found.pieces, found.gone) == (1, 2, 3, 4, 0)


def test_the_same_choice_makes_the_same_bytes_in_order_and_without_an_owner(store: Reader) -> None:
    bundle = bundled(store, "s1-v000000000001", "s1-v000000000002")
    assert bundle == bundled(store, "s1-v000000000002", "s1-v000000000001", "s1-v000000000001")
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        found = archive.getmembers()
    assert [info.name for info in found] == sorted(info.name for info in found)
    assert {(i.mtime, i.uid, i.gid, i.uname, i.gname, i.mode) for i in found} == {(0, 0, 0, "", "", 0o644)}


def test_a_third_person_is_told_what_it_is_and_that_it_proves_nothing(store: Reader) -> None:
    text = members(bundled(store))[README].decode("ascii")
    assert "exitpin results verify THIS_FILE" in text
    assert "CONSISTENT, not PROVEN" in text and "Nobody signed anything" in text
    assert "1 verdict from 2 runs, with 4 pieces of evidence" in text
    assert "may tell the machine's own address" in text
    assert text.isprintable() or all(line.isprintable() for line in text.splitlines())
    assert "relays before the exit" in members(bundled(store, is_public=True))[README].decode()


def test_a_public_bundle_is_consistent_by_itself_too(store: Reader, tmp_path: Path) -> None:
    found = checked(tmp_path, bundled(store, is_public=True))
    assert (found.problems, found.runs, found.streams) == ((), 2, 3)


def test_nothing_that_was_planted_is_in_a_public_bundle(tmp_path: Path) -> None:
    path = tmp_path / "planted.sqlite"
    run, verdict = planted_run(), planted_verdict()
    events, said = b'{"schema":"exitpin.events/1"}\n', f"{ADDRESS} {SECRET}".encode()
    blobs = [pack(events), pack(said)]
    run["evidence"] += [{"name": "stderr", "sha256": blobs[1].sha256, "size_bytes": len(said), "is_cut": False}]
    for record in (run, verdict):
        record["evidence"][0].update(sha256=blobs[0].sha256, size_bytes=len(events))
    direct = {**planted_run(), "run_id": "s1-0007", "exit": {"fingerprint": "0" * 40}, "evidence": run["evidence"]}
    keep(path, [planted_scan(), verdict, run, direct], blobs)
    with reader(path) as store:
        told = members(bundled(store, verdict["verdict_id"], is_public=True))
    whole = b"".join(gzip.decompress(c) if name.endswith(".gz") else c for name, c in told.items()).decode()
    assert not [word for word in (ADDRESS, SECRET, *HIDDEN) if word in whole]
    assert [json.loads(line)["run_id"] for line in told[RECORDS].splitlines()[1:]] == ["s1-0001"]


def test_evidence_that_is_missing_is_no_bundle(store: Reader) -> None:
    next(iter(store.blobs.directory.glob("*/*.gz"))).unlink()
    with pytest.raises(OperatorError, match=r"is missing\. Nothing was written"):
        bundled(store)


REFUSED: dict[str, tuple[Callable[[Members], Members], str]] = {
    "a path that leads out": (lambda m: other(m, "../evil", b"x"), "has no place in one"),
    "an absolute path": (lambda m: other(m, "/tmp/evil", b"x"), "has no place in one"),
    "a piece with a path": (lambda m: other(m, f"evidence/ab/../{'a' * 59}.gz", b"x"), "has no place in one"),
    "a name in capitals": (lambda m: other(m, f"evidence/AB/{'a' * 62}.gz", b"x"), "has no place in one"),
    "no list": (lambda m: without(m, SCANS), "parts of it are missing"),
    "no bundle.json": (lambda m: without(m, ABOUT), "does not begin with bundle.json"),
    "bundle.json at the end": (lambda m: other(without(m, ABOUT), ABOUT, m[ABOUT]), "does not begin with"),
    "another schema": (lambda m: {**m, ABOUT: b'{"schema": "other/1"}'}, "has no schema exitpin.bundle/1"),
    "no JSON": (lambda m: {**m, ABOUT: b"[" * 100_000}, "has no schema exitpin.bundle/1"),
    "the future": (lambda m: {**m, ABOUT: b'{"schema": "exitpin.bundle/7"}'}, r"a newer exitpin made it \(version 7"),
    "nothing": (lambda m: {}, "parts of it are missing"),
    "a large text": (lambda m: {**m, README: b" " * (2 << 20)}, "larger than anything"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_place_in_a_bundle_is_refused(name: str, store: Reader, tmp_path: Path) -> None:
    change, sentence = REFUSED[name]
    with pytest.raises(OperatorError, match=sentence):
        checked(tmp_path, packed(change(members(bundled(store)))))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, tarfile.XHDTYPE])
def test_what_is_no_plain_file_is_refused(kind: bytes, store: Reader, tmp_path: Path) -> None:
    def change(info: tarfile.TarInfo) -> None:
        if info.name == RECORDS:
            info.type, info.linkname = kind, "/etc/passwd"

    with pytest.raises(OperatorError, match=r"is no plain file|no bundle"):
        checked(tmp_path, packed(members(bundled(store)), change))


def test_a_member_twice_is_refused(store: Reader, tmp_path: Path) -> None:
    with gzip.open(io.BytesIO(bundled(store))) as file:
        tar = file.read()
    end = tar.rstrip(b"\0")
    start = tar.rindex(SCANS.encode())
    double = end.ljust(-(-len(end) // 512) * 512, b"\0") + tar[start:]
    with pytest.raises(OperatorError, match=r"it has 'scans\.ndjson' twice"):
        checked(tmp_path, gzip.compress(double))


@pytest.mark.parametrize("content", [b"x", b"\0" * (2 << 20)])
def test_what_follows_the_end_is_refused(content: bytes, store: Reader, tmp_path: Path) -> None:
    with gzip.open(io.BytesIO(bundled(store))) as file:
        tar = file.read()
    with pytest.raises(OperatorError, match="something follows its end"):
        checked(tmp_path, gzip.compress(tar + content))


@pytest.mark.parametrize(
    "content", [b"", b"hello", gzip.compress(b"hello", mtime=0), gzip.compress(b"x" * 4096, mtime=0)]
)
def test_what_is_no_archive_is_refused_with_a_sentence(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"is no bundle, or a damaged one|parts of it are missing"):
        checked(tmp_path, content)


def test_a_bundle_that_was_cut_off_is_refused_wherever_that_was(store: Reader, tmp_path: Path) -> None:
    bundle = bundled(store)
    for length in range(0, len(bundle), len(bundle) // 40):
        with pytest.raises(OperatorError):
            checked(tmp_path, bundle[:length])


def test_a_small_file_does_not_fill_the_disk(store: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unbundling, "allowance", lambda size: allowance(size)._replace(unpacked_bytes=1 << 20))
    bomb = packed({**members(bundled(store)), f"evidence/ab/{'a' * 62}.gz": bytes(2 << 20)})
    with pytest.raises(OperatorError, match="it is too large"):
        checked(tmp_path, bomb)


def test_nothing_is_left_behind(store: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    checked(tmp_path, bundled(store))
    with pytest.raises(OperatorError):
        checked(tmp_path, packed({"../evil": b"x"}))
    assert list(scratch.iterdir()) == []


def test_output_of_an_exit_is_in_it_as_it_was(store: Reader) -> None:
    pieces = [gzip.decompress(content) for name, content in members(bundled(store)).items() if name.endswith(".gz")]
    assert OUTPUT in pieces


def test_what_could_not_be_checked_is_not_bundled(store: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, limit, sentence in (
        ("ALL_MAX", 100, "their evidence has more than 100 bytes"),
        ("LINE_MAX", 100, "s1-v000000000001 is larger than 100 bytes"),
    ):
        with monkeypatch.context() as patch, pytest.raises(OperatorError, match=sentence):
            patch.setattr(bundling, name, limit)
            bundled(store)
    for limit in ({"records": 2}, {"parsed_bytes": 100}, {"named": 2}, {"unpacked_bytes": 100}, {"members": 3}):
        with (
            monkeypatch.context() as patch,
            pytest.raises(OperatorError, match="more than a file of its size may hold"),
        ):
            patch.setattr(bundling, "allowance", lambda size, limit=limit: allowance(size)._replace(**limit))
            bundled(store)
    monkeypatch.setitem(ITEMS_MAX, "controls", 1)
    with pytest.raises(OperatorError, match="s1-v000000000001 has more than 1 controls"):
        bundled(store)
