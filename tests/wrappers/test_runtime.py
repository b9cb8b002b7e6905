"""Where a user's short-lived files are: the same place seen from outside of a lab and from inside, where he is root."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.runtime import private_directory

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
