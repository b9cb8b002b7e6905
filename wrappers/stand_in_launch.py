"""A launcher that starts nothing: each run is a play, told in advance, with the events of a real one.

Implements the ports `Launcher` and `Launch` for simulations of scans that are too big to be run: no process, no
socket, no shim. What the tool would have written is there afterwards, as after a real run. It opens no streams, so
nothing can be learned from it about attribution.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ..orchestrator import events
from ..orchestrator.effects import AnswerCall
from ..orchestrator.model import Claim, Run, Ticket
from ..orchestrator.ports import Ahead
from .launch import OUTPUT_MAX
from .workspace import artifacts, facts, make_workspace

FIRST_PID = 1 << 30
"""Above what any kernel gives to a process."""
TERMINATED, KILLED = 15, 9


@dataclass(frozen=True, slots=True)
class Play:
    """How one run goes: after `delay_s` seconds it has written this and ends with `exit_code`, or of `signal`.

    `facts` and `artifacts` are written to the directory of the run's setup, which is made for them alone. `lasts`:
    whether it also outlives the order to end (TERM), for as long as it is given.
    """

    delay_s: float = 0.0
    stdout: bytes = b""
    stderr: bytes = b""
    exit_code: int = 0
    signal: int | None = None
    facts: bytes = b""
    artifacts: tuple[tuple[str, bytes], ...] = ()
    lasts: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What a run wrote to one stream: the same names as `output.Output`."""

    kept: bytes
    size: int

    @property
    def is_truncated(self) -> bool:
        return self.size > len(self.kept)


class StandInLauncher:
    """Prepares plays: `play(run)` is asked once for each run, when it starts."""

    def __init__(self, play: Callable[[Run], Play]) -> None:
        self.play = play
        self.numbers = count(1)

    def prepare(
        self, run: Run, post: Callable[[object], None], on_report: Callable[[bytes, int], None]
    ) -> "StandInLaunch":
        return StandInLaunch(self, run, post)


class StandInLaunch:
    """One play. `stdout` and `stderr` are there from its end on, as far as the run's setup lets them be kept."""

    def __init__(self, launcher: StandInLauncher, run: Run, post: Callable[[object], None]) -> None:
        self._launcher = launcher
        self._run = run
        self._post = post
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._play: Play | None = None
        self._is_over = False
        self.stdout: Written | None = None
        self.stderr: Written | None = None
        self.artifacts_bytes: int | None = None

    def start(self) -> str | None:
        number = next(self._launcher.numbers)
        pid = FIRST_PID + number
        self._play = self._launcher.play(self._run)
        self.artifacts_bytes = None if self._run.setup is None else sum(len(each) for _, each in self._play.artifacts)
        self.stdout = self.stderr = Written(b"", 0)
        self._loop.call_soon(self._tell, events.ProcessStarted(pid))
        self._loop.call_soon(self._tell, events.Hello(number, pid, self._run.argv[0], None))
        self._timer = self._loop.call_later(self._play.delay_s, self._ends)
        return None

    def _tell(self, event: object) -> None:
        if not self._is_over:
            self._post(event)

    def _ends(self) -> None:
        play = self._play
        assert play is not None
        setup = self._run.setup
        self.stdout = _written(play.stdout, setup.stdout_max if setup else OUTPUT_MAX)
        self.stderr = _written(play.stderr, setup.stderr_max if setup else OUTPUT_MAX)
        if setup is not None and (play.facts or play.artifacts):
            make_workspace(setup)
            Path(facts(setup)).write_bytes(play.facts)
            for name, content in play.artifacts:
                Path(artifacts(setup), name).write_bytes(content)
        self._tell(events.ProcessExited(None if play.signal else play.exit_code, play.signal))
        self._tell(events.TreeEnded(0.0, None, 0))

    def end(self, grace_s: float) -> None:
        """It ends of TERM at once, one that lasts of KILL after the grace; what it would have written is lost."""
        if self._timer is None:
            return
        self._timer.cancel()
        lasts = self._play is not None and self._play.lasts
        self._timer = self._loop.call_later(grace_s if lasts else 0.0, self._ended_by, KILLED if lasts else TERMINATED)

    def _ended_by(self, signal: int) -> None:
        self._tell(events.ProcessExited(None, signal))
        self._tell(events.TreeEnded(0.0, None, 1))

    def kill(self) -> None:
        self._loop.call_soon(self._tell, events.LauncherLost("the launcher was killed"))

    def go_ahead(self, ticket: Ticket, by: Ahead) -> None:
        """Nothing here is fast enough to need one."""

    def recall(self) -> None:
        """There is no ticket."""

    def is_attached(self, call: int) -> bool:
        """None goes by a ticket."""
        return False

    def open_stream(self, call: int, claim: Claim) -> None:
        raise AssertionError("BUG: a play opens no streams")

    def bind_lookup(self, call: int, host: str) -> None:
        raise AssertionError("BUG: a play looks nothing up")

    def answer(self, answer: AnswerCall) -> None:
        """Nobody waits."""

    def close(self) -> None:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()


def _written(content: bytes, cap: int) -> Written:
    return Written(content[:cap], len(content))
