"""`exitpin replay`: what it refuses before anything is run."""

from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.cli.main import main

from ..orchestrator.recorded import run_record, verdict_record, write


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "results.sqlite"


def fill(path: Path, **changes: Any) -> None:
    verdict = verdict_record(9, runs=[{"run_id": "s1-0001"}])
    write(path, [run_record(1, vantage={"kind": "lab", "name": "nowhere"}, **changes), verdict])


@pytest.mark.parametrize(
    ("words", "changes", "sentence"),
    [
        (["s1-v0009"], {}, "that is a verdict, and only a run can be made again. Its runs: s1-0001."),
        (["nobody"], {}, "there is no record nobody"),
        (["s1-0001", "--repeat", "0"], {}, "--repeat wants a number from 1 to 20"),
        (["s1-0001", "--repeat", "99"], {}, "--repeat wants a number from 1 to 20"),
        (["s1-0001"], {"tool": {"argv": ["curl"]}, "reproduce": "exitpin run -- curl"}, "not made by a declared tool"),
        (
            ["s1-0001"],
            {"vantage": {"kind": "control"}},
            "it was made with a tor of yours. Say which: --control SOCKET.",
        ),
    ],
)
def test_what_can_t_be_made_again_is_refused_with_a_sentence(
    path: Path, words: list[str], changes: dict[str, Any], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(path, [run_record(1, **{"vantage": {"kind": "lab", "name": "nowhere"}, **changes})])
    write(path, [verdict_record(9, runs=[{"run_id": "s1-0001"}])])
    assert main(["replay", *words, "--store", str(path)]) == 2
    assert sentence in capsys.readouterr().err


def test_the_recorded_lab_is_the_one_that_is_entered(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(path)
    assert main(["replay", "s1-0001", "--store", str(path)]) == 125
    assert "The lab nowhere is not running." in capsys.readouterr().err
