"""The daemon at work: it holds one tor, its consensus and warm circuits, and lets clients run tools on them.

It is in one of four states. *Opening*: it waits for tor, or for another exitpin that uses it. *Serving*: one session
is open (a `Tenure`), and each client that asks gets its run in it. *Lending*: an exitpin that wants tor to itself was
let have it, once the runs under way had ended. *Idle*: tor could not be opened, and whoever waited was told why; the
next who asks makes it try again. Clients that ask meanwhile wait.
"""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path

from ...shim.bindings import Lease, LeaseKind
from ...wrappers.daemon_socket import credentials_of, daemon_socket, is_activated, listening
from ...wrappers.household import Household
from ...wrappers.lease import LeaseConnection, close_all
from ...wrappers.runtime import scratch_directory
from ...wrappers.watching import watch
from ..circuits import Pace
from ..errors import OperatorError
from ..network import Vantage, open_network
from ..settings import Settings
from .allowing import open_starts
from .daemon_lease import Client
from .daemon_question import Declined
from .daemon_tenure import Numbers, Tenure
from .guarding import SIGNALS, guarding
from .say import say

NOTICE_S, DEAF_S = 1.0, 0.1
WARM_S = 600.0
"""As old as Tor lets a circuit become that takes new streams (MaxCircuitDirtiness)."""


