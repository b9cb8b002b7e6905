"""A bundle: made the same way twice, checked by itself, and refused when it is anything else."""

import gzip
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.results import unbundling
from exitpin.orchestrator.results.bundle import ABOUT, README, RECORDS, SCANS
from exitpin.orchestrator.results.bundling import write_bundle
from exitpin.orchestrator.results.check import Checked
from exitpin.orchestrator.results.exhibit import pack
from exitpin.orchestrator.results.stored import Reader
from exitpin.orchestrator.results.unbundling import check_bundle

from ..recorded import reader
from .planted import ADDRESS, HIDDEN, SECRET, planted_run, planted_scan, planted_verdict
from .proven import OUTPUT, finding, honest, keep, scan

Members = dict[str, bytes]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Reader]:
    records, blobs = finding()
    keep(tmp_path / "results.sqlite", [scan(), *records, honest()], blobs)
    with reader(tmp_path / "results.sqlite") as found:
        yield found


def bundled(store: Reader, *ids: str, is_public: bool = False) -> bytes:
    file = io.BytesIO()
    write_bundle(file, store, ids or ("s1-v000000000001",), is_public=is_public, exitpin="0.1.0")
    return file.getvalue()


def members(bundle: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        return {info.name: archive.extractfile(info).read() for info in archive}  # type: ignore[union-attr]


def packed(told: Members, change: Callable[[tarfile.TarInfo], object] | None = None) -> bytes:
    """An archive of these members; `change`: what to do to each header."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in told.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change is not None:
                change(info)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def checked(tmp_path: Path, bundle: bytes) -> Checked:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(bundle)
    total = Checked()
    for found in check_bundle(path):
        total.add(found)
    return total


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


def other(told: Members, name: str, content: bytes) -> Members:
    """The same with this member as the last one."""
    return {**told, name: content}


def without(told: Members, name: str) -> Members:
    return {n: content for n, content in told.items() if n != name}


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


@pytest.mark.parametrize("content", [b"", b"hello", gzip.compress(b"hello"), gzip.compress(b"x" * 4096)])
def test_what_is_no_archive_is_refused_with_a_sentence(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"is no bundle, or a damaged one|parts of it are missing"):
        checked(tmp_path, content)


def test_a_bundle_that_was_cut_off_is_refused_wherever_that_was(store: Reader, tmp_path: Path) -> None:
    bundle = bundled(store)
    for length in range(0, len(bundle), len(bundle) // 40):
        with pytest.raises(OperatorError):
            checked(tmp_path, bundle[:length])


def test_a_small_file_does_not_fill_the_disk(store: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unbundling, "ALL_MAX", 1 << 20)
    bomb = packed({**members(bundled(store)), f"evidence/ab/{'a' * 62}.gz": bytes(2 << 20)})
    with pytest.raises(OperatorError, match="it is too large"):
        checked(tmp_path, bomb)
    monkeypatch.setattr(unbundling, "MEMBERS_MAX", 3)
    with pytest.raises(OperatorError, match="too many members"):
        checked(tmp_path, bundled(store))


def test_nothing_is_left_behind(store: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    checked(tmp_path, bundled(store))
    with pytest.raises(OperatorError):
        checked(tmp_path, packed({"../evil": b"x"}))
    assert list(scratch.iterdir()) == []


def lines(told: Members) -> list[Any]:
    return [json.loads(line) for line in told[RECORDS].splitlines()]


def forged(told: Members, records: list[Any]) -> Members:
    return {**told, RECORDS: b"".join(json.dumps(record).encode() + b"\n" for record in records)}


def accused_another(told: Members) -> Members:
    verdict, *runs = lines(told)
    return forged(told, [{**verdict, "exit": {"fingerprint": "F" * 40}}, *runs])


DISAGREEING: dict[str, tuple[Callable[[Members], Members], str]] = {
    "another exit": (accused_another, "went through"),
    "a list that was changed": (lambda m: {**m, SCANS: m[SCANS] * 2}, "is not the list that bundle.json tells of"),
    "a run left out": (lambda m: forged(m, lines(m)[:-1]), "is missing"),
    "a run twice": (lambda m: forged(m, [*lines(m), lines(m)[-1]]), "has two records"),
    "a line that is none": (lambda m: {**m, RECORDS: m[RECORDS] + b"[1]\n"}, "line 4 of records.ndjson is no record"),
    "a line that is deep": (lambda m: {**m, RECORDS: m[RECORDS] + b"[" * 100_000 + b"\n"}, "is no record"),
    "a piece too many": (lambda m: other(m, f"evidence/ab/{'a' * 62}.gz", b"x"), "1 pieces that no record names"),
    "a piece that is another": (
        lambda m: {n: gzip.compress(b"x") if n.startswith("evidence") else c for n, c in m.items()},
        "is not what its name says",
    ),
    "a piece that is none": (
        lambda m: {n: b"x" if n.startswith("evidence") else c for n, c in m.items()},
        "can't be read",
    ),
    "a piece left out": (lambda m: {n: c for n, c in m.items() if not n.startswith("evidence")}, "is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", DISAGREEING)
def test_what_does_not_agree_is_named(name: str, store: Reader, tmp_path: Path) -> None:
    change, sentence = DISAGREEING[name]
    problems = checked(tmp_path, packed(change(members(bundled(store))))).problems
    assert any(sentence in problem for problem in problems), problems


def test_output_of_an_exit_is_in_it_as_it_was(store: Reader) -> None:
    pieces = [gzip.decompress(content) for name, content in members(bundled(store)).items() if name.endswith(".gz")]
    assert OUTPUT in pieces
