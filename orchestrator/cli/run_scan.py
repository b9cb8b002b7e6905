"""What `exitpin run` does once it knows its vantage: select, plan, run, show, record, and say how it went."""

import argparse
import asyncio
import math
import secrets
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from ...shim import bindings
from ...wrappers.desk import Given
from ...wrappers.launch import ToolLaunch, ToolLauncher
from ...wrappers.output import LineWriter, printable
from ...wrappers.runtime import scratch_directory
from ..allowance import Starts
from ..criteria import Known
from ..errors import EXIT_FAILED, EXIT_USAGE, OperatorError
from ..loop import Session
from ..model import Destination, Run
from ..network import Network, Vantage, open_network
from ..observation import failure_of
from ..plan import make_plan
from ..ports import Launch
from ..runs import Life
from ..selection import Selection
from ..settings import BUILT_IN
from .allowing import Waits, open_starts
from .asked import Asked
from .changes_told import of_runs
from .conclusion import Ending, concluded, refusal
from .containment import containment_of, warn_of
from .guarding import guarding
from .joblog import Joblog
from .politeness import first_hops_of, pace_of, refuse_a_wide_scan, settings_in_force
from .recording import Recording
from .run_given import given_in_words
from .run_record import (
    close_evidence,
    events_path,
    evidence_file,
    given_of,
    new_scan_id,
    notes_on,
    open_evidence,
    record_line,
    wanted_by_command,
)
from .say import say
from .selectors import choose, history_of, known_to, parse_destination


