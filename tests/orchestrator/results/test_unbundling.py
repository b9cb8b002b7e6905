"""What a stranger wrote into a bundle: what does not agree is named, and nobody is kept busy by it."""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.results import unbundling
from exitpin.orchestrator.results.blobs import BlobFiles
from exitpin.orchestrator.results.bundle import ABOUT, README, RECORDS, SCANS, allowance
from exitpin.orchestrator.results.rows import RUN
from exitpin.orchestrator.results.stored import Reader

from ..recorded import reader
from ..values import EXIT
from .bundled import Members, bundled, checked, forged, lines, members, other, packed
from .proven import finding, honest, keep, scan


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Reader]:
    records, blobs = finding()
    keep(tmp_path / "results.sqlite", [scan(), *records, honest()], blobs)
    with reader(tmp_path / "results.sqlite") as found:
        yield found


def accused_another(told: Members) -> Members:
    verdict, *runs = lines(told)
    return forged(told, [{**verdict, "exit": {"fingerprint": "F" * 40}}, *runs])


def told(members: Members, changes: dict[str, object]) -> Members:
    """The same with another `bundle.json`."""
    return {**members, ABOUT: json.dumps({**json.loads(members[ABOUT]), **changes}).encode()}


def rescanned(members: Members, *scans: object) -> Members:
    """The same with other scans, of which `bundle.json` knows."""
    content = b"".join(json.dumps(scan).encode() + b"\n" for scan in scans)
    hashes = {**json.loads(members[ABOUT])["hashes"], SCANS: hashlib.sha256(content).hexdigest()}
    return told({**members, SCANS: content}, {"hashes": hashes, "scans": len(scans)})


def unproven(members: Members) -> Members:
    """The same with nothing that proves whose the accusing run was, or says of which version it is."""
    verdict, accuser, *rest = lines(members)
    kept = [item for item in accuser["evidence"] if item["name"] != "events"]
    del verdict["interrupted"]
    return forged(members, [verdict, {**accuser, "evidence": [*kept, "/somewhere/events"], "streams": []}, *rest])


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
    "an accuser without events": (unproven, "it accuses by run s-0001, of which no events were kept"),
    "more runs than there are": (lambda m: told(m, {"runs": 7}), "bundle.json tells of 7 runs, there are 2"),
    "no count of verdicts": (lambda m: told(m, {"verdicts": None}), "tells of None verdicts, there are 1"),
    "fewer pieces": (lambda m: told(m, {"pieces": 3}), "tells of 3 pieces, there are 4"),
    "another count of scans": (lambda m: told(m, {"scans": "1"}), "tells of '1' scans, there are 1"),
    "a verdict twice": (lambda m: forged(m, [*lines(m), lines(m)[0]]), "s1-v000000000001: it has two records"),
    "no scan": (rescanned, "its scan 's1' is missing"),
    "a scan twice": (lambda m: rescanned(m, scan(), scan()), "s1: it has two records"),
    "a scan that is none": (lambda m: rescanned(m, scan(), {"scan_id": "s1"}), "line 2 of scans.ndjson is no scan"),
    "a scan that was planned otherwise": (lambda m: rescanned(m, {**scan(), "planned": 9}), "9 verdicts were planned"),
    "a scan of others": (lambda m: rescanned(m, {**scan(), "exits": ["A", "B"]}), "its exit is none of its scan"),
    "a scan of other tools": (
        lambda m: rescanned(m, {**scan(), "tools": [{"id": "x"}]}),
        "its tool is none of its scan",
    ),
    "a scan whose tools are none": (lambda m: rescanned(m, {**scan(), "tools": ["x"] }), "its scan can't be read"),
    "a run that nothing rests on": (
        lambda m: forged(m, [*lines(m), {**lines(m)[1], "run_id": "s-0007"}]),
        "it holds 1 runs that nothing rests on",
    ),
    "a question that was answered twice": (
        lambda m: forged(m, [*lines(m), {**lines(m)[0], "verdict_id": "s1-v7"}]),
        "s1-v7: it has two records",
    ),
    "a record of another kind": (
        lambda m: forged(m, [{**lines(m)[0], "schema": "exitpin.verdict/2"}, *lines(m)[1:]]),
        "line 1 of records.ndjson is no record",
    ),
    "a name that stands twice": (
        lambda m: {**m, RECORDS: m[RECORDS].replace(b'"blame"', b'"blame": "target", "blame"')},
        "line 1 of records.ndjson is no record",
    ),
    "a number that is none": (
        lambda m: {**m, RECORDS: m[RECORDS].replace(b'"lied": 1', b'"lied": NaN')},
        "line 1 of records.ndjson is no record",
    ),
    "a text that accuses another": (
        lambda m: {**m, README: m[README].replace(EXIT.encode(), b"F" * 40)},
        "README.txt names other findings",
    ),
    "a text that accuses one more": (
        lambda m: {**m, README: m[README] + b"\n  tampered tls-cert " + b"F" * 40 + b": 'a lie'\n"},
        "README.txt names other findings",
    ),
    "a scan of another network": (
        lambda m: rescanned(m, {**scan(), "vantage": {"kind": "lab", "name": "x"}}),
        "its network is not that of its scan",
    ),
    "a scan that asked something else": (
        lambda m: rescanned(m, {**scan(), "tools": [{**scan()["tools"][0], "params": {"host": "x"}}]}),
        "its tool is none of its scan",
    ),
    "a piece left out": (lambda m: {n: c for n, c in m.items() if not n.startswith("evidence")}, "is missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", DISAGREEING)
