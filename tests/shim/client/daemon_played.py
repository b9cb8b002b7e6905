"""A client of its own, and a daemon that says word by word what a test wants."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from exitpin.shim.bindings import Lease, LeaseKind, decode_lease, encode_lease
from exitpin.wrappers.lease import packed, unpacked

CLIENT = Path(sys.executable).with_name("exitpin")
WAIT_S = 20.0
IN_PYTHON = "python here:"


@dataclass
class Place:
    """A client of its own, with what it starts instead of Python beside it, and a runtime directory."""

    directory: Path
    clients: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.directory / "exitpin" / "daemons" / "own"

    def start(self, *words: str, **options: object) -> "subprocess.Popen[bytes]":
        environment = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(self.directory), "MARK": "a b"}
        environment.update(options.pop("env", {}))  # type: ignore[call-overload]
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        client = subprocess.Popen([self.directory / "exitpin.bin" / "exitpin", *words], env=environment, **given)
        self.clients.append(client)
        return client


class Daemon:
    """What a daemon says, word by word."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(WAIT_S)
        self.connection: socket.socket | None = None
        self.control: socket.socket | None = None

    def asked(self) -> tuple[Lease, list[str]]:
        """Wait for a client, and what it asks."""
        self.connection, _ = self._listener.accept()
        self.connection.settimeout(WAIT_S)
        lease, (file,) = self.heard()
        words = unpacked(file, 1 + lease.arguments + lease.variables)
        os.close(file)
        return lease, words

    def heard(self) -> tuple[Lease, list[int]]:
        assert self.connection is not None
        packet, descriptors, _, _ = socket.recv_fds(self.connection, 256, 5)
        return decode_lease(packet), descriptors

    def say(self, lease: Lease, *texts: bytes, descriptors: Sequence[int] = ()) -> None:
        assert self.connection is not None
        files = [os.memfd_create("t") for _ in texts]
        for file, text in zip(files, texts, strict=True):
            os.write(file, text)
        socket.send_fds(self.connection, [encode_lease(lease)], [*files, *descriptors])
        for file in files:
            os.close(file)

    def grant(self, script: str, stdio: Sequence[int] = ()) -> None:
        """Call the client, which comes, and give it a launcher that is a shell script; its control socket is
        descriptor 3."""
        self.say(Lease(LeaseKind.COME))
        assert self.heard()[0] == Lease(LeaseKind.HERE)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.settimeout(WAIT_S)
        command, variables = ["/bin/sh", "-c", script], ["GIVEN=by the daemon", f"PATH={os.environ['PATH']}"]
        lease = Lease(LeaseKind.GRANT, arguments=len(command), variables=len(variables))
        with theirs:
            self.say(lease, packed([*command, *variables]), descriptors=(theirs.fileno(), *stdio))

    def end(self, status: int, stdout: bytes = b"", stderr: bytes = b"") -> None:
        self.say(Lease(LeaseKind.END, status), stdout, stderr)

    def close(self) -> None:
        for one in (self._listener, self.connection, self.control):
            if one is not None:
                one.close()


@contextmanager
def daemon_at(path: Path) -> Iterator[Daemon]:
    with closing(Daemon(path)) as daemon:
        yield daemon


def result(client: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    stdout, stderr = client.communicate(timeout=WAIT_S)
    return client.returncode, (stdout or b"").decode(), (stderr or b"").decode()


@contextmanager
def placed() -> Iterator[Place]:
    """A client, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="cl-", dir="/tmp") as directory:
        one = Place(Path(directory))
        beside = one.directory / "exitpin.bin"
        beside.mkdir()
        (one.directory / "exitpin").mkdir(0o700)
        one.socket.parent.mkdir(0o700)
        shutil.copy(CLIENT, beside / "exitpin")
        (beside / "exitpin-py").write_text(f'#!/bin/sh\necho {IN_PYTHON} "$@"\n')
        (beside / "exitpin-py").chmod(0o755)
        yield one
        for client in one.clients:
            client.kill()
            client.communicate()
