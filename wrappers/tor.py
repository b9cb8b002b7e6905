"""Tor's control port: typed events in, commands out. The only file that speaks stem.

stem opens the socket and authenticates. After that the *pinning* connection is read by the event loop itself: its
lines in their order are the proof, a thread between Tor and the attacher would only add delay and a second clock
(measured in docs/notes/0002), and stem's parsed events cost ten times a strict parser. Commands are pipelined;
replies come in order and are handed to their callback in the same pass, before any later line. Whatever goes wrong
in here ends trust (`on_lost`): nothing is skipped.
"""

import asyncio
import contextlib
import errno
import os
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..orchestrator.errors import OperatorError
from ..orchestrator.ports import COMMAND_TIMEOUT_S, Reply
from .ahead import TOR_ENDED, Ahead
from .watching import watch

PINNING_OPTIONS = {
    "__LeaveStreamsUnattached": "1",
    "__DisablePredictedCircuits": "1",
    "ConfluxEnabled": "0",
}

UNWATCHED_S = 0.01
"""So often it is looked at where it can't be watched: what any program of the user can bring about ends no run."""

_LINE = re.compile(r"([0-9]{3})([ +-])(.*)", re.DOTALL)
_ATTACH = re.compile(r"ATTACHSTREAM [1-9][0-9]* [1-9][0-9]*")


class ControlError(OperatorError):
    """Tor's control port said no, or nothing."""


