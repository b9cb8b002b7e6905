"""Which tor: the lab's client, an own one, or an existing one by `--control`; opened, checked, locked, with its
snapshot.

One orchestrator per tor at a time: the streams of another one would be foreign, and closed. A lock beside the
control socket says so; who comes second waits and is told for whom. A daemon that holds it lends it out.
"""

import asyncio
import contextlib
import fcntl
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from ..wrappers.ahead import Ahead
from ..wrappers.directory import read_fresh_until, read_snapshot
from ..wrappers.pinned_tor import close_circuits, prepare
from ..wrappers.runtime import is_locked, private_directory, runtime_directory
from ..wrappers.tor import ControlChannel, ControlError, authenticate
from .errors import OperatorError
from .freshness import epoch_of
from .model import Snapshot

TICKETS = "EXITPIN_TICKETS"
"""0: off (docs/notes/0036)."""
LOCK_NOTICE_S, LOCK_LOOK_S = 1.0, 0.05
REFRESH_LOOK_S = 0.5
LEAVE_S = 2.0


@dataclass(frozen=True, slots=True)
class Vantage:
    """Where a run is seen from: the lab (`lab`), an own tor (`own`) or a given one (`control`). `is_voted_on`: whether
    authorities go on with its network, so that there are new consensuses."""

    kind: str
    control_socket: Path | tuple[str, int]
    name: str = ""
    is_voted_on: bool = True

    @property
    def is_lab(self) -> bool:
        return self.kind == "lab"

    @property
    def network(self) -> str:
        """Whose relays these are, as histories name it: who gives a tor may mean a network of their own."""
        return {"own": "tor", "lab": f"lab {self.name}"}.get(self.kind, f"tor at {self.control_socket}")


@dataclass(frozen=True, slots=True)
class Network:
    """An open, pinned tor."""

    channel: ControlChannel
    socks: tuple[str, int]
    snapshot: Snapshot
    tor_version: str


@asynccontextmanager
async def open_network(vantage: Vantage, *, is_daemon: bool = False) -> AsyncIterator[Network]:
    """The network, for as long as the block lasts. A daemon is asked for it, but not by itself. Raises
    OperatorError."""
    async with _borrowed(vantage, is_daemon), _locked(vantage):
        if vantage.kind == "own":
            from ..wrappers.own_tor import ensure_tor, wait_bootstrapped

            ensure_tor()
        channel = ControlChannel(authenticate(vantage.control_socket))
        try:
            if vantage.kind == "own":
                await wait_bootstrapped(channel, _show)
            socks = await prepare(channel)
            if vantage.kind == "control":
                from ..wrappers.given_tor import check_given_tor

                await check_given_tor(channel, socks)
            await close_circuits(channel)
            snapshot = await read_snapshot(channel)
            version = (await channel.ask("GETINFO version"))[0].partition("=")[2]
            _go_ahead(vantage, channel, socks)
            try:
                yield Network(channel, socks, snapshot, version)
            finally:
                with contextlib.suppress(ControlError):  # tor may have ended, or never answer again
                    await close_circuits(channel, LEAVE_S)
        finally:
            channel.close()


async def await_refresh(network: Network, patience_s: float) -> Network:
    """The network with the consensus that should be there by now; as it was, where that has not come after
    `patience_s`. Raises OperatorError."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if epoch_of(await read_fresh_until(network.channel)) > time.time():
            return replace(network, snapshot=await read_snapshot(network.channel))
        await asyncio.sleep(REFRESH_LOOK_S)
    return network


@asynccontextmanager
async def consulted(vantage: Vantage) -> AsyncIterator[tuple[ControlChannel, Snapshot]]:
    """What relays there are, and whom to ask of them, for whom that is enough: beside whoever uses this tor. Raises
    OperatorError."""
    if not is_locked(_lock_path(vantage)):
        async with open_network(vantage) as network:
            yield network.channel, network.snapshot
        return
    channel = ControlChannel(authenticate(vantage.control_socket))
    try:
        yield channel, await read_snapshot(channel)
    finally:
        channel.close()


def _go_ahead(vantage: Vantage, channel: ControlChannel, socks: tuple[str, int]) -> None:
    """Let connects be made by tickets, over a control connection of their own, unless that is not wanted. Where it
    can't be, they wait."""
    if os.environ.get(TICKETS) == "0":
        return
    with contextlib.suppress(OSError, OperatorError):
        channel.ahead = Ahead(authenticate(vantage.control_socket), socks, channel.lose)


@asynccontextmanager
async def _borrowed(vantage: Vantage, is_daemon: bool) -> AsyncIterator[None]:
    """Ask the daemon of this vantage for its tor, for as long as the block lasts; the lock says when it is free."""
    connection = None
    if vantage.kind != "control":
        from ..wrappers.daemon_socket import ask_to_lend, daemon_socket, usual_socket

        own, usual = daemon_socket(vantage.kind, vantage.name), usual_socket(vantage.kind, vantage.name)
        if not is_daemon or own != usual:  # a daemon of somebody's own borrows like all others
            connection = ask_to_lend(usual if is_daemon else own)
    try:
        yield
    finally:
        if connection is not None:
            connection.close()


@asynccontextmanager
async def _locked(vantage: Vantage) -> AsyncIterator[None]:
    """Hold the lock of this tor. The file beside our own tors stays; one for a given tor goes with its last user."""
    path = _lock_path(vantage)
    lock = await _hold(path, " inside the lab" if vantage.is_lab else "")
    try:
        yield
    finally:
        if vantage.kind == "control":
            path.unlink(missing_ok=True)  # while it is held: who waited for it sees that it is gone, and makes it anew
        os.close(lock)


def _lock_path(vantage: Vantage) -> Path:
    if vantage.kind == "control":
        name = "-".join(str(part) for part in _parts(vantage.control_socket))
        return private_directory(runtime_directory()) / f"control-{name[-200:]}.lock"
    assert isinstance(vantage.control_socket, Path)
    private_directory(vantage.control_socket.parent)
    return vantage.control_socket.with_name("exitpin.lock")


async def _hold(path: Path, where: str) -> int:
    """A descriptor that holds the lock at `path`; says for whom it waits, when it waits long."""
    for waited in count():
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise OperatorError(f"{path} can't be opened: {error.strerror}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink:
                os.ftruncate(lock, 0)
                os.pwrite(lock, str(os.getpid()).encode(), 0)
                return lock
        except BlockingIOError:
            if waited == LOCK_NOTICE_S / LOCK_LOOK_S:
                holder = os.pread(lock, 32, 0).decode().strip() or "?"
                print(f"exitpin: waiting for exitpin (pid {holder}{where}), which uses this tor", file=sys.stderr)
        os.close(lock)
        await asyncio.sleep(LOCK_LOOK_S)
    raise AssertionError("BUG: counting has no end")


def _parts(control_socket: Path | tuple[str, int]) -> tuple[object, ...]:
    return control_socket if isinstance(control_socket, tuple) else control_socket.absolute().parts[1:]


def _show(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"exitpin: {progress}", file=sys.stderr)
