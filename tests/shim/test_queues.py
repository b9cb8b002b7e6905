"""The launcher: message queues and shared memory of others are not there for a run that has mounts of its own."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from exitpin.shim.bindings import Reason

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


DEEP = """
import ctypes, os, sys
for _ in range(20):
    os.makedirs("x" * 250, exist_ok=True)
    os.chdir("x" * 250)
os.makedirs("queues", exist_ok=True)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mount(b"mqueue", b"queues", b"mqueue", 0, None) == 0, os.strerror(ctypes.get_errno())
os.close(os.open("queues/queue", os.O_CREAT | os.O_RDWR, 0o600))
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(params=["queues", "a b\\c", f"{' ' * 250}/" * 5, f"{' ' * 250}/" * 12])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Under a name that the kernel writes in its list as it is, or in another way, of up to four times its length."""
    path: Path = tmp_path / request.param
    path.mkdir(parents=True)
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


def test_a_run_is_refused_where_such_a_folder_has_no_name_that_the_kernel_would_take(
    shim: Shim, tmp_path: Path
) -> None:
    """A tool that goes there step by step would see what is in it."""
    under = ("unshare", "--mount", "--ipc", sys.executable, "-I", "-c", DEEP)
    assert shim.run("ls", "queues", under=under, cwd=tmp_path).lines == ["queue"]
    run = shim.run("ls", "queues", under=under, cwd=tmp_path, flags=("--own-mounts",))
    assert run.lines == []
    assert (run.notices[-1].reason, run.notices[-1].error) == (Reason.CONTAINMENT, errno.ENAMETOOLONG)


def test_a_list_of_mounts_that_can_not_be_read_to_its_end_is_none(shim: Shim) -> None:
    done = subprocess.run([shim.programs["mounts"]], capture_output=True, text=True, timeout=10, check=True)
    assert done.stdout.splitlines() == ["covers /one", "covers /two", "refused: EIO"]
