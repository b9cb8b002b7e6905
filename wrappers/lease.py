"""A connection between client and daemon: packets with descriptors, and who sent them by the kernel's word.

Decides nothing: what a packet asks for is answered by `cli/daemon_serve.py`. The records are those of wire.h; strings
and texts travel in memfds, so that nobody waits for a reader. Sources: unix(7), memfd_create(2).
"""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..orchestrator.errors import ByInterrupt
from ..shim import bindings
from ..shim.bindings import Lease, LeaseKind
from .packets import despite_reset
from .watching import watch

PACKET_MAX = 256
FDS_MAX = 5
STRINGS_MAX = 8 << 20
"""Bytes of a command line and its environment: four times what execve(2) takes."""
CREDENTIALS = struct.Struct("=iII")
ANCILLARY_MAX = socket.CMSG_SPACE(FDS_MAX * 4) + socket.CMSG_SPACE(CREDENTIALS.size)

Heard = Callable[[Lease, list[int], int], None]
"""(packet, descriptors that came with it, the sender's pid: 0 where it has no number here). Who is told owns the
descriptors."""


class LeaseConnection:
    """One client's connection. `heard` gets its packets, `gone` once that it has hung up, or spoke nonsense. Raises
    OSError, and has declined, where it can't be heard."""

    def __init__(self, connection: socket.socket, heard: Heard, gone: Callable[[], None]) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._connection: socket.socket | None = connection
        self._heard = heard
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        try:
            watch(self._loop.add_reader, connection.fileno(), self._readable)
        except OSError:
            self.decline()
            raise

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def send(self, lease: Lease, descriptors: Sequence[int] = ()) -> None:
        """One packet; the descriptors stay ours. Raises OSError: whoever waits for it is gone, or does not read."""
        if self._connection is None:
            raise BrokenPipeError
        socket.send_fds(self._connection, [bindings.encode_lease(lease)], list(descriptors), socket.MSG_NOSIGNAL)

    def end(self, status: int, stdout: bytes = b"", stderr: bytes = b"") -> None:
        """The last word, and hang up. Raises nothing: a client that is gone wants none."""
        with contextlib.suppress(OSError), memory_file(stdout) as out, memory_file(stderr) as err:
            self.send(Lease(LeaseKind.END, -signal.SIGINT if isinstance(status, ByInterrupt) else status), (out, err))
        self.close()

    def decline(self) -> None:
        """Let the client do without us, and hang up."""
        with contextlib.suppress(OSError):
            self.send(Lease(LeaseKind.DECLINE))
        self.close()

    def close(self) -> None:
        """Hang up; `gone` is not called any more."""
        if self._connection is not None:
            self._loop.remove_reader(self._connection.fileno())
            self._connection.close()
            self._connection = None

    def _readable(self) -> None:
        while self._connection is not None:
            try:
                packet, ancillary, flags, _ = despite_reset(
                    self._connection.recvmsg, PACKET_MAX, ANCILLARY_MAX, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                packet, ancillary, flags = b"", [], 0
            descriptors, pid = _ancillary(ancillary)
            try:
                if not packet or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                    raise ValueError("nothing, or not all of it")
                lease = bindings.decode_lease(packet)
            except ValueError:
                close_all(descriptors)
                self.close()
                self._gone()
                return
            self._heard(lease, descriptors, pid)


def _ancillary(found: Iterable[tuple[int, int, bytes]]) -> tuple[list[int], int]:
    descriptors: list[int] = []
    pid = 0
    for level, kind, content in found:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            count = len(content) // 4
            descriptors += struct.unpack(f"={count}i", content[: 4 * count])
        elif level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS and len(content) >= CREDENTIALS.size:
            pid = CREDENTIALS.unpack_from(content)[0]
    return descriptors, pid


def close_all(descriptors: Iterable[int]) -> None:
    """Close them."""
    for descriptor in descriptors:
        os.close(descriptor)


@contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """A file in memory that holds this, for as long as the block lasts; whoever was given it has it longer."""
    descriptor = os.memfd_create("exitpin", os.MFD_CLOEXEC)
    try:
        written = 0
        while written < len(content):
            written += os.write(descriptor, memoryview(content)[written:])
        yield descriptor
    finally:
        os.close(descriptor)


def packed(words: Iterable[str]) -> bytes:
    """Strings as they travel: each ended by NUL. Raises ValueError for one with a NUL in it."""
    content = [os.fsencode(word) for word in words]
    if any(b"\0" in word for word in content):
        raise ValueError("a NUL in an argument or a variable")
    return b"".join(word + b"\0" for word in content)


def unpacked(descriptor: int, count: int) -> list[str]:
    """`count` strings of a client's file. Raises ValueError for what is no file, too long, or not so many."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > STRINGS_MAX:
        raise ValueError("no file, or too long")
    words = os.pread(descriptor, found.st_size, 0).split(b"\0")
    if len(words) != count + 1 or words[-1]:
        raise ValueError(f"{len(words) - 1} strings, and {count} were announced")
    return [os.fsdecode(word) for word in words[:-1]]
