"""One ticket and everything around it: the thread that has it, Tor's two ends as the test plays them, real tools that
report."""

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exitpin.orchestrator.model import Endpoint
from exitpin.shim.tickets import Kind, Note, Thread, Ticket

DEADLINE_S = 10.0
NONCE = bytes(range(16))
RUN_ADDRESS = "127.64.0.9"
TAG = "s-0001.1.0123456789abcdef"
CIRCUIT = 77
REPORTER = Path(__file__).with_name("reporter.py")
GRANTED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


@dataclass
class Scene:
    """`control`: Tor's end of the control connection; `port`: its SOCKS port."""

    thread: Thread
    control: socket.socket
    noted: int
    reports: socket.socket
    port: socket.socket
    tools: "list[subprocess.Popen[str]]" = field(default_factory=list)
    unread: list[Note] = field(default_factory=list)

    def issue(self, **changes: Any) -> int:
        """A ticket for whatever connects anywhere, unless it is changed."""
        ticket = Ticket(
            self.reports.fileno(), -1, os.getpid(), NONCE, RUN_ADDRESS, CIRCUIT, TAG,
            [("198.18.0.1", 0, "web.test")], True, 60_000,
        )  # fmt: skip
        return self.thread.issue(ticket._replace(**changes))

    def tool(self, **changes: Any) -> "subprocess.Popen[str]":
        """A tool that reports a connect to 198.18.0.1:80, unless it is changed; it prints what it was answered."""
        asked = {
            "path": self.reports.getsockname(), "nonce": NONCE.hex(), "source": RUN_ADDRESS,
            "destination": ["198.18.0.1", 80], "flags": 0, "reported_port": None, "kind": socket.SOCK_STREAM,
            "low_water": 1, "reason": 0, "tail": False, "extra": 0, "op": 2, "is_anew": False,
            "is_deaf": False,
        }  # fmt: skip
        command = [sys.executable, str(REPORTER), json.dumps(asked | changes)]
        self.tools.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return self.tools[-1]

    def note(self) -> Note:
        """The next note."""
        while not self.unread:
            assert select.select([self.noted], [], [], DEADLINE_S)[0], "no note came"
            os.eventfd_read(self.noted)
            self.unread += self.thread.notes()
        return self.unread.pop(0)

    def notes(self) -> list[Note]:
        """Those that are there."""
        found, self.unread = [*self.unread, *self.thread.notes()], []
        return found

    def socks(self) -> socket.socket:
        """Tor takes a connection, and answers its greeting."""
        connection, _ = self.port.accept()
        connection.settimeout(DEADLINE_S)
        assert exactly(connection, 3) == b"\x05\x01\x02"
        connection.sendall(b"\x05\x02")
        return connection

    def says(self, *lines: str) -> None:
        """Lines of Tor's."""
        self.control.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def hears(self) -> str:
        """The next command."""
        return self.control.recv(1000).decode()


def exactly(connection: socket.socket, size: int) -> bytes:
    """As many bytes."""
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        assert part, "the other end hung up"
        found += part
    return found


def request_on(connection: socket.socket) -> tuple[str, str, int]:
    """The user name, the host and the port of a SOCKS dialogue whose greeting was answered."""
    tag = exactly(connection, exactly(connection, 2)[1]).decode()
    exactly(connection, exactly(connection, 1)[0])
    connection.sendall(b"\x01\x00")
    kind = exactly(connection, 4)[3]
    host = (
        exactly(connection, exactly(connection, 1)[0]).decode()
        if kind == 3
        else socket.inet_ntoa(exactly(connection, 4))
    )
    return tag, host, int.from_bytes(exactly(connection, 2), "big")


def stream(status: str, circuit: int, source: Endpoint | None = None, tag: str = TAG, number: int = 5) -> str:
    """A line about a stream; about a new one with its source."""
    where = f" SOURCE_ADDR={source} PURPOSE=USER" if source else ""
    return (
        f'650 STREAM {number} {status} {circuit} web.test:80{where} SOCKS_USERNAME="{tag}" SOCKS_PASSWORD="exitpin" '
        "CLIENT_PROTOCOL=SOCKS5 NYM_EPOCH=0 SESSION_GROUP=-4 ISO_FIELDS=SOCKS_USERNAME,SOCKS_PASSWORD"
    )


@contextmanager
def scene(directory: Path) -> Iterator[Scene]:
    """A thread that has no ticket yet."""
    ours, theirs = socket.socketpair()
    noted = os.eventfd(0, os.EFD_NONBLOCK)
    with (
        ours,
        theirs,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as reports,
        socket.create_server(("127.0.0.1", 0)) as port,
    ):
        reports.setblocking(False)
        reports.bind(str(directory / "r"))
        reports.listen()
        port.settimeout(DEADLINE_S)
        theirs.settimeout(DEADLINE_S)
        made = Scene(Thread(ours, port.getsockname(), noted), theirs, noted, reports, port)
        try:
            yield made
        finally:
            made.thread.stop()
            for tool in made.tools:
                tool.kill()
                tool.communicate()
            os.close(noted)


def source_of(note: Note) -> Endpoint:
    """Where the tool's socket of a note is bound."""
    assert note.kind is Kind.WENT
    with socket.socket(fileno=os.dup(note.descriptors[0])) as tool:
        return Endpoint(*tool.getsockname())
