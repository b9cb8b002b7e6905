"""setup() and teardown() of an exitmap module: each once, in a process of its own, contained like any run.

Where setup() connects from decides what exits are compared with, so it is the user's to say:

  offline  on the stand-in for tor, on which no name is found and no address is reached (default)
  EXIT     as a run through that exit, with evidence and a record of its own; names are resolved by the exit
  direct   as a child of ours, in the clear

What setup() wanted and did not get offline ends the scan, whether it minded or not: a module that goes on without its
reference accuses everybody. teardown() is offline in any case, and what it wants is told.
"""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from ...shim import bindings
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
from .run_record import record_line
from .say import say

OFFLINE, DIRECT = "offline", "direct"
INDICES = {"setup": 0, "teardown": -1}
"""Those of probes begin at 1."""
WANTED_MAX = 5


def command_of(part: str, module: Path) -> list[str]:
    """What starts a part of a module inside of a run. -P: the current folder is none of Python's."""
    return [sys.executable, "-P", "-m", "exitpin.wrappers.exitmap", part, str(module)]


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
        self._problem: str | None = None
        self._wanted: list[str] = []
        self._lives: list[tuple[Life, ToolLaunch | None]] = []

    async def set_up_offline(self) -> None:
        """Run setup() without a network."""
        self._problem, self._wanted = await self._offline("setup")

    async def set_up_directly(self) -> None:
        """Run setup() with this machine's network."""
        say("setup() has this machine's own network: it connects in the clear")
        process = await asyncio.create_subprocess_exec(
            *command_of("setup", self._module), stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr.fileno(),
            env=self._environment,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                status = await process.wait()
        except TimeoutError:
            self._problem = f"over {self._settings.timeout_s:g} s"
            return
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self._problem = None if status == 0 else f"exit status {status}"

    async def set_up_through(self, network: Network, vantage: Vantage, exit: Relay, scan: Mapping[str, object]) -> None:
        """Run setup() through an exit, with a record of it beside the scan's events."""
        path = self._kept.with_name(f"setup-{self._kept.name}")
        started = datetime.now(UTC).isoformat(timespec="seconds")
        header = {"session": self._scan_id, "tor": network.tor_version, "started": started}
        try:
            evidence = EvidenceLog(path, header)
        except OSError as error:
            raise OperatorError(f"{path} can't be written: {error.strerror}.", "Nothing was started.") from error
        try:
            with open_starts(self._settings, vantage, self._environment) as starts:
                session = self._session(
                    network.channel, network.socks, evidence, pace_of(self._settings, vantage),
                    first_hops_of(self._settings, network.snapshot, [exit]), starts,
                )  # fmt: skip
                await self._carry_out(session, self._run("setup", exit))
        finally:
            evidence.close()
        self._problem, _ = self._ended(session)
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

    async def tear_down(self) -> int:
        """Run teardown(); an exit status, 0: all is well."""
        problem, wanted = await self._offline("teardown")
        if wanted:
            say(f"teardown() has no network, and wanted {_listed(wanted)}")
        if problem is not None:
            say(f"teardown() failed: {problem}")
            return EXIT_FAILED
        return 0

    def prepared(self, files: ScanFiles) -> Prepared:
        """What setup() left. Raises OperatorError when it failed, or wanted what it was not given."""
        name = self._module.name
        if self._wanted:
            raise OperatorError(
                f"setup() of {name} has no network, and wanted {_listed(self._wanted)}.",
                "--setup EXIT runs it through an exit that you trust, --setup direct on this machine's own network."
                " What it finds there is what the module compares all exits with.",
                EXIT_FAILED,
            )
        try:
            prepared = files.prepared()
        except ValueError as error:
            self._problem, prepared = f"what it left can't be read ({error})", None
        if self._problem is not None or prepared is None:
            why = self._problem or "it ended without an end"
            raise OperatorError(f"setup() of {name} failed: {why}.", "What it said is above.", EXIT_FAILED)
        for one, why in prepared.missing.items():
            say(f"{one}, which setup() set, can't be handed to probes ({why}): a probe that uses it fails")
        return prepared

    # How a part is run.

    async def _offline(self, part: str) -> tuple[str | None, list[str]]:
        tor = StandIn(Port.UNRESOLVED)
        nobody, first = stand_in_relay(1), stand_in_relay(2)
        with closing(tor):
            session = self._session(
                tor, await tor.open(), EvidenceLog(None, {}), Pace(0.0, 0.0, 1), lambda *_: (first.fingerprint,),
                Unlimited(),
            )  # fmt: skip
            await self._carry_out(session, self._run(part, nobody))
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
    ) -> Session:
        """A session of one run. What comes of names is what an exit found, and never a stand-in for it: setup() may
        hand it on."""
        launcher = ToolLauncher(
            self._directory, bindings.PRELOAD, socks, self._environment, containment=self._containment,
            on_line=lambda run, stream, line: _say_line(run.run_id.rpartition("-")[2], line),
            evidence=self._kept.with_name(f"{self._kept.name}.evidence"),
        )  # fmt: skip
        self._launcher = launcher
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
        return session

    async def _carry_out(self, session: Session, run: Run) -> None:
        interrupted: list[int] = []

        def interrupt(signo: int) -> None:
            interrupted.append(signo)
            session.interrupt()

        with guarding(interrupt, session.lose_trust):
            await session.run([run], 1)
            await self._launcher.household.settle()
        if interrupted:
            raise OperatorError(
                f"interrupted in {run.run_id.rpartition('-')[2]}().", "", status_of_signal(interrupted[0])
            )

    def _finished(self, life: Life, launch: Launch | None) -> None:
        assert launch is None or isinstance(launch, ToolLaunch)
        self._lives.append((life, launch))

    def _ended(self, session: Session) -> tuple[str | None, list[str]]:
        """Why the part failed, and what it wanted of a network."""
        life, _ = self._lives[0]
        failure = failure_of(life)
        wanted = [connection.destination.host for connection in life.connections if connection.is_lookup]
        wanted += [str(connection.destination) for connection in life.connections if not connection.is_lookup]
        wanted += [f"{denied.what} ({denied.reason})" for denied in life.denied]
        problem = session.trust_lost or (None if failure is None else f"{failure.kind}: {failure.detail}")
        return problem, list(dict.fromkeys(wanted))


def _listed(wanted: list[str]) -> str:
    more = len(wanted) - WANTED_MAX
    return ", ".join(wanted[:WANTED_MAX]) + (f" and {more} more" if more > 0 else "")


def _say_line(part: str, line: bytes) -> None:
    print(f"{part}\t{printable(line)}", file=sys.stderr)
