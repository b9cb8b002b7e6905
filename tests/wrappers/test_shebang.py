"""What a script's first line makes the kernel, and env, execute: as they do it themselves."""

import os
import subprocess
from pathlib import Path

import pytest

from exitpin.wrappers.program import look_at

CALLED = "#!/bin/sh\necho called\n"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a command `one`, of which nobody else knows."""
    made(tmp_path / "one", CALLED)
    return tmp_path


def made(path: Path, content: str) -> str:
    path.write_text(content, newline="")
    path.chmod(0o755)
    return str(path)


def obstacle_and_interpreter(here: Path, line: str) -> tuple[str, str]:
    program = look_at(made(here / "script", f"{line}\n"), f"{here}:{os.defpath}")
    return program.obstacle, program.interpreters[0] if program.interpreters else ""


def is_called(here: Path) -> bool:
    """What really becomes of the script."""
    environment = {"PATH": f"{here}:{os.defpath}", "FOO": "x"}
    try:
        done = subprocess.run([here / "script"], env=environment, capture_output=True, timeout=20, check=False)
    except OSError:
        return False
    return done.stdout == b"called\n"


@pytest.mark.parametrize(
    "line",
    [
        "#!HERE/one",
        "#! \tHERE/one \t",
        "#!/usr/bin/env one",
        "#!/usr/bin/env -S one -x",
        "#!/usr/bin/env -Sone",
        "#!/usr/bin/env -vS one",
        "#!/usr/bin/env --split-string=one 'a b' # and so on",
        "#!/usr/bin/env -S -u FOO one",
        "#!/usr/bin/env -S -uFOO -C / --unset=A --chdir=/tmp -- one",
        "#!/usr/bin/env -S -C HERE ./one",
        "#!/usr/bin/env -S A=1 B='x y' one -z C=2",
        "#!/usr/bin/env -S -i PATH=HERE one",
        "#!/usr/bin/env -S - PATH=HERE one",
    ],
)
def test_the_interpreter_is_the_one_that_is_called(here: Path, line: str) -> None:
    found = obstacle_and_interpreter(here, line.replace("HERE", str(here)))
    assert (found[0], os.path.normpath(found[1])) == ("", str(here / "one"))
    assert is_called(here)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("#!/usr/bin/env one '", "takes that for one name: it splits behind -S"),
        ("#!/usr/bin/env one -x", "takes that for one name: it splits behind -S"),
        ("#!/usr/bin/env -S one '", "/usr/bin/env can't split its interpreter's words: No closing quotation"),
        ("#!/usr/bin/env -S -i one", "its interpreter is not there: /usr/bin/env -S -i one"),
        ("#!/usr/bin/env -S -u PATH one", "its interpreter is not there: /usr/bin/env -S -u PATH one"),
        ("#!/bin/sh\r", "its interpreter is not there: /bin/sh (the line ends with a carriage return)"),
        ("#!", "its interpreter is not there: "),
    ],
)
def test_what_calls_no_interpreter_is_told(here: Path, line: str, words: str) -> None:
    assert words in obstacle_and_interpreter(here, line)[0]
    assert not is_called(here)


@pytest.mark.parametrize("line", ["#!/usr/bin/env", "#!/usr/bin/env -i", "#!/usr/bin/env -S A=1"])
def test_env_without_a_command_calls_nothing_else(here: Path, line: str) -> None:
    assert obstacle_and_interpreter(here, line)[0] == "/usr/bin/env is told no interpreter"


@pytest.mark.parametrize("option", ["${FOO}", "--block-signal one", "-S 'one", r"one\n"])
def test_what_only_env_knows_is_left_to_it(here: Path, option: str) -> None:
    obstacle, found = obstacle_and_interpreter(here, f"#!/usr/bin/env -S {option}")
    assert found in ("/usr/bin/env", "") and bool(obstacle) is not bool(found)
