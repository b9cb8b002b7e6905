"""The launcher: a named pipe that is hidden can't be opened, and swallows nothing."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Shim

pytestmark = pytest.mark.parametrize("shim", ["guard"], indirect=True)

OPENS = """
import errno, os, sys
for flags in (os.O_WRONLY, os.O_WRONLY | os.O_NONBLOCK, os.O_RDWR, os.O_RDONLY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
    try:
        os.write(os.open(sys.argv[1], flags), b"an errand")
        print("written")
    except OSError as error:
        print(errno.errorcode[error.errno])
"""


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """Somebody outside the run reads it: we."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path
    try:
        assert os.read(reading, 100) == b"", "nobody has written"
    finally:
        os.close(reading)


def test_it_is_opened_in_no_way_and_is_there_for_all_others(shim: Shim, pipe: Path) -> None:
    run = shim.run(sys.executable, "-I", "-c", OPENS, str(pipe), flags=("--hide", str(pipe)))
    assert run.lines == ["EACCES"] * 5
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)


def test_what_a_shell_sends_there_is_not_lost_in_silence(shim: Shim, pipe: Path) -> None:
    run = shim.run("sh", "-c", f"echo words > {pipe} || echo refused", flags=("--hide", str(pipe)))
    assert run.lines == ["refused"]


def test_one_that_is_not_hidden_goes_on(shim: Shim, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own")
    reading = os.open(tmp_path / "own", os.O_RDONLY | os.O_NONBLOCK)
    try:
        shim.run("sh", "-c", f"echo words > {tmp_path / 'own'}", flags=("--own-mounts",))
        assert os.read(reading, 100) == b"words\n"
    finally:
        os.close(reading)


def test_one_that_is_open_already_goes_on(shim: Shim, tmp_path: Path) -> None:
    """Standard output, by whatever name it is opened once more."""
    path = tmp_path / "output"
    os.mkfifo(path)
    both = os.open(path, os.O_RDWR)
    try:
        run = shim.run("sh", "-c", "echo one; echo two > /dev/stdin", stdin=both, flags=("--hide", str(path)))
        assert (run.lines, os.read(both, 100)) == (["one"], b"two\n")
    finally:
        os.close(both)


@pytest.mark.parametrize("target", ["pipe", "file", "..", "nothing"])
def test_what_was_put_in_its_place_refuses_no_run_and_is_not_covered(shim: Shim, pipe: Path, target: str) -> None:
    pipe.with_name("file").write_text("as it is")
    link = pipe.with_name("link")
    link.symlink_to(target)
    flags = ("--hide", str(link), "--hide", str(pipe.with_name("file")), "--hide", str(link / "below"))
    assert shim.run("cat", str(pipe.with_name("file")), flags=flags).lines == ["as it is"]
