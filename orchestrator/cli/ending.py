"""How a verb ends: what it raises, a signal, and an output that nobody takes, as one sentence and an exit status.

Called by `main.py`, and by `vantage.py` in the process that it starts inside a lab.
"""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from ..errors import BY_INTERRUPT, ByInterrupt, OperatorError, status_of_signal


class OutputLost(OperatorError):
    """Standard output takes nothing more."""


class Ended(KeyboardInterrupt):
    """A signal that ends us: whatever cleans up after Ctrl-C does so after it."""

    def __init__(self, signo: int) -> None:
        super().__init__(signo)
        self.signo = signo


class _Output(io.FileIO):
    """Standard output. An error of its own is told from that of any other file."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except (BrokenPipeError, BlockingIOError):
            raise
        except OSError as error:
            why = f"standard output can't be written: {error.strerror}."
            raise OutputLost(why, "What was printed is not whole.") from error


class _Complaints(io.FileIO):
    """Standard error: where nobody takes it nobody can be told, and no answer changes for that."""

    def write(self, content: Any) -> int:
        try:
            return super().write(content)
        except OSError:
            return memoryview(content).nbytes


def take_standard_streams() -> None:
    """Write to our own, as they were opened, from now on. Whoever has replaced one knows why: that one stays."""
    for name, raw in (("stdout", _Output), ("stderr", _Complaints)):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and isinstance(stream, io.TextIOWrapper):
            stream.flush()
            file = raw(stream.fileno(), "wb", closefd=False)
            own = io.TextIOWrapper(
                file if stream.write_through else io.BufferedWriter(file), stream.encoding, stream.errors,
                line_buffering=stream.line_buffering, write_through=stream.write_through,
            )  # fmt: skip
            setattr(sys, name, own)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP end us as SIGINT does, unless somebody had them ignored (nohup). After the first no
    other counts: what cleans up is not left half-way."""

    def end(signo: int, _: FrameType | None) -> None:
        for one in taken:
            signal.signal(one, signal.SIG_IGN)
        raise Ended(signo)

    taken = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    for signo in taken:
        signal.signal(signo, end)
    try:
        yield
    finally:
        for signo in taken:
            if signal.getsignal(signo) is end:
                signal.signal(signo, signal.SIG_DFL)


def exit_status_of(work: Callable[[], int]) -> int:
    """Carry it out, see that all it printed is written, and say in a sentence what went wrong."""
    try:
        try:
            status = work()
        except SystemExit:  # --help
            sys.stdout.flush()
            raise
        sys.stdout.flush()
        return status
    except OperatorError as error:
        print(f"exitpin: {error}", file=sys.stderr)
        return error.exit_status
    except Ended as end:
        return status_of_signal(end.signo)
    except KeyboardInterrupt:
        return BY_INTERRUPT
    except BrokenPipeError:  # whoever read our output has gone, which is their right
        return 128 + signal.SIGPIPE
    finally:
        _leave_no_output()


def leave(status: int) -> NoReturn:
    """End this process."""
    if isinstance(status, ByInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    sys.exit(status)


def _leave_no_output() -> None:
    """Python flushes once more when it ends, and would complain."""
    try:
        sys.stdout.flush()
    except (OSError, OutputLost):
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), sys.stdout.fileno())
