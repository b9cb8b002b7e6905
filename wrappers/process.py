"""Processes: starting a tool under the launcher, accounting for its tree (psutil), ending it.

The launcher is the tree's parent and subreaper: it ends what is left when the tool's first process has ended, and
all of it when this side hangs up. psutil answers the question that attribution asks, whether a process is of the
tree, and is the second pair of eyes at the end.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..orchestrator import events
from ..shim import bindings

NOTICE_MAX = 256
ANCESTRY_TRIES = 10


class Household:
    """All launchers of this process. When one is killed, its orphans become our children (we are a subreaper)."""

    def __init__(self) -> None:
        import psutil  # noqa: F401 - before the first run: it takes 20 ms, in which the loop would stand still

        bindings.set_child_subreaper()
        self.launchers: set[int] = set()
        self._ending: set[int] = set()

    def leave(self, launcher: int) -> None:
        """A launcher whose tree has ended hung up: reaped now, or when another one leaves. To wait for it here would
        hold up the loop until the scheduler lets it finish."""
        self._ending.add(launcher)
        for pid in list(self._ending):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._ending.discard(pid)
                self.launchers.discard(pid)

    def end_orphans(self) -> None:
        """Kill and reap every descendant of ours that no launcher answers for."""
        import psutil

        while orphans := [c for c in psutil.Process().children() if c.pid not in self.launchers]:
            for orphan in orphans:
                with contextlib.suppress(psutil.Error):
                    for process in (*orphan.children(recursive=True), orphan):
                        process.kill()
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(orphan.pid, 0)


class Tree:
    """The processes of one run: the launcher's descendants."""

    def __init__(self, household: Household) -> None:
        self.household = household
        self.launcher = 0
        self._members: set[int] = set()

    def contains(self, pid: int) -> bool | None:
        """Whether `pid` descends from the run's launcher, by the kernel's word (psutil), not by the report's.

        None: it is gone, and nobody can say. A parent that goes while we look has left its children to the launcher.
        """
        import psutil

        if pid in self._members:
            return True
        for _ in range(ANCESTRY_TRIES):
            try:
                return self._descends(pid)
            except psutil.Error:
                if not psutil.pid_exists(pid):
                    return None
        return False

    def _descends(self, pid: int) -> bool:
        import psutil

        seen = pid
        for _ in range(256):
            parent = psutil.Process(seen).ppid()
            if parent == self.launcher or parent in self._members:
                self._members.add(pid)
                return True
            if parent in (0, 1):
                return False
            seen = parent
        return False

    def executable(self, pid: int) -> str:
        """What `pid` executes now; empty when it is gone."""
        try:
            return os.readlink(f"/proc/{pid}/exe")
        except OSError:
            return ""


class LaunchedProcess:
    """One launcher. `post(event)` gets ProcessStarted, ProcessRefused, ProcessExited, TreeEnded or LauncherLost."""

    def __init__(self, tree: Tree, post: Callable[[object], None]) -> None:
        self._tree = tree
        self._post = post
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
        stdio: tuple[int, int, int],
        foreground: bool,
    ) -> None:
        """Start `argv` under the launcher with these three descriptors. Raises OSError, ValueError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        options = ["--foreground", "--keep-files"] if foreground else []
        command = [
            str(bindings.LAUNCHER), "--control", "3", "--preload", str(preload), "--shim", shim_config, *options, "--",
            *argv,
        ]  # fmt: skip
        # each source is first copied above the range that is assigned to, so that no assignment destroys another source
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 16) for fd in (*stdio, theirs.fileno())]
        try:
            self._child = bindings.Child(command, environment, high)
            self._tree.launcher = self._child.pid
            self._tree.household.launchers.add(self._tree.launcher)
        except (OSError, ValueError):
            ours.close()
            raise
        finally:
            for copy in high:
                os.close(copy)
            theirs.close()
        self._control = ours
        self._loop.add_reader(ours.fileno(), self._readable)

    def end(self, grace_s: float) -> None:
        """TERM to the whole tree, KILL after `grace_s` (0: at once)."""
        self._order(bindings.encode_order(bindings.OrderKind.END, grace_ms=int(grace_s * 1000)))

    def signal(self, signo: int) -> None:
        """`signo` to the tool's process group."""
        self._order(bindings.encode_order(bindings.OrderKind.SIGNAL, signo=signo))

    def _order(self, packet: bytes) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):  # the launcher is ending: its last notice is about to be read
                self._control.send(packet, socket.MSG_NOSIGNAL)

    def _readable(self) -> None:
        while self._control is not None:
            try:
                packet = self._control.recv(NOTICE_MAX)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._hung_up()
                return
            self._child = None
            self._notice(bindings.decode_notice(packet))

    def _notice(self, notice: bindings.Notice) -> None:
        if notice.kind == bindings.NoticeKind.STARTED:
            self._post(events.ProcessStarted(notice.pid))
        elif notice.kind == bindings.NoticeKind.REFUSED:
            self._is_over = True
            name = notice.reason.name.lower().replace("_", "-")
            status = 127 if name == "not-found" else 126
            self._post(events.ProcessRefused(name, status, os.strerror(notice.error) if notice.error else ""))
        elif notice.kind == bindings.NoticeKind.EXITED:
            status = notice.status
            signo = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
            self._post(events.ProcessExited(None if signo else os.WEXITSTATUS(status), signo))
        elif notice.kind == bindings.NoticeKind.ENDED:
            self._is_over = self._has_ended = True
            self._post(events.TreeEnded(notice.cpu_us / 1e6, notice.maxrss_kib, notice.swept))

    def close(self) -> None:
        """Hang up: a launcher that still lives kills its whole tree and ends; then it is reaped."""
        if self._control is not None:
            self._is_over = True
            self._hung_up()

    def _hung_up(self) -> None:
        assert self._control is not None
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        self._control = None
        if self._has_ended:
            self._tree.household.leave(self._tree.launcher)
            return
        pid, status = os.waitpid(self._tree.launcher, 0)
        self._tree.household.launchers.discard(pid)
        if not self._is_over:
            self._is_over = True
            self._tree.household.end_orphans()
            problem = f"the launcher (pid {pid}) ended with wait status {status}"
            if self._child is not None and self._child.error:
                problem = f"the launcher could not be started: {os.strerror(self._child.error)}"
            self._post(events.LauncherLost(problem))
