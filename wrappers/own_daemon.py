"""A daemon of this program's own, on a socket in a private folder: while it is wanted, and no longer than we live.

It watches a pidfd of ours, so that it ends with this process however that ends, and its runs with it. What runs on it
is started by its clients, which are our children: the C client for one command through one exit, Python for all else.
Decides nothing about runs. Called by what `import exitpin` offers. Sources: pidfd_open(2), `cli/daemon.py`.
"""

import contextlib
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import IO, Any, NoReturn

from ..orchestrator.errors import OperatorError
from ..orchestrator.settings import BUILT_IN, Settings, load_settings
from .client import client_path, one_exit, read_record, refusal, take_record, unanswered, wait_for_record
from .daemon_socket import NAMED
from .daemon_start import serves, start_daemon
from .runtime import scratch_directory

LOG = "daemon.log"
STOP_S, VERB_S = 30.0, 300.0
CIRCUIT_S = 240.0
"""Within which a run whose turn has come has its circuit, or none: three builds of 60 s, pauses, and some more."""
NETWORK_WAIT_S = 60.0
"""So long a run waits where no first hop answers, unless `network_wait` says another time."""
IN_PYTHON = (sys.executable, "-P", "-m", "exitpin")
_OPEN: dict[tuple[object, ...], "OwnDaemon"] = {}
"""Those of this process by network: tor is one's alone, and so it is the process that has it."""


