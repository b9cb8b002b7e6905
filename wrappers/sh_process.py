"""What is changed of a process of `sh`, once that is there. Called by `running.py`. Source: sh 2.4, its `OProc`."""

import contextlib
import os
import select
import signal
import weakref
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from .guarded import weakly


def end(process: Any, signo: int = signal.SIGTERM) -> None:
    """Send a signal, unless it was waited for: its number may be another's by then."""
    if process.exit_code is None:
        with contextlib.suppress(ProcessLookupError):
            process.signal(signo)


def let_go(process: Any, running: Any) -> None:
    """Its threads keep its command no longer: that is ended when nobody else refers to it."""
    complete, handle = running.aio_output_complete, weakly(running.handle_command_exit_code)
    process.command = SimpleNamespace(aio_output_complete=complete, handle_command_exit_code=handle)
    weakref.finalize(running, _dropped, os.getpid(), partial(end, process))


def tell_at_end(process: Any, running: Any, forget: Callable[[], object]) -> None:
    """Who is to be called at the end is; not, where nobody refers to the command any more, with which he would be
    called. `forget` is called when that is so, and the process has ended, whichever comes last."""
    done = process.call_args["done"]
    process.call_args["done"] = partial(_ended, done.func if done else None, weakref.ref(running), forget)
    is_kept = process.command is running  # until it has ended
    weakref.finalize(running, _dropped, os.getpid(), forget if is_kept else partial(_forget_ended, process, forget))


def _ended(told: Callable[..., object] | None, found: Any, forget: Callable[[], object], *how: Any) -> None:
    running = found()
    if running is None:
        forget()
    elif told is not None:
        told(running, *how)


def _forget_ended(process: Any, forget: Callable[[], object]) -> None:
    if process.exit_code is not None:
        forget()


def _dropped(pid: int, act: Callable[[], object]) -> None:
    """Only where it was started: a process that was forked from that one drops it, too."""
    if pid == os.getpid():
        act()


def read_to_its_end(process: Any) -> None:
    """`sh` stops reading 2 s after the end, whatever is still there, where a callback takes its time. Now it stops when
    nothing is: who has inherited a pipe, and says nothing, is not waited for."""
    stop = process._stop_output_event
    streams = [stream for stream in (process._stdout_stream, process._stderr_stream) if stream is not None]
    is_asked = stop.is_set
    stop.is_set = lambda: is_asked() and not _is_readable(streams)


def _is_readable(streams: list[Any]) -> bool:
    poll = select.poll()
    for stream in streams:
        poll.register(stream, select.POLLIN)
    return any(events & select.POLLIN for _, events in poll.poll(0))
