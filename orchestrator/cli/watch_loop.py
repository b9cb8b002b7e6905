"""What `exitpin watch` does: wait until a scan is due, carry out an iteration of it, tell how it went, and so on.

It holds nothing but its agenda, which it makes anew from the store when it is started: whatever is killed, at whatever
moment, an iteration is gone on with.
"""

import argparse
import asyncio
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ...wrappers import service_manager
from ..errors import EXIT_FAILED, EXIT_USAGE, OperatorError, status_of_signal
from ..results.blobs import blobs_directory
from ..results.scan_lock import held
from ..results.store import store_path
from ..watch.agenda import Agenda, Due, Iteration, Outcome
from ..watch.plan import WatchPlan
from .audit_account import EXIT_INCOMPLETE
from .guarding import ours
from .say import say
from .watch_child import Child
from .watch_kept import Kept
from .watch_told import Telling, moment

FOLLOW_S = 2.0
LOOK_S = 30.0
"""A wait is never longer: the clock on the wall may have jumped meanwhile."""
BUSY = "somebody else carries its scan out"
GRAVITY = (0, EXIT_INCOMPLETE, 1, EXIT_FAILED)


Start = Callable[[Sequence[str], Mapping[str, str]], Child]


class WatchLoop:
    """One `exitpin watch`. `start`: what makes a process of the words after `exitpin`."""

    def __init__(
        self, plan: WatchPlan, args: argparse.Namespace, environment: Mapping[str, str], start: Start = Child
    ) -> None:
        self._plan = plan
        self._start = start
        self._args = args
        self._environment = environment
        self._store = Path(args.store or plan.store or store_path(environment)).absolute()
        self._kept = Kept(self._store, plan)
        self._telling = Telling(plan, self._store, environment)
        self._agenda = Agenda(plan, {})
        self._child: Child | None = None
        self._stop = asyncio.Event()
        self._stopped_by: int | None = None
        self._made = 0
        self._counted: dict[str, str] = {}
        self._said = ""
        self._worst = 0
        self._failing: set[str] = set()
        self._refused: set[str] = set()
        self._busy: set[str] = set()

    async def execute(self) -> int:
        """Watch until it is told to end. Raises OperatorError when somebody watches by this plan already."""
        if self._args.dry_run:
            return await self._rehearse()
        with held(blobs_directory(self._store), f"watch.{self._plan.name}", what=f"the watch {self._plan.name}"):
            loop = asyncio.get_running_loop()
            for signo in ours():
                loop.add_signal_handler(signo, self._signalled, signo)
            known = self._kept.known()
            self._agenda = Agenda(self._plan, known, is_once=self._args.once)
            self._counted = {name: one.scan_id for name, one in known.items() if one.is_done}
            self._telling.begins(known)
            alive = asyncio.create_task(self._live())
            try:
                await self._watch()
            finally:
                alive.cancel()
                await self._telling.stops()
        if self._stopped_by is not None:
            return 0 if self._stopped_by == signal.SIGTERM else status_of_signal(self._stopped_by)
        if self._failing:
            return EXIT_USAGE if self._failing <= self._refused else EXIT_FAILED
        return self._worst

    async def _watch(self) -> None:
        while not self._stop.is_set():
            now = time.time()
            due = self._agenda.next(now)
            if due.at > now:
                if self._args.once and (due.at == math.inf or due.scan.name not in self._busy):
                    return
                self._telling.waits(due)
                if due.scan.name not in self._busy:
                    self._say(f"{due.scan.name}: iteration {due.number} at {moment(due.at)}")
                await self._wait(min(due.at - now, LOOK_S))
                continue
            await self._carry_out(due)
            await asyncio.sleep(0)  # it may have waited for nothing; signals and the watchdog are heard on this loop
            if self._args.iterations is not None and self._made >= self._args.iterations:
                return

    async def _carry_out(self, due: Due) -> None:
        """One process for an iteration that begins, or is gone on with; none while the store can't be read, for who
        knows what was begun."""
        try:
            latest, is_busy = self._kept.latest(due)
        except OperatorError as error:
            self._failed(due, Outcome.NOT_BEGUN if due.resumes is None else Outcome.CUT_SHORT, None, str(error))
            return
        if latest is not None and latest.scan_id != due.resumes:
            self._agenda.began(due, latest)  # by a process that ended when the store could not be read
            return
        if is_busy:  # by what a watch that was killed has left, which ends by itself, or by somebody at a terminal
            self._yield_to_others(due)
            return
        self._busy.discard(due.scan.name)
        if latest is not None and latest.is_over:
            self._done(due, latest, None)
            return
        self._telling.scans(due, latest)
        self._say(f"{due.scan.name}: {_what_begins(due, latest)}")
        self._child = child = self._start(self._command(due), self._environment)
        given_up = asyncio.create_task(self._give_up(due, child, time.time() if latest is None else latest.started))
        following = asyncio.create_task(self._follow(due, latest))
        try:
            status = await child.run()
        except OSError as error:
            status, child.last_sentence = EXIT_FAILED, f"it could not be started: {error.strerror}"
        finally:
            is_given_up = not given_up.cancel()
            following.cancel()
            self._child = None
        self._take(due, status, child.last_sentence, is_given_up=is_given_up)

    async def _follow(self, due: Due, latest: Iteration | None) -> None:
        """Tell by which snapshot its process scans, as soon as that is known, and each time it goes on by another."""
        legs, is_begun = 0 if latest is None else latest.legs, False
        while True:
            await asyncio.sleep(LOOK_S if is_begun else FOLLOW_S)
            with suppress(OperatorError):
                latest, _ = await asyncio.to_thread(self._kept.latest, due)
                if latest is not None and latest.legs > legs:
                    legs, is_begun = latest.legs, True
                    self._telling.under_way(due, latest)

    async def _give_up(self, due: Due, child: Child, started: float) -> None:
        """Return when the process was told to end, since its iteration takes too long: what runs may end."""
        while self._args.once or not self._agenda.is_late(due, started := min(started, time.time()), time.time()):
            await asyncio.sleep(LOOK_S)
        why = f"takes longer than its interval ({due.scan.interval_s:g} s), and others wait: it is given up"
        say(f"{due.scan.name}: iteration {due.number} {why}; make the interval longer, or select fewer exits")
        child.signal(signal.SIGINT)

    def _yield_to_others(self, due: Due) -> None:
        self._agenda.taken(due, time.time())
        if due.scan.name not in self._busy:
            self._busy.add(due.scan.name)
            say(f"{due.scan.name}: {BUSY}; it is waited for")
        self._telling.taken(due, BUSY)

    def _take(self, due: Due, status: int, said: str, *, is_given_up: bool) -> None:
        """What became of the process: by what the store has of it, and by its exit status."""
        try:
            iteration, _ = self._kept.latest(due)
        except OperatorError as error:  # that is asked again before anything is begun
            self._failed(due, Outcome.CUT_SHORT, None, str(error))
            return
        if iteration is not None:
            self._agenda.began(due, iteration)
        if is_given_up and iteration is not None and not iteration.is_done:
            self._agenda.ended(due, Outcome.GIVEN_UP, time.time())
            self._failing.add(due.scan.name)
            self._refused.discard(due.scan.name)
            self._telling.ended(due, iteration, "")
            return
        if iteration is None or not iteration.is_done:
            self._failed(due, _outcome(status, is_begun=iteration is not None), iteration, said, status)
            return
        self._done(due, iteration, status)

    def _done(self, due: Due, iteration: Iteration, status: int | None) -> None:
        """It has all its verdicts. `status`: of its process; None: it was somebody else's."""
        self._agenda.began(due, iteration)
        if self._counted.get(due.scan.name) != iteration.scan_id:  # it may be done, and still have alerts to tell
            self._counted[due.scan.name] = iteration.scan_id
            self._made += 1
            self._worst = max(self._worst, self._status(status, iteration), key=GRAVITY.index)
            self._telling.ended(due, iteration, "")
        self._failing.discard(due.scan.name)
        self._refused.discard(due.scan.name)
        if iteration.is_told:
            self._agenda.ended(due, Outcome.DONE, time.time())
            return
        again = self._agenda.ended(due, Outcome.REFUSED if status == EXIT_USAGE else Outcome.UNTOLD, time.time())
        if status != EXIT_USAGE and not self._stop.is_set() and not self._args.once:
            untold = f"{due.scan.name}: not all alerts of iteration {due.number} were told"
            is_left = self._agenda.is_left(due, again)
            say(f"{untold}; {'the next one is due' if is_left else f'they are tried again at {moment(again)}'}")

    def _failed(
        self, due: Due, outcome: Outcome, iteration: Iteration | None, why: str, status: int | None = None
    ) -> None:
        """`status`: of its process, if there was one."""
        again = self._agenda.ended(due, outcome, time.time())
        if self._stop.is_set():
            return
        self._failing.add(due.scan.name)
        is_refused = outcome is Outcome.REFUSED and iteration is None
        (self._refused.add if is_refused else self._refused.discard)(due.scan.name)
        self._telling.ended(due, iteration, why or f"exit status {status}")
        how = "could not be carried out" if status is None else f"ended before its time (exit status {status})"
        because = f": {why}" if status is None else ""
        then = f"it is tried again at {moment(again)}"
        if self._agenda.is_left(due, again):
            then = "it is older than its interval, and stays as it is"
        say(f"{due.scan.name}: iteration {due.number} {how}; {then}{because}")

    def _status(self, status: int | None, iteration: Iteration) -> int:
        """The exit status of an audit that has all its verdicts, whatever ended its process after the last of them."""
        return status if status is not None and status in GRAVITY else self._kept.status(iteration)

    def _command(self, due: Due) -> list[str]:
        """What to type after `exitpin`."""
        where = [f"--store={self._store}"]
        if self._args.lab:
            where.append("--lab")
        where += [f"--{name}={value}" for name in ("name", "control") if (value := getattr(self._args, name))]
        tag = f"--iteration={self._plan.name}/{due.scan.name}/{due.number}"
        if due.resumes is not None:
            again = [word for word in due.scan.arguments if word.startswith("--param=")]  # the store keeps no secret
            return ["audit", f"--resume={due.resumes}", *again, *where, tag, *due.scan.alert]
        return ["audit", *due.scan.arguments, *where, tag, *due.scan.alert]

    async def _rehearse(self) -> int:
        """What each scan would do."""
        worst = 0
        for due in self._agenda.all(time.time()):
            jitter = f" and up to {due.scan.jitter_s:.0f} s more" if due.scan.jitter_s else ""
            say(f"{due.scan.name}: every {due.scan.interval_s:.0f} s{jitter}")
            command = [word for word in self._command(due) if not word.startswith("--iteration=")]
            place = command.index("--") if "--" in command else len(command)
            command.insert(place, "--dry-run")
            worst = max(worst, abs(await self._start(command, self._environment).run()))
        return worst

    # Waiting, and being told to end.

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    def _signalled(self, signo: int) -> None:
        is_first = self._stopped_by is None and signo == signal.SIGINT
        self._stopped_by = signo
        self._stop.set()
        if self._child is not None:
            self._child.signal(signal.SIGINT if is_first else signal.SIGTERM)

    async def _live(self) -> None:
        """Signs of life, whatever else happens: for a service manager that wants them, and in the status file."""
        every_s = service_manager.watchdog_s(self._environment)
        while True:
            if every_s is not None:
                service_manager.tell(self._environment, WATCHDOG="1")
            self._telling.lives()
            await asyncio.sleep(LOOK_S if every_s is None else min(LOOK_S, every_s))

    def _say(self, words: str) -> None:
        """For the log, if it is not what was said last."""
        if words != self._said:
            say(words)
            self._said = words


def _what_begins(due: Due, latest: Iteration | None) -> str:
    """In words. `latest`: the iteration, if there is one."""
    if latest is not None and latest.is_done:
        return f"the alerts of iteration {due.number} are tried again"
    return f"iteration {due.number} {'is gone on with' if due.resumes else 'begins'}"


def _outcome(status: int, *, is_begun: bool) -> Outcome:
    """Of one that has not all its verdicts."""
    if status == EXIT_USAGE:
        return Outcome.REFUSED
    return Outcome.CUT_SHORT if is_begun else Outcome.NOT_BEGUN
