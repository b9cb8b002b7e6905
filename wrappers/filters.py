"""Short local commands of ours, held tight: a tool's filters (offline) and what prints a requirement's version.

A filter reads bytes that the suspect wrote, so a parser's flaw must lead nowhere: `Offline` gives it no network (a
network namespace of its own), no environment but PATH and LC_ALL, limits, and an end that takes all it started along.
Where namespaces are refused nothing is run. Called in threads, by `extraction.py` and `requirements.py`.

Such a command is a child of this process, and `Household` kills children that it does not know. So whoever starts one
passes `household.guests`: a number below zero in it says that a child is about to be there, and the pid follows. A
set's `add` and `discard` are atomic in CPython; there is no lock.
"""

import contextlib
import hashlib
import os
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

TIMEOUT_S = 5.0
CPU_S = 5
MEMORY_BYTES = 1 << 30
OUTPUT_BYTES = 64 << 10
FLOOD_BYTES = 4 << 20
STDERR_BYTES = 4 << 10
_CHUNK = 1 << 16
_NAMESPACES = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--")
_INIT = ("sh", "-c", '"$@"; exit $?', "sh")  # a namespace's first process ignores signals; and says 128+N for its child


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended. `code` below zero: by that signal."""

    code: int
    stdout: bytes
    stderr: bytes


class FilterFailed(Exception):
    """The bytes are nothing that the filter can read; the text says what it made of them."""


class Flooded(Exception):
    """The bytes make the filter print more than a fact may hold, which is their author's doing and no fault of this
    machine. The text says so, and ends in a digest of what was printed: two floods that differ are two."""


class FilterBroken(Exception):
    """The filter could not be run, or did not end within its limits: nothing is known about the bytes."""


class TooMuch(OverflowError):
    """A command printed more than it may; `read`: how it began, in bytes."""

    def __init__(self, text: str, read: bytes) -> None:
        super().__init__(text)
        self.read = read


class Offline:
    """Runs filters without network. `path`: where programs are looked for."""

    def __init__(self, path: str, guests: set[int] | None = None) -> None:
        self._path = path
        self._guests = set() if guests is None else guests
        self._obstacle: str | None = None

    def run(self, argv: Sequence[str], content: bytes) -> bytes:
        """What the command prints when it is given `content`. Raises FilterFailed, Flooded and FilterBroken."""
        program = shutil.which(argv[0], path=self._path)
        if program is None:
            raise FilterBroken(f"{argv[0]}: not found")
        if obstacle := self._why_not():
            raise FilterBroken(f"{argv[0]} was not run: it could reach the network ({obstacle})")
        try:
            ran = self._ran([*_NAMESPACES, *_INIT, *_limited(program, *argv[1:])], content)
        except TooMuch as error:
            raise _flood(argv[0], error.read) from None
        if ran.code == 0 and len(ran.stdout) > OUTPUT_BYTES:
            raise _flood(argv[0], ran.stdout)
        if ran.code == 0:
            return ran.stdout
        told = ran.stderr.decode("utf-8", "backslashreplace").strip().partition("\n")[0]
        if ran.code > 128:
            raise FilterBroken(f"{argv[0]} was ended by signal {ran.code - 128}")
        if ran.code < 0:
            raise FilterBroken(f"{argv[0]}: its namespace was ended by signal {-ran.code}")
        raise FilterFailed(f"{argv[0]} exit {ran.code}" + (f": {told[:200]}" if told else ""))

    def _why_not(self) -> str:
        """What keeps a namespace from being made; empty: nothing does. Tried once."""
        if self._obstacle is None:
            try:
                ran = self._ran([*_NAMESPACES, "true"], b"")
                self._obstacle = "" if ran.code == 0 else ran.stderr.decode("utf-8", "backslashreplace").strip()
            except FilterBroken as error:
                self._obstacle = str(error)
        return self._obstacle

    def _ran(self, argv: Sequence[str], content: bytes) -> Ran:
        try:
            environment = {"PATH": self._path, "LC_ALL": "C"}
            return run_capped(argv, content, environment, self._guests, stdout_max=FLOOD_BYTES)
        except (OSError, TimeoutError) as error:
            raise FilterBroken(str(error)) from None


def _flood(name: str, printed: bytes) -> Flooded:
    return Flooded(f"{name} printed more than {OUTPUT_BYTES >> 10} KiB: sha256:{hashlib.sha256(printed).hexdigest()}")


def _limited(*argv: str) -> list[str]:
    """The command under limits: util-linux sets them after the fork, which Python can't do beside threads."""
    return ["prlimit", f"--cpu={CPU_S}", f"--as={MEMORY_BYTES}", "--core=0", f"--fsize={OUTPUT_BYTES}", "--", *argv]


def run_capped(
    argv: Sequence[str],
    content: bytes,
    environment: Mapping[str, str],
    guests: set[int],
    timeout_s: float = TIMEOUT_S,
    *,
    stdout_max: int = OUTPUT_BYTES,
    stderr_max: int = STDERR_BYTES,
    directory: str = "/",
) -> Ran:
    """Run a command in a session of its own, with `content` as its standard input, and return how it ended.

    Raises OSError when it can't be started, TimeoutError after `timeout_s`, TooMuch (an OverflowError) when it prints
    more than `stdout_max`; its process group is killed in each case.
    """
    deadline = time.monotonic() + timeout_s
    with memory_file(content) as stdin, _guest(guests) as arrived:
        process = subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=directory,
            start_new_session=True,
        )
        arrived(process.pid)
        assert process.stdout is not None and process.stderr is not None
        with process.stdout, process.stderr:
            try:
                caps = {process.stdout.fileno(): stdout_max, process.stderr.fileno(): stderr_max}
                stdout, stderr = _read(caps, argv[0], deadline)
                code = process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise TimeoutError(f"{argv[0]} took longer than {timeout_s:g} s") from None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return Ran(code, stdout, stderr)


def kill_guests(guests: set[int]) -> None:
    """End the commands of all threads at once; each thread then reaps its own."""
    for pid in [pid for pid in guests.copy() if pid > 0]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _read(caps: Mapping[int, int], name: str, deadline: float) -> tuple[bytes, bytes]:
    """All that comes on stdout and stderr until both are closed; of stderr only the beginning is kept."""
    stdout, stderr = caps
    kept = {stdout: bytearray(), stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for descriptor in kept:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError(f"{name} took too long")
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fd)
                elif key.fd == stdout:
                    kept[stdout] += chunk
                    if len(kept[stdout]) > caps[stdout]:
                        text = f"{name} printed more than {caps[stdout] >> 10} KiB"
                        raise TooMuch(text, bytes(kept[stdout][: caps[stdout]]))
                else:
                    kept[stderr] += chunk[: max(0, caps[stderr] - len(kept[stderr]))]
    return bytes(kept[stdout]), bytes(kept[stderr])


@contextlib.contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """A descriptor to read `content` from: unlike a pipe it never fills up, and unlike a file it has no name."""
    descriptor = os.memfd_create("exitpin-filter", os.MFD_CLOEXEC)
    try:
        written = 0
        while written < len(content):
            written += os.pwrite(descriptor, content[written:], written)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _guest(guests: set[int]) -> Iterator[Callable[[int], None]]:
    """Announce a child before it is there; call what is yielded with its pid. It is reaped when the block ends."""
    mine = {-threading.get_ident()}
    guests |= mine

    def arrived(pid: int) -> None:
        guests.add(pid)
        guests.difference_update(mine)
        mine.add(pid)

    try:
        yield arrived
    finally:
        guests.difference_update(mine)
