"""setup() and teardown() of an exitmap module: each once, in a process of its own, contained like any run.

Where setup() connects from decides what exits are compared with, so it is the user's to say:

  offline  on the stand-in for tor, on which no name is found and no address is reached (default)
  EXIT     as a run through that exit, with evidence and a record of its own; names are resolved by the exit
  direct   as a child of ours, in the clear

What setup() wanted and did not get offline ends the scan, whether it minded or not: a module that goes on without its
reference accuses everybody. teardown() is offline in any case, and what it wants is told.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from ...shim import bindings
from ...wrappers import orphans
from ...wrappers.exitmap.scan_files import Prepared, ScanFiles
from ...wrappers.launch import ToolLaunch, ToolLauncher
from ...wrappers.output import printable
from ...wrappers.stand_in import Port, StandIn, stand_in_relay
from ..allowance import Starts, Unlimited
from ..circuits import FirstHops, Pace
from ..containment import Containment
from ..errors import EXIT_FAILED, OperatorError, status_of_signal
from ..evidence import EvidenceLog
from ..loop import Session
from ..model import Relay, Run
from ..network import Network, Vantage
from ..observation import failure_of
from ..plan import NONCE_BYTES, run_address
from ..ports import Control, Launch
from ..runs import Life
from ..settings import Settings
from .allowing import Waits, open_starts
from .guarding import guarding
from .politeness import first_hops_of, pace_of
from .run_record import close_evidence, open_evidence, record_line
from .say import say

OFFLINE, DIRECT = "offline", "direct"
INDICES = {"setup": 0, "teardown": -1}
"""Those of probes begin at 1."""
WANTED_MAX = 5
ORPHANS_MAX = 100
"""Looks for what a setup in the clear has left."""


def command_of(part: str, module: Path) -> list[str]:
    """What starts a part of a module inside of a run. -P: the current folder is none of Python's."""
    return [sys.executable, "-P", "-m", "exitpin.wrappers.exitmap", part, str(module)]


@dataclass(frozen=True, slots=True)
class PartEnded:
    """How a part ended. `problem`: why it failed, None if it did not; `wanted`: what it wanted of a network, told where
    it had none."""

    problem: str | None
    wanted: Sequence[str] = ()


