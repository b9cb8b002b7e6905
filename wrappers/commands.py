"""sh-style commands bound to an exit: `commands.curl("-sS", url)`, with all of the habits of `sh`.

What `sh` starts is the client, which becomes the tool's parent: signals, pipes and exit statuses are the tool's own.
The traps of `sh` are closed here, once. No terminal unless it is asked for; what is kept in memory is bounded, and who
writes more is ended; a reader of lines holds the tool back, and no queue grows; a timeout ends the whole tree, and is
raised when nothing is left of it; Ctrl-C ends what is waited for; no thread is there but the one that reads.

Called by `exitpin.Tor`. Source: sh 2.4, whose `RunningCommand` and `OProc` this builds on.
"""

import contextlib
import io
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol

import sh

from .client import take_record

KEPT_MAX = 16 << 20
"""Bytes of stdout, and of stderr, that are kept in memory."""
CHUNK, LINE_MAX = 1 << 16, 1 << 20
HABITS = {"tty_out": False, "bg_exc": False, "new_session": True, "timeout_signal": signal.SIGTERM}
"""Defaults that differ from those of `sh`."""
UNPROVEN = 125
"""The status of `exitpin run` where nothing is proven."""
FOREGROUND = {"_in": 0, "_out": 1, "_err": 2, "_new_session": False}


class TooMuchOutput(Exception):
    """A command was ended, since it wrote more than `KEPT_MAX` bytes that were to be kept in memory: `_out=FILE`, or
    `_iter=True`, takes any amount. `record`: of its run."""

    def __init__(self, ran: str, record: Mapping[str, Any] | None) -> None:
        super().__init__(f"over {KEPT_MAX >> 20} MiB of output: {ran}; give it _out=FILE, or _iter=True")
        self.record = record


class Way(Protocol):
    """How a command gets to its exit. `nothing`: a descriptor of /dev/null."""

    nothing: int

    def record_path(self) -> Path: ...
    def environment(self, given: Mapping[str, str] | None) -> dict[str, str]: ...
    def command(self, exit_: str, argv: Sequence[str], record: Path, options: Sequence[str] = ()) -> list[str]: ...


class Printed(str):
    """What a command wrote to stdout. `running`: the command, as `_return_cmd=True` would have returned it."""

    running: "Running"

    @property
    def record(self) -> Mapping[str, Any] | None:
        """The record of its run, `exitpin.run/1`."""
        return self.running.record

    @property
    def stderr(self) -> bytes:
        """What it wrote there; the last lines may be exitpin's."""
        return self.running.stderr

    @property
    def exit_code(self) -> int:
        """0, or what `_ok_code` allowed."""
        return self.running.exit_code


class Kept:
    """What one stream wrote, as far as it is kept."""

    def __init__(self, on_full: Callable[[], None]) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._on_full = on_full

    @property
    def is_full(self) -> bool:
        return self._size > KEPT_MAX

    def write(self, chunk: bytes) -> None:
        if self.is_full:
            return self._on_full()
        self._chunks.append(chunk)
        self._size += len(chunk)

    def take(self) -> bytes:
        """All of it, once."""
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)