class Scan:
    """One `exitpin run`: everything between the vantage and the exit status."""

    def __init__(self, args: argparse.Namespace, vantage: Vantage, asked: Asked) -> None:
        environment = asked.environment
        self._args = args
        self._vantage = vantage
        self._asked = asked
        self._environment = environment
        self._rng = Random(args.seed) if args.seed is not None else Random(secrets.randbits(64))
        self._settings = settings_in_force(args, environment, vantage)
        self.scan_id = new_scan_id()
        self._containment = containment_of(args, self._wanted())
        self._lives: list[Life] = []
        self._unread: list[tuple[Life, str]] = []  # those that gave facts which can't be read, and what failure that is
        self._unlimited = ""  # why nothing may be started any more
        self._is_foreground = False
        self._interrupted_by: int | None = None
        self._interrupted = asyncio.Event()
        self._writers: dict[str, LineWriter] = {}
        self._scan: dict[str, object] = {"scan_id": self.scan_id, "containment": self._containment.told()}
        self._joblog = Joblog(args.joblog) if args.joblog else None
        self._recording = Recording(Path(args.record)) if args.record else None

    async def execute(self) -> int:
        """Carry everything out. Raises OperatorError before the first run, never after."""
        async with open_network(self._vantage) as network:
            selection = await self._select(network)
            if len(selection.exits) != 1 or selection.dropped:
                say(selection.account())
            if not selection.exits:
                raise OperatorError("the selection is empty.", "`exitpin exits` shows what each option leaves.")
            self._is_foreground = self._wants_foreground(len(selection.exits) * self._args.repeat)
            if self._asked.is_foreground and not self._is_foreground:
                raise OperatorError("several shells can't share one input.", "Name a script, or one exit.", EXIT_USAGE)
            plan = make_plan(
                selection.exits,
                self._asked.command,
                scan_id=self.scan_id,
                timeout_s=self._timeout_s(),
                rng=self._rng,
                repeat=self._args.repeat,
            )
            if not self._vantage.is_lab:
                refuse_a_wide_scan(self._settings, len(plan), self._named(), is_allowed=self._args.wide)
                warn_of(self._containment)
            for sentence in notes_on(self._environment):
                say(sentence)
            with open_starts(self._settings, self._vantage, self._environment) as starts:
                return await self._carry_out(network, plan, starts)

    def _wanted(self) -> dict[str, str]:
        """The level that the command wants, and why."""
        return wanted_by_command(self._args, self._asked.command[0], self._environment)

    async def _known(self, network: Network) -> Known:
        """What the options ask of relays that no snapshot says."""
        history = history_of(self._vantage.network, self._environment)
        return await known_to(self._args, network.channel, network.snapshot, history)

    async def _select(self, network: Network) -> Selection:
        """The exits."""
        known = await self._known(network)
        return choose(self._args, network.snapshot, self._rng, known=known)

    def _wants_foreground(self, runs: int) -> bool:
        """Whether the command is to have the caller's terminal."""
        return runs == 1 and not self._args.json

    async def _carry_out(self, network: Network, plan: list[Run], starts: Starts) -> int:
        events_path = self._events_path()
        started = datetime.now(UTC).isoformat(timespec="seconds")
        header = {"session": self.scan_id, "tor": network.tor_version, "started": started}
        evidence = open_evidence(events_path, header)
        self._scan.update(consensus=network.snapshot.valid_after, events=str(events_path) if events_path else None)
        self._scan["vantage"] = {"kind": self._vantage.kind, "name": self._vantage.name, "tor": network.tor_version}
        with scratch_directory() as directory:
            launcher = ToolLauncher(
                directory, bindings.PRELOAD, network.socks, self._environment,
                containment=self._containment, foreground=self._is_foreground,
                on_line=None if self._is_foreground or self._args.json else self._show_line,
                flow=lambda name: self._writers["stdout" if self._args.json else name],
                evidence=None if events_path is None else events_path.with_name(f"{events_path.name}.evidence"),
            )  # fmt: skip
            pace = pace_of(self._settings, self._vantage)
            around = of_runs(self._settings, pace.outage_max_s, self._tell)
            session = Session(
                network.channel,
                launcher,
                pace=pace,
                first_hops=first_hops_of(self._settings, network.snapshot, [run.exit for run in plan], around.health),
                around=around,
                rng=self._rng,
                evidence=evidence,
                on_finished=self._finished,
                resolve=self._args.resolve,
                starts=starts,
            )
            starts.watch(lambda why: self._stop(session, why), Waits(self._settings, self._tell))
            with self._guarding(session):
                try:
                    try:
                        await session.run(plan, self._settings.jobs)
                        await launcher.household.settle()
                    finally:
                        await self._writers["stdout"].close(self._interrupted)
                        close_evidence(evidence)
                    status = self._conclude(session, len(plan))
                finally:
                    await self._writers["stderr"].close(self._interrupted)
        return status if self._writers["stderr"].problem is None else status or EXIT_FAILED

    def _stop(self, session: Session, why: str) -> None:
        """Nothing more may be started."""
        self._unlimited = why
        asyncio.get_running_loop().call_soon(session.interrupt, why)

    def _named(self) -> list[Destination]:
        return [parse_destination(text) for text in self._args.destinations]

    def _timeout_s(self) -> float:
        """Somebody may sit at a foreground run: it ends by itself unless a time was asked for."""
        is_asked_for = self._settings.origin("timeout") != BUILT_IN
        return self._settings.timeout_s if is_asked_for or not self._is_foreground else math.inf

    def _guarding(self, session: Session) -> AbstractContextManager[None]:
        """Signals end the session; so does a reader who has gone, and an exception that nobody caught."""

        def reader_gone() -> None:
            session.interrupt("whoever read the output has gone")

        self._writers = {name: LineWriter(fd, reader_gone) for name, fd in (("stdout", 1), ("stderr", 2))}

        def interrupted(signo: int) -> None:
            self._interrupted_by = signo
            self._interrupted.set()
            session.interrupt()

        return guarding(interrupted, session.lose_trust)

    def _finished(self, life: Life, launch: Launch | None) -> None:
        self._lives.append(life)
        assert launch is None or isinstance(launch, ToolLaunch)
        given = given_of(launch)
        self._unread += [(life, given.kind)] if given.problem else []
        record = record_line(life, launch, self._scan) if self._args.json or self._recording else b""
        if self._recording is not None:
            self._recording.add(record)
        if self._args.json:
            self._writers["stdout"].put(record)
        elif not self._is_foreground:
            failure = failure_of(life)
            if failure is not None:
                detail = failure.detail if life.refused is None else refusal(life)
                self._tell(f"{_tag(life.run)}: {failure.kind} (blame: {failure.blame}): {detail}")
        if not self._args.json:
            for sentence in self._in_words(given):
                self._tell(sentence if self._is_foreground else f"{_tag(life.run)}: {sentence}")
        if self._joblog is not None:
            self._joblog.add(life, launch.stdout.size if launch and launch.stdout else 0)
        if not self._is_foreground and sys.stderr.isatty():
            self._writers["stderr"].put(f"\r{len(self._lives)} runs done\r".encode())

    def _in_words(self, given: Given) -> Iterator[str]:
        """What is said of what a run was given."""
        return given_in_words(given)

    def _show_line(self, run: Run, name: str, line: bytes) -> None:
        stream = sys.stdout if name == "stdout" else sys.stderr
        text = printable(line) if stream.isatty() else line.decode("utf-8", "surrogateescape")
        self._writers[name].put(f"{_tag(run)}\t{text}\n".encode("utf-8", "surrogateescape"))

    def _conclude(self, session: Session, planned: int) -> int:
        unwritten = {name: writer.problem for name, writer in self._writers.items() if writer.problem is not None}
        if self._recording is not None and self._recording.problem:
            unwritten[str(self._recording.path)] = self._recording.problem
        if self._unlimited:
            unwritten["what was started"] = self._unlimited
        lost, foreign = session.trust_lost, session.foreign_streams
        unread = [kind for life, kind in self._unread if failure_of(life) is None]
        ending = Ending(self._lives, planned, lost, foreign, self._interrupted_by, unwritten, unread)
        sentences, status = concluded(
            ending, self._containment, is_foreground=self._is_foreground, has_unread=bool(self._unread)
        )
        for sentence in sentences:
            self._tell(sentence)
        return status

    def _tell(self, sentence: str) -> None:
        """Say it without waiting for whoever reads stderr."""
        self._writers["stderr"].put(f"exitpin: {printable(sentence)}\n".encode())

    def _events_path(self) -> Path | None:
        if self._args.events:
            return evidence_file(self._args.events)
        if not self._args.json and self._recording is None:
            return None
        return events_path(self._environment, self.scan_id)


def _tag(run: Run) -> str:
    return f"{run.exit.nickname}/{run.exit.fingerprint[:8]}"
