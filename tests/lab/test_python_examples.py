"""What stands in docstrings, README and docs/python.rst runs as it is, and passes `mypy --strict` as it is."""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import exitpin

from .conftest import Lab
from .daemons import without_waiting

ROOT = Path(__file__).resolve().parent.parent.parent
TEXTS = (ROOT / "README.rst", ROOT / "docs" / "python.rst")
TYPED = ROOT / "build" / "typed"


def documented() -> Iterator[tuple[str, str]]:
    """Each public name with a docstring of its own, and those of its methods."""
    for name in exitpin.__all__:
        value = getattr(exitpin, name)
        if not name.startswith("_"):
            yield name, value.__doc__ or ""
            yield from (
                (f"{name}.{inner}", function.__doc__ or "")
                for inner, function in vars(value).items()
                if callable(function) and not inner.startswith("_") and value.__module__ in OURS
            )


OURS = ("exitpin.opened", "exitpin.session")
DOCUMENTED = dict(documented())
EXAMPLES = [name for name, text in DOCUMENTED.items() if ">>> " in text]
BLOCK = re.compile(r"(?m)^\.\. code(?:-block)?:: python\n\n((?:   .*\n|\n)+)")
PROGRAMS = [
    pytest.param(dedent(block), id=f"{path.stem}-{number}")
    for path in TEXTS
    for number, block in enumerate(BLOCK.findall(path.read_text("utf-8")))
]


def test_each_public_name_is_told_of_and_what_does_something_has_an_example() -> None:
    assert [name for name, text in DOCUMENTED.items() if not text] == []
    lacks = {name for name in DOCUMENTED if name not in EXAMPLES}
    types = {
        "ChildTraceback",
        "OperatorError",
        "RemoteError",
        "RunFailed",
        "RunRecord",
        "TooMuchOutput",
        "VerdictRecord",
    }
    assert lacks == types | {"Tor.close"}


@pytest.mark.lab
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_a_docstring_is_right(name: str, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXITPIN_LAB", lab.state.name)
    test = doctest.DocTestParser().get_doctest(DOCUMENTED[name], {}, name, None, None)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0


@pytest.mark.lab
@pytest.mark.parametrize("program", PROGRAMS)
def test_an_example_of_the_manuals_runs(program: str, lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(program)
    environment = {**os.environ, "EXITPIN_LAB": lab.state.name}
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        timeout=100,
    )  # fmt: skip
    assert (done.returncode, without_waiting(done.stderr)) == (0, ""), done.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_mypy_finds_nothing_in_the_examples(tmp_path: Path) -> None:
    subprocess.run(["make", "-s", str(TYPED.relative_to(ROOT) / "exitpin")], cwd=ROOT, check=True)  # as mypy wants it
    programs = [str(one.values[0]) for one in PROGRAMS]
    parser = doctest.DocTestParser()
    for name in EXAMPLES:
        programs.append("".join(example.source for example in parser.get_examples(DOCUMENTED[name])))
    files = [tmp_path / f"example{number}.py" for number in range(len(programs))]
    for file, program in zip(files, programs, strict=True):
        file.write_text(program)
    argv = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "setup.cfg"), "--strict", *map(str, files)]
    environment = {**os.environ, "MYPYPATH": str(TYPED), "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache")}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
