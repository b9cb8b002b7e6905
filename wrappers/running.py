"""A command on its way, in the manner of `sh`: what it has written, and the record of its run.

The traps of `sh` are closed here, once. No terminal unless it is asked for; what is kept in memory is bounded, and who
writes more is ended; a reader of lines holds the tool back, and no queue grows; a timeout ends the whole tree, and is
raised when nothing is left of it; Ctrl-C ends what is waited for; no thread is there but the one that reads.

Called by `commands.py`. Source: sh 2.4, whose `RunningCommand` and `OProc` this builds on.
"""

import asyncio
import contextlib
import io
import os
import queue
import signal
import threading
import time
import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import sh

from .awaited import uninterrupted
from .guarded import arity, guarded_end, guarded_input, guarded_output, weakly
from .kept import Kept, Printed, Teed, TooMuchOutput, teed
from .lines import LINE_MAX, Lines
from .sh_process import end, let_go, read_to_its_end, tell_at_end

CHUNK = 1 << 16
STARTED_S = 5.0
UNPROVEN = 125
"""The status of `exitpin run` where nothing is proven."""


class Way(Protocol):
    """How a command gets to its exit. `nothing`: a descriptor of /dev/null."""

    nothing: int

    def record_path(self) -> Path: ...
    def forget(self, path: Path) -> None: ...
    def take_record(
        self, path: Path, exit_: str, argv: Sequence[str], *, is_killed: bool
    ) -> Mapping[str, Any] | None: ...
    def environment(self, given: Mapping[str, str] | None) -> dict[str, str]: ...
    def command(self, exit_: str, argv: Sequence[str], record: Path, options: Sequence[str] = ()) -> list[str]: ...