class Daemon:
    """One daemon of one vantage. `run` returns when it was told to end, or the process has ended whose descriptor is
    `life`."""

    def __init__(
        self, vantage: Vantage, settings: Settings, pace: Pace, on_ready: Callable[[], None], life: int | None = None
    ) -> None:
        self._vantage = vantage
        self._life = life
        self._settings = settings
        self._pace = replace(pace, warm_s=WARM_S)
        self._on_ready = on_ready
        self._began = time.time()
        self._tenure: Tenure | None = None
        self._waiting: list[Client] = []
        self._borrowers: list[LeaseConnection] = []
        self._is_ending = False
        self._problem = ""
        self._wake = asyncio.Event()
        self._served = 0
        self._listener: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None
        self._was_open = False
        self._is_activated = is_activated()

    async def run(self) -> int:
        """Serve until SIGTERM, SIGINT, SIGHUP or a client's word. Raises OperatorError when there is a daemon already,
        or tor can't be had at the start."""
        loop = asyncio.get_running_loop()
        with scratch_directory() as directory, listening(daemon_socket(self._vantage.kind, self._vantage.name)) as door:
            self._listener = door
            household, numbers = Household(), count(1)
            with guarding(self._end, self._lose_trust):
                try:
                    watch(loop.add_reader, door.fileno(), self._admit)
                    if self._life is not None:
                        watch(loop.add_reader, self._life, self._orphaned, self._life)
                except OSError as error:
                    raise OperatorError(f"the daemon can't listen: {error.strerror}.") from error
                try:
                    while not self._is_ending:
                        self._serving = asyncio.create_task(self._serve_once(household, directory, numbers))
                        try:
                            await self._serving
                        except asyncio.CancelledError:
                            if not self._is_ending:
                                raise
                finally:
                    loop.remove_reader(door.fileno())
                    for client in self._waiting:
                        client.refuse(OperatorError("the daemon has ended.", "Try again, without it."))
                    await household.settle()
        return 0

    async def _serve_once(self, household: Household, directory: Path, numbers: Numbers) -> None:
        """One tenure, if tor can be had; and wait until there is a reason for another one."""
        try:
            async with open_network(self._vantage, is_daemon=True) as network, AsyncExitStack() as stack:
                starts = stack.enter_context(open_starts(self._settings, self._vantage, os.environ))
                self._problem = ""
                self._tenure = Tenure(
                    network, self._settings, self._pace, household, directory, numbers, self._count, starts
                )
                self._on_ready()
                self._was_open = True
                if self._is_ending or self._borrowers:
                    self._tenure.close()
                else:
                    self._settle_all()
                await self._tenure.serve()
        except OperatorError as error:
            if not (self._was_open or self._is_activated):
                raise
            self._problem = str(error)
            say(f"tor can't be used: {error}")
            waiting, self._waiting = self._waiting, []
            for client in waiting:
                client.refuse(error)
        finally:
            self._tenure = None
        while not self._is_ending and (self._borrowers or (self._problem and not self._waiting)):
            self._wake.clear()
            await self._wake.wait()

    def _settle_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for client in waiting:
            self._settle(client)

    def _settle(self, client: Client) -> None:
        """Let it begin, or wait until it can."""
        tenure = self._open_tenure()
        if not client.connection.is_open:
            return
        if tenure is None:
            self._waiting.append(client)
            self._wake.set()
            asyncio.get_running_loop().call_later(NOTICE_S, self._say_that_it_waits, client)
        else:
            client.settle(tenure)

    def _say_that_it_waits(self, client: Client) -> None:
        if client in self._waiting:
            whom = "exitpin, which has borrowed tor from the daemon" if self._borrowers else "the daemon's tor"
            with contextlib.suppress(OSError):
                client.say(f"exitpin: waiting for {whom}\n")

    def _open_tenure(self) -> Tenure | None:
        """The one in which a run can begin, if there is one."""
        tenure = self._tenure
        if tenure is not None and tenure.session.trust_lost is not None:
            tenure.close()
        is_closed = tenure is None or tenure.is_closing or self._borrowers or self._is_ending
        return None if is_closed else tenure

    def arrived(self, client: Client, pid: int) -> None:
        """A client is where we are."""
        if not client.arrived(pid, self._open_tenure()):
            self._settle(client)

    def _count(self) -> None:
        self._served += 1

    def _lose_trust(self, why: str) -> None:
        if self._tenure is not None:
            self._tenure.lose_trust(why)

    def _end(self, signo: int = signal.SIGTERM) -> None:
        self._is_ending = True
        self._wake.set()
        if self._tenure is not None:
            self._tenure.session.interrupt("the daemon was ended")
            self._tenure.close()
        elif self._serving is not None:
            self._serving.cancel()  # it waits for tor, or for whoever has it

    def _orphaned(self, life: int) -> None:
        asyncio.get_running_loop().remove_reader(life)
        self._end()

    # Connections.

    def _admit(self) -> None:
        """Whoever knocks, if it is the user whose daemon this is."""
        assert self._listener is not None
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # it has gone again; or it knocks until there are fewer open files
            if error.errno in (errno.EMFILE, errno.ENFILE):
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._listener.fileno())
                loop.call_later(DEAF_S, self._listen_again)
            return
        if credentials_of(connection)[1] != os.geteuid():
            connection.close()
            return
        with contextlib.suppress(OSError):  # it has been declined
            Visit(self, connection)

    def _listen_again(self) -> None:
        loop = asyncio.get_running_loop()
        if self._listener is None or self._listener.fileno() < 0:
            return
        try:
            watch(loop.add_reader, self._listener.fileno(), self._admit)
        except OSError:  # as when there is no room for who knocks
            loop.call_later(DEAF_S, self._listen_again)

    def asked(self, visit: "Visit", lease: Lease, descriptors: list[int]) -> None:
        """The first word of a visitor."""
        if lease.kind == LeaseKind.ASK:
            try:
                visit.client = Client(visit.connection, self._vantage, lease, descriptors)
            except Declined:
                visit.connection.decline()
            else:
                self._settle(visit.client)
            return
        close_all(descriptors)
        if lease.kind == LeaseKind.BORROW:
            self._borrowers.append(visit.connection)
            if self._tenure is not None:
                self._tenure.close()
        elif lease.kind == LeaseKind.STATUS:
            visit.connection.end(0, json.dumps(self.status()).encode() + b"\n")
        elif lease.kind == LeaseKind.STOP:  # it stays connected, and sees us go
            self._end()
        else:
            visit.connection.close()

    def left(self, visit: "Visit") -> None:
        """A visitor has hung up."""
        if visit.client is not None:
            if visit.client in self._waiting:
                self._waiting.remove(visit.client)
            visit.client.interrupt(None)
        elif visit.connection in self._borrowers:
            self._borrowers.remove(visit.connection)
            self._wake.set()
            if self._tenure is not None and not self._borrowers and not self._is_ending:
                self._tenure.reopen()
                if not self._tenure.is_closing:
                    self._settle_all()

    def status(self) -> dict[str, object]:
        """What `exitpin daemon status --json` prints. Times in seconds since the epoch."""
        tenure = self._tenure
        state = (
            "lending" if self._borrowers else "idle" if self._problem else "opening" if tenure is None else "serving"
        )
        return {
            "schema": "exitpin.daemon/1", "pid": os.getpid(), "state": state, "problem": self._problem or None,
            "vantage": {"kind": self._vantage.kind, "name": self._vantage.name},
            "tor": tenure.network.tor_version if tenure else None,
            "consensus": tenure.network.snapshot.valid_after if tenure else None,
            "started": round(self._began, 3), "served": self._served, "waiting": len(self._waiting),
            "running": tenure.session.active_count if tenure else 0,
            "warm_circuits": tenure.session.warm_circuits if tenure else 0,
        }  # fmt: skip


class Visit:
    """One connection, and the client that it is of once that has asked."""

    def __init__(self, daemon: Daemon, connection: socket.socket) -> None:
        self._daemon = daemon
        self.client: Client | None = None
        self._is_known = False
        self.connection = LeaseConnection(connection, self._heard, lambda: daemon.left(self))

    def _heard(self, lease: Lease, descriptors: list[int], pid: int) -> None:
        if not self._is_known:
            self._is_known = True
            self._daemon.asked(self, lease, descriptors)
            return
        close_all(descriptors)
        if self.client is not None and lease.kind == LeaseKind.HERE:
            self._daemon.arrived(self.client, pid)
        elif self.client is not None and lease.kind == LeaseKind.INTERRUPT and lease.number in SIGNALS:
            self.client.interrupt(lease.number)
