"""A launcher that a client starts: the tool is the client's descendant, with its directory, limits and terminal, and
its run is ours.

Between the launcher and us all is as if we had started it (`process.py`); only who started it differs, and so who ends
what is left when it was killed: the client is the tree's second parent, and when that is killed the kernel tells the
launcher. Called by `cli/daemon_lease.py`.
"""

import contextlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..orchestrator import events
from ..shim.bindings import Lease, LeaseKind
from .lease import LeaseConnection, memory_file, packed
from .orphans import look_at
from .process import LaunchedProcess, Tree, launcher_command


class LeasedProcess(LaunchedProcess):
    """One launcher of a client's. `client`: its pid here, the root of the run's tree."""

    def __init__(
        self,
        lease: LeaseConnection,
        client: int,
        tree: Tree,
        post: Callable[[object], None],
        on_calls: Callable[[int], None] = os.close,
    ) -> None:
        super().__init__(tree, post, on_calls)
        self._lease = lease
        self._root, _ = look_at(client)
        tree.launcher = client

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
        """Let the client start `argv` under the launcher, with its own standard descriptors if `stdio` is None. Raises
        OSError, ValueError."""
        command = launcher_command(argv, preload, options)
        variables = [f"{name}={value}" for name, value in {**environment, "EXITPIN_SHIM": shim_config}.items()]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._listen(ours)
            with theirs, memory_file(packed([*command, *variables])) as strings:
                grant = Lease(LeaseKind.GRANT, arguments=len(command), variables=len(variables))
                self._lease.send(grant, (strings, theirs.fileno(), *(stdio or ())))
        except (OSError, ValueError):
            theirs.close()
            self._stop_listening()
            raise

    def kill(self) -> None:
        """SIGKILL to all below the client, and hang up; LauncherLost is posted after that."""
        import psutil

        with contextlib.suppress(psutil.Error, OSError):
            if look_at(self._root.pid)[0] == self._root:
                for process in psutil.Process(self._root.pid).children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        process.kill()
        if self._control is not None:
            self._hung_up()

    def _hung_up(self) -> None:
        self._stop_listening()
        if self._is_over:
            return
        self._is_over = True
        problem = f"the launcher of the client (pid {self._tree.launcher}) ended before its tool was known to have"
        self._loop.call_soon(self._post, events.LauncherLost(problem))
