"""Where a user's short-lived files are: the same place seen from outside of a lab and from inside, where he is root."""

import os
import subprocess
import sys

import pytest

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


def test_without_a_mapping_it_is_the_uid_that_there_is() -> None:
    assert told("unshare", "--user").startswith("/tmp/exitpin-")
