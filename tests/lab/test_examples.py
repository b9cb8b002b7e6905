"""The examples of the help and of the manual that name the lab, run in it as they stand."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..cli.examples import of_the_help
from .conftest import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

EXAMPLE_S = 200
ELSEWHERE = ("exitpin audit --lab @all", "exitpin exitmap --lab")
"""What test_audit.py and test_exitmap.py do: the one takes its time, the other wants a module."""
SCRIPT = """\
#!/bin/sh
curl -sS "$1ip"
exitpin emit seen=1
"""


def runs_in_a_lab(line: str) -> bool:
    return ("--lab " in line or line.startswith(("exitpin lab exec", "exitpin lab status"))) and not line.startswith(
        ELSEWHERE
    )


@pytest.mark.parametrize("line", list(filter(runs_in_a_lab, of_the_help())))
def test_an_example_runs_as_it_stands(line: str, lab: Lab, tmp_path: Path) -> None:
    if "jq" in line and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    (tmp_path / "exitpin").write_text(f'#!/bin/sh\nexec {sys.executable} -m exitpin "$@"\n')
    (tmp_path / "script.sh").write_text(SCRIPT)
    for name in ("exitpin", "script.sh"):
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "EXITPIN_LAB": lab.state.name}
    said = subprocess.run(
        ["sh", "-ec", line], env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=EXAMPLE_S,
    )  # fmt: skip
    # Of all exits of the lab one has a silent name server: a command fails, and that is what the status says.
    assert said.returncode == (123 if "-e all" in line or "xargs" in line else 0), said.stderr
    assert said.stdout or " ok\n" in said.stderr or line.endswith((" sh", " true")), said.stderr
