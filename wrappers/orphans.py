"""Ending what launchers left behind: our descendants for whom nobody answers, a little in each turn of the loop.

When a launcher is killed its tree becomes ours, as many as a hostile tool has made. All processes are looked at once,
and what hangs below each orphan is told from that; each is looked at again right before it is killed, for its pid may
be another's by then. Decides nothing of runs; called by `household.py`. Source: proc_pid_stat(5).
"""

import contextlib
import os
import signal
from collections.abc import Callable, Generator, Iterator
from itertools import islice
from typing import NamedTuple

SLICE = 100
"""Processes in one turn: some 2 ms."""


class Process(NamedTuple):
    """One process, and no other that has its pid later. `started`: in ticks since boot."""

    pid: int
    started: int


def look_at(pid: int, proc: str = "/proc") -> tuple[Process, int]:
    """`pid` as it is now, and its parent. Raises OSError. The name, in brackets, may hold anything."""
    descriptor = os.open(f"{proc}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fields = os.read(descriptor, 1024).rpartition(b")")[2].split()
    finally:
        os.close(descriptor)
    return Process(pid, int(fields[19])), int(fields[1])


def children() -> set[int]:
    """Ours. Mostly there are none, and to ask that is a thousand times cheaper than to look at all of /proc."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    return {process.pid for seen in _slices() for process, parent in seen if parent == os.getpid()}


def killing(known: Callable[[], set[int]]) -> Generator[None, None, bool]:
    """Kill every descendant of ours below a child that is not `known`, and reap the dead, a slice whenever the next is
    wanted. Returns whether there were any, or may have been. `known`: a number below zero is a child that is about to
    be there; asked after a look, since who is seen has been announced before. Raises OSError when processes can't be
    looked at though they may be there: we may have no descriptor left for it."""
    below: dict[int, list[Process]] = {}
    orphans: list[Process] = []
    is_sure = True
    for seen in _slices():
        answered_for = known()
        for process, parent in seen:
            below.setdefault(parent, []).append(process)
        fresh = [one for one, parent in seen if parent == os.getpid() and one.pid not in answered_for]
        if fresh and min(answered_for, default=0) < 0:
            is_sure = False
        else:
            orphans += fresh
        yield
    doomed = _with_all_below(orphans, below)
    while some := list(islice(doomed, SLICE)):
        for process in some:
            _kill(process)
        yield
    for number, orphan in enumerate(orphans, 1):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(orphan.pid, os.WNOHANG)
        if number % SLICE == 0:
            yield
    return bool(orphans) or not is_sure


def _slices() -> Iterator[list[tuple[Process, int]]]:
    """All processes, each with its parent."""
    with os.scandir("/proc") as entries:
        pids = (int(entry.name) for entry in entries if entry.name.isdigit())
        while some := list(islice(pids, SLICE)):
            yield list(_seen(some))


def _seen(pids: list[int]) -> Iterator[tuple[Process, int]]:
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):  # gone, or another user's
            yield look_at(pid)


def _with_all_below(orphans: list[Process], below: dict[int, list[Process]]) -> Iterator[Process]:
    """A parent before its children: a shell has no next command. Who is older than its parent had another, whose pid
    that one has now."""
    for orphan in orphans:
        tree = [orphan]
        while tree:
            parent = tree.pop()
            yield parent
            tree += [one for one in below.pop(parent.pid, []) if one.started >= parent.started]


def _kill(process: Process) -> None:
    with contextlib.suppress(OSError):
        if look_at(process.pid)[0] == process:
            os.kill(process.pid, signal.SIGKILL)
