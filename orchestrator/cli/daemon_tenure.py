"""What the daemon has open: one tor, one session on it, and what its runs have in common.

It ends when tor is lent or lost; the daemon (`daemon_serve.py`) then begins another one.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Protocol

from ...wrappers.directory import read_snapshot
from ...wrappers.hidden import Daemons
from ...wrappers.household import Household
from ...wrappers.launch import ToolLaunch
from ...wrappers.machine import abilities, yama_scope
from ...wrappers.named_pipes import NamedPipes
from ...wrappers.unix_given import GivenSockets, Inode
from ..allowance import Starts
from ..circuits import Pace
from ..errors import OperatorError
from ..evidence import EvidenceLog
from ..loop import Session
from ..model import Fingerprint, Relay, Run, Snapshot
from ..network import Network
from ..plan import NONCE_BYTES, run_address
from ..ports import Launch, Post
from ..runs import Life
from ..settings import Settings
from ..surroundings import Surroundings
from ..verify_evidence import DAEMON
from ..witness import Witness
from .allowing import Waits
from .politeness import first_hops_of
from .run_record import new_scan_id
from .say import say

CONSENSUS_S = 3600.0
"""So often the consensus is read anew: what is chosen from is never older."""
FIRST_ADDRESS = secrets.randbelow(1 << 22)
"""From here on each run of this process has the next address."""

Numbers = Iterator[int]


class Holder(Protocol):
    """Whose a run is."""

    @property
    def is_recorded(self) -> bool:
        """Whether somebody will ask for the evidence of the run."""

    def prepare(self, run: Run, post: Post, on_report: Callable[[bytes, int], None]) -> Launch:
        """The run's hold on the world."""

    async def finish(self, life: Life, launch: ToolLaunch | None) -> None:
        """The run is over."""


class Tenure:
    """One session on one open tor."""

    def __init__(
        self,
        network: Network,
        settings: Settings,
        pace: Pace,
        household: Household,
        directory: Path,
        numbers: Numbers,
        on_served: Callable[[], None],
        starts: Starts,
    ) -> None:
        self.network = network
        self.settings = settings
        self.household = household
        self.directory = directory
        self.abilities = abilities()
        self.may_supervise = not yama_scope() or os.geteuid() == 0 or self.abilities.has_namespaces
        """Yama lets none but an ancestor look into a tool, and a daemon is none; in a user namespace of the tool's own,
        and as root, it may."""
        self.is_closing = False
        self._loop = asyncio.get_running_loop()
        self._numbers = numbers
        self._on_served = on_served
        self._sockets: dict[frozenset[Inode], Daemons] = {}
        self.pipes = NamedPipes()
        self._leases: dict[str, tuple[Run, Holder]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        header = {
            "session": f"{DAEMON}{secrets.token_hex(3)}", "tor": network.tor_version,
            "started": datetime.now(UTC).isoformat(timespec="seconds"), "unbuilt": True,
        }  # fmt: skip
        self.witness = Witness(
            header, shares_circuits=True, is_kept=self._is_recorded, in_use=lambda: self.session.circuit_ids
        )
        self._around = Surroundings()
        self._choose_hops = self._chooser(network.snapshot)
        self.session = Session(
            network.channel, self, pace=pace, rng=Random(), first_hops=self._first_hops,
            evidence=EvidenceLog(None, header, self.witness.note), on_finished=self._finished, around=self._around,
            starts=starts,
        )  # fmt: skip
        network.channel.on_lost = self.lose_trust
        starts.watch(self._unlimited, Waits(settings))

    async def serve(self) -> None:
        """Returns when it was closed and every run has ended, and been told of."""
        refreshing = asyncio.create_task(self._refresh())
        try:
            await self.session.serve()
            await asyncio.gather(*self._tasks)
        finally:
            refreshing.cancel()

    def close(self) -> None:
        """Nothing more begins in it."""
        self.is_closing = True
        self.session.finish()

    def reopen(self) -> None:
        """Take `close` back, if it is not over and nothing is lost."""
        if self.session.trust_lost is None and self.session.go_on():
            self.is_closing = False

    def _unlimited(self, why: str) -> None:
        """Nothing may start any more in this one."""
        say(why)
        self._loop.call_soon(self.session.interrupt, why)
        self._loop.call_soon(self.close)

    def lose_trust(self, why: str) -> None:
        """Nothing can be proven any more: all runs end, and so does this."""
        self.session.lose_trust(why)
        self.close()

    def daemons(self, given: GivenSockets) -> Daemons:
        """The Unix sockets of others, looked for once for all runs that may reach the same ones."""
        if given.places not in self._sockets:
            self._sockets[given.places] = Daemons(str(self.directory), given.places)
        return self._sockets[given.places]

    def make_run(self, exit: Relay, command: Sequence[str], timeout_s: float, resolve: str) -> Run:
        """A run with an id, an index and an address that no other of this daemon has."""
        number = next(self._numbers)
        return Run(
            f"{new_scan_id()}-{number:04d}", number, exit, tuple(command), run_address(FIRST_ADDRESS + number),
            secrets.token_bytes(NONCE_BYTES), timeout_s, resolve=resolve,
        )  # fmt: skip

    def begin(self, run: Run, holder: Holder) -> None:
        """Start somebody's run."""
        if run.run_id in self._leases:
            raise AssertionError("BUG: two runs have one id")
        self._leases[run.run_id] = run, holder
        self.session.start(run)

    def prepare(self, run: Run, post: Post, on_report: Callable[[bytes, int], None]) -> Launch:
        """As `Launcher`: by whose run it is."""
        return self._leases[run.run_id][1].prepare(run, post, on_report)

    def _finished(self, life: Life, launch: Launch | None) -> None:
        assert launch is None or isinstance(launch, ToolLaunch)
        _, holder = self._leases.pop(life.run.run_id)
        self._do(holder.finish(life, launch))
        self._on_served()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(CONSENSUS_S)
            with contextlib.suppress(OperatorError, OSError):  # the old one stays, and tells its age
                snapshot = await read_snapshot(self.network.channel)
                self._choose_hops = self._chooser(snapshot)
                self.network = replace(self.network, snapshot=snapshot)

    def _chooser(self, snapshot: Snapshot) -> Callable[..., Sequence[Fingerprint]]:
        return first_hops_of(self.settings, snapshot, (), self._around.health)

    def _first_hops(self, exit: Fingerprint, tried: frozenset[Fingerprint], rng: Random) -> Sequence[Fingerprint]:
        """None of the exits that others are looking at, if there are any besides."""
        return self._choose_hops(exit, tried.union(run.exit.fingerprint for run, _ in self._leases.values()), rng)

    def _is_recorded(self, run_id: str) -> bool:
        return run_id in self._leases and self._leases[run_id][1].is_recorded
