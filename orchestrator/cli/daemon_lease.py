"""One client of the daemon: what it asks -> the run, or a refusal -> what it is told of it.

A client's command line is read here as `exitpin run` and `exitpin sh` read theirs, and its run is one like theirs; but
the launcher is started by the client (`wrappers/leased.py`). What is not one run through one exit is declined: the
client then does without a daemon.
"""

import asyncio
import contextlib
import io
import math
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from ...shim import bindings
from ...shim.bindings import Lease, LeaseKind
from ...wrappers.launch import ToolLaunch, ToolLauncher
from ...wrappers.lease import LeaseConnection, memory_file
from ...wrappers.leased import LeasedProcess
from ...wrappers.output import printable
from ...wrappers.unix_given import GivenSockets
from .. import events
from ..containment import Containment
from ..errors import EXIT_FAILED, OperatorError, status_of_signal
from ..evidence import EvidenceLog
from ..model import Run
from ..network import Vantage
from ..ports import Launch, Post
from ..runs import Life
from ..settings import BUILT_IN
from .asked import Asked
from .conclusion import Ending, concluded
from .containment import containment_of, warn_of
from .daemon_question import Declined, decline_other_settings, read_question
from .daemon_tenure import Tenure
from .politeness import settings_in_force
from .recording import Recording
from .repeats import check_counts
from .run_given import given_in_words
from .run_record import events_path, given_of, notes_on, record_line, wanted_by_command
from .say import say
from .selectors import choose


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a client's run will be, in one tenure. `scan`: what its record shares with those of a whole command."""

    tenure: Tenure
    asked: Asked
    containment: Containment
    run: Run
    scan: Mapping[str, object]

    @property
    def events(self) -> Path | None:
        """Where its evidence is kept; None: it is not."""
        return Path(str(self.scan["events"])) if self.scan["events"] else None


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
        self._chosen: Chosen | None = None
        self._launcher: ToolLauncher | None = None
        self._recording: Recording | None = None
        self._interrupted_by: int | None = None

    @property
    def has_begun(self) -> bool:
        """Whether its run is under way, or over."""
        return self._launcher is not None

    @property
    def is_recorded(self) -> bool:
        """Whether somebody will ask for the evidence of its run."""
        return bool(self._args.json or self._args.record)

    def settle(self, tenure: Tenure) -> None:
        """Choose, and send for the process that is to be the root of the run's tree, or begin where that has come; or
        decline, or say what is wrong, and hang up."""
        with self._of_this_client():
            said = io.StringIO()
            with contextlib.redirect_stderr(said):  # what is said meanwhile is for who asks
                self._chosen = self._choose(tenure)
            if self._pid:
                self._begin(self._chosen)
            else:
                self.say(said.getvalue())
                self.connection.send(Lease(LeaseKind.COME))
                self._is_called = True

    def arrived(self, pid: int, tenure: Tenure | None) -> bool:
        """Its process is there. `tenure`: the one that is open now; False: the run has to be settled anew."""
        if self._pid or not self._is_called:
            return True
        if pid == 0:
            self.refuse(OperatorError("the client is not where the daemon is.", "Try again, without it."))
            return True
        self._pid = pid
        if self._chosen is None or self._chosen.tenure is not tenure:
            return False
        with self._of_this_client():
            self._begin(self._chosen)
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
        if self.has_begun and self._chosen is not None:
            why = "interrupted by the user" if signo is not None else "the client has gone"
            self._chosen.tenure.session.post(self._chosen.run.run_id, events.Interrupted(why))
        elif signo is not None:
            self.connection.end(status_of_signal(signo))

    def prepare(self, run: Run, post: Post, on_report: Callable[[bytes, int], None]) -> Launch:
        """Its run's hold on the world; as `Launcher`."""
        assert self._launcher is not None
        return self._launcher.prepare(run, post, on_report)

    async def finish(self, life: Life, launch: ToolLaunch | None) -> None:
        """Its run is over: tell what came of it, once what is kept of it is written."""
        assert self._chosen is not None
        chosen, tenure = self._chosen, self._chosen.tenure
        with self._of_this_client():
            evidence = tenure.witness.of(chosen.run.run_id, life.circuit_ids)
            given, record, problem = given_of(launch), b"", ""
            if chosen.events is not None:
                record = record_line(life, launch, chosen.scan)
                problem = await asyncio.to_thread(_keep, chosen.events, evidence)
            if self._recording is not None:
                self._recording.add(record)
                self._recording.close()
                problem = problem or self._recording.problem
            ending = Ending([life], 1, tenure.session.trust_lost, 0, self._interrupted_by)
            sentences, status = concluded(
                ending, chosen.containment, is_foreground=not self._args.json, has_unread=bool(given.problem)
            )
            if not self._args.json:
                sentences = [*given_in_words(given), *sentences]
            if problem:
                sentences, status = [*sentences, problem], EXIT_FAILED
            stdout = record if self._args.json else b""
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

    def _choose(self, tenure: Tenure) -> Chosen:
        args, caller = self._args, self._caller
        asked: Asked = args.asked(args, caller)
        check_counts(args)
        settings = settings_in_force(args, asked.environment, self._vantage)
        decline_other_settings(settings, tenure.settings)
        selection = choose(args, tenure.network.snapshot, Random(args.seed))
        if len(selection.exits) != 1:
            raise Declined
        command = asked.command[0]
        place = caller.place(command) if "/" in command else command
        containment = containment_of(args, wanted_by_command(args, place, asked.environment), tenure.abilities)
        if containment.is_supervised and not tenure.may_supervise:
            raise Declined
        if selection.dropped:
            say(selection.account())
        if not self._vantage.is_lab:
            warn_of(containment)
        for sentence in notes_on(asked.environment):
            say(sentence)
        is_timed = settings.origin("timeout") != BUILT_IN or args.json
        run = tenure.make_run(
            selection.exits[0], asked.command, settings.timeout_s if is_timed else math.inf, args.resolve
        )
        network = tenure.network
        if args.record and self._recording is None:
            self._recording = Recording(Path(caller.place(args.record)))
        return Chosen(tenure, asked, containment, run, {
            "scan_id": run.run_id.rpartition("-")[0], "containment": containment.told(),
            "consensus": network.snapshot.valid_after,
            "events": str(events_path(asked.environment, run.run_id)) if self.is_recorded else None,
            "vantage": {"kind": self._vantage.kind, "name": self._vantage.name, "tor": network.tor_version},
        })  # fmt: skip

    def _begin(self, chosen: Chosen) -> None:
        tenure, kept = chosen.tenure, chosen.events
        given = GivenSockets(chosen.containment.unix)
        self._launcher = ToolLauncher(
            tenure.directory, bindings.PRELOAD, tenure.network.socks, chosen.asked.environment,
            containment=chosen.containment, foreground=not self._args.json,
            evidence=kept.with_name(f"{kept.name}.evidence") if kept is not None else None,
            household=tenure.household, given=given, daemons=tenure.daemons(given), pipes=tenure.pipes,
            process=partial(LeasedProcess, self.connection, self._pid), caller=self._pid,
        )  # fmt: skip
        tenure.begin(chosen.run, self)


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
