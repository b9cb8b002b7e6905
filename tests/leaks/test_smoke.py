"""Five vectors for real: a lab, the wire, bare and under exitpin. All of them is `make leaks`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

VECTORS = ("tcp4", "udp", "gai", "sendmsg-tfo", "raw-instruction")


@pytest.mark.lab
def test_five_vectors_are_seen_on_the_wire_and_under_exitpin(tmp_path: Path) -> None:
    told = tmp_path / "cells.json"
    words = [word for name in VECTORS for word in ("--vector", name)]
    done = subprocess.run(
        [sys.executable, "-m", "leaks.run", "--level", "shim", *words, "--json", str(told)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    if "make namespaces" in done.stderr:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    words_by = {(cell["way"], cell["vector"]): cell["word"] for cell in json.loads(told.read_text())["cells"]}
    assert {word for (way, _), word in words_by.items() if way == "bare"} == {"leaked"}
    assert words_by["shim", "tcp4"] == words_by["shim", "gai"] == "through the exit"
    assert words_by["shim", "udp"] == words_by["shim", "sendmsg-tfo"] == "blocked"
    assert words_by["shim", "raw-instruction"] == "leaked"
    assert done.stdout.splitlines()[-1] == "leaks: shim 1/5"