class Running(sh.RunningCommand):
    """A command on its way. `record`: of its run, once that has ended; `lines`: where they are read from, if they are.
    One whose lines are read ends when nobody refers to it any more."""

    _process: Any = None

    def __init__(
        self, way: Way, exit_: str, cmd: list[str], call_args: dict[str, Any], stdin: Any, stdout: Any, stderr: Any
    ) -> None:
        self._way, self._exit, self._asked = way, exit_, cmd
        self._record: Mapping[str, Any] | None = None
        self._problem: BaseException | None = None
        self._kept: dict[str, Kept] = {}
        self.lines: io.BufferedReader | None = None
        self._settling, self._taking = threading.Lock(), threading.Lock()
        self._is_settled = self._is_taken = self.is_read = False
        if call_args["done"]:
            call_args["done"] = guarded_end(call_args["done"], weakly(self._fail))
        self._file, writing = way.record_path(), None
        try:
            call_args["env"] = way.environment(call_args["env"])
            if stdin is None and any(callable(one) and arity(one) > 1 for one in (stdout, stderr)):
                stdin = queue.Queue()  # for what they answer
            if stdin is None and not call_args["tty_in"]:
                stdin = way.nothing
            if self._reads_lines(call_args, stdout):
                reading, writing = os.pipe()
                self.lines = os.fdopen(reading, "rb")
                stdout = writing
            stdout, stderr = self._keep(call_args, stdin, stdout, stderr)
            stdin = guarded_input(stdin, weakly(self._fail))
            super().__init__(way.command(exit_, cmd, self._file), call_args, stdin, stdout, stderr)
        except BaseException:
            if self.lines is not None:
                self.lines.close()
            if self.process is None:
                way.forget(self._file)
            raise
        finally:
            if writing is not None:
                os.close(writing)

    @property
    def process(self) -> Any:
        """Its process, as `sh` has it; None, until that has started it."""
        return self._process

    @process.setter
    def process(self, process: Any) -> None:
        self._process = process
        if process is not None:
            read_to_its_end(process)
            if self.call_args["iter"] or self.call_args["iter_noblock"]:
                let_go(process, self)
            tell_at_end(process, self, partial(self._way.forget, self._file))

    @staticmethod
    def _reads_lines(call_args: Mapping[str, Any], stdout: Any) -> bool:
        return call_args["iter"] in (True, "out") and stdout is None and not call_args["async"] and not call_args["tee"]

    def _keep(self, call_args: dict[str, Any], stdin: Any, stdout: Any, stderr: Any) -> Iterator[Any]:
        """Where the streams go. Those that nobody has asked for, and those that `_tee=` names: to us."""
        queued = call_args["iter"] or call_args["iter_noblock"]
        tee = teed(call_args["tee"])
        for name, given in (("out", stdout), ("err", stderr)):
            is_piped = call_args["piped"] in ((True, "out") if name == "out" else ("err",))
            is_queued = queued in ((True, "out") if name == "out" else ("err",))
            is_joined = name == "err" and call_args["err_to_out"]
            is_ours = not (call_args[f"no_{name}"] or is_piped or is_queued or is_joined)
            guarded = self._guarded(call_args, stdin, given, is_ours and name in tee)
            if is_ours and (given is None or (name in tee and hasattr(guarded, "write"))):
                kept = self._kept[name] = Kept(weakly(self._end_for_its_size))
                guarded = kept if given is None else Teed(guarded, kept)
                tee.discard(name)  # or `sh` would keep it, too
                if given is None and call_args[f"{name}_bufsize"] == 1:
                    call_args[f"{name}_bufsize"] = CHUNK
            yield guarded
        call_args["tee"] = tee

    def _guarded(self, call_args: Mapping[str, Any], stdin: Any, given: Any, is_teed: bool) -> Any:
        """An output, where what it does and raises is told."""
        running = weakref.ref(self)

        def more() -> tuple[Any, Any]:
            here = running()
            return stdin, None if here is None else here._started()

        how = call_args["encoding"], call_args["decode_errors"]
        return guarded_output(given, *how, more, weakly(self._fail), is_teed)

    def _fail(self, error: BaseException) -> None:
        """What feeds it, or hears it, has raised this: it ends."""
        self._problem = self._problem or error
        self._started()
        self._signal(signal.SIGTERM)

    def _started(self) -> Any:
        """Its process. Called in threads of it, which may be there before we know it."""
        deadline = time.monotonic() + STARTED_S
        while self.process is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.process

    def close(self) -> None:
        """End it, and wait for its end: for who leaves a loop over lines, and keeps it."""
        self._signal(signal.SIGTERM)
        if self.lines is not None:
            self.lines.close()
        self.process.wait()

    def _end_for_its_size(self, _: object) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, signo: int) -> None:
        if self.process is not None:
            end(self.process, signo)

    @property
    def record(self) -> Mapping[str, Any] | None:
        """The run's record (docs/record.rst); None: it has not ended, or was never begun."""
        if self._started() is not None and not self.process.is_alive()[0]:
            self._take_record()
        return self._record

    def wait(self, timeout: float | None = None) -> "Running":
        """As that of `sh`; who waits for what nobody reads any more has it ended by SIGPIPE."""
        if self.lines is not None and not self._waited_until_completion:  # type: ignore[attr-defined]
            self.lines.close()
        try:
            with self._passing_ctrl_c_on():
                super().wait(timeout)
        except sh.TimeoutException as error:
            if self.process.timed_out:
                self._settle()
                error.exit_code = self.call_args["timeout_signal"]
            error.record = self._record  # type: ignore[attr-defined]
            error.args = error.exit_code, error.full_cmd  # or a pool of processes could not bring it back
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
        if code == 0 and self._record is None:
            code = self.process.exit_code = UNPROVEN
        process = (self._record or {}).get("process") or {}
        if process.get("signal") and process["signal"] == code - 128:
            code = self.process.exit_code = -process["signal"]
        if self._problem is not None:
            raise self._problem
        if any(kept.is_full for kept in self._kept.values()):
            raise TooMuchOutput(self.ran, self._record)
        if code == -signal.SIGPIPE and self.lines is not None and not self.is_read:
            return  # as a shell has it, where who reads has left
        try:
            super().handle_command_exit_code(code)
        except sh.ErrorReturnCode as error:
            error.record = self._record  # type: ignore[attr-defined]
            raise

    def _settle(self) -> None:
        """Its process has ended: take the record, and what was kept, where `sh` looks for it."""
        with self._settling:
            if self._is_settled:
                return
            self._is_settled = True
            self.process.wait()  # for the threads that read
            for name, kept in self._kept.items():
                getattr(self.process, f"_std{name}").append(kept.take())
        self._take_record()

    def _take_record(self) -> None:
        """Once; by whichever thread comes first, when its process has ended."""
        with self._taking:
            if not self._is_taken:
                self._is_taken = True
                is_killed = (self.process.exit_code or 0) < 0
                self._record = self._way.take_record(self._file, self._exit, self._asked, is_killed=is_killed)

    def __next__(self) -> Any:
        if self.lines is None or self.is_read:
            return super().__next__()
        with self._passing_ctrl_c_on():
            line = self.lines.readline(LINE_MAX) if not self.lines.closed else b""
        if line:
            return self.decoded(line)
        self.read_out()
        raise StopIteration

    def __aiter__(self) -> Lines:  # type: ignore[override]  # bytes, where they are no text
        return Lines(self)

    def decoded(self, line: bytes) -> str | bytes:
        """As text; as bytes, where strict decoding was asked for and it is none."""
        with contextlib.suppress(UnicodeDecodeError):
            return line.decode(self.call_args["encoding"], self.call_args["decode_errors"])
        return line

    def read_out(self) -> None:
        """All of its lines are read: wait for its end. Raises what `wait` raises."""
        self._stopped_iteration = self.is_read = True
        self.wait()

    def __await__(self) -> Generator[Any, None, Any]:
        """As that of `sh`; who is cancelled has it ended first."""

        complete: asyncio.Event = self.aio_output_complete  # type: ignore[attr-defined]

        async def completed() -> Any:
            try:
                await complete.wait()
            except asyncio.CancelledError:
                self._signal(signal.SIGTERM)
                await uninterrupted(complete.wait())
                raise
            return self.wait() if self.call_args["return_cmd"] else str(self)

        return completed().__await__()

    __hash__ = object.__hash__  # asyncio.gather asks for it

    def __len__(self) -> int:
        if self.lines is not None:
            raise TypeError("lines are read one by one")  # list() asks, and must not wait for the end
        return super().__len__()

    def __str__(self) -> str:
        text = Printed(super().__str__())
        text.running = self
        return text