def authenticate(control_socket: Path | tuple[str, int]) -> socket.socket:
    """An authenticated, blocking control connection (cookie or none). Raises ControlError."""
    import stem
    import stem.connection
    import stem.socket

    try:
        if isinstance(control_socket, tuple):
            control = stem.socket.ControlPort(*control_socket)
        else:
            control = stem.socket.ControlSocketFile(str(control_socket))
        stem.connection.authenticate(control)
        # a second descriptor of the same connection: stem's reader has taken every reply so far and nothing more is due
        return socket.socket(fileno=os.dup(control._socket.fileno()))
    except (stem.SocketError, stem.connection.AuthenticationFailure) as error:
        raise ControlError(
            f"no control connection to tor at {control_socket}: {error}.",
            "Is that tor running, and may this user read its cookie?",
        ) from error


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A command that was sent, and has no reply yet."""

    on_reply: Callable[[Reply], None]
    on_data: Callable[[bytes], None] | None
    since: float


class ControlChannel:
    """One authenticated control connection, driven by the running event loop.

    `on_event(line)` gets the text of every asynchronous line without its `650 `; what comes before somebody listens is
    kept in `unheard`. `on_lost(why)` is called once.
    """

    pinning_options = tuple(PINNING_OPTIONS)

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._out = bytearray()
        self._waiting: deque[_Waiting] = deque()
        self._lines: list[str] = []
        self._code = 0
        self._data: bytearray | None = None
        self._is_lost = False
        self._why_lost = "the control connection is closed"
        self.ahead: Ahead | None = None
        self.unheard: list[str] = []
        self.on_event: Callable[[str], None] = self.unheard.append
        self.on_lost: Callable[[str], None] = lambda why: None
        self._listen()

    def send(
        self, command: str, on_reply: Callable[[Reply], None], on_data: Callable[[bytes], None] | None = None
    ) -> None:
        """Send one command; `on_reply` is called from the reader, in order with events. `on_data`: gets what comes as
        data (`250+`), its lines ended by LF, which is then no part of the reply's text."""
        if not _may_be_sent(command):
            raise AssertionError(f"BUG: refused command {command!r}")
        if self._is_lost:
            self._loop.call_soon(on_reply, (599, [self._why_lost]))
            return
        self._waiting.append(_Waiting(on_reply, on_data, time.monotonic()))
        self._out += command.encode() + b"\r\n"
        self._writable()

    async def ask(self, command: str, timeout_s: float = COMMAND_TIMEOUT_S) -> list[str]:
        """The lines of a positive reply. Raises ControlError for any other, and after `timeout_s`."""
        return await self._asked(command, timeout_s, None)

    async def ask_data(self, command: str, timeout_s: float = COMMAND_TIMEOUT_S) -> bytes:
        """What the reply to `GETINFO KEY` holds, as tor sent it: a consensus, all descriptors. As text those would take
        four bytes a letter as soon as one relay's contact has a rare one. Raises ControlError as `ask`."""
        blocks: list[bytes] = []
        lines = await self._asked(command, timeout_s, blocks.append)
        return b"".join(blocks) or lines[0].partition("=")[2].encode("utf-8", "surrogateescape")

    async def _asked(self, command: str, timeout_s: float, on_data: Callable[[bytes], None] | None) -> list[str]:
        future: asyncio.Future[Reply] = self._loop.create_future()
        self.send(command, lambda reply: None if future.done() else future.set_result(reply), on_data)
        try:
            code, lines = await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            raise ControlError(f"tor did not answer {command.split()[0]} within {timeout_s:g} s.") from None
        if code != 250:
            raise ControlError(f"tor refused {command.split()[0]}: {code} {lines[-1]}.")
        return lines

    def longest_wait_s(self) -> float:
        """How long the oldest unanswered command has been waiting."""
        return time.monotonic() - self._waiting[0].since if self._waiting else 0.0

    def close(self) -> None:
        """Leave the loop and close the connection; nothing is reported."""
        if self.ahead is not None:
            self.ahead.close()
        if not self._is_lost:
            self._is_lost = True
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_writer(self._socket.fileno())
        self._socket.close()

    def lose(self, why: str) -> None:
        """The connection is no good any more, for whatever reason."""
        if not self._is_lost:
            self._why_lost = why
            self.close()
            self.on_lost(why)
            for waiting in self._waiting:
                waiting.on_reply((599, [why]))
            self._waiting.clear()

    def _fail(self, error: OSError) -> None:
        """A tor that dies with something unread resets the connection."""
        has_ended = error.errno in (errno.EPIPE, errno.ECONNRESET)
        self.lose(TOR_ENDED if has_ended else f"control connection: {error}")

    def _writable(self) -> None:
        try:
            sent = self._socket.send(self._out)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._fail(error)
            return
        del self._out[:sent]
        if self._out:
            with contextlib.suppress(OSError):  # then it is not read, either: whoever sees to that sees to this
                watch(self._loop.add_writer, self._socket.fileno(), self._writable)
        else:
            self._loop.remove_writer(self._socket.fileno())

    def _readable(self) -> None:
        if self.ahead is not None and self.ahead.wait_for(self._listen):
            self._loop.remove_reader(self._socket.fileno())
        else:
            self._read()

    def _read(self) -> None:
        try:
            chunk = self._socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        if not chunk:
            self.lose(TOR_ENDED)
            return
        self._buffer += chunk
        *lines, rest = self._buffer.split(b"\r\n")
        self._buffer = bytearray(rest)
        at = 0
        while at < len(lines) and not self._is_lost:
            line = lines[at]
            try:
                if at == 0 and self.ahead is not None:
                    self.ahead.tell()  # what Tor may speak of now was done before it spoke
                if self._is_lost:
                    break
                if self._data is None:
                    self._line(line.decode("utf-8", "surrogateescape"))
                    at += 1
                else:
                    at = self._take_data(self._data, lines, at)
            except Exception as error:
                # whatever it was, lines were missed or half acted upon: nothing after it can be trusted
                self.lose(f"{type(error).__name__} at control line {bytes(line[:200])!r}: {error}")
                raise

    def _listen(self) -> None:
        try:
            watch(self._loop.add_reader, self._socket.fileno(), self._readable)
        except OSError:
            self._loop.call_later(UNWATCHED_S, self._look)
        else:
            self._write_on()

    def _write_on(self) -> None:
        if self._out and not self._is_lost:
            self._writable()

    def _look(self) -> None:
        self._write_on()
        if not self._is_lost:
            self._read()
        if not self._is_lost:
            self._listen()

    def _take_data(self, data: bytearray, lines: Sequence[bytearray], at: int) -> int:
        """Take the lines of data from `at` on, up to the one that ends it, if that has come; where to go on."""
        try:
            end = lines.index(b".", at)
        except ValueError:
            end = len(lines)
        block = lines[at:end]
        if any(line.startswith(b"..") for line in block):
            block = [line[1:] if line.startswith(b"..") else line for line in block]
        data += b"".join((b"\n".join(block), b"\n" if block else b""))
        if end < len(lines):
            self._data = None
            self._end_data(bytes(data))
        return end + 1

    def _end_data(self, data: bytes) -> None:
        on_data = self._waiting[0].on_data if self._waiting and self._code != 650 else None
        if on_data is not None:
            on_data(data)
        else:
            self._lines[-1] += "\n" + data.decode("utf-8", "surrogateescape").removesuffix("\n")

    def _line(self, line: str) -> None:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError("not a line of control-spec")
        code, kind, text = int(match[1]), match[2], match[3]
        if self._lines and code != self._code:
            raise ValueError(f"a line of {code} within one of {self._code}")
        self._code = code
        self._lines.append(text)
        if kind == "+":
            self._data = bytearray()
        elif kind == " ":
            lines, self._lines = self._lines, []
            if code == 650:
                self.on_event("\n".join(lines))
            elif self._waiting:
                self._waiting.popleft().on_reply((code, lines))
            else:
                raise ValueError(f"reply without a command: {line!r}")


def _may_be_sent(command: str) -> bool:
    """One line; and of ATTACHSTREAM its one safe form: never circuit 0 (Tor would choose), never a hop of its own."""
    if "\r" in command or "\n" in command:
        return False
    return not command.lstrip().upper().startswith("ATTACHSTREAM") or _ATTACH.fullmatch(command) is not None
