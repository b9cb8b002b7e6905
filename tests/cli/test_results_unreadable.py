"""A store in which one record can't be read: what the others say is heard all the same."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import main
from exitpin.orchestrator.errors import EXIT_FAILED

from ..orchestrator.results.proven import finding, honest, keep, scan
from ..orchestrator.values import EXIT
from .calling import Said

FINDING, HONEST, RUN, CONTROL = "s1-v000000000001", "s1-v000000000002", "s-0001", "s-0002"
BAD = ['{"bad', "[]", "7", "", '{"a":' * 50_000]
NO_TEXT = b'{"\xff":1}'  # to SQLite it is JSON
SENTENCE = "can't be read: "


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "results.sqlite"
    records, blobs = finding()
    keep(found, [scan(), *records, honest()], blobs)
    return found


@pytest.fixture(params=BAD, ids=range(len(BAD)))
def bad(request: pytest.FixtureRequest) -> str | bytes:
    return request.param  # type: ignore[no-any-return]


def damage(path: Path, name: str, text: str | bytes, table: str = "runs", column: str = "record") -> None:
    with closing(sqlite3.connect(path)) as store, store:
        name_of = "scan_id" if table == "scans" else "record_id"
        store.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE {name_of} = ?", (text, name))


def call(capsys: pytest.CaptureFixture[str], path: Path, *words: str) -> Said:
    status = main([*words, "--store", str(path)])
    said = capsys.readouterr()
    return Said(status, said.out, said.err)


def told(name: str, said: Said) -> int:
    """How often that is said of a record."""
    return said.err.count(f"record {name} {SENTENCE}")


@pytest.mark.parametrize("bad", [*BAD, NO_TEXT], ids=range(len(BAD) + 1))
@pytest.mark.parametrize("name", [FINDING, HONEST, RUN, CONTROL])
def test_it_is_a_disagreement_and_the_rest_is_checked(
    name: str, bad: str | bytes, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(path, name, bad)
    said = call(capsys, path, "results", "verify")
    assert (said.status, said.err) == (1, "")
    assert f"INCONSISTENT {name}: its record {SENTENCE}" in said.out
    assert said.out.splitlines()[-1].startswith("inconsistent: ")


def test_so_it_is_where_it_is_named_or_belongs_to_what_is(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(path, CONTROL, BAD[0])
    for name in (CONTROL, FINDING):
        said = call(capsys, path, "results", "verify", name)
        assert (said.status, said.err) == (1, "") and f"INCONSISTENT {CONTROL}: its record {SENTENCE}" in said.out


def test_a_scan_that_can_t_be_read_is_one_too(bad: str | bytes, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(path, "s1", bad, "scans", "scan")
    said = call(capsys, path, "results", "verify")
    assert said.status == 1 and f"INCONSISTENT s1: its record {SENTENCE}" in said.out
    for words in (["list"], ["list", "--scans"], ["show", FINDING], ["diff", "s1", "s1"], ["history", EXIT]):
        call(capsys, path, "results", *words)
    for words in (["html"], ["email", FINDING], ["prom"], ["status"]):
        call(capsys, path, "report", *words)


LISTS = [
    ["results", "list"], ["results", "list", "--json"], ["results", "list", "--scan", "all", "--runs"],
    ["results", "export", "--runs"], ["report", "html"],
]  # fmt: skip


@pytest.mark.parametrize("bad", [*BAD, NO_TEXT], ids=range(len(BAD) + 1))
@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_lists_leave_it_out_and_say_so_once(
    words: list[str], bad: str | bytes, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = CONTROL if "--runs" in words and "list" in words else HONEST
    damage(path, name, bad)
    said = call(capsys, path, *words)
    assert (said.status, told(name, said)) == (0, 1)
    assert said.out and f"{name}\n" not in said.out
    assert "`exitpin results verify` tells more." in said.err


@pytest.mark.parametrize("words", [["results", "show"], ["results", "show", "--json"], ["report", "email"], ["replay"]])
def test_who_asks_for_it_alone_is_refused(
    words: list[str], bad: str | bytes, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(path, FINDING, bad)
    said = call(capsys, path, *words, FINDING)
    assert (said.status, said.out, told(FINDING, said)) == (EXIT_FAILED, "", 1)


@pytest.mark.parametrize("words", [["results", "show"], ["report", "email"]])
def test_a_verdict_is_shown_without_a_run_that_can_t_be_read(
    words: list[str], bad: str | bytes, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(path, RUN, bad)
    said = call(capsys, path, *words, FINDING)
    assert (said.status, told(RUN, said)) == (0, 1) and said.out


@pytest.mark.parametrize("words", [["results", "history", EXIT], ["results", "diff", "s0", "s1"]])
def test_what_its_columns_say_is_told(
    words: list[str], bad: str | bytes, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (verdict, *_), _ = finding("s0")
    keep(path, [{**verdict, "status": "ok", "severity": None, "ended": 10.0}])
    damage(path, FINDING, bad)
    said = call(capsys, path, *words)
    assert told(FINDING, said) == 1
    assert "suspect" in said.out


def test_nothing_is_swept_while_nobody_knows_what_it_names(
    bad: str | bytes, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(path, RUN, bad)
    before = sorted(path.parent.rglob("*.gz"))
    for words in ([], ["--dry-run"], ["--older-than", "1d"]):
        said = call(capsys, path, "results", "gc", *words)
        assert said.status == EXIT_FAILED and f"record {RUN} can't be read" in said.err
    assert sorted(path.parent.rglob("*.gz")) == before
    assert call(capsys, path, "results", "gc", "--older-than", "1d", "--even-findings").status == 0


def test_of_many_a_few_are_named(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (FINDING, HONEST, RUN, CONTROL):
        damage(path, name, BAD[0])
    said = call(capsys, path, "results", "export", "--runs")
    assert (said.out, said.err.count(SENTENCE), said.err.count("there are more")) == ("", 3, 1)


def test_a_plugin_says_what_its_columns_say(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage(path, FINDING, BAD[0])
    said = call(capsys, path, "report", "status", "--max-age", "100000d")
    assert said.status in (1, 2) and "Traceback" not in said.err
