"""A call of a Python function through an exit: what goes there, and what comes back.

Two files in memory are inherited by the child (`callee.py`): the call, and its answer, which can't grow over a limit
that the kernel keeps (a seal). Nothing that the tool prints, and nothing from a socket, is ever unpickled: the answer
is what the child's own Python wrote to a descriptor that the programs which it starts do not have.

Called by `exitpin.Tor` and `exitpin.Session`. Sources: memfd_create(2), F_ADD_SEALS in fcntl(2).
"""

import contextlib
import fcntl
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from .callee import HEADER, RAISED, RETURNED
from .own_daemon import OwnDaemon, take_record

ANSWER_MAX = 64 << 20
"""Bytes of a pickled answer."""
LOWEST = 32
"""Descriptors from here on are nobody's on the way to the tool."""


class RunFailed(Exception):
    """A function gave no answer that could be vouched for. `record`: of its run (docs/record.rst); None: there was
    none."""

    def __init__(self, why: str, record: Mapping[str, Any] | None) -> None:
        super().__init__(why)
        self.record = record


class ChildTraceback(Exception):
    """Where an exception of a function was raised: its traceback in its own process, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class Call:
    """One call, and the files of it, for as long as the block lasts."""

    def __init__(
        self, daemon: OwnDaemon, exit_: str, what: tuple[Callable[..., Any], Any, Any], timeout_s: float | None
    ):
        import cloudpickle

        self.record: Mapping[str, Any] | None = None
        self._status = 0
        self._daemon = daemon
        self._path = daemon.record_path()
        self._files = contextlib.ExitStack()
        self._asked = self._file(pickle.dumps(sys.path) + cloudpickle.dumps(what))
        self._answer = self._file(b"")
        os.ftruncate(self._answer, ANSWER_MAX)
        fcntl.fcntl(self._answer, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        child = ("-P", "-c", "from exitpin.wrappers.callee import main; main()", str(self._asked), str(self._answer))
        options = () if timeout_s is None else ("--timeout", f"{timeout_s * 1000:.0f}ms")
        self.command = daemon.command(exit_, [sys.executable, *child], self._path, options)
        self.descriptors = (self._asked, self._answer)

    def __enter__(self) -> "Call":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._files.close()

    def run(self) -> None:
        """Start it, and wait for its end; an exception meanwhile ends it."""
        process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, pass_fds=self.descriptors, env=self._daemon.environment(None),
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait()
        except BaseException:
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise
        self.ended(process.returncode)

    def ended(self, status: int) -> None:
        """The run is over; the exit status of its client."""
        self._status = status
        line = take_record(self._path)
        self.record = json.loads(line) if line else None

    def result(self) -> Any:
        """What the function returned. Raises what it raised, and RunFailed."""
        failure = (self.record or {}).get("failure")
        if self._status != 0:
            why = f"{failure['kind']}: {failure['detail']}" if failure else f"exit status {self._status}"
            raise RunFailed(f"the function gave no answer: {why}", self.record)
        kind, size = HEADER.unpack(os.pread(self._answer, HEADER.size, 0))
        if kind not in (RETURNED, RAISED) or size > ANSWER_MAX - HEADER.size:
            raise RunFailed("the function gave no answer: its process ended without one", self.record)
        answer = pickle.loads(os.pread(self._answer, size, HEADER.size))
        if kind == RETURNED:
            return answer
        error, told = answer
        raise error from ChildTraceback(told)

    def _file(self, content: bytes) -> int:
        made = os.memfd_create("exitpin-call", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            descriptor = fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, LOWEST)
        finally:
            os.close(made)
        self._files.callback(os.close, descriptor)
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        return descriptor
