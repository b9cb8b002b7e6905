"""Processes: starting a tool under the launcher, accounting for its tree, ending it.

The launcher is the tree's parent and subreaper: it ends what is left when the tool's first process has ended, and
all of it when this side hangs up. The question that attribution asks, whether a process is of the tree, is answered
from proc(5), on the loop and for whatever tree a hostile tool makes: in bounded time.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ..orchestrator import events
from ..shim import bindings
from .household import Household
from .orphans import Process, look_at
from .packets import despite_reset
from .watching import watch

NOTICE_MAX = 256
ANCESTRY_TRIES = 10
STEPS_MAX = 1000  # of a walk: 5 ms
KNOWN_MAX = 10_000
NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC})
NO_ROOM_TO_START = frozenset(
    {errno.EAGAIN, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC, errno.ETOOMANYREFS}
)
"""What a launcher lacks that others have taken: processes, files, memory, namespaces, room for descriptors on their way
(of all runs of a user). EMFILE is not of these: its tool's own limit is in force then."""
OF_THE_LAUNCHER = frozenset({bindings.Reason.NONE, bindings.Reason.CONTAINMENT})
"""Refusals that say nothing about the tool."""


class Tree:
    """The processes of one run: the launcher's descendants."""

    def __init__(self, household: Household, proc: Path = Path("/proc")) -> None:
        self.household = household
        self.launcher: int | None = None
        self._proc = os.fspath(proc)
        self._known: dict[Process, Process | None] = {}
        """Who has been walked from: None for a member, else the ancestor from which the next walk goes on. Never
        untrue later: whose ancestors end is left to the launcher. Forgotten now and then."""

    def contains(self, pid: int) -> bool | None:
        """Whether `pid` descends from the run's launcher, by the kernel's word, not by the report's.

        None: it is gone, or nobody can say: it may not be read, or the way up is longer than one walk (the next one
        goes on from there). A parent that goes while we look has left its children to the launcher. Raises OSError
        where we have no room to look: that says nothing of it.
        """
        if len(self._known) > KNOWN_MAX:
            self._known.clear()
        steps = iter(range(STEPS_MAX))
        for _ in range(ANCESTRY_TRIES):
            try:
                return self._descends(pid, steps)
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise
                return None
        return None

    def _descends(self, pid: int, steps: Iterator[int]) -> bool | None:
        """Raises OSError; one of those that say "gone" where somebody on the way up is."""
        passed: list[Process] = []
        for _ in steps:
            one, parent = look_at(pid, self._proc)
            if passed and one.started > passed[-1].started:
                raise ProcessLookupError(f"the parent is gone, and {pid} is another")
            passed.append(one)
            above = self._known.get(one)
            if parent == self.launcher or (above is None and one in self._known):
                self._known.update(dict.fromkeys(passed))
                return True
            if parent in (0, 1, os.getpid()):
                return False
            pid = above.pid if above is not None and self._lives(above) else parent
        self._known.update(dict.fromkeys(passed[:-1], passed[-1] if passed else None))
        return None

    def _lives(self, process: Process) -> bool:
        try:
            return look_at(process.pid, self._proc)[0] == process
        except (FileNotFoundError, ProcessLookupError):
            return False

    def executable(self, pid: int) -> str:
        """What `pid` executes now, in it as \\xNN what is no UTF-8; empty when it is gone."""
        try:
            return os.readlink(os.fsencode(f"{self._proc}/{pid}/exe")).decode("utf-8", "backslashreplace")
        except OSError:
            return ""


def launcher_command(argv: Sequence[str], preload: Path, options: Sequence[str]) -> list[str]:
    """The launcher's command line: its control socket is descriptor 3."""
    return [str(bindings.LAUNCHER), "--control", "3", "--preload", str(preload), *options, "--", *argv]


