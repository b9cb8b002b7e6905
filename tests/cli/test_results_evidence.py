"""`exitpin results export`, `verify`, `bundle` and `gc`, as a user calls them."""

import gzip
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import EXIT_FAILED, EXIT_USAGE, OperatorError
from exitpin.orchestrator.results.blobs import BlobFiles, blobs_directory
from exitpin.orchestrator.results.exhibit import exhibit, pack

from ..orchestrator.recorded import ids, run_record, scan_record
from ..orchestrator.results.planted import ADDRESS, HIDDEN, PID, SECRET, planted_run, planted_scan, planted_verdict
from ..orchestrator.results.proven import finding, honest, keep, scan
from .calling import Call, calling
from .recorded_audit import HOSTILE

FINDING = "s1-v000000000001"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "results.sqlite"
    records, blobs = finding()
    keep(found, [scan(), *records, honest()], blobs)
    return found


@pytest.fixture
def call(path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    yield calling(capsys, "--store", str(path))


def pieces(path: Path) -> list[Path]:
    return sorted(blobs_directory(path).glob("*/*.gz"))


# export


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], [FINDING, "s1-v000000000002"]),
        (["--runs"], [FINDING, "s1-v000000000002", "s-0001", "s-0002"]),
        (["--status", "findings"], [FINDING]),
        (["--scan", "s1", "--tool", "tls-cert", "--since", "1970-01-01"], [FINDING, "s1-v000000000002"]),
        (["--tool", "other"], []),
    ],
)
def test_records_are_exported_as_lines_of_json(words: list[str], found: list[str], call: Call) -> None:
    said = call("export", *words)
    assert said.out.isascii()
    told = [json.loads(line) for line in said.out.splitlines()]
    assert sorted(record.get("verdict_id") or record["run_id"] for record in told) == sorted(found)


