"""The units for systemd: it understands them, and they name what there is."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import VERBS

UNITS = Path(__file__).resolve().parent.parent / "docs" / "systemd"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        name = unit.name.replace("@", "@tls-cert")
        shutil.copy(unit, tmp_path / name)
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    command = ["systemd-analyze", "--user", "--man=no", "--recursive-errors=no", "verify", *units]
    environment = {"XDG_RUNTIME_DIR": str(tmp_path), "PATH": "/bin:/usr/bin"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    said = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "exitpin" in line]
    assert said == []


def test_the_units_start_verbs_that_there_are() -> None:
    started = [re.findall(r"^ExecStart=/usr/bin/env exitpin (\w+)", unit.read_text(), re.M) for unit in UNITS.iterdir()]
    verbs = [verb for found in started for verb in found]
    assert sorted(verbs) == ["audit", "daemon", "watch"]
    assert set(verbs) <= set(VERBS)
