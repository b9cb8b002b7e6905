"""An exit that changes its policy while it is asked: it is right to refuse, and nobody says that it is broken."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import eventually
from .living import LivingLab
from .running import stored

pytestmark = [pytest.mark.torture, pytest.mark.timeout(400)]

END_S = 240.0


def test_who_refuses_by_a_new_policy_is_not_called_broken(living_lab: LivingLab, tmp_path: Path) -> None:
    exit = living_lab.exits()[0]
    store = tmp_path / "results.sqlite"
    words = ("ssh-hostkey", "-e", exit.nickname, "--build-delay", "3s", "--store", str(store))
    argv = [sys.executable, "-m", "exitpin", "audit", "--lab", "--name", living_lab.name, *words]
    said = tmp_path / "said"
    with said.open("w") as log, subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL) as audit:
        try:
            eventually(lambda: _assert("exitpin: load: " in said.read_text()), 60)
            living_lab.change("policy", exit.nickname, "accept *:80", "reject *:*")
            audit.wait(END_S)
        finally:
            audit.kill()
    (verdict,) = stored(store)
    assert verdict["status"] in ("ok", "error", "skipped"), said.read_text()  # it may have been asked before the change
    verify = [sys.executable, "-m", "exitpin", "results", "verify", "--store", str(store)]
    assert subprocess.run(verify, check=False).returncode == 0


def _assert(is_so: object) -> None:
    assert is_so
