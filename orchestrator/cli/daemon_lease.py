"""One client of the daemon: what it asks -> the run, or a refusal -> what it is told of it.

A client's command line is read here as `exitpin run` and `exitpin sh` read theirs, and its run is one like theirs; but
the launcher is started by the client (`wrappers/leased.py`). What is not one run through one exit is declined: the
client then does without a daemon.
"""

import argparse
import contextlib
import importlib
import io
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Protocol

from ...shim import bindings
from ...shim.bindings import Lease, LeaseKind
from ...wrappers.daemons import Daemons
from ...wrappers.household import Household
from ...wrappers.launch import ToolLaunch, ToolLauncher
from ...wrappers.lease import LeaseConnection, close_all, memory_file, unpacked
from ...wrappers.leased import LeasedProcess
from ...wrappers.output import printable
from .. import events
from ..containment import Abilities, Containment
from ..errors import EXIT_FAILED, OperatorError
from ..evidence import EvidenceLog
from ..loop import Session
from ..model import Run
from ..network import Network, Vantage
from ..plan import make_plan
from ..ports import Launch, Post
from ..runs import Life
from ..settings import BUILT_IN
from ..witness import Witness
from .asked import Asked, Caller
from .conclusion import Ending, concluded
from .containment import containment_of, warn_of
from .lab_place import OF_THE_PROCESS
from .politeness import settings_in_force
from .recording import Recording
from .run import check
from .run_record import events_path, given_of, new_scan_id, notes_on, record_line, wanted_by_command
from .selectors import choose

VERBS = ("run", "sh")


class Declined(Exception):
    """That command line is no daemon's."""


class Term(Protocol):
    """What the daemon has open: one tor, and one session on it."""

    network: Network
    session: Session
    witness: Witness
    directory: Path
    household: Household
    abilities: Abilities
    may_supervise: bool

    def daemons(self, containment: Containment) -> Daemons:
        """The Unix sockets of others, looked for once for all runs that may reach the same ones."""

    def next_number(self) -> int:
        """One that no run of this daemon had."""

    def begin(self, run: Run, client: "Client") -> None:
        """Start a client's run: the client prepares it, and hears of its end."""


