"""Which named pipes are those of daemons, and which are the caller's own doing; and when there may be more."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exitpin.shim import bindings
from exitpin.wrappers.named_pipes import Pipes, Reader, hidden_from, pipes_that_are_read
from exitpin.wrappers.unix_given import GivenPipes

INIT, DESKTOP, SHELL, CALLER = 1, 10, 20, 30
READS = "import os, sys; os.open(sys.argv[1], os.O_RDWR); print(flush=True); sys.stdin.read()"


class Machine:
    """A /proc: init, the service of a desktop, a shell of its, and the caller; and whoever else is put there."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.process(INIT, 0, INIT)
        self.process(DESKTOP, INIT, DESKTOP)
        self.process(SHELL, DESKTOP, SHELL, terminal=34816)
        self.process(CALLER, SHELL, CALLER)

    def process(self, pid: int, parent: int, session: int, *reads: Path, terminal: int = 0) -> None:
        folder = self.proc / str(pid) / "fd"
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "stat").write_text(f"{pid} (a) name)) S {parent} {pid} {session} {terminal} -1 0 0\n")
        for number, path in enumerate(reads):
            (folder / str(number)).symlink_to(path)

    def hidden(self, *allowed: str, caller: int = CALLER) -> list[str]:
        given = GivenPipes(allowed)
        return hidden_from(pipes_that_are_read(self.proc), caller, given.places, proc=self.proc).paths


