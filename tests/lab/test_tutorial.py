"""The tutorial, as a new user reads it: its commands print what it shows, and its scripts find the liars of its lab.

One lab for all of it, and every command is run once, in the order of the text.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.audit_score import score_audit
from exitpin.orchestrator.lab.state import LabState, load

from . import console
from .conftest import lab_or_skip
from .running import stored

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "docs" / "tutorial"
TEXT = (ROOT / "docs" / "tutorial.rst").read_text("utf-8")
BLOCKS = console.blocks(TEXT)
OURS = ("make setup", "PATH=", "exitpin lab up", "exitpin lab down", "mkdir ", "cp ", "cd ~/audits")
"""How commands begin that the test does itself: the lab is up, the scripts are there, and all of it goes in the end."""
BLOCK_S = 120.0

AUDITS = ("first", "page-hash", "cert", "starttls", "hostkey", "names")
NOT_JUDGED = {("block-page", "first"), ("resets", "first"), ("resets", "starttls"), ("resets", "hostkey")}
"""Who gives a script that judges by itself no answer: an error, and nobody is accused."""


@pytest.fixture(scope="module")
def tutorial() -> Iterator[LabState]:
    """The lab of the tutorial, where a shell without variables of this user's finds it."""
    name = f"tutorial-{os.getpid()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        lab_or_skip(name, None, profile=str(FOLDER / "lab.toml"))
        try:
            yield load(name)
        finally:
            start.down(name)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scripts, and in it a home of its own."""
    return Path(shutil.copytree(FOLDER, tmp_path_factory.mktemp("desk") / "tutorial"))


@pytest.fixture(scope="module")
def printed(tutorial: LabState, desk: Path) -> list[list[str]]:
    """What each command of each block printed."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "COLUMNS"))}
    environment |= {"HOME": str(desk), "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}"}
    environment |= {"TERM": "xterm", "NO_COLOR": "1"}
    return [
        console.run([_there(one.command, tutorial.name) for one in block], desk, environment, BLOCK_S)
        for block in map(_run_here, BLOCKS)
    ]


def _run_here(block: list[console.Shown]) -> list[console.Shown]:
    return [one for one in block if not one.command.startswith(OURS)]


def _there(command: str, name: str) -> str:
    """The same, in the lab of that name."""
    return re.sub(r"exitpin lab (\w+)|--lab\b", lambda found: f"{found[0]} --name {name}", command)


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=lambda number: BLOCKS[number][-1].command[:40])
def test_each_command_prints_what_the_tutorial_shows(printed: list[list[str]], number: int) -> None:
    for shown, said in zip(_run_here(BLOCKS[number]), printed[number], strict=True):
        assert console.is_so(shown.printed, said), f"{shown.command}\n{said}"


def test_the_lab_is_as_large_as_the_tutorial_says(tutorial: LabState) -> None:
    exits = [relay for relay in tutorial.relays if relay.role == "exit"]
    assert f"{len(exits)} exits, each seen by a target under its own address." in TEXT


def test_every_exit_has_a_verdict_each_liar_is_found_and_nobody_else_is_accused(
    printed: list[list[str]], tutorial: LabState, desk: Path
) -> None:
    """By the planted truth, of which no code that judges knows."""
    exits = [relay for relay in tutorial.relays if relay.role == "exit"]
    verdicts = stored(desk / ".local" / "state" / "exitpin" / "results.sqlite")
    last = {(one["tool"]["id"], one["exit"]["nickname"]): one for one in verdicts if one["tool"]["id"] in AUDITS}
    assert len(last) == len(AUDITS) * len(exits)
    score = score_audit(exits, last.values())
    assert (score.problems, score.precision, score.recall, score.accused_exits) == ((), 1.0, 1.0, 0)
    assert score.planted == sum(tool in AUDITS for relay in exits for tool in relay.expect)
    behaviours = {relay.nickname: relay.behaviour for relay in exits}
    errors = {(behaviours[nick], tool) for (tool, nick), one in last.items() if one["status"] == "error"}
    assert errors == NOT_JUDGED


def test_the_lab_has_a_liar_for_each_script(tutorial: LabState) -> None:
    lied_about = {tool for relay in tutorial.relays if relay.kind == "hostile" for tool in relay.expect}
    assert lied_about == set(AUDITS) == {path.stem for path in FOLDER.glob("*.sh")}
