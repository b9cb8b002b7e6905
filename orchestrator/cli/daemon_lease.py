"""One client of the daemon: what it asks -> the run, or a refusal -> what it is told of it.

A client's command line is read here as `exitpin run` and `exitpin sh` read theirs, and its run is one like theirs; but
the launcher is started by the client (`wrappers/leased.py`). What is not one run through one exit is declined: the
client then does without a daemon.
"""

import asyncio
import contextlib
import io
import math
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Protocol

from ...shim import bindings
from ...shim.bindings import Lease, LeaseKind
from ...wrappers.daemons import Daemons
from ...wrappers.household import Household
from ...wrappers.launch import ToolLaunch, ToolLauncher
from ...wrappers.lease import LeaseConnection, memory_file
from ...wrappers.leased import LeasedProcess
from ...wrappers.output import printable
from .. import events
from ..containment import Abilities, Containment
from ..errors import EXIT_FAILED, OperatorError
from ..evidence import EvidenceLog
from ..loop import Session
from ..model import Relay, Run
from ..network import Network, Vantage
from ..ports import Launch, Post
from ..runs import Life
from ..settings import BUILT_IN, Settings
from ..witness import Witness
from .asked import Asked
from .conclusion import Ending, concluded
from .containment import containment_of, warn_of
from .daemon_question import Declined, decline_other_settings, read_question
from .politeness import settings_in_force
from .run import check
from .run_given import given_in_words
from .run_record import events_path, given_of, notes_on, record_line, wanted_by_command
from .selectors import choose


class Term(Protocol):
    """What the daemon has open: one tor, and one session on it."""

    network: Network
    settings: Settings
    session: Session
    witness: Witness
    directory: Path
    household: Household
    abilities: Abilities
    may_supervise: bool

    def daemons(self, containment: Containment) -> Daemons:
        """The Unix sockets of others, looked for once for all runs that may reach the same ones."""

    def make_run(self, exit: Relay, command: Sequence[str], timeout_s: float, resolve: str) -> Run:
        """A run with an id, an index and an address that no other of this daemon has."""

    def begin(self, run: Run, client: "Client", *, is_recorded: bool) -> None:
        """Start a client's run: the client prepares it, and hears of its end."""