class Running(sh.RunningCommand):
    """A command on its way. `record`: of its run, once that has ended."""

    def __init__(
        self, way: Way, exit_: str, cmd: list[str], call_args: dict[str, Any], stdin: Any, stdout: Any, stderr: Any
    ) -> None:
        self._file: Path | None = None
        self._record: Mapping[str, Any] | None = None
        self._kept: dict[str, Kept] = {}
        self._lines: io.BufferedReader | None = None
        self._settling = threading.Lock()
        self._is_settled = self._is_read = False
        if call_args["with"]:  # it is not started: it stands before others
            super().__init__(cmd, call_args, stdin, stdout, stderr)
            return
        self._file = way.record_path()
        call_args["env"] = way.environment(call_args["env"])
        if stdin is None and not call_args["tty_in"]:
            stdin = way.nothing
        writing = None
        if self._reads_lines(call_args, stdout):
            reading, writing = os.pipe()
            self._lines = os.fdopen(reading, "rb")
            stdout = writing
        stdout, stderr = self._keep(call_args, stdout, stderr)
        try:
            super().__init__(way.command(exit_, cmd, self._file), call_args, stdin, stdout, stderr)
        except BaseException:
            if self._lines is not None:
                self._lines.close()
            raise
        finally:
            if writing is not None:
                os.close(writing)

    @staticmethod
    def _reads_lines(call_args: Mapping[str, Any], stdout: Any) -> bool:
        return call_args["iter"] in (True, "out") and stdout is None and not call_args["async"] and not call_args["tee"]

    def _keep(self, call_args: dict[str, Any], stdout: Any, stderr: Any) -> tuple[Any, Any]:
        """Where the streams go that nobody has asked for: to us."""
        queued = call_args["iter"] or call_args["iter_noblock"]
        given = {"out": stdout, "err": stderr}
        for name in ("out", "err"):
            is_piped = call_args["piped"] in ((True, "out") if name == "out" else ("err",))
            is_queued = queued in ((True, "out") if name == "out" else ("err",))
            is_joined = name == "err" and call_args["err_to_out"]
            if given[name] is None and not (call_args[f"no_{name}"] or is_piped or is_queued or is_joined):
                given[name] = self._kept[name] = Kept(self._end_for_its_size)
                if call_args[f"{name}_bufsize"] == 1:
                    call_args[f"{name}_bufsize"] = CHUNK
        return given["out"], given["err"]

    def _end_for_its_size(self) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, signo: int) -> None:
        """Send it, unless it was waited for: its number may be another's by then."""
        if self.process is not None and self.process.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.signal(signo)

    @property
    def record(self) -> Mapping[str, Any] | None:
        """The run's record (docs/record.rst); None: it has not ended, or was never begun."""
        if self.process is not None and not self.process.is_alive()[0]:
            self._settle()
        return self._record

    def wait(self, timeout: float | None = None) -> "Running":
        """As that of `sh`; who waits for what nobody reads any more has it ended by SIGPIPE."""
        if self._lines is not None and not self._waited_until_completion:  # type: ignore[attr-defined]
            self._lines.close()
        try:
            with self._passing_ctrl_c_on():
                super().wait(timeout)
        except sh.TimeoutException as error:
            if self.process.timed_out:
                self._settle()
                error.exit_code = self.call_args["timeout_signal"]
            error.record = self._record  # type: ignore[attr-defined]
            raise
        return self

    @contextlib.contextmanager
    def _passing_ctrl_c_on(self) -> Iterator[None]:
        """It has a session of its own, where no terminal sends it any."""
        try:
            yield
        except KeyboardInterrupt:
            self._signal(signal.SIGINT)
            raise

    def handle_command_exit_code(self, code: int) -> None:
        """Raise what `sh` raises for it, with the `record`. A signal that ended the tool is one here, too; a success of
        which there is no record is none."""
        self._settle()
        if code == 0 and self._record is None and self._file is not None:
            code = self.process.exit_code = UNPROVEN
        process = (self._record or {}).get("process") or {}
        if process.get("signal") and process["signal"] == code - 128:
            code = self.process.exit_code = -process["signal"]
        if any(kept.is_full for kept in self._kept.values()):
            raise TooMuchOutput(self.ran, self._record)
        if code == -signal.SIGPIPE and self._lines is not None and not self._is_read:
            return  # as a shell has it, where who reads has left
        try:
            super().handle_command_exit_code(code)
        except sh.ErrorReturnCode as error:
            error.record = self._record  # type: ignore[attr-defined]
            raise

    def _settle(self) -> None:
        """Its process has ended: take the record, and what was kept, where `sh` looks for it."""
        with self._settling:
            if self._is_settled or self._file is None:
                return
            self._is_settled = True
            self.process.wait()  # for the threads that read
            for name, kept in self._kept.items():
                getattr(self.process, f"_std{name}").append(kept.take())
            self._record = take_record(self._file)

    def __next__(self) -> Any:
        if self._lines is None or self._is_read:
            return super().__next__()
        with self._passing_ctrl_c_on():
            line = self._lines.readline(LINE_MAX) if not self._lines.closed else b""
        if line:
            with contextlib.suppress(UnicodeDecodeError):
                return line.decode(self.call_args["encoding"], self.call_args["decode_errors"])
            return line
        self._stopped_iteration = self._is_read = True
        self.wait()
        raise StopIteration

    __hash__ = object.__hash__  # asyncio.gather asks for it

    def __len__(self) -> int:
        if self._lines is not None:
            raise TypeError("lines are read one by one")  # list() asks, and must not wait for the end
        return super().__len__()

    def __str__(self) -> str:
        text = Printed(super().__str__())
        text.running = self
        return text


def command_class(way: Way, exit_: str) -> type[sh.Command]:
    """The commands of one exit."""

    class PinnedCommand(sh.Command):
        _call_args: ClassVar[dict[str, Any]] = {**sh.Command._call_args, **HABITS}  # type: ignore[misc]
        RunningCommandCls = partial(Running, way, exit_)  # type: ignore[assignment]

        def __init__(self, path: str, search_paths: Any = None) -> None:
            super().__init__(path, search_paths)
            if "/" not in path:
                self._path = path  # found where the run looks for it

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            """As that of `sh`. Its foreground would start the tool itself, past the exit."""
            if not kwargs.pop("_fg", self._partial_call_args.get("fg")):
                return super().__call__(*args, **kwargs)
            super().__call__(*args, **{**kwargs, **FOREGROUND, "_fg": False})
            return None

    return PinnedCommand


def find(commands: type[sh.Command], name: str) -> sh.Command:
    """The command of that name, or with dashes where it has underscores. Raises sh.CommandNotFound."""
    try:
        return commands(name)
    except sh.CommandNotFound:
        if "_" not in name:
            raise
        return commands(name.replace("_", "-"))
