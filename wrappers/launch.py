"""One run's hold on the world: its directory and report socket, its process tree, what it says to Tor, what it prints.

Implements the ports `Launcher` and `Launch` of the orchestrator with `reports`, `process`, `dialogues` and `output`.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..orchestrator import events, ports
from ..orchestrator.containment import Containment
from ..orchestrator.effects import AnswerCall
from ..orchestrator.errors import OperatorError
from ..orchestrator.model import Claim, Run, Ticket
from ..shim import bindings
from .closed_off import closed_off
from .desk import Desk, Given
from .dialogues import Dialogues
from .door import Door
from .environment import run_environment, tool_environment
from .given import Input
from .hidden import Daemons, Hiding, Looking, containment_options
from .household import Household
from .named_pipes import NamedPipes
from .output import Flow, Output
from .process import LaunchedProcess, Tree
from .reports import ReportSocket
from .supervisor import Supervisor
from .unix_given import GivenPipes, GivenSockets
from .unix_sockets import UnixSockets
from .workspace import artifacts_size, launcher_options, make_workspace, places_of

OUTPUT_MAX = 1 << 20

OnLine = Callable[[Run, str, bytes], None]
"""(run, "stdout" or "stderr", line)."""
Starter = Callable[[Tree, Callable[[object], None], Callable[[int], None]], LaunchedProcess]
"""A run's launcher, of its tree, what to post to, and what takes the descriptor of its calls."""


class ToolLauncher:
    """Prepares a session's runs. `directory`: private, short, without space or colon (LD_PRELOAD splits there); another
    launcher may have the same, for runs with other indices.

    `flow`: for "stdout" and "stderr", who says when a tool's output is to be left in its pipe for a while. `evidence`:
    where a folder is made for what a run without a setup keeps; None: it keeps nothing. `household`: of a process
    that has several launchers; so, too, `pipes`, and `daemons`, looked for with what is `given` in mind (None: what the
    containment names, as it is now). `process`: who starts a run's launcher, for this `caller` (us). `closed`: what
    is closed off from every run, as `closed_off`.
    """

    def __init__(
        self,
        directory: Path,
        preload: Path,
        tor: tuple[str, int],
        environment: Mapping[str, str],
        *,
        containment: Containment,
        foreground: bool = False,
        on_line: OnLine | None = None,
        flow: Callable[[str], Flow] | None = None,
        evidence: Path | None = None,
        household: Household | None = None,
        given: GivenSockets | None = None,
        daemons: Daemons | None = None,
        pipes: NamedPipes | None = None,
        process: Starter = LaunchedProcess,
        caller: int | None = None,
        closed: Callable[[int | None], list[str]] = closed_off,
    ) -> None:
        self.directory = directory
        self.evidence = None if evidence is None else Path(os.path.realpath(evidence))
        self.tor = tor
        self.environment = tool_environment(environment)
        self.containment = containment
        self.foreground = foreground
        self.on_line = on_line
        self.flow = flow
        self.household = household or Household()
        self.given = given or GivenSockets(containment.unix)
        daemons = daemons or Daemons(str(directory), self.given.places)
        self.daemons = daemons if containment.is_hiding else None
        self.given_pipes = GivenPipes(containment.pipes)
        self.pipes = (pipes or NamedPipes()) if containment.has_own_mounts else None
        self.process = process
        self.caller = os.getpid() if caller is None else caller
        self.closed = closed
        self.preload = directory / preload.name
        if not self.preload.is_symlink():
            self.preload.symlink_to(preload)

    def prepare(
        self, run: Run, post: Callable[[object], None], on_report: Callable[[bytes, int], None]
    ) -> "ToolLaunch":
        """A run's report socket; nothing is started yet."""
        return ToolLaunch(self, run, post, on_report)