class Client:
    """One connection that has asked for a run: asked -> settled (it may begin) -> begun, when its process has come.

    Whatever goes wrong with one client is its own: it is told, and all others go on.
    """

    def __init__(self, connection: LeaseConnection, vantage: Vantage, ask: Lease, descriptors: list[int]) -> None:
        """Raises Declined."""
        self.connection = connection
        self._vantage = vantage
        self._args, self._caller = read_question(ask, descriptors, vantage)
        self._is_called = False
        self._pid = 0
        self._term: Term | None = None
        self._launcher: ToolLauncher | None = None
        self._interrupted_by: int | None = None

    @property
    def has_begun(self) -> bool:
        """Whether its run is under way, or over."""
        return self._launcher is not None

    def settle(self, term: Term) -> None:
        """Choose, and send for the process that is to be the root of the run's tree, or begin where that has come; or
        decline, or say what is wrong, and hang up."""
        with self._of_this_client():
            said = io.StringIO()
            with contextlib.redirect_stderr(said):  # what is said meanwhile is for who asks
                self._choose(term)
            if self._pid:
                self._begin(term)
            else:
                self.say(said.getvalue())
                self.connection.send(Lease(LeaseKind.COME))
                self._is_called = True

    def arrived(self, pid: int, term: Term | None) -> bool:
        """Its process is there. `term`: the one that is open now; False: the run has to be settled anew."""
        if self._pid or not self._is_called:
            return True
        if pid == 0:
            self.refuse(OperatorError("the client is not where the daemon is.", "Try again, without it."))
            return True
        self._pid = pid
        if term is None or term is not self._term:
            return False
        with self._of_this_client():
            self._begin(term)
        return True

    def say(self, text: str) -> None:
        """To its stderr. Raises OSError."""
        if text:
            with memory_file(text.encode("utf-8", "surrogateescape")) as file:
                self.connection.send(Lease(LeaseKind.SAY), (file,))

    def refuse(self, error: OperatorError) -> None:
        """Say what is wrong, and hang up."""
        self.connection.end(error.exit_status, stderr=f"exitpin: {error}\n".encode("utf-8", "surrogateescape"))

    def interrupt(self, signo: int | None) -> None:
        """A signal has come to the client; None: it is gone."""
        self._interrupted_by = signo
        if self.has_begun and self._term is not None:
            why = "interrupted by the user" if signo is not None else "the client has gone"
            self._term.session.post(self._run.run_id, events.Interrupted(why))
        elif signo is not None:
            self.connection.end(128 + signo)

    def prepare(self, run: Run, post: Post, on_report: Callable[[bytes, int], None]) -> Launch:
        """Its run's hold on the world; as `Launcher`."""
        assert self._launcher is not None
        return self._launcher.prepare(run, post, on_report)

    async def finish(self, life: Life, launch: ToolLaunch | None) -> None:
        """Its run is over: tell what came of it, once what is kept of it is written."""
        assert self._term is not None and self._launcher is not None
        with self._of_this_client():
            evidence = self._term.witness.of(self._run.run_id, [used.circuit_id for used in life.circuits])
            given, stdout, problem = given_of(launch), b"", ""
            if self._args.json:
                stdout = record_line(life, launch, self._scan)
                problem = await asyncio.to_thread(_keep, Path(str(self._scan["events"])), evidence)
            ending = Ending([life], 1, self._term.session.trust_lost, 0, self._interrupted_by)
            sentences, status = concluded(
                ending, self._launcher.containment, is_foreground=not self._args.json, has_unread=bool(given.problem)
            )
            if not self._args.json:
                sentences = [*given_in_words(given), *sentences]
            if problem:
                sentences, status = [*sentences, problem], EXIT_FAILED
            self.connection.end(status, stdout, "".join(f"exitpin: {printable(one)}\n" for one in sentences).encode())

    @contextlib.contextmanager
    def _of_this_client(self) -> Iterator[None]:
        try:
            yield
        except Declined:
            if self._is_called:
                self.refuse(OperatorError("what was chosen from has changed meanwhile.", "Try again."))
            else:
                self.connection.decline()
        except OperatorError as error:
            self.refuse(error)
        except Exception as error:
            traceback.print_exc()
            self.refuse(OperatorError(f"internal error of the daemon: {error!r}.", "Its log has more."))

    def _choose(self, term: Term) -> None:
        args, caller = self._args, self._caller
        asked: Asked = args.asked(args, caller)
        check(args)
        settings = settings_in_force(args, asked.environment, self._vantage)
        decline_other_settings(settings, term.settings)
        selection = choose(args, term.network.snapshot, Random(args.seed))
        if len(selection.exits) != 1:
            raise Declined
        command = asked.command[0]
        place = caller.place(command) if "/" in command else command
        containment = containment_of(args, wanted_by_command(args, place, asked.environment), term.abilities)
        if containment.is_supervised and not term.may_supervise:
            raise Declined
        if selection.dropped:
            _say(selection.account())
        if not self._vantage.is_lab:
            warn_of(containment)
        for sentence in notes_on(asked.environment):
            _say(sentence)
        self._asked, self._containment, self._term = asked, containment, term
        is_timed = settings.origin("timeout") != BUILT_IN or args.json
        self._run = term.make_run(
            selection.exits[0], asked.command, settings.timeout_s if is_timed else math.inf, args.resolve
        )
        run_id, network = self._run.run_id, term.network
        self._scan: dict[str, object] = {
            "scan_id": run_id.rpartition("-")[0], "containment": containment.told(),
            "consensus": network.snapshot.valid_after,
            "events": str(events_path(asked.environment, run_id)) if args.json else None,
            "vantage": {"kind": self._vantage.kind, "name": self._vantage.name, "tor": network.tor_version},
        }  # fmt: skip

    def _begin(self, term: Term) -> None:
        events = self._scan["events"]
        self._launcher = ToolLauncher(
            term.directory, bindings.PRELOAD, term.network.socks, self._asked.environment,
            containment=self._containment, foreground=not self._args.json,
            evidence=Path(f"{events}.evidence") if events else None,
            household=term.household, daemons=term.daemons(self._containment),
            process=partial(LeasedProcess, self.connection, self._pid),
        )  # fmt: skip
        term.begin(self._run, self, is_recorded=self._args.json)


def _keep(path: Path, entries: Sequence[Mapping[str, object]]) -> str:
    """Write a run's evidence; why it could not be written, or nothing."""
    try:
        header, *rest = entries
        log = EvidenceLog(path, header)
        for entry in rest:
            log.add(entry)
        log.close()
    except OSError as error:
        return f"{path} could not be written: {error.strerror}. There is no proof of what was run."
    return ""


def _say(sentence: str) -> None:
    print(f"exitpin: {printable(sentence)}", file=sys.stderr)
