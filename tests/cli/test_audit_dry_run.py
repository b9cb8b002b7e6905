"""`exitpin audit --dry-run`: what it refuses, without a network."""

import sqlite3
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import main
from exitpin.wrappers.database import VERSION

from ..orchestrator.recorded import verdict_record, write


def test_a_plan_for_a_store_of_the_future_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "results.sqlite"
    write(path, [verdict_record(1)])
    with sqlite3.connect(path) as store:
        store.execute(f"PRAGMA user_version = {VERSION + 1}")
    words = ["tls-cert", "-p", "host=www.example.org", "--dry-run", "--control", "127.0.0.1:1", "--store", str(path)]
    assert main(["audit", *words]) == 125
    said = capsys.readouterr()
    assert said.out == "" and "newer" in said.err and str(path) in said.err
