"""One cell: a vector's program started in a way, with what it is to inherit, and how it ended."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errands import SOMEWHERE
from .judging import Ended
from .vectors import NUMBERS, Start, Vector
from .ways import Way

PATIENCE_S = 15.0
CAPABLE = ("setpriv", "--inh-caps=+net_admin", "--ambient-caps=+net_admin", "--")
DIRECT = {
    "direct-static": "plain-static",
    "direct-musl-static": "plain-musl-static",
    "direct-m32": "plain-32",
    "direct-go": "plain-go",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """What stands in the lab: programs, errands (directory, abstract name, port on loopback), the holder's words."""

    programs: Path
    sockets: Path
    abstract: str
    loopback: int
    holder: tuple[str, str, str]


def command(vector: Vector, port: int, stage: Stage, descriptor: int) -> list[str]:
    """The argv of a vector's program."""
    number = str(NUMBERS[vector.name])
    vectors = str(stage.programs / "vectors")
    if vector.start is Start.DIRECT:
        return [str(stage.programs / DIRECT[vector.name]), number, str(port)]
    if vector.start is Start.SHELL:
        return ["sh", "-c", f"{vectors} tcp4 {number} {port}; exit $?"]
    extra: tuple[str, ...] = ()
    if vector.start in (Start.DESCRIPTOR, Start.STDIN, Start.STDOUT):
        extra = (str({Start.STDIN: 0, Start.STDOUT: 1}.get(vector.start, descriptor)), str(stage.sockets))
    elif vector.start in (Start.UNIX, Start.READ_ONLY):
        extra = (str(stage.sockets), stage.abstract)
    elif vector.start is Start.HOLDER:
        extra = (*stage.holder, str(stage.loopback))
    return [vectors, vector.name, number, str(port), *extra]


@contextmanager
def inherited(vector: Vector, port: int, stage: Stage) -> Iterator[socket.socket | None]:
    """The socket that a vector is to find open; None: it wants none."""
    if vector.start not in (Start.DESCRIPTOR, Start.STDIN, Start.STDOUT):
        yield None
        return
    target = (f"198.51.100.{NUMBERS[vector.name]}", port)
    if vector.name.endswith("unix"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(stage.sockets / "stream"))
            yield sock
    elif vector.name.endswith("datagram"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            yield sock
    elif vector.name.endswith("tcp"):
        with socket.create_connection(SOMEWHERE, 5) as sock:
            yield sock
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            if vector.name.endswith(("send", "write", "stdin-udp")):
                sock.connect(target)
            yield sock


def run(vector: Vector, way: Way, port: int, stage: Stage) -> Ended:
    """Run one cell to its end, or to the end of our patience."""
    with inherited(vector, port, stage) as sock:
        descriptor = -1 if sock is None else sock.fileno()
        before = CAPABLE if vector.start is Start.CAPABLE else ()
        prefix = way.read_only() if vector.start is Start.READ_ONLY else way.prefix
        argv = [*before, *prefix, *command(vector, port, stage, descriptor)]
        return _attend(
            argv,
            {**os.environ, **(way.environment or {})},
            (descriptor,) if vector.start is Start.DESCRIPTOR else (),
            descriptor if vector.start is Start.STDIN else subprocess.DEVNULL,
            descriptor if vector.start is Start.STDOUT else subprocess.PIPE,
        )


def _attend(argv: Sequence[str], environment: dict[str, str], passed: Sequence[int], stdin: int, stdout: int) -> Ended:
    with subprocess.Popen(
        argv, env=environment, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
        pass_fds=passed, start_new_session=True, text=True, errors="replace",
    ) as process:  # fmt: skip
        try:
            output, complaint = process.communicate(timeout=PATIENCE_S)
            status: int | None = process.returncode
        except subprocess.TimeoutExpired:
            status = None
            os.killpg(process.pid, signal.SIGTERM)
            try:
                output, complaint = process.communicate(timeout=2)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, complaint = process.communicate()
        return Ended(status, output or "", complaint or "")