class Client:
    """One connection that has asked for a run. `vantage`: the daemon's."""

    def __init__(self, connection: LeaseConnection, vantage: Vantage, ask: Lease, descriptors: list[int], pid: int):
        """Raises Declined."""
        self.connection = connection
        self.pid = 0 if ask.number else pid
        self._has_come = False
        self._vantage = vantage
        self._caller, words = _read(ask, descriptors)
        self._args = _parsed(words)
        _decline_what_is_no_lease(self._args, self._caller, vantage)
        self._term: Term | None = None
        self._run: Run | None = None
        self._launcher: ToolLauncher | None = None
        self._recording: Recording | None = None
        self._interrupted_by: int | None = None

    @property
    def run_id(self) -> str | None:
        """Its run, once it has begun."""
        return self._run.run_id if self._run is not None and self._launcher is not None else None

    def settle(self, term: Term) -> None:
        """Choose and begin, or send the client to where we are; or decline, or say what is wrong, and hang up."""
        try:
            self._choose_and_say(term)
            if self.pid == 0:
                self.connection.send(Lease(LeaseKind.COME))
            else:
                self._begin()
        except Declined:
            if self._has_come:
                self.refuse(OperatorError("the exits have changed.", "Try again."))
            else:
                self.connection.decline()
        except OperatorError as error:
            self.refuse(error)
        except OSError:
            self.connection.close()

    def arrived(self, pid: int, term: Term | None) -> bool:
        """The client is where we are. `term`: the one that is open now; whether the run could begin in it."""
        self.pid, self._has_come = pid, True
        if pid == 0 or self.run_id is not None:
            self.connection.close()
            return True
        if term is None or term is not self._term:
            return False
        self._begin()
        return True

    def refuse(self, error: OperatorError) -> None:
        """Say what is wrong, and hang up."""
        self.connection.end(error.exit_status, stderr=f"exitpin: {error}\n".encode("utf-8", "surrogateescape"))

    def interrupt(self, signo: int | None) -> None:
        """A signal has come to the client; None: it is gone."""
        self._interrupted_by = signo
        if self.run_id is not None and self._term is not None:
            why = "interrupted by the user" if signo is not None else "the client has gone"
            self._term.session.post(self.run_id, events.Interrupted(why))
        elif signo is not None:
            self.connection.end(128 + signo)

    def prepare(self, run: Run, post: Post, on_report: object) -> Launch:
        """Its run's hold on the world; as `Launcher`."""
        assert self._launcher is not None
        return self._launcher.prepare(run, post, on_report)  # type: ignore[arg-type]

    def finished(self, life: Life, launch: Launch | None) -> None:
        """Its run is over: tell what came of it."""
        assert launch is None or isinstance(launch, ToolLaunch)
        assert self._term is not None and self._run is not None and self._launcher is not None
        evidence = self._term.witness.of(self._run.run_id, [used.circuit_id for used in life.circuits])
        is_foreground = not self._args.json
        given = given_of(launch)
        record, problem = b"", ""
        if self._scan["events"] is not None:
            record = record_line(life, launch, self._scan)
            problem = _keep(Path(str(self._scan["events"])), evidence)
        if self._recording is not None:
            self._recording.add(record)
            self._recording.close()
            problem = problem or self._recording.problem
        ending = Ending([life], 1, self._term.session.trust_lost, 0, self._interrupted_by)
        sentences, status = concluded(
            ending, self._launcher.containment, is_foreground=is_foreground, has_unread=bool(given.problem)
        )
        if is_foreground:
            from .run_given import given_in_words

            sentences = [*given_in_words(given), *sentences]
        if problem:
            sentences, status = [*sentences, problem], EXIT_FAILED
        stderr = "".join(f"exitpin: {printable(sentence)}\n" for sentence in sentences)
        self.connection.end(status, b"" if is_foreground else record, stderr.encode())

    def _choose_and_say(self, term: Term) -> None:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):  # what is said meanwhile is for who asks
            self._choose(term)
        if said.getvalue() and not self._has_come:
            with memory_file(said.getvalue().encode("utf-8", "surrogateescape")) as text:
                self.connection.send(Lease(LeaseKind.SAY), (text,))

    def _choose(self, term: Term) -> None:
        args, caller = self._args, self._caller
        asked: Asked = args.asked(args, caller)
        check(args)
        settings = settings_in_force(args, asked.environment, self._vantage)
        rng = Random(args.seed)
        selection = choose(args, term.network.snapshot, rng)
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
        is_timed = settings.origin("timeout") != BUILT_IN or args.json
        scan_id = new_scan_id()
        (run,) = make_plan(
            selection.exits, asked.command, scan_id=scan_id,
            timeout_s=settings.timeout_s if is_timed else math.inf, rng=Random(),
        )  # fmt: skip
        if args.record and self._recording is None:
            self._recording = Recording(Path(caller.place(args.record)))
        self._run = replace(run, index=term.next_number())
        self._asked, self._containment, self._term = asked, containment, term
        self._scan: dict[str, object] = {
            "scan_id": scan_id, "containment": containment.told(), "consensus": term.network.snapshot.valid_after,
            "events": str(events_path(asked.environment, scan_id)) if args.json or args.record else None,
            "vantage": {
                "kind": self._vantage.kind, "name": self._vantage.name, "tor": term.network.tor_version
            },
        }  # fmt: skip

    def _begin(self) -> None:
        assert self._term is not None and self._run is not None
        term = self._term
        events = self._scan["events"]
        self._launcher = ToolLauncher(
            term.directory, bindings.PRELOAD, term.network.socks, self._asked.environment,
            containment=self._containment, foreground=not self._args.json,
            evidence=Path(f"{events}.evidence") if events else None,
            household=term.household, daemons=term.daemons(self._containment),
            process=partial(LeasedProcess, self.connection, self.pid),
        )  # fmt: skip
        term.begin(self._run, self)


@cache
def _parser(verb: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exitpin")
    subparsers = parser.add_subparsers(dest="verb", required=True)
    importlib.import_module(f".{verb}", __package__).register(subparsers)
    return parser


def _read(ask: Lease, descriptors: list[int]) -> tuple[Caller, list[str]]:
    """Who asks, and its command line. Raises Declined for what can't be read."""
    try:
        (descriptor,) = descriptors
        directory, *words = unpacked(descriptor, 1 + ask.arguments + ask.variables)
    except (OSError, ValueError) as error:
        raise Declined from error
    finally:
        close_all(descriptors)
    variables = (word.partition("=") for word in words[ask.arguments :])
    environment = {name: value for name, equals, value in variables if equals}
    terminals = frozenset(number for number in range(3) if ask.terminals >> number & 1)
    return Caller(environment, directory, terminals), words[: ask.arguments]


def _parsed(words: list[str]) -> argparse.Namespace:
    """Raises Declined for what its own parser will explain better, to the client's own terminal."""
    if not words or words[0] not in VERBS:
        raise Declined
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            return _parser(words[0]).parse_args(words)
    except SystemExit:
        raise Declined from None


def _decline_what_is_no_lease(args: argparse.Namespace, caller: Caller, vantage: Vantage) -> None:
    name = args.name or caller.environment.get("EXITPIN_LAB") or "default"
    is_lab = args.lab or bool(caller.environment.get("EXITPIN_LAB"))
    if args.control or is_lab != vantage.is_lab or (is_lab and name != vantage.name):
        raise Declined
    if args.events or args.joblog or args.repeat != 1:
        raise Declined
    if args.record and args.record.startswith(OF_THE_PROCESS):
        raise Declined
    if any(word == "-" or word.startswith("@") for text in args.exits for word in text.split(",")):
        raise Declined  # its input, and its files


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
