"""What an installation consists of besides Python: the manual, and what completion is made of."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from exitpin.orchestrator.cli.main import VERBS

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("orchestrator", "wrappers", "shim", "tools.d")
FILES = ("setup.py", "setup.cfg", "pyproject.toml", "README.rst", "LICENSE")
PAGES = "/data/share/man/man1/"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_wheel_brings_the_manual_and_the_scripts_of_completion(tmp_path: Path) -> None:
    for part in PARTS:
        shutil.copytree(ROOT / part, tmp_path / "source" / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, tmp_path / "source")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"),
            *("-w", str(tmp_path), str(tmp_path / "source")),
        ],
        check=True, timeout=220, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("exitpin-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    pages = {name.partition(PAGES)[2] for name in names if PAGES in name}
    assert pages >= {"exitpin.1", "exitpin-results-list.1", *(f"exitpin-{verb}.1" for verb in VERBS)}
    assert {f"exitpin/wrappers/completion.{shell}" for shell in ("bash", "zsh", "fish")} <= set(names)
