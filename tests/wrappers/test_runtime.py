"""Where a user's short-lived files are: the same place seen from outside of a lab and from inside, where he is root."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.runtime import private_directory, remove_tree

ASKS = "from exitpin.wrappers.runtime import runtime_directory; print(runtime_directory())"
WITHOUT = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}


def told(*under: str) -> str:
    """What a process under this command says."""
    argv = [*under, sys.executable, "-c", ASKS]
    done = subprocess.run(argv, env=WITHOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr)
    return done.stdout


def test_whoever_is_root_in_a_namespace_of_his_own_keeps_his_folder() -> None:
    outside = told()
    assert outside == f"/tmp/exitpin-{os.getuid()}\n"
    assert told("unshare", "--user", "--map-root-user") == outside


@pytest.mark.parametrize(("mode", "is_safe"), [(0o755, True), (0o777, False), (0o775, False), (0o1777, True)])
def test_nothing_is_kept_where_others_could_put_something_else_in_its_place(
    tmp_path: Path, mode: int, is_safe: bool
) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(mode)
    if is_safe:
        assert private_directory(above / "lab") == above / "lab"
        return
    with pytest.raises(OperatorError, match=r"above is not a directory in which only you can rename"):
        private_directory(above / "lab")
    assert not (above / "lab").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_nothing_is_kept_in_a_folder_of_somebody_else(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    os.chown(above, 1234, 1234)
    with pytest.raises(OperatorError, match="only you can rename"):
        private_directory(above / "lab")


def test_without_a_mapping_it_is_the_uid_that_there_is() -> None:
    assert told("unshare", "--user").startswith("/tmp/exitpin-")


NOBODY = 65534


@pytest.fixture
def left() -> Iterator[Path]:
    """A folder of an ordinary user, who we are, too."""
    with tempfile.TemporaryDirectory(prefix="left-", dir="/tmp") as directory:
        was = os.geteuid()
        if was == 0:
            os.chown(directory, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            (Path(directory) / "run").mkdir()
            yield Path(directory) / "run"
        finally:
            os.seteuid(was)


def test_what_a_tool_made_read_only_is_removed_and_what_it_links_to_stays(left: Path) -> None:
    other = left.with_name("other")
    other.mkdir(mode=0o500)
    for folder in (left / "cache", left / "cache" / "module"):
        folder.mkdir()
        (folder / "file").write_text("x")
        (folder / "link").symlink_to(other)
    for folder in (left / "cache" / "module", left / "cache"):
        folder.chmod(0o500)
    remove_tree(left)
    assert not left.exists()
    assert other.stat().st_mode & 0o777 == 0o500
    left.symlink_to(other)
    remove_tree(left)
    assert other.is_dir()


def test_levels_without_end_are_removed(tmp_path: Path) -> None:
    """A program that mirrors a site makes as many folders as a suspect names in one path."""
    here = os.getcwd()
    os.chdir(tmp_path)
    os.mkdir("deep")
    os.chdir("deep")
    try:
        for _ in range(3000):
            os.mkdir("a")
            os.chdir("a")
    finally:
        os.chdir(here)
    remove_tree(tmp_path / "deep")
    assert not (tmp_path / "deep").exists()
