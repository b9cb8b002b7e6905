"""A call of a Python function through an exit: what goes there, and what comes back.

Two files in memory are inherited by the child (`callee.py`): the call, and its answer, which can't grow over a limit
that the kernel keeps (a seal). Nothing that the tool prints, and nothing from a socket, is ever unpickled: the answer
is what the child's own Python has signed. Programs which it starts have neither the key nor, but by /proc, the file.

Called by `exitpin.Tor` and `exitpin.Session`. Sources: memfd_create(2), F_ADD_SEALS in fcntl(2).
"""

import contextlib
import fcntl
import io
import os
import pickle
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from ..orchestrator.errors import OperatorError
from .callee import HEADER, KEY_BYTES, RAISED, RETURNED, signature
from .client import timeout_words
from .own_daemon import OwnDaemon

ANSWER_MAX = 64 << 20
"""Bytes of a pickled answer."""
LOWEST = 32
"""Descriptors from here on are nobody's on the way to the tool."""


class RunFailed(Exception):
    """A function gave no answer that could be vouched for. `record`: of its run (docs/record.rst); None: there was
    none."""

    def __init__(self, why: str, record: Mapping[str, Any] | None) -> None:
        super().__init__(why, record)
        self.record = record

    def __str__(self) -> str:
        return str(self.args[0])


class RemoteError(Exception):
    """What a function raised, where that itself can't be had here: it holds a socket or a file, say, can't be made
    anew, or is no `Exception` (a `CancelledError`, a `KeyboardInterrupt`) and would seem to interrupt the caller.
    `type_name`, `message`: the exception's; `traceback`: that of its process, as text."""

    def __init__(self, type_name: str, message: str, traceback: str) -> None:
        super().__init__(type_name, message, traceback)
        self.type_name, self.message, self.traceback = type_name, message, traceback

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}"


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
        self._exit = exit_
        self._path = daemon.record_path()
        self._files = contextlib.ExitStack()
        self._files.callback(daemon.forget, self._path)  # of a call that is broken off
        self._is_late = False
        try:
            self._prepare(exit_, what, timeout_s)
        except BaseException:
            self._files.close()
            raise
        self.patience_s = daemon.patience_s(timeout_s)
        """Seconds within which its process has ended."""

    def _prepare(self, exit_: str, what: tuple[Callable[..., Any], Any, Any], timeout_s: float | None) -> None:
        import cloudpickle

        self._key = secrets.token_bytes(KEY_BYTES)
        try:
            call = pickle.dumps(sys.path) + cloudpickle.dumps(what)
        except Exception as why:  # whatever somebody's __reduce__ raises
            told = f"the function, or an argument of it, can't be sent: {type(why).__name__}: {why}."
            raise OperatorError(told, "Have it opened, or made, by the function itself.") from why
        self._asked = self._file(self._key + call)
        self._answer = self._file(b"")
        os.ftruncate(self._answer, ANSWER_MAX)
        fcntl.fcntl(self._answer, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        child = ("-P", "-c", "from exitpin.wrappers.callee import main; main()", str(self._asked), str(self._answer))
        self._argv = [sys.executable, *child]
        self.command = self._daemon.command(exit_, self._argv, self._path, timeout_words(timeout_s))
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
            process.wait(self.patience_s)
        except subprocess.TimeoutExpired:
            self._is_late = True
            process.send_signal(signal.SIGTERM)
            process.wait()
        except BaseException:
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise
        self.ended(process.returncode, is_late=self._is_late)

    def ended(self, status: int, *, is_late: bool = False) -> None:
        """The run is over; the exit status of its client. `is_late`: it was ended, since it had taken too long."""
        self._status, self._is_late = status, is_late
        self.record = self._daemon.take_record(self._path, self._exit, self._argv, is_killed=status < 0)

    def result(self) -> Any:
        """What the function returned. Raises what it raised, and RunFailed: nothing is read, then, or was not to be
        understood; OperatorError where there was no run."""
        if self._is_late:
            raise self._failed(f"it was ended, since it had none after {self.patience_s:g} s, with its circuit")
        if self.record is None and self._status > 0:
            told = f"there was no run of the function (exit status {self._status})."
            raise OperatorError(told, "What exitpin has said of it is on stderr.", self._status)
        if self.record is None:
            raise self._failed(f"exit status {self._status}, and no record")
        failure = self.record["failure"]
        if failure:
            raise self._failed(f"{failure['kind']}: {failure['detail']}")
        if self._status != 0:
            raise self._failed(f"exit status {self._status}")
        kind, size, signed = HEADER.unpack(os.pread(self._answer, HEADER.size, 0))
        if kind not in (RETURNED, RAISED) or size > ANSWER_MAX - HEADER.size:
            raise self._failed("its process ended without one")
        content = os.pread(self._answer, size, HEADER.size)
        if signed != signature(self._key, kind, content):
            raise self._failed("what stands there was not written by its process")
        if kind == RAISED:
            raise self._raised(io.BytesIO(content))
        try:
            return pickle.loads(content)
        except Exception as why:  # whatever somebody's __setstate__ raises
            raise self._failed(f"what it wrote can't be read here: {type(why).__name__}: {why}") from why

    def _raised(self, content: io.BytesIO) -> Exception:
        """What it raised, or what stands for it."""
        try:
            type_name, message, told = map(str, pickle.load(content))
        except Exception as why:
            return self._failed(f"what it wrote can't be read here: {type(why).__name__}: {why}")
        error: object = None
        with contextlib.suppress(Exception):
            error = pickle.load(content)
        if not isinstance(error, Exception):
            error = RemoteError(type_name, message, told)
        error.__cause__ = ChildTraceback(told)
        return error

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