def hidden(*allowed: Path) -> list[str]:
    """From a run of ours, on this machine."""
    return hidden_from(pipes_that_are_read(), os.getpid(), GivenPipes(map(str, allowed)).places).paths


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@contextmanager
def reading(path: Path, *, is_daemon: bool) -> Iterator[int]:
    """Another process, which has it open: its pid."""
    with subprocess.Popen(
        [sys.executable, "-c", READS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        start_new_session=is_daemon,
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout
        process.stdout.readline()
        yield process.pid
        process.stdin.close()


def eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("is_daemon", [True, False])
def test_what_a_daemon_reads_is_hidden_and_what_a_child_reads_is_not(pipe: Path, is_daemon: bool) -> None:
    with reading(pipe, is_daemon=is_daemon):
        assert (str(pipe) in hidden()) is is_daemon
        assert str(pipe) not in hidden(pipe)
    assert str(pipe) not in hidden()


@pytest.mark.parametrize(
    ("pid", "parent", "session", "terminal", "is_hidden"),
    [
        (40, INIT, 40, 0, True),
        (40, SHELL, 40, 0, True),
        (40, INIT, CALLER, 0, False),
        (40, SHELL, SHELL, 0, False),
        (40, INIT, 40, 34816, False),
        (CALLER, SHELL, CALLER, 0, False),
        (SHELL, DESKTOP, SHELL, 0, False),
        (DESKTOP, INIT, DESKTOP, 0, True),
        (40, DESKTOP, DESKTOP, 0, True),
        (INIT, 0, INIT, 0, True),
    ],
    ids=[
        "a daemon", "one that our shell has started", "a job of our session", "a job of our shell's", "another window",
        "the caller", "our shell", "the service that has started our shell", "a job of that service", "init",
    ],
)  # fmt: skip
def test_who_reads_says_whose_doing_it_is(
    machine: Machine, pipe: Path, pid: int, parent: int, session: int, terminal: int, is_hidden: bool
) -> None:
    machine.process(pid, parent, session, pipe, terminal=terminal)
    assert machine.hidden() == ([str(pipe)] if is_hidden else [])


def test_a_caller_that_init_has_started_is_no_daemon_to_itself(machine: Machine, pipe: Path) -> None:
    machine.process(DESKTOP, INIT, DESKTOP, pipe)
    assert machine.hidden(caller=DESKTOP) == []
    assert machine.hidden(caller=INIT) == [str(pipe)]


def test_what_the_callers_own_job_reads_stays_whoever_else_does(machine: Machine, pipe: Path) -> None:
    machine.process(40, INIT, 40, pipe)
    machine.process(41, INIT, CALLER, pipe)
    assert machine.hidden() == []


def test_what_was_allowed_stays_by_whatever_name(machine: Machine, pipe: Path) -> None:
    machine.process(40, INIT, 40, pipe)
    pipe.with_name("link").symlink_to(pipe)
    assert machine.hidden(str(pipe.with_name("link")), "/not/there") == []


def test_what_was_given_is_the_pipe_that_was_there_and_not_its_name(machine: Machine, pipe: Path) -> None:
    """A tool may lay a link to another daemon's at the name that was given."""
    machine.process(40, INIT, 40, pipe)
    named = pipe.with_name("named")
    os.mkfifo(named)
    given = GivenPipes([str(named)])
    named.unlink()
    named.symlink_to(pipe)
    assert hidden_from(pipes_that_are_read(machine.proc), CALLER, given.places, proc=machine.proc).paths == [str(pipe)]


def test_nothing_but_what_is_read_and_has_a_name_counts(pipe: Path) -> None:
    both, ends = os.open(pipe, os.O_RDWR), os.pipe()
    writing = os.open(pipe, os.O_WRONLY)
    try:
        mine = bindings.named_pipes("/proc/self/fd")
        assert [(one.fd, one.device, one.inode, one.links) for one in mine] == [
            (both, os.stat(pipe).st_dev, os.stat(pipe).st_ino, 1)
        ]
    finally:
        for descriptor in (both, writing, *ends):
            os.close(descriptor)


def test_one_that_was_unlinked_can_be_opened_by_nobody(machine: Machine, pipe: Path) -> None:
    with reading(pipe, is_daemon=True) as pid:
        pipe.unlink()
        os.mkfifo(pipe)
        machine.process(40, INIT, 40)
        (machine.proc / "40" / "fd").rmdir()
        (machine.proc / "40" / "fd").symlink_to(f"/proc/{pid}/fd")
        assert [one.links for one in bindings.named_pipes(f"/proc/{pid}/fd")] == [0]
        assert pipes_that_are_read(machine.proc) == Pipes({}, is_whole=True)


def test_other_names_are_known_to_be_missing(machine: Machine, pipe: Path) -> None:
    machine.process(40, INIT, 40, pipe)
    assert pipes_that_are_read(machine.proc).is_whole
    pipe.with_name("other").hardlink_to(pipe)
    found = pipes_that_are_read(machine.proc)
    assert (list(found.readers), found.is_whole) == ([str(pipe)], False)


def test_a_name_that_leads_elsewhere_is_known_to_be_missing(machine: Machine, pipe: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").symlink_to(tmp_path)
    machine.process(40, INIT, 40, tmp_path / "gone")
    os.mkfifo(tmp_path / "gone")
    descriptor = bindings.named_pipes(f"{machine.proc}/40/fd")[0]

    def see(folder: str) -> list[bindings.NamedPipe]:
        return [descriptor] if "/40/" in folder else []

    (tmp_path / "gone").rename(tmp_path / "moved")
    os.mkfifo(tmp_path / "gone")
    assert pipes_that_are_read(machine.proc, see) == Pipes({}, is_whole=False)


def test_a_process_that_is_not_ours_to_see_is_known_to_be_missing(machine: Machine) -> None:
    def see(folder: str) -> list[bindings.NamedPipe]:
        if f"/{DESKTOP}/" in folder:
            raise PermissionError
        if f"/{SHELL}/" in folder:
            raise FileNotFoundError
        return []

    assert pipes_that_are_read(machine.proc, see) == Pipes({}, is_whole=False)
    machine.process(DESKTOP, INIT, DESKTOP)
    assert pipes_that_are_read(machine.proc).is_whole


def test_what_a_tool_makes_later_crowds_out_nobody(machine: Machine, tmp_path: Path) -> None:
    names = ["z", "m", "a"]
    for name in names:
        os.mkfifo(tmp_path / name)
        before = os.stat(tmp_path / name).st_ctime_ns
        eventually(lambda before=before: _time_of(tmp_path / "clock") > before)  # type: ignore[misc]
    machine.process(40, INIT, 40, *(tmp_path / name for name in sorted(names)))
    assert machine.hidden() == [str(tmp_path / name) for name in names]


def _time_of(file: Path) -> int:
    file.write_text("")
    return file.stat().st_ctime_ns


def test_what_does_not_fit_is_said() -> None:
    daemon = [Reader(40, 40, has_terminal=False)]
    pipes = Pipes({"/a": daemon, "/b": daemon}, is_whole=True)
    assert hidden_from(pipes, os.getpid(), most=2) == (["/a", "/b"], True)
    assert hidden_from(pipes, os.getpid(), most=1) == (["/a"], False)
