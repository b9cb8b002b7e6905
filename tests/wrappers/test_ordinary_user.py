"""What needs no root works for an ordinary user: the tests of the levels again, as somebody without capabilities."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from exitpin.wrappers.machine import abilities

ROOT = Path(__file__).parents[2]
ORDINARY = ("unshare", "--map-user=1000", "--map-group=1000")
"""Not root in the new user namespace, so that no capability outlives execve(2) (user_namespaces(7))."""
OF_LEVELS = (
    "tests/shim/test_guard.py",
    "tests/wrappers/test_no_room.py",
    "tests/wrappers/test_stand_in.py",
    "tests/wrappers/test_supervisor.py",
    "tests/wrappers/test_unix_reached.py",
)
DEADLINE_S = 240

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="whoever runs this is an ordinary user already"),
    pytest.mark.skipif(not abilities().has_namespaces, reason="only in a user namespace root becomes ordinary"),
]


def as_ordinary_user(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*ORDINARY, sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S
    )


def test_an_ordinary_user_has_no_capability_and_every_level_that_root_has() -> None:
    status = as_ordinary_user(["-c", "print(open('/proc/self/status').read())"]).stdout
    assert "CapEff:\t0000000000000000\n" in status
    problems = "from exitpin.wrappers.machine import abilities; print(abilities().problems())"
    assert as_ordinary_user(["-c", problems]).stdout == f"{abilities().problems()}\n"


def test_the_levels_hold_for_an_ordinary_user() -> None:
    done = as_ordinary_user(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not lab", *OF_LEVELS])
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "skipped" not in done.stdout
