"""A call of a Python function through an exit: what goes there, and what comes back.

Two files in memory are inherited by the child (`callee.py`): the call, and its answer, which can't grow over a limit
that the kernel keeps (a seal). Nothing that the tool prints, and nothing from a socket, is ever unpickled: the answer
is what the child's own Python wrote to a descriptor that the programs which it starts do not have.

Called by `exitpin.Tor` and `exitpin.Session`. Sources: memfd_create(2), F_ADD_SEALS in fcntl(2).
"""

import contextlib
import fcntl
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from .callee import HEADER, RAISED, RETURNED
from .client import take_record, timeout_words
from .own_daemon import OwnDaemon

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
        self.record: Mapping[str, Any] | None = None
        self._status = 0
        self._daemon = daemon
        self._path = daemon.record_path()
        self._files = contextlib.ExitStack()
        self._files.callback(self._path.unlink, missing_ok=True)  # of a call that is broken off
        try:
            self._prepare(exit_, what, timeout_s)
        except BaseException:
            self._files.close()
            raise

    def _prepare(self, exit_: str, what: tuple[Callable[..., Any], Any, Any], timeout_s: float | None) -> None:
        import cloudpickle

        self._asked = self._file(pickle.dumps(sys.path) + cloudpickle.dumps(what))
        self._answer = self._file(b"")
        os.ftruncate(self._answer, ANSWER_MAX)
        fcntl.fcntl(self._answer, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        child = ("-P", "-c", "from exitpin.wrappers.callee import main; main()", str(self._asked), str(self._answer))
        self.command = self._daemon.command(exit_, [sys.executable, *child], self._path, timeout_words(timeout_s))
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
        self.record = take_record(self._path)

    def result(self) -> Any:
        """What the function returned. Raises what it raised, and RunFailed: nothing is read, then, or was not to be
        understood."""
        if self.record is None:
            raise self._failed(f"exit status {self._status}, and no record")
        failure = self.record["failure"]
        if failure:
            raise self._failed(f"{failure['kind']}: {failure['detail']}")
        if self._status != 0:
            raise self._failed(f"exit status {self._status}")
        kind, size = HEADER.unpack(os.pread(self._answer, HEADER.size, 0))
        if kind not in (RETURNED, RAISED) or size > ANSWER_MAX - HEADER.size:
            raise self._failed("its process ended without one")
        try:
            answer = pickle.loads(os.pread(self._answer, size, HEADER.size))
            error, told = (None, "") if kind == RETURNED else answer
        except Exception as why:  # whatever somebody's __setstate__ raises
            raise self._failed(f"what it wrote can't be read here: {type(why).__name__}: {why}") from why
        if kind == RETURNED:
            return answer
        if not isinstance(error, Exception):
            raise self._failed("it raised what is no exception")
        raise error from ChildTraceback(told)

    def _failed(self, why: str) -> RunFailed:
        return RunFailed(f"the function gave no answer: {why}", self.record)

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