def test_a_file_is_the_users_alone_and_whole(tmp_path: Path, call: Call) -> None:
    file = tmp_path / "out.jsonl"
    said = call("export", "-o", str(file))
    assert (said.out, said.err) == ("", f"exitpin: 2 records in {file}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().splitlines()) == 2
    assert not list(tmp_path.glob(".out*"))


def test_nothing_that_was_planted_is_exported_in_public(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "planted.sqlite"
    keep(store, [planted_scan(), planted_verdict(), planted_run()])
    call = calling(capsys, "--store", str(store))
    whole, public = call("export", "--runs").out, call("export", "--runs", "--public").out
    words = (ADDRESS, *HIDDEN, str(PID), "127.0", "127.64")
    assert [word for word in words if word in whole]
    assert not [word for word in (*words, SECRET) if word in public]
    assert len(public.splitlines()) == 2


def test_parquet_has_a_column_for_each_of_the_store_and_the_record(path: Path, tmp_path: Path, call: Call) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "out.parquet"
    call("export", "--runs", "--format", "parquet", "-o", str(file))
    told = parquet.read_table(file).to_pylist()
    by_id = {row["record_id"]: row for row in told}
    assert len(told) == 4
    assert (by_id[FINDING]["status"], by_id[FINDING]["severity"], by_id[FINDING]["ended"]) == (
        "suspect",
        "high",
        1010.0,
    )
    assert json.loads(by_id["s-0001"]["record"])["run_id"] == "s-0001"


def test_without_pyarrow_the_user_is_told_what_to_install(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(OperatorError, match=r"`pip install pyarrow`") as caught:
        call("export", "--format", "parquet", "-o", str(tmp_path / "x"))
    assert caught.value.exit_status == EXIT_USAGE
    assert list(tmp_path.glob("*x*")) == []


def test_parquet_wants_a_file(call: Call) -> None:
    with pytest.raises(OperatorError, match="Name a file by -o"):
        call("export", "--format", "parquet")


def test_a_place_that_takes_no_file_is_said(call: Call) -> None:
    with pytest.raises(OperatorError, match="can't be written") as caught:
        call("export", "-o", "/proc/x.jsonl")
    assert caught.value.exit_status == EXIT_FAILED


# verify


def test_a_store_that_agrees_is_consistent(call: Call) -> None:
    said = call("verify")
    assert (said.status, said.err) == (0, "")
    assert said.out == (
        "consistent: 2 verdicts, 2 runs, 3 streams, 4 pieces of evidence rehashed;"
        " 1 runs of verdicts that accuse nobody are not there any more\n"
    )


@pytest.mark.parametrize(
    ("words", "summary"),
    [
        ([FINDING], "consistent: 1 verdicts, 2 runs, 3 streams, 4 pieces"),
        (["s-0002"], "consistent: 0 verdicts, 1 runs, 2 streams, 1 pieces"),
        (["--scan", "last"], "consistent: 2 verdicts, 2 runs, 3 streams, 4 pieces"),
    ],
)
def test_a_part_of_a_store_can_be_verified(words: list[str], summary: str, call: Call) -> None:
    said = call("verify", *words)
    assert said.status == 0 and said.out.startswith(summary)


def test_missing_and_damaged_evidence_is_named(path: Path, call: Call) -> None:
    first, second, *_ = pieces(path)
    first.unlink()
    second.write_bytes(gzip.compress(b"other"))
    said = call("verify")
    *problems, summary = said.out.splitlines()
    assert said.status == 1 and summary.startswith("inconsistent: ")
    assert all(line.startswith("INCONSISTENT s") for line in problems)
    assert any("is missing" in line for line in problems) and any(
        "is not what its name says" in line for line in problems
    )


def test_json_has_every_problem(path: Path, call: Call) -> None:
    for piece in pieces(path):
        piece.unlink()
    said = call("verify", "--json")
    told = json.loads(said.out)
    assert (said.status, told["result"], len(told["problems"]), told["pieces"]) == (1, "inconsistent", 4, 0)


def test_what_a_record_quotes_is_not_obeyed(path: Path, call: Call) -> None:
    keep(path, [run_record(7, run_id=HOSTILE, evidence=[{"name": HOSTILE, "sha256": HOSTILE}])])
    said = call("verify")
    assert said.status == 1
    assert all(line.isprintable() for line in said.out.splitlines())


def test_where_nothing_can_be_checked_nothing_is_called_consistent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "old.sqlite"
    keep(store, [run_record(1, evidence=["/somewhere/events.ndjson.gz"])])
    said = calling(capsys, "--store", str(store))("verify")
    assert said.status == 1
    assert said.out.startswith("unchecked: ") and "1 runs have no events: an earlier version kept none" in said.out


def test_a_piece_that_could_be_hashed_makes_no_run_consistent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, said_once = tmp_path / "old.sqlite", pack(b"whatever")
    keep(store, [run_record(1, evidence=["/somewhere/events.ndjson.gz", exhibit("stdout", said_once)])], [said_once])
    said = calling(capsys, "--store", str(store))("verify")
    assert (said.status, said.out.split(":")[0]) == (1, "unchecked")


def test_ids_and_a_scan_are_not_said_together(call: Call) -> None:
    with pytest.raises(OperatorError, match="not both"):
        call("verify", FINDING, "--scan", "last")


# bundle


@pytest.mark.parametrize("options", [[], ["--public"]])
def test_a_bundle_is_verified_without_its_store(
    options: list[str], path: Path, tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "finding.tar.gz"
    said = call("bundle", "-o", str(file), *options)
    assert said.err.startswith(f"exitpin: {file}: 1 verdicts, 2 runs, 4 pieces of evidence, ")
    path.unlink()
    said = calling(capsys)("verify", str(file))
    assert (said.status, said.out) == (
        0,
        "consistent: 1 verdicts, 2 runs, 3 streams, 4 pieces of evidence rehashed\n",
    )


@pytest.mark.parametrize(
    ("words", "verdicts"),
    [
        ([FINDING], 1),
        (["--status", "ok"], 1),
        (["--scan", "all", "--status", "ok,findings"], 2),
        (["s1-v000000000002"], 1),
    ],
)
def test_verdicts_are_chosen(words: list[str], verdicts: int, tmp_path: Path, call: Call) -> None:
    said = call("bundle", *words, "-o", str(tmp_path / "x.tar.gz"))
    assert f"x.tar.gz: {verdicts} verdicts" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--status", "skipped"], "there is no verdict like that"),
        (["s-0001"], "s-0001 is a run"),
        (["nobody"], "there is no record nobody"),
        ([FINDING, "--scan", "last"], "not both"),
    ],
)
def test_a_choice_that_is_none_is_refused(words: list[str], sentence: str, tmp_path: Path, call: Call) -> None:
    with pytest.raises(OperatorError, match=sentence):
        call("bundle", *words, "-o", str(tmp_path / "x.tar.gz"))
    assert not list(tmp_path.glob("*.gz"))


def test_a_bundle_that_is_none_gets_one_sentence(tmp_path: Path, call: Call) -> None:
    file = tmp_path / "x.tar.gz"
    file.write_bytes(b"hello")
    with pytest.raises(OperatorError, match="is no bundle, or a damaged one") as caught:
        call("verify", str(file))
    assert caught.value.exit_status == EXIT_USAGE


# gc


def test_gc_says_what_would_go_and_then_what_went(path: Path, call: Call) -> None:
    BlobFiles(blobs_directory(path)).write(pack(b"nobody's"))
    said = call("gc", "--dry-run", "--older-than", "1d", "--keep", "findings")
    assert said.out.splitlines()[:2] == [
        "would go: 1 verdicts and 0 runs of 1 scans (907 bytes)".replace("907", said.out.split("(")[1].split()[0]),
        f"would go: 1 pieces of evidence that no record names ({len(pack(b'''nobody's''').packed)} bytes)",
    ]
    assert len(ids(path)) == 4
    said = call("gc", "--older-than", "1d", "--keep", "findings")
    assert said.out.startswith("removed: 1 verdicts and 0 runs of 1 scans")
    assert sorted(ids(path)) == ["s-0001", "s-0002", FINDING]
    assert call("verify").status == 0


def test_findings_go_only_when_that_is_said(path: Path, call: Call) -> None:
    for words in ([], ["--keep", "verdicts"], ["--keep", "findings"]):
        call("gc", "--older-than", "1d", *words)
        assert FINDING in ids(path)
    told = json.loads(call("gc", "--older-than", "1d", "--even-findings", "--json").out)
    assert (told["dry_run"], told["verdicts"], told["runs"], told["pieces"]) == (False, 1, 2, 4)
    assert ids(path) == [] and pieces(path) == []


def test_without_an_age_no_record_goes(path: Path, call: Call) -> None:
    call("gc")
    assert len(ids(path)) == 4
    for words in (["--keep", "findings"], ["--even-findings"]):
        with pytest.raises(OperatorError, match="Say --older-than"):
            call("gc", *words)


def test_gc_makes_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "none.sqlite"
    with pytest.raises(OperatorError, match="nothing was recorded yet"):
        calling(capsys, "--store", str(store))("gc")
    assert not store.exists()


def test_a_scan_is_shown_with_its_state(path: Path, call: Call) -> None:
    keep(path, [scan_record("s2", state="running", started=5000.0, planned=9)])
    assert call("list", "--scans").cells()[0][-2:] == ["killed", "0/9"]
