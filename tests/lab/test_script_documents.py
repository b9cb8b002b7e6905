"""What the documents show of scripts, as they show it: each example is run, in the lab."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from exitpin.orchestrator.cli import sh
from exitpin.orchestrator.lab.state import LabState

from .conftest import Lab
from .running import EXITPIN, audit, nickname

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.rst").read_text("utf-8")
TOOLS = (ROOT / "docs" / "tools.rst").read_text("utf-8")
SCRIPT = '#!/bin/sh\ntest $# -eq 1 && test -n "$EXITPIN_EXIT_FP" && exec curl -sS http://web.test/ip\n'


def lines() -> list[str]:
    """Each command line that begins with `exitpin sh`, in the manual and in the help."""
    texts = (README, TOOLS, sh.EPILOG)
    indented = [line for text in texts for line in re.findall(r"(?m)^ +(?:\$ )?(exitpin sh -.*)$", text)]
    return list(dict.fromkeys([*indented, *re.findall(r"``(exitpin sh -[^`]*)``", TOOLS)]))


def block(tool: str) -> str:
    """The script of that id in the manual of tools."""
    blocks = re.findall(r"(?m)^\.\. code:: \w+\n\n((?:   .*\n|\n)+)", TOOLS)
    (found,) = [text for text in blocks if f'id = "{tool}"' in text]
    return dedent(found)


def test_there_are_examples() -> None:
    assert len(lines()) >= 6


@pytest.mark.parametrize("line", lines())
def test_each_command_line_works(lab: Lab, tmp_path: Path, line: str) -> None:
    (tmp_path / "script.sh").write_text(SCRIPT)
    (tmp_path / "greeting.sh").write_text(block("greeting"))
    words = [word for word in shlex.split(line)[2:] if word != "--lab"]
    at = words.index("-e") + 1
    words[at] = "exit01"
    words = [word.replace("mail.example.org", "mail.test") for word in words]
    argv = [*EXITPIN, "sh", "--lab", "--name", lab.state.name, *words]
    done = subprocess.run(argv, cwd=tmp_path, input="exit 0\n", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("tool", ["greeting", "no-scripts"])
def test_each_script_takes_dead_ports_for_what_they_are(tmp_path: Path, tool: str) -> None:
    (tmp_path / f"{tool}.sh").write_text(block(tool))
    argv = [*EXITPIN, "tools", "test", "--chaos", "--json", f"./{tool}.sh"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and all(outcome["passed"] for outcome in outcomes), done.stdout + done.stderr
    assert {outcome["rule"] for outcome in outcomes} == ({"a", "b"} if tool == "no-scripts" else {"a"})


@pytest.mark.parametrize(
    ("tool", "file", "expected"),
    [
        ("greeting", "greeting.sh", "ok"),
        ("no-scripts", "no-scripts.sh", "tampered"),
        ("page-tests", "page-tests.bats", "suspect"),
    ],
)
def test_each_script_is_an_audit(audited: LabState, tmp_path: Path, tool: str, file: str, expected: str) -> None:
    if file.endswith(".bats") and shutil.which("bats") is None:
        pytest.skip("bats is not installed")
    (tmp_path / file).write_text(block(tool))
    injects = nickname(audited, "injects-script")
    done = audit(audited, tmp_path, str(tmp_path / file), "-e", f"exit01,{injects}")
    found = {verdict["exit"]["nickname"]: verdict["status"] for verdict in done.stored()}
    assert found == {"exit01": "ok", injects: expected}, done.stderr