class LaunchedProcess:
    """One launcher. `post(event)` gets ProcessStarted, ProcessRefused, ProcessExited, TreeCrowded, TreeEnded or
    LauncherLost; `on_calls`, where the run is supervised, the descriptor from which its calls can be read."""

    def __init__(self, tree: Tree, post: Callable[[object], None], on_calls: Callable[[int], None] = os.close) -> None:
        self._tree = tree
        self._post = post
        self._on_calls = on_calls
        self._loop = asyncio.get_running_loop()
        self._control: socket.socket | None = None
        self._child: bindings.Child | None = None
        self._is_over = False
        self._has_ended = False

    def start(
        self,
        argv: Sequence[str],
        *,
        preload: Path,
        shim_config: str,
        environment: Mapping[str, str],
        stdio: tuple[int, int, int] | None,
        options: Sequence[str] = (),
    ) -> None:
        """Start `argv` under the launcher with these descriptors (None: our own). `options` are for it, and so is
        `shim_config`, which no other user of the machine may see: arguments they could read. Raises OSError,
        ValueError."""
        limits = ["--limit", f"open-files={self._tree.household.callers_file_limit}"]
        command = launcher_command(argv, preload, [*limits, *options])
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        high: list[int] = []
        try:
            self._listen(ours)
            # each source is first copied above the range that is assigned to, so that no assignment destroys another
            for source in (*(stdio or (0, 1, 2)), theirs.fileno()):
                high.append(fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, 16))
            self._child = bindings.Child(command, {**environment, "EXITPIN_SHIM": shim_config}, high)
            self._tree.launcher = self._child.pid
            self._tree.household.launchers.add(self._child.pid)
        except (OSError, ValueError):
            self._stop_listening()
            raise
        finally:
            for copy in high:
                os.close(copy)
            theirs.close()

    def end(self, grace_s: float) -> None:
        """TERM to the whole tree, KILL after `grace_s` (0: at once)."""
        self._order(bindings.encode_order(bindings.OrderKind.END, grace_ms=int(grace_s * 1000)))

    def _listen(self, control: socket.socket) -> None:
        """Raises OSError: nobody hears it, and it is to be closed."""
        control.setblocking(False)
        self._control = control
        watch(self._loop.add_reader, control.fileno(), self._readable)

    def _stop_listening(self) -> None:
        assert self._control is not None
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        self._control = None

    def _order(self, packet: bytes) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):  # the launcher is ending: its last notice is about to be read
                self._control.send(packet, socket.MSG_NOSIGNAL)

    def _readable(self) -> None:
        while self._control is not None:
            descriptors: list[int] = []
            try:
                packet, descriptors, _, _ = despite_reset(
                    socket.recv_fds, self._control, NOTICE_MAX, 1, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._hung_up()
                return
            self._child = None
            self._notice(bindings.decode_notice(packet), descriptors)

    def _notice(self, notice: bindings.Notice, descriptors: Sequence[int]) -> None:
        if notice.kind == bindings.NoticeKind.CALLS and len(descriptors) == 1:
            self._on_calls(descriptors[0])
            return
        for descriptor in descriptors:
            os.close(descriptor)
        if notice.kind == bindings.NoticeKind.CALLS:
            self._post(events.LauncherLost("the tool's calls could not be taken: too many open files"))
        elif notice.kind == bindings.NoticeKind.STARTED:
            self._post(events.ProcessStarted(notice.pid))
        elif notice.kind == bindings.NoticeKind.REFUSED:
            self._is_over = True
            self._post(_refused(notice))
        elif notice.kind == bindings.NoticeKind.EXITED:
            status = notice.status
            signo = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
            self._post(events.ProcessExited(None if signo else os.WEXITSTATUS(status), signo))
        elif notice.kind == bindings.NoticeKind.CROWDED:
            self._post(events.TreeCrowded())
        elif notice.kind == bindings.NoticeKind.ENDED:
            self._is_over = self._has_ended = True
            # since Linux 6.2 each CPU counts pages of its own, and adds some 32 at a time: the sum of few is 0
            self._post(events.TreeEnded(notice.cpu_us / 1e6, notice.maxrss_kib or None, notice.swept))

    def close(self) -> None:
        """Hang up: a launcher that still lives kills its whole tree and ends; then it is reaped."""
        if self._control is not None:
            self._is_over = True
            self._hung_up()

    def kill(self) -> None:
        """SIGKILL the launcher, even one that is stopped, and end its orphans; LauncherLost is posted after that."""
        if self._tree.launcher is not None:
            self._tree.household.kill(self._tree.launcher)
            if self._control is not None:
                self._hung_up()

    def _hung_up(self) -> None:
        assert self._tree.launcher is not None
        self._stop_listening()
        if self._has_ended:
            self._tree.household.leave(self._tree.launcher)
        else:
            self._tree.household.part(self._tree.launcher, self._gone)

    def _gone(self, status: int) -> None:
        if not self._is_over:
            self._is_over = True
            problem = f"the launcher (pid {self._tree.launcher}) ended with wait status {status}"
            if self._child is not None and self._child.error:
                problem = f"the launcher could not be started: {os.strerror(self._child.error)}"
            self._post(events.LauncherLost(problem))


def _refused(notice: bindings.Notice) -> object:
    """The tool is refused; or there was no room to start any."""
    why = os.strerror(notice.error) if notice.error else ""
    if (notice.reason, notice.error) == (bindings.Reason.CONTAINMENT, errno.ELOOP):
        why = "a link was laid on the way to a place that --allow names, so that the tool would write elsewhere"
    if notice.error in NO_ROOM_TO_START and notice.reason in OF_THE_LAUNCHER:
        return events.LauncherLost(f"the tool could not be started: {why}")
    name = notice.reason.name.lower().replace("_", "-")
    return events.ProcessRefused(name, 127 if name == "not-found" else 126, why)
