"""Who is of a run's tree: by the kernel's word, whatever becomes of processes meanwhile, and within bounded time."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import cast

import pytest

from exitpin.wrappers.household import Household
from exitpin.wrappers.process import STEPS_MAX, Tree

PAST_ALL = 1 << 23
"""No pid is so high (PID_MAX_LIMIT): nobody here is one of ours."""
STRANGER, PARENT, LAUNCHER, LEAVES, CHAIN = (PAST_ALL + offset for offset in (7, 50, 100, 200, 1000))


class Processes:
    """A /proc of our own: `put(pid, parent, started)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = Tree(cast(Household, None), folder)
        self.tree.launcher = LAUNCHER
        self.put(LAUNCHER, PARENT, 1)
        self.put(PARENT, 1, 0)

    def put(self, pid: int, parent: int, started: int) -> None:
        (self.folder / str(pid)).mkdir(exist_ok=True)
        text = f"{pid} (a) b) S {parent} {' '.join('0' * 17)} {started} 0 0\n"
        (self.folder / str(pid) / "stat").write_text(text)

    def end(self, pid: int) -> None:
        (self.folder / str(pid) / "stat").unlink()

    def chain(self, depth: int) -> int:
        """The last of so many, each the child of the one before."""
        for number in range(depth):
            self.put(CHAIN + number, CHAIN + number - 1 if number else LAUNCHER, 2)
        return CHAIN + depth - 1


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path)


def test_the_tree_is_who_descends_from_the_launcher_which_is_not_of_it(processes: Processes) -> None:
    processes.put(STRANGER, 1, 5)
    assert processes.tree.contains(processes.chain(3)) is True
    assert [processes.tree.contains(pid) for pid in (STRANGER, LAUNCHER, PARENT, PAST_ALL)] == [
        False,
        False,
        False,
        None,
    ]


def test_a_chain_of_whatever_depth_is_walked_to_its_end_a_piece_at_a_time(processes: Processes) -> None:
    leaf = processes.chain(3 * STEPS_MAX - 10)
    assert [processes.tree.contains(leaf) for _ in range(3)] == [None, None, True]
    processes.put(LEAVES, leaf, 3)
    processes.end(CHAIN)  # what is known needs no second look
    assert processes.tree.contains(LEAVES) is True


def test_a_stranger_is_none_however_deep(processes: Processes) -> None:
    leaf = processes.chain(STEPS_MAX + 10)
    processes.put(CHAIN, 1, 2)
    assert [processes.tree.contains(leaf) for _ in range(2)] == [None, False]


def test_a_pid_that_was_taken_by_another_process_is_no_member(processes: Processes) -> None:
    leaf = processes.chain(3)
    assert processes.tree.contains(leaf) is True
    processes.put(leaf, 1, 9)
    assert processes.tree.contains(leaf) is False


def test_who_is_younger_than_a_child_is_not_its_parent(processes: Processes) -> None:
    leaf = processes.chain(3)
    processes.put(leaf - 1, leaf - 2, 9)
    assert processes.tree.contains(leaf) is None


def test_a_parent_that_goes_meanwhile_leaves_nobody_out(processes: Processes) -> None:
    leaf = processes.chain(3)
    processes.end(leaf - 1)
    assert processes.tree.contains(leaf) is None, "nobody can say, and it is no stranger"
    processes.put(leaf, LAUNCHER, 2)
    assert processes.tree.contains(leaf) is True


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager[None]]:
    """As long as it lasts no file can be opened, for this reason."""

    @contextmanager
    def refuses(error: int) -> Iterator[None]:
        def refuse(*_: object) -> int:
            raise OSError(error, os.strerror(error))

        with monkeypatch.context() as patched:
            patched.setattr(os, "open", refuse)
            yield

    return refuses


def test_where_nothing_may_be_read_nobody_can_say(
    processes: Processes, refusing: Callable[[int], AbstractContextManager[None]]
) -> None:
    leaf = processes.chain(1)
    with refusing(errno.EACCES):
        assert processes.tree.contains(leaf) is None
    assert processes.tree.contains(leaf) is True


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_that_we_have_no_room_to_look_is_not_said_of_who_was_looked_at(
    processes: Processes, refusing: Callable[[int], AbstractContextManager[None]], error: int
) -> None:
    leaf = processes.chain(1)
    with refusing(error), pytest.raises(OSError, match=os.strerror(error)):
        processes.tree.contains(leaf)
    assert processes.tree.contains(leaf) is True


def test_a_new_leaf_of_a_deep_chain_costs_a_few_looks(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    leaf = processes.chain(STEPS_MAX - 1)
    assert processes.tree.contains(leaf) is True
    processes.put(LEAVES, leaf, 3)
    looks: list[object] = []

    def counted(path: str, flags: int) -> int:
        looks.append(path)
        return descriptor_of(path, flags)

    descriptor_of = os.open
    monkeypatch.setattr(os, "open", counted)
    assert processes.tree.contains(LEAVES) is True
    assert len(looks) <= 3


def test_processes_as_they_are() -> None:
    tree = Tree(cast(Household, None))
    tree.launcher = os.getppid()
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert tree.contains(os.getpid()) is True
        assert tree.contains(1) is False
    finally:
        child.kill()
        child.wait()
    assert tree.contains(child.pid) is None


def test_a_program_whose_name_is_no_text_is_told_with_its_bytes(processes: Processes) -> None:
    """As what was refused is: a record is UTF-8."""
    (processes.folder / "9").mkdir()
    os.symlink(b"/opt/t\xff\xc3\xa9 (deleted)", os.fsencode(processes.folder / "9/exe"))
    assert processes.tree.executable(9) == "/opt/t\\xff\u00e9 (deleted)"
    assert processes.tree.executable(10) == ""
