"""SOCKS 5 towards Tor, spoken on the tool's own socket: username/password, stop and wait, exact reads.

The socket is shared with the tool (one open file description), so nothing here changes its flags or reads a byte
more than the reply: the first bytes of an SSH or SMTP server belong to the tool. Only where it is to be silent until
more has come than Tor says (SO_RCVLOWAT) it is not, for as long as the dialogue lasts. Tor drops the method reply when
the greeting is not alone (docs/notes/0001); user name and request may go together.
"""

import asyncio
import contextlib
import errno
import re
import socket
import struct
from collections.abc import Callable

from ..orchestrator.model import Destination
from ..orchestrator.names import is_address
from ..shim import bindings
from .watching import watch

PASSWORD = b"exitpin"
CONNECT_WAIT = struct.pack("ll", 1, 0)
_HOST_NAME = re.compile(rb"(?=.{1,253}\Z)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")

Answered = Callable[[int, str], None]
"""(reply code, what a look-up found: an address, or the name of one); -1: the connection ended, or was never made."""


class SocksDialogue:
    """One dialogue. Begin with `start`; `on_answer` is called exactly once unless `stop` comes first."""

    __slots__ = (
        "_answer",
        "_command",
        "_destination",
        "_fd",
        "_loop",
        "_low_water",
        "_need",
        "_on_answer",
        "_received",
        "_socket",
        "_state",
        "_tag",
    )

    def __init__(
        self, connection: socket.socket, tag: str, destination: Destination, is_lookup: bool, on_answer: Answered
    ) -> None:
        self._socket = connection
        self._fd = connection.fileno()
        self._tag = tag.encode()
        self._destination = destination
        self._command = bindings.SOCKS_CONNECT
        if is_lookup:
            is_reverse = is_address(destination.host)
            self._command = bindings.SOCKS_RESOLVE_PTR if is_reverse else bindings.SOCKS_RESOLVE
        self._on_answer = on_answer
        self._loop = asyncio.get_running_loop()
        self._low_water = 1
        self._received = b""
        self._need = 2
        self._state = "greeting"
        self._answer: tuple[int, str] | None = None

    def start(self, tor: tuple[str, int]) -> None:
        """Connect to Tor's SOCKS port and greet. Raises OSError: nothing is heard of it."""
        family = self._socket.family
        address = tor if family == socket.AF_INET else (f"::ffff:{tor[0]}", tor[1])
        self._low_water = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)
        if self._low_water > 1:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        try:
            self._connect(address)
            self._send(bindings.socks_greeting())
        except BlockingIOError:
            watch(self._loop.add_writer, self._fd, self._connected)
        except OSError:
            self.stop()
            self._on_answer(-1, "")
        else:
            watch(self._loop.add_reader, self._fd, self._readable)

    def stop(self) -> None:
        """Leave the socket alone from now on."""
        if self._state != "done":
            self._state = "done"
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            if self._low_water > 1:
                with contextlib.suppress(OSError):  # it may be closed
                    self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, self._low_water)

    def _connected(self) -> None:
        """A non-blocking socket whose connection Tor took late, or not."""
        try:
            self._send(bindings.socks_greeting())
        except OSError:
            self.stop()
            self._on_answer(-1, "")
        else:
            self._loop.add_reader(self._fd, self._readable)  # first: it takes the place of the other
            self._loop.remove_writer(self._fd)

    def _connect(self, address: tuple[str, int]) -> None:
        """Begin to connect, without waiting even where the tool's socket would: a send of nothing, at once, that
        connects first (tcp(7), MSG_FASTOPEN; Tor gives no cookie, so it is an ordinary connection)."""
        try:
            self._socket.sendto(b"", socket.MSG_FASTOPEN | socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, address)
        except BlockingIOError:
            pass  # connected already, or soon
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self._connect_plainly(address)

    def _connect_plainly(self, address: tuple[str, int]) -> None:
        """Where net.ipv4.tcp_fastopen is off. Loopback connects at once, unless Tor's accept queue is full: a blocking
        socket then waits a second, for the options of the tool's socket say so meanwhile."""
        before = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, CONNECT_WAIT)
        try:
            self._socket.connect(address)
        except BlockingIOError:
            pass
        finally:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, before)

    def _send(self, message: bytes) -> None:
        if self._socket.send(message, socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT) != len(message):
            raise OSError("short write to Tor")

    def _readable(self) -> None:
        try:
            while self._answer is None:
                part = self._socket.recv(self._need - len(self._received), socket.MSG_DONTWAIT)
                if not part:
                    raise ConnectionError("Tor closed the SOCKS connection")
                self._received += part
                if len(self._received) == self._need and not self._advance():
                    return
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self._answer = (-1, "")
        self.stop()
        self._on_answer(*self._answer)

    def _advance(self) -> bool:
        """Take the next step; whether more of Tor's answer may be there already."""
        if self._state == "greeting":
            if self._received != b"\x05\x02":
                raise ValueError("Tor wants another SOCKS method")
            request = bindings.socks_request(self._command, self._destination.host, self._destination.port)
            self._send(bindings.socks_auth(self._tag, PASSWORD) + request)
            self._state, self._received, self._need = "auth", b"", 2
            return False
        if self._state == "auth":
            if self._received != b"\x01\x00":
                raise ValueError("Tor refuses the SOCKS user name")
            self._state, self._received, self._need = "reply", b"", 4
            return False
        size = bindings.socks_reply_size(self._received)
        if size is not None and size <= len(self._received):
            self._answer = (self._received[1], self._found())
        else:
            self._need = size or self._need + 1
        return True

    def _found(self) -> str:
        """What a look-up found: an address, or the name of one, which the exit made up as it liked. Raises ValueError
        for what was not asked for."""
        if self._command == bindings.SOCKS_CONNECT or self._received[1] != 0:
            return ""
        kind, body = self._received[3], self._received[4:-2]
        if self._command == bindings.SOCKS_RESOLVE_PTR:
            if kind != 3 or not _HOST_NAME.fullmatch(body[1:]):
                raise ValueError("Tor answers with no name of a host")
            return body[1:].decode("ascii")
        if kind not in (1, 4):
            raise ValueError("Tor answers a look-up with a name")
        return socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, body)


def disconnect(connection: socket.socket) -> None:
    """Take the tool's socket back from Tor: unconnected again, as connect(2) leaves it when it fails."""
    with contextlib.suppress(OSError):  # it may not be connected any more
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        bindings.disconnect(connection.fileno())