def test_what_does_not_agree_is_named(name: str, store: Reader, tmp_path: Path) -> None:
    change, sentence = DISAGREEING[name]
    problems = checked(tmp_path, packed(change(members(bundled(store))))).problems
    assert any(sentence in problem for problem in problems), problems


EXCESSIVE: dict[str, tuple[Callable[[Members], Members], str]] = {
    "pieces": (lambda m: forged(m, [{"run_id": "x", "evidence": [{}] * 201}]), "line 1 of .* more than 200 evidence"),
    "runs": (lambda m: forged(m, [{"verdict_id": "x", "runs": [{}] * 1001}]), "has more than 1,000 runs"),
    "controls": (lambda m: forged(m, [{"verdict_id": "x", "controls": [1] * 1001}]), "has more than 1,000 controls"),
    "streams": (lambda m: forged(m, [{"run_id": "x", "streams": [1] * 10_001}]), "has more than 10,000 streams"),
    "a name": (lambda m: forged(m, [{"run_id": "x" * 999}]), "has a name of more than 200 characters"),
    "a line": (lambda m: {**m, RECORDS: b" " * (17 << 20)}, "a line of it has more than 16,777,216 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", EXCESSIVE)
def test_a_record_that_names_more_than_any_does_is_refused(name: str, store: Reader, tmp_path: Path) -> None:
    change, sentence = EXCESSIVE[name]
    with pytest.raises(OperatorError, match=f"is no bundle that can be checked: .*{sentence}"):
        checked(tmp_path, packed(change(members(bundled(store)))))


def test_a_small_bundle_does_not_keep_anybody_busy(
    store: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit, sentence in (
        ("ALL_MAX", 100, "its evidence has more than 100 bytes, unpacked"),
        ("SCANS_MAX", 0, "it has more than 0 scans"),
    ):
        with monkeypatch.context() as patch, pytest.raises(OperatorError, match=sentence):
            patch.setattr(unbundling, name, limit)
            checked(tmp_path, bundled(store))


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        ({"unpacked_bytes": 100}, "it is too large"),
        ({"members": 3}, "it has too many members"),
        ({"records": 2}, "it has more than 2 records"),
        ({"parsed_bytes": 100}, "its events and facts have more than 100 bytes, for a file of its size"),
        ({"again_bytes": 100}, "its verdicts name more than 100 bytes of runs"),
        ({"named": 2}, "its records name more than 2 runs and controls"),
    ],
)
def test_what_may_be_read_has_a_limit_by_the_size_of_the_file(
    limit: dict[str, int], sentence: str, store: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unbundling, "allowance", lambda size: allowance(size)._replace(**limit))
    with pytest.raises(OperatorError, match=sentence):
        checked(tmp_path, bundled(store))


def test_many_names_of_one_piece_cost_no_more_than_one(
    store: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = BlobFiles.read
    monkeypatch.setattr(BlobFiles, "read", lambda self, sha256: asked.append(sha256) or read(self, sha256))
    said = next(item for item in lines(members(bundled(store)))[1]["evidence"] if item["name"] == "stdout")
    asked.clear()
    many = [{"schema": RUN, "run_id": f"x-{number}", "evidence": [said] * 100} for number in range(20)]
    assert checked(tmp_path, packed(forged(members(bundled(store)), many))).pieces == 2000
    assert asked.count(said["sha256"]) == 2  # once to be bundled
