"""The launcher: message queues and shared memory of others are not there for a run that has mounts of its own."""

import sys
from pathlib import Path

import pytest

from .conftest import Shim

pytestmark = pytest.mark.parametrize("shim", ["guard"], indirect=True)

SEES = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
print("named", *os.listdir(sys.argv[1]))
print("queue", libc.msgget(77, 0))
print("memory", libc.shmget(77, 0, 0))
print("own", libc.msgget(77, 0o1600) >= 0)
"""
HAS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
assert libc.msgget(77, 0o1600) >= 0 and libc.shmget(77, 1000, 0o1600) >= 0
os.close(os.open(sys.argv[1] + "/queue", os.O_CREAT | os.O_RDWR, 0o600))
os.execvp(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture(params=["queues", "a b\\c"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Under a name that the kernel writes in its list as it is, or in another way."""
    path: Path = tmp_path / request.param
    path.mkdir()
    return path


@pytest.fixture
def under(place: Path) -> tuple[str, ...]:
    """A command under which somebody has queues and memory, and a folder that shows the queues."""
    mounts = f'mount -t mqueue mqueue "{place}" && exec "$@"'
    return ("unshare", "--mount", "--ipc", "sh", "-c", mounts, "sh", sys.executable, "-I", "-c", HAS, str(place))


def test_neither_by_number_nor_by_a_folder_that_shows_them(shim: Shim, place: Path, under: tuple[str, ...]) -> None:
    sees = (sys.executable, "-I", "-c", SEES, str(place))
    assert shim.run(*sees, under=under).lines[0] == "named queue"
    run = shim.run(*sees, under=under, flags=("--own-mounts",))
    assert run.lines == ["named", "queue -1", "memory -1", "own True"]
