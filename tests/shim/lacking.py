"""Launchers that lack one of their defences, to show that it is needed."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from exitpin.shim import bindings

SOURCES = Path(bindings.LAUNCHER).parent


def compiled(*arguments: object) -> None:
    """Call the compiler."""
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-std=c11", "-D_GNU_SOURCE", *map(str, arguments)], check=True, timeout=60)


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    """The sources of a launcher that may lack a defence, and the objects of all others."""
    shared = [SOURCES / name for name in ("landlock.c", "namespaces.c", "program.c", "rules.c", "text.c")]
    sources = [*(SOURCES / "launch").glob("*.c"), *shared]
    defending = [path for path in sources if "rules.h" in path.read_text()]
    objects = []
    for path in (path for path in sources if path not in defending):
        objects.append(tmp_path_factory.mktemp("objects") / f"{path.stem}.o")
        compiled("-c", "-o", objects[-1], path)
    return defending, objects


@pytest.fixture
def without(tmp_path: Path, parts: tuple[list[Path], list[Path]]) -> Callable[[str], str]:
    """Builds a launcher that lacks one defence."""

    def build(defence: str) -> str:
        defending, objects = parts
        compiled(f'-DEXITPIN_WITHOUT="{defence}"', "-o", tmp_path / "launch", *defending, *objects)
        return str(tmp_path / "launch")

    return build
