"""Slips of the pen: an empty id, a name that nobody has heard of, a folder in place of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import EXIT_USAGE, OperatorError

from ..orchestrator.results.proven import finding, honest, keep, scan
from ..orchestrator.values import OTHER_EXIT
from .calling import Call, calling


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    path = tmp_path / "results.sqlite"
    records, blobs = finding()
    keep(path, [scan(), *records, honest()], blobs)
    yield calling(capsys, "--store", str(path))


@pytest.mark.parametrize("words", [["show", ""], ["verify", ""], ["bundle", "", "-o", "x"], ["diff", "", "s1"]])
def test_an_empty_id_names_nothing(words: list[str], call: Call) -> None:
    with pytest.raises(OperatorError, match="an empty id names no"):
        call(*words)


@pytest.mark.parametrize("words", [["list"], ["export"], ["export", "--runs"]])
@pytest.mark.parametrize(("option", "what"), [("--tool", "tool"), ("-e", "exit")])
def test_what_no_record_has_heard_of_is_said(words: list[str], option: str, what: str, call: Call) -> None:
    said = call(*words, option, "nobody")
    assert (said.status, said.out) == (
        0,
        "",
    ) and f"no record here is of a{'n' * (what == 'exit')} {what} nobody" in said.err
    known = call(*words, option, {"tool": "tls-cert", "exit": OTHER_EXIT}[what], "--status", "skipped")
    assert "no record here" not in known.err


@pytest.mark.parametrize("words", [["diff", "s1", "s1"], ["history", OTHER_EXIT]])
def test_so_it_is_where_scans_are_compared(words: list[str], call: Call) -> None:
    assert "no record here is of a tool nobody" in call(*words, "--tool", "nobody").err
    assert "no record here" not in call(*words, "--tool", "tls-cert").err


@pytest.mark.parametrize("words", [["list"], ["verify"], ["gc"]])
def test_a_store_that_is_a_directory_is_said(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OperatorError) as caught:
        calling(capsys, "--store", str(tmp_path))(*words)
    assert caught.value.message == f"{tmp_path} is a directory."


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("none.tgz", "there is no file none.tgz"), ("./none", "there is no file none"), ("/tmp", "/tmp is a directory")],
)
def test_a_bundle_that_is_not_there_is_said(name: str, sentence: str, call: Call) -> None:
    with pytest.raises(OperatorError) as caught:
        call("verify", name)
    assert caught.value.message == f"{sentence}." and caught.value.exit_status == EXIT_USAGE