class Parts:
    """The parts of one scan. `kept`: the scan's file of events, beside which theirs are kept."""

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str],
        containment: Containment,
        settings: Settings,
        rng: Random,
        module: Path,
        scan_id: str,
        kept: Path,
    ) -> None:
        self._directory = directory
        self._environment = environment
        self._containment = containment
        self._settings = settings
        self._rng = rng
        self._module = module
        self._scan_id = scan_id
        self._kept = kept
        self._lives: list[tuple[Life, ToolLaunch | None]] = []

    async def set_up_offline(self) -> PartEnded:
        """Run setup() without a network."""
        return await self._offline("setup")

    async def set_up_directly(self) -> PartEnded:
        """Run setup() with this machine's network. What it leaves behind is ended."""
        say("setup() has this machine's own network: it connects in the clear")
        bindings.set_child_subreaper()
        others = orphans.children()
        process = await asyncio.create_subprocess_exec(
            *command_of("setup", self._module), stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr.fileno(),
            env=self._environment, start_new_session=True,
        )  # fmt: skip

        def kill() -> None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        try:
            with _interruptible("setup", kill, say):
                async with asyncio.timeout(self._settings.timeout_s):
                    status = await process.wait()
        except TimeoutError:
            return PartEnded(f"timeout: over {self._settings.timeout_s:g} s")
        finally:
            kill()
            await process.wait()
            _end_orphans(others)
        return PartEnded(None if status == 0 else f"exit status {status}")

    async def set_up_through(
        self, network: Network, vantage: Vantage, exit: Relay, scan: Mapping[str, object]
    ) -> PartEnded:
        """Run setup() through an exit, with a record of it beside the scan's events. Raises OperatorError."""
        path = self._kept.with_name(f"setup-{self._kept.name}")
        started = datetime.now(UTC).isoformat(timespec="seconds")
        header = {"session": self._scan_id, "tor": network.tor_version, "started": started}
        evidence = open_evidence(path, header)
        try:
            with open_starts(self._settings, vantage, self._environment) as starts:
                session, launcher = self._session(
                    network.channel, network.socks, evidence, pace_of(self._settings, vantage),
                    first_hops_of(self._settings, network.snapshot, [exit]), starts,
                )  # fmt: skip
                await self._carry_out(session, launcher, self._run("setup", exit))
        finally:
            close_evidence(evidence)
        told = {
            **scan, "events": str(path), "consensus": network.snapshot.valid_after,
            "vantage": {"kind": vantage.kind, "name": vantage.name, "tor": network.tor_version},
        }  # fmt: skip
        record = path.with_name(f"{path.name}.record")
        try:
            record.write_bytes(b"".join(record_line(life, launch, told) for life, launch in self._lives))
        except OSError as error:
            raise OperatorError(f"{record} can't be written: {error.strerror}.", "No probe was started.") from error
        say(f"setup() went through {exit.nickname}/{exit.fingerprint[:8]}: {record}")
        return PartEnded(self._ended(session).problem)

    async def tear_down(self) -> int:
        """Run teardown(); an exit status, 0: all is well."""
        ended = await self._offline("teardown")
        if ended.wanted:
            say(f"teardown() has no network, and wanted {_listed(ended.wanted)}")
        if ended.problem is not None:
            say(f"teardown() failed: {ended.problem}")
            return EXIT_FAILED
        return 0

    def prepared(self, files: ScanFiles, ended: PartEnded) -> Prepared:
        """What setup() left, which ended so. Raises OperatorError when it failed, or wanted what it was not given."""
        name, problem = self._module.name, ended.problem
        if ended.wanted:
            raise OperatorError(
                f"setup() of {name} has no network, and wanted {_listed(ended.wanted)}.",
                "--setup EXIT runs it through an exit that you trust, --setup direct on this machine's own network."
                " What it finds there is what the module compares all exits with.",
                EXIT_FAILED,
            )
        try:
            prepared = files.prepared()
        except ValueError as error:
            problem, prepared = problem or f"what it left can't be read ({error})", None
        if problem is not None or prepared is None:
            why = problem or "it has ended, and setup() has not"
            raise OperatorError(f"setup() of {name} failed: {why}.", "What it said is above.", EXIT_FAILED)
        for one, why in prepared.missing.items():
            say(f"{one}, which setup() set, can't be handed to probes ({why}): a probe that uses it fails")
        return prepared

    # How a part is run.

    async def _offline(self, part: str) -> PartEnded:
        tor = StandIn(Port.UNRESOLVED)
        nobody, first = stand_in_relay(1), stand_in_relay(2)
        with closing(tor):
            session, launcher = self._session(
                tor, await tor.open(), EvidenceLog(None, {}), Pace(0.0, 0.0, 1), lambda *_: (first.fingerprint,),
                Unlimited(),
            )  # fmt: skip
            await self._carry_out(session, launcher, self._run(part, nobody))
        return self._ended(session)

    def _run(self, part: str, exit: Relay) -> Run:
        return Run(
            f"{self._scan_id}-{part}", INDICES[part], exit, tuple(command_of(part, self._module)),
            run_address(self._rng.getrandbits(22)), self._rng.randbytes(NONCE_BYTES), self._settings.timeout_s,
        )  # fmt: skip

    def _session(
        self,
        control: Control,
        socks: tuple[str, int],
        evidence: EvidenceLog,
        pace: Pace,
        first_hops: FirstHops,
        starts: Starts,
    ) -> tuple[Session, ToolLauncher]:
        """A session of one run, and what starts that. What comes of names is what an exit found, and never a stand-in
        for it: setup() may hand it on."""
        launcher = ToolLauncher(
            self._directory, bindings.PRELOAD, socks, self._environment, containment=self._containment,
            on_line=lambda run, stream, line: _say_line(_part_of(run), line),
            evidence=self._kept.with_name(f"{self._kept.name}.evidence"),
        )  # fmt: skip
        self._lives.clear()
        session = Session(
            control, launcher, pace=pace, first_hops=first_hops, rng=self._rng, evidence=evidence,
            on_finished=self._finished, resolve="exit", starts=starts,
        )  # fmt: skip
        loop = asyncio.get_running_loop()

        def stop(why: str) -> None:
            say(why)
            loop.call_soon(session.interrupt, why)

        starts.watch(stop, Waits(self._settings))
        return session, launcher

    async def _carry_out(self, session: Session, launcher: ToolLauncher, run: Run) -> None:
        with _interruptible(_part_of(run), session.interrupt, session.lose_trust):
            await session.run([run], 1)
            await launcher.household.settle()

    def _finished(self, life: Life, launch: Launch | None) -> None:
        assert launch is None or isinstance(launch, ToolLaunch)
        self._lives.append((life, launch))

    def _ended(self, session: Session) -> PartEnded:
        life, _ = self._lives[0]
        failure = failure_of(life)
        wanted = [connection.destination.host for connection in life.connections if connection.is_lookup]
        wanted += [str(connection.destination) for connection in life.connections if not connection.is_lookup]
        wanted += [f"{denied.what} ({denied.reason})" for denied in life.denied]
        problem = session.trust_lost or (None if failure is None else f"{failure.kind}: {failure.detail}")
        return PartEnded(problem, list(dict.fromkeys(wanted)))


@contextmanager
def _interruptible(part: str, interrupt: Callable[[], None], lose_trust: Callable[[str], None]) -> Iterator[None]:
    """Within it a signal is `interrupt`'s to answer; it is an OperatorError when the block has ended."""
    signals: list[int] = []

    def interrupted(signo: int) -> None:
        signals.append(signo)
        interrupt()

    with guarding(interrupted, lose_trust):
        yield
    if signals:
        raise OperatorError(f"interrupted in {part}().", "", status_of_signal(signals[0]))


def _end_orphans(others: set[int]) -> None:
    """End our children that are not these, with all below them, and whoever becomes our child by that."""
    for _ in range(ORPHANS_MAX):
        killing = orphans.killing(lambda: others)
        try:
            while True:
                next(killing)
        except StopIteration as ended:
            if not ended.value:
                return


def _part_of(run: Run) -> str:
    return run.run_id.rpartition("-")[2]


def _listed(wanted: Sequence[str]) -> str:
    more = len(wanted) - WANTED_MAX
    return ", ".join(wanted[:WANTED_MAX]) + (f" and {more} more" if more > 0 else "")


def _say_line(part: str, line: bytes) -> None:
    print(f"{part}\t{printable(line)}", file=sys.stderr)
