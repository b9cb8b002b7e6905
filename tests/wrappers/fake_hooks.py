"""A report socket whose hooks are played by the test: what they send, and what the orchestrator would hear."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from exitpin.wrappers.reports import ReportSocket
from exitpin.wrappers.unix_given import GivenSockets
from exitpin.wrappers.unix_sockets import UnixSockets

DEADLINE_S = 30.0
NONCE = b"\x07" * 16


class FakeTree:
    """Who belongs to the run: everybody, nobody, or nobody can say."""

    def __init__(self, is_member: bool | None = True) -> None:
        self.is_member = is_member

    def contains(self, pid: int) -> bool | None:
        return self.is_member

    def executable(self, pid: int) -> str:
        return f"/proc/{pid}/exe"


def no_unix(tree: FakeTree) -> UnixSockets:
    """A run that was given no Unix socket, and has none of its own."""
    return UnixSockets(GivenSockets(), tree, may_listen=False)  # type: ignore[arg-type]


class Run:
    """A report socket, and everything that it posted."""

    def __init__(self, path: Path, tree: FakeTree) -> None:
        self.tree = tree
        self.events: list[object] = []
        self.on_event: Callable[[object], None] = lambda event: None
        self.packets: list[tuple[bytes, int]] = []
        self.reports = ReportSocket(
            path,
            NONCE,
            tree,
            self._post,
            lambda *seen: self.packets.append(seen),
            no_unix(tree),  # type: ignore[arg-type]
        )
        self.reports.listener.open()

    def _post(self, event: object) -> None:
        self.events.append(event)
        self.on_event(event)

    def hook(self) -> socket.socket:
        """A hook's connection."""
        hook = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        hook.connect(str(self.reports.path))
        hook.setblocking(False)
        return hook

    async def report(self, packet: bytes, *descriptors: int) -> socket.socket:
        """A hook that has sent this; read by the loop."""
        hook = self.hook()
        socket.send_fds(hook, [packet], list(descriptors)) if descriptors else hook.send(packet)
        await turns()
        return hook


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def played(path: Path, script: Callable[[Run], Awaitable[None]], tree: FakeTree | None = None) -> None:
    async def play() -> None:
        run = Run(path / "s", tree or FakeTree())
        async with asyncio.timeout(DEADLINE_S):
            await script(run)
        if run.reports.path.exists():
            run.reports.close()

    asyncio.run(play())
