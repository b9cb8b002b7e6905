"""The launcher: folders in which somebody may listen later, and terminals of others, are not there; nor is there a way
into other groups of processes."""

import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Shim

AT_GUARD = pytest.mark.parametrize("shim", ["guard"], indirect=True)

WAITS_AND_LOOKS = """
import os, sys
print("there", flush=True)
sys.stdin.readline()
print("seen" if os.path.exists(sys.argv[1]) else "not seen")
"""
OPENS = """
import errno, os, sys
for path in sys.argv[1:]:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))
        print("OK")
    except OSError as error:
        print(errno.errorcode[error.errno])
print(*os.get_terminal_size(os.open(os.ttyname(os.openpty()[1]), os.O_RDWR | os.O_NOCTTY)))
"""
CLONES = """
import ctypes, errno, threading
ctypes.CDLL(None, use_errno=True).syscall(435, None, 0)
print(errno.errorcode[ctypes.get_errno()])
thread = threading.Thread(target=print, args=("a thread",))
thread.start()
thread.join()
"""


@pytest.fixture
def terminal() -> Iterator[str]:
    """One of somebody else's, who listens."""
    ours, theirs = pty.openpty()
    yield os.ttyname(theirs)
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        os.read(ours, 1)
    os.close(ours)
    os.close(theirs)


@AT_GUARD
def test_who_begins_to_listen_in_a_folder_that_is_closed_is_not_there(shim: Shim, tmp_path: Path) -> None:
    folder = tmp_path / "tor"
    folder.mkdir()
    reading, writing = os.pipe()
    python = (sys.executable, "-I", "-c", WAITS_AND_LOOKS, str(folder / "control"))
    run = shim.start(*python, flags=("--hide", str(folder)), stdin=reading)
    os.close(reading)
    assert run.process.stdout is not None and run.process.stdout.readline() == "there\n"
    (folder / "control").touch()
    os.close(writing)
    assert run.wait().lines == ["not seen"]
    assert (folder / "control").exists(), "only for the run"


@AT_GUARD
def test_a_terminal_of_somebody_else_can_t_be_opened_and_new_ones_can(shim: Shim, terminal: str) -> None:
    python = (sys.executable, "-I", "-c", OPENS, terminal)
    assert shim.run(*python, flags=("--own-mounts",)).lines == ["OK", "0 0"]
    assert shim.run(*python, flags=("--own-mounts", "--hide", terminal)).lines == ["EACCES", "0 0"]


@AT_GUARD
def test_no_child_begins_in_another_group_of_processes_and_threads_begin(shim: Shim) -> None:
    assert shim.run(sys.executable, "-I", "-c", CLONES).lines == ["ENOSYS", "a thread"]