class OwnDaemon:
    """One daemon. `network`: the words of its command line that say which network it is for; `settings`: variables that
    hold for it and for its clients, who else would not be served; `options`: those of each run."""

    def __init__(self, network: Sequence[str], settings: Mapping[str, str], options: Sequence[str] = ()) -> None:
        self.network = list(network)
        self._options = list(options)
        self._settings = dict(settings)
        self._owner = os.getpid()
        self._stack = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._under_way: set[Path] = set()
        self._left: dict[Path, bytes] = {}
        self._pace_s, self._wait_s = 0.0, NETWORK_WAIT_S
        self._lock = threading.Lock()
        self._is_begun = self._is_ended = self._serves = False
        self.client = client_path()
        self.nothing = -1
        """A descriptor of /dev/null: the input of who is given none."""
        self._directory: Path | None = None

    def __reduce__(self) -> NoReturn:
        raise TypeError("an open tor can't be pickled: a process that is forked has it, another one opens its own")

    def start(self) -> None:
        """Return when it serves. Raises OperatorError with its words when it can't, and where it was called before.
        Another thread may call `stop` meanwhile."""
        with self._lock:
            if self._is_begun or self._is_ended:
                raise OperatorError("this was opened, or closed, before.", "Make another one.")
            self._is_begun = True
        if self._is_second():
            raise OperatorError("this program has this tor open already.", "Use that one: threads and tasks share it.")
        try:
            self._directory = self._stack.enter_context(scratch_directory())
            self._pace_s, self._wait_s = _turns(load_settings(self.environment(None)), is_lab="--lab" in self.network)
            self.nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            self._stack.callback(os.close, self.nothing)
            self._wait_for(self._begin(self._directory / LOG))
        except BaseException:
            self.stop()
            raise
        self._serves = True

    def _is_second(self) -> bool:
        """Whether another one of this process has the same tor, for which this one would wait, and nobody knows how
        long. If not, this is the first from now on."""
        key = (os.getpid(), os.environ.get("EXITPIN_LAB", ""), *self.network)
        return _OPEN.setdefault(key, self) is not self

    def _begin(self, log: Path) -> IO[bytes]:
        """Where its first word will be read."""
        life = os.pidfd_open(os.getpid())
        try:
            with self._lock:
                if self._is_ended:
                    raise OperatorError("this was closed while it was opened.", "Make another one.")
                with log.open("wb") as said:
                    self._process, word = start_daemon(self.network, said, self.environment(None), life)
        finally:
            os.close(life)
        return word

    def _wait_for(self, word: IO[bytes]) -> None:
        is_ready = serves(word, lambda: print("exitpin: waiting for tor, or for who uses it", file=sys.stderr))
        if not is_ready:
            words = self._last_words()
            hint = "" if words else "`exitpin daemon run` in a terminal shows what it waits for."
            raise OperatorError(words or "the daemon of this program does not serve.", hint)

    def _last_words(self) -> str:
        """What the daemon has said; nothing, where its log has gone with its folder."""
        with contextlib.suppress(OSError):
            return (self._opened() / LOG).read_text(errors="replace").strip().removeprefix("exitpin: ")
        return ""

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
        for path in [*self._under_way]:
            with contextlib.suppress(OSError):
                self._left[path] = path.read_bytes()
        for key in [key for key, daemon in [*_OPEN.items()] if daemon is self]:
            del _OPEN[key]
        self.nothing = -1  # its number may be another file's from now on
        self._stack.close()

    @property
    def pid(self) -> int:
        """Its process, as we see it; 0 before it was started."""
        return self._process.pid if self._process is not None else 0

    def environment(self, given: Mapping[str, str] | None) -> dict[str, str]:
        """The variables of what runs on it; None: our own. Raises OperatorError when it is not open: what runs with no
        socket named would find another daemon."""
        named = {NAMED: str(self._opened() / "daemon")}
        return {**(os.environ if given is None else given), **self._settings, **named}

    def record_path(self) -> Path:
        """Where the record of one more run goes: no other run has the same, in whatever process that was forked from
        ours. Raises OperatorError when it is not open."""
        path = self._opened() / f"{os.getpid()}-{next(self._numbers)}-{secrets.token_hex(4)}.json"
        self._under_way.add(path)
        return path

    def patience_s(self, timeout_s: float | None) -> float | None:
        """How long one more run may take from now on with all that comes before it: its turn, as far as those that were
        asked for before have one, and its circuit."""
        before_s = CIRCUIT_S + self._wait_s + self._pace_s * len(self._under_way)
        return None if timeout_s is None else timeout_s + before_s

    def forget(self, path: Path) -> None:
        """Nobody wants the record of such a run any more. Called in whichever thread has noticed."""
        self._under_way.discard(path)
        self._left.pop(path, None)
        with contextlib.suppress(OSError):
            path.unlink()

    def take_record(
        self, path: Path, exit_: str, argv: Sequence[str], *, is_killed: bool = False
    ) -> dict[str, Any] | None:
        """The record of such a run that has ended, once, and also when this was closed since; None: there is none.
        `is_killed`: its client was, so it may come a little later. Raises OperatorError for one that can't be read or
        is of another run, and in a process that did not start it."""
        if not path.name.startswith(f"{os.getpid()}-"):
            raise OperatorError("this run was started by another process.", "Ask for its record there.")
        if is_killed and not self._is_ended:
            wait_for_record(path)
        self._under_way.discard(path)
        if path in self._left:
            return read_record(self._left.pop(path), exit_, argv)
        return take_record(path, exit_, argv)

    def _opened(self) -> Path:
        """The private folder."""
        if self._directory is None or self._is_ended:
            raise OperatorError("this is closed, or not open.", "Use it within its `with` block.")
        return self._directory

    def command(self, exit_: str, argv: Sequence[str], record: Path, options: Sequence[str] = ()) -> list[str]:
        """What runs `argv` through an exit, as our own child. Raises OperatorError for what can name several."""
        chosen = [*self.network, "-e", one_exit(exit_), "--record", str(record), *self._options, *options]
        return [self.client, "run", *chosen, "--", *argv]

    def verb(self, *words: str) -> list[str]:
        """The command line of another verb."""
        return [*IN_PYTHON, *words, *self.network]

    def told(self, *words: str, timeout_s: float = VERB_S) -> str:
        """What a verb that only reads prints. Raises OperatorError with its words when it can't, and when it has not
        ended by then."""
        try:
            done = subprocess.run(
                self.verb(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                env=self.environment(None), timeout=timeout_s,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise unanswered(words, timeout_s) from None
        if done.returncode:
            raise refusal(done.stderr, done.returncode)
        return done.stdout


def _turns(settings: Settings, *, is_lab: bool) -> tuple[float, float]:
    """How long the next run waits for each that was asked for before, and how long all may wait besides, in seconds."""
    wait_s = NETWORK_WAIT_S if settings.origin("network_wait") == BUILT_IN else settings.network_wait_s
    if is_lab:
        return 0.0, wait_s
    pace_s, rate = settings.build_delay_s + settings.build_jitter_s, settings.rate
    return (pace_s, wait_s) if rate is None else (max(pace_s, rate.interval_s), wait_s + rate.period_s)
