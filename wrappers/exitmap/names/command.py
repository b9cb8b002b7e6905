"""`command`: what a probe is given to run things over Tor. All of this process is, so nothing is replaced here."""

import logging
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from . import error

log = logging.getLogger("command")

KILLED_S: Final = 1.0

Kill = Callable[[], None]
OnOutput = Callable[[str, Kill], object]


def run_python_over_tor(*_: object) -> Callable[..., None]:
    """A function that calls another one, with these arguments, and returns nothing. As in exitmap, what goes wrong with
    a connection is logged and goes no further."""

    def run(func: Callable[..., object], *args: object) -> None:
        try:
            func(*args)
        except (error.SOCKSv5Error, OSError) as why:
            log.info("%s: %s", type(why).__name__, why)

    return run


class Command:
    """Runs commands. `process`, `stdout` and `stderr` are those of the last one; stderr is merged into stdout."""

    def __init__(self, *_: object) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.stdout: bytes | None = None
        self.stderr: None = None
        self.output_callback: OnOutput | None = None

    def execute(
        self, command: list[str], timeout: float | None = 10, output_callback: OnOutput | None = None
    ) -> tuple[bytes | None, None]:
        """Run a command to its end, or for `timeout` seconds: then it is killed with all that it started. With a
        callback each line goes there, until it returns something false, and the rest is returned. Raises OSError when
        it can't be started, and what the callback raises: then it is killed, too."""
        self.output_callback = output_callback
        process = self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        with process:
            try:
                self.stdout = self._rest_of(process, timeout)
            except BaseException:
                _kill(process)
                raise
        return self.stdout, self.stderr

    def _rest_of(self, process: "subprocess.Popen[bytes]", timeout_s: float | None) -> bytes:
        """What the callback did not take of its output."""
        rest, is_passing = b"", self.output_callback is not None
        for chunk in _chunks(process, timeout_s):
            rest += chunk
            while is_passing and b"\n" in rest:
                line, _, rest = rest.partition(b"\n")
                is_passing = self._pass_on(process, line)
        if rest and is_passing:
            self._pass_on(process, rest)
            rest = b""
        return rest

    def _pass_on(self, process: "subprocess.Popen[bytes]", line: bytes) -> bool:
        assert self.output_callback is not None
        return bool(self.output_callback(line.decode("utf-8", "replace").strip(), lambda: _kill(process)))


def _chunks(process: "subprocess.Popen[bytes]", timeout_s: float | None) -> Iterator[bytes]:
    """What it writes, until nobody can write any more, or time is up: then it is killed. Whoever still has the pipe by
    then, in a session of its own, is not waited for: it ends with the run."""
    assert process.stdout is not None
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    descriptor, selector = process.stdout.fileno(), selectors.DefaultSelector()
    selector.register(descriptor, selectors.EVENT_READ)
    is_killed = False
    with selector:
        while True:
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if left_s == 0.0 or not selector.select(left_s):
                if is_killed:
                    return
                log.debug("killed after %s seconds: %s", timeout_s, process.args)
                _kill(process)
                is_killed, deadline = True, time.monotonic() + KILLED_S
                continue
            chunk = os.read(descriptor, 1 << 16)
            if not chunk:
                break
            yield chunk
    try:
        process.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        _kill(process)


def _kill(process: "subprocess.Popen[Any]") -> None:
    """Kill it and all that it started in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        process.kill()


new = Command
