"""A daemon of this program's own, on a socket in a private folder: while it is wanted, and no longer than we live.

It watches a pidfd of ours, so that it ends with this process however that ends, and its runs with it. What runs on it
is started by its clients, which are our children: the C client for one command through one exit, Python for all else.
Decides nothing about runs. Called by what `import exitpin` offers. Sources: pidfd_open(2), `cli/daemon.py`.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import IO

from ..orchestrator.errors import OperatorError
from .daemon_socket import NAMED
from .daemon_start import serves, start_daemon
from .runtime import scratch_directory

LOG = "daemon.log"
STOP_S, VERB_S = 30.0, 300.0
IN_PYTHON = (sys.executable, "-P", "-m", "exitpin")


class OwnDaemon:
    """One daemon. `network`: the words of its command line that say which network it is for; `settings`: variables that
    hold for it and for its clients, who else would not be served."""

    def __init__(self, network: Sequence[str], settings: Mapping[str, str]) -> None:
        self.network = list(network)
        self._settings = dict(settings)
        self._owner = os.getpid()
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._is_ended = self._serves = False
        self.client = _client()
        self.nothing = -1
        """A descriptor of /dev/null: the input of who is given none."""
        self._directory: Path | None = None

    def start(self) -> None:
        """Return when it serves. Raises OperatorError with its words when it can't. To be called once; another thread
        may call `stop` meanwhile."""
        try:
            self._directory = self._stack.enter_context(scratch_directory())
            self.nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            self._stack.callback(os.close, self.nothing)
            self._wait_for(self._begin(self._directory / LOG))
        except BaseException:
            self.stop()
            raise
        self._serves = True

    def _begin(self, log: Path) -> IO[bytes]:
        """Where its first word will be read."""
        life = os.pidfd_open(os.getpid())
        try:
            with log.open("wb") as said, self._lock:
                if self._is_ended:
                    raise OperatorError("it was ended before it began.")
                self._process, word = start_daemon(self.network, said, self.environment(None), life)
        finally:
            os.close(life)
        return word

    def _wait_for(self, word: IO[bytes]) -> None:
        is_ready = serves(word, lambda: print("exitpin: waiting for tor, or for who uses it", file=sys.stderr))
        if not is_ready and self._directory is not None:
            told = (self._directory / LOG).read_text(errors="replace") if (self._directory / LOG).exists() else ""
            raise OperatorError(told.strip().removeprefix("exitpin: ") or "the daemon could not be started.")

    def stop(self) -> None:
        """End it, and all that runs on it. In a process that was forked from its own: nothing."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._is_ended, process = True, self._process
        if process is not None and process.poll() is None:
            process.terminate() if self._serves else process.kill()  # it may wait for tor, and nothing runs on it yet
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._stack.close()

    @property
    def pid(self) -> int:
        """Its process, as we see it; 0 before it was started."""
        return self._process.pid if self._process is not None else 0

    def environment(self, given: Mapping[str, str] | None) -> dict[str, str]:
        """The variables of what runs on it; None: our own."""
        named = {} if self._directory is None else {NAMED: str(self._directory / "daemon")}
        return {**(os.environ if given is None else given), **self._settings, **named}

    def record_path(self) -> Path:
        """Where the record of one more run goes. Raises OperatorError: there is no daemon any more."""
        if self._directory is None or self._is_ended:
            raise OperatorError("this has been closed.", "Use it within its `with` block.")
        return self._directory / f"{next(self._numbers)}.json"

    def command(self, exit_: str, argv: Sequence[str], record: Path, options: Sequence[str] = ()) -> list[str]:
        """What runs `argv` through an exit, as our own child."""
        chosen = [*self.network, "-e", exit_, "--record", str(record), *options]
        return [self.client, "run", *chosen, "--", *argv]

    def verb(self, *words: str) -> list[str]:
        """The command line of another verb."""
        return [*IN_PYTHON, *words, *self.network]

    def told(self, *words: str) -> str:
        """What a verb that only reads prints. Raises OperatorError with its words when it can't."""
        done = subprocess.run(
            self.verb(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            env=self.environment(None), timeout=VERB_S,
        )  # fmt: skip
        if done.returncode:
            raise refusal(done.stderr, done.returncode)
        return done.stdout


def refusal(said: str, status: int) -> OperatorError:
    """What exitpin said last on stderr, as an error."""
    lines = [line for line in said.splitlines() if line.startswith("exitpin: ")]
    told = lines[-1].removeprefix("exitpin: ") if lines else said.strip() or f"exit status {status}"
    return OperatorError(told, "", status)


def take_record(path: Path) -> bytes:
    """The line that stands there, which is then gone; nothing: there is none."""
    try:
        line = path.read_bytes()
    except OSError:
        return b""
    path.unlink(missing_ok=True)
    return line


def _client() -> str:
    places = (os.path.dirname(sys.executable), sysconfig.get_path("scripts"))
    found = next((path for place in places if os.access(path := os.path.join(place, "exitpin"), os.X_OK)), None)
    found = found or shutil.which("exitpin")
    if found is None:
        raise OperatorError(f"the command exitpin lies neither beside {sys.executable} nor in PATH.", "Install it.")
    return found