class ToolLaunch:
    """One run. After it is done, `stdout` and `stderr` (None in the foreground) hold what the tool wrote, and
    `artifacts_bytes` says how much it left (None without a setup): more than is allowed is not counted to its end.
    `containment`: what holds this run, once it has started; not all that a level can hide is always found."""

    def __init__(
        self, launcher: ToolLauncher, run: Run, post: Callable[[object], None], on_report: Callable[[bytes, int], None]
    ) -> None:
        self._launcher = launcher
        self._run = run
        self._post = post
        self.containment = launcher.containment
        kept = None if launcher.evidence is None else launcher.evidence / run.run_id
        self.desk = Desk(launcher.directory / f"{run.index}.d", kept) if run.setup is None else None
        self.given = Given()
        self._tree = Tree(launcher.household)
        path, containment = launcher.directory / f"{run.index}.s", launcher.containment
        self._unix = UnixSockets(launcher.given, self._tree, may_listen=containment.may_listen)
        self._reports = ReportSocket(path, run.nonce, self._tree, self._heard, on_report, self._unix)
        self._process = launcher.process(self._tree, self._heard, self._supervise)
        self._door = Door(run, self._reports, self._tree)
        self._dialogues = Dialogues(run.address, launcher.tor, self._reports, post)
        self.stdout: Output | None = None
        self.stderr: Output | None = None
        self.artifacts_bytes: int | None = None
        self._stdin: Input | None = None
        self._looking: Looking | None = None

    def start(self) -> str | None:
        """At once, or as soon as it is known what is to be hidden; then a LauncherLost tells what went wrong."""
        launcher = self._launcher
        if launcher.daemons is None and launcher.pipes is None:
            return self._start(())
        self._looking = Looking(
            launcher.daemons, launcher.pipes, launcher.caller, launcher.given_pipes.places, self._found
        )
        return None

    def _found(self, hidden: Hiding | None) -> None:
        """What is not to be there for the tool; None: nobody can say."""
        problem: str | None = "the Unix sockets of daemons could not be looked for"
        if hidden is not None:
            paths, finds_all, finds_pipes = hidden
            self.containment = replace(self.containment, finds_all=finds_all, finds_pipes=finds_pipes)
            try:
                problem = self._start([*self._closed(), *paths])
            except (OSError, OperatorError) as error:
                problem = f"what is to be closed to it is not known: {error}"
        if problem is not None:
            self._heard(events.LauncherLost(problem))

    def _closed(self) -> list[str]:
        launcher = self._launcher
        if launcher.pipes is None:
            return []
        return launcher.closed(launcher.caller if launcher.foreground and self._run.setup is None else None)

    def _is_called_off(self) -> bool:
        """Whether it had not been started yet: then it will not be, and that is said."""
        if self._looking is None or not self._looking.call_off():
            return False
        asyncio.get_running_loop().call_soon(self._heard, events.LauncherLost("ended before it was started"))
        return True

    def _start(self, hidden: Sequence[str]) -> str | None:
        launcher, run = self._launcher, self._run
        try:
            self._reports.listener.open()
            if run.setup is not None:
                make_workspace(run.setup)
            places = self.desk.make() if self.desk is not None else {}
            self._process.start(
                run.argv,
                preload=launcher.preload,
                shim_config=bindings.shim_config(
                    run.nonce, run.address, self._reports.path, is_supervised=launcher.containment.is_supervised
                ),
                environment=run_environment({**launcher.environment, **places}, run),
                stdio=self._stdio(),
                options=self._options(hidden, places.values()),
            )
        except (OSError, ValueError) as error:
            return f"the launcher could not be started: {error}"
        finally:
            for ours in (self._stdin, self.stdout, self.stderr):
                if ours is not None:
                    ours.started()
        return None

    def _supervise(self, listener: int) -> None:
        """The kernel has the tool's calls for us: from now on it can do nothing without."""
        containment, run = self._launcher.containment, self._run
        try:
            self._door.supervisor = Supervisor(
                listener, run.address, run.nonce, self._reports, self._tree, self._heard, self._unix, self._door.calls,
                may_listen=containment.may_listen, is_apart=containment.is_apart, dns_server=containment.dns_server,
            )  # fmt: skip
        except OSError as error:
            os.close(listener)
            self._heard(events.LauncherLost(f"the tool's calls could not be taken: {error.strerror}"))
            return
        self._heard(events.Supervised())

    def _options(self, hidden: Sequence[str], places: Iterable[str]) -> list[str]:
        setup, containment, pipes = self._run.setup, self._launcher.containment, self._launcher.given_pipes.names
        if setup is not None:
            own = map(self._without_links, places_of(setup))
            return [*containment_options(containment, hidden, own, pipes), *launcher_options(setup)]
        options = containment_options(containment, hidden, map(self._without_links, places), pipes)
        return [*options, "--foreground", "--keep-files"] if self._launcher.foreground else options

    def _without_links(self, place: str) -> str:
        """One of the run's own. In our private folder no tool lays any; elsewhere it may, and none is followed."""
        is_private = Path(place).is_relative_to(self._launcher.directory)
        return os.path.realpath(place) if is_private else place

    def _stdio(self) -> tuple[int, int, int] | None:
        """Pipes; None for one run in the foreground: the caller's own."""
        setup = self._run.setup
        if setup is None and self._launcher.foreground:
            return None
        self._stdin = Input(b"" if setup is None else setup.stdin)
        self.stdout = self._output("stdout", OUTPUT_MAX if setup is None else setup.stdout_max)
        self.stderr = self._output("stderr", OUTPUT_MAX if setup is None else setup.stderr_max)
        return self._stdin.descriptor, self.stdout.descriptor, self.stderr.descriptor

    def _output(self, name: str, cap: int) -> Output:
        flow = self._launcher.flow
        return Output(cap, self._line_of(name), flow(name) if flow is not None else None, self._lose)

    def _lose(self, why: str) -> None:
        self._heard(events.LauncherLost(why))

    def _line_of(self, name: str) -> Callable[[bytes], None] | None:
        on_line, run = self._launcher.on_line, self._run
        return None if on_line is None else lambda line: on_line(run, name, line)

    def end(self, grace_s: float) -> None:
        if not self._is_called_off():
            self._process.end(grace_s)

    def kill(self) -> None:
        """Kill the launcher and then all that it had started, without waiting; a LauncherLost is posted."""
        if not self._is_called_off():
            self._process.kill()

    def go_ahead(self, ticket: Ticket, by: ports.Ahead) -> None:
        self._door.go_ahead(ticket, by)

    def recall(self) -> None:
        self._door.recall()

    def is_attached(self, call: int) -> bool:
        return self._dialogues.is_attached(call)

    def open_stream(self, call: int, claim: Claim) -> None:
        self._dialogues.open_stream(call, claim)

    def bind_lookup(self, call: int, host: str) -> None:
        self._dialogues.bind_lookup(call, host)

    def answer(self, answer: AnswerCall) -> None:
        self._dialogues.answer(answer)

    def _heard(self, event: object) -> None:
        if isinstance(event, events.CallLost):
            self._dialogues.take_back(event.call)
        elif isinstance(event, events.TreeEnded):
            self._door.recall()
            self._reports.drain()
            self._door.hear_out(partial(self._all_heard, event))
            return
        self._post(event)

    def _all_heard(self, ended: events.TreeEnded) -> None:
        """Whatever its processes had said, or asked, has come."""
        self._reports.drain()
        self._post(ended)

    def close(self) -> None:
        if self._looking is not None:
            self._looking.call_off()
        self._door.recall()
        self._dialogues.close()
        self._reports.close()
        self._door.close()
        self._unix.close()
        with contextlib.suppress(OSError):
            self._process.close()
        for ours in (self._stdin, self.stdout, self.stderr):
            if ours is not None:
                ours.finish()
        if self.desk is not None:
            self.given = self.desk.take()
        if self._run.setup is not None:
            self.artifacts_bytes = artifacts_size(self._run.setup)
