"""hostile.py SEED TOR ERRAND...: a tool that knows how the shim reports, and reports by itself: doubled, late, false.

An errand HOST,PORT is asked for through the hooks or by a report of its own; one with `!` before it straight from Tor,
around the hooks. Whatever comes of it, the tool goes on until it is killed.
"""

import array
import ctypes
import os
import platform
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random

from exitpin.shim import bindings

CONNECT, BIND = {"x86_64": (42, 49), "aarch64": (203, 200)}[platform.machine()]
ANSWER_S = 15.0
_libc = ctypes.CDLL(None, use_errno=True)

_, _NONCE, _ADDRESS, _REPORTS = os.environ["EXITPIN_SHIM"].split(":", 3)
NONCE = bytes.fromhex(_NONCE)


def raw(number: int, connection: socket.socket, address: tuple[str, int]) -> None:
    """connect(2) or bind(2) around the hooks."""
    packed = (
        socket.AF_INET.to_bytes(2, sys.byteorder)
        + address[1].to_bytes(2, "big")
        + socket.inet_aton(address[0])
        + bytes(8)
    )
    if _libc.syscall(number, connection.fileno(), packed, len(packed)) != 0:
        raise OSError(ctypes.get_errno(), "raw system call")


def bound(port: int = 0) -> socket.socket:
    """A socket on the run's own address."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    raw(BIND, connection, (_ADDRESS, port))
    return connection


def packet(source: tuple[str, int], errand: tuple[str, int], nonce: bytes = NONCE, flags: int = 0) -> bytes:
    """A CONNECT report."""
    return bindings.encode_report(
        bindings.Op.CONNECT, nonce, pid=os.getpid(), flags=flags,
        source=bindings.Endpoint(socket.AF_INET, *source), destination=bindings.Endpoint(socket.AF_INET, *errand),
    )  # fmt: skip


def send(what: bytes, *passed: int) -> socket.socket:
    """A packet to the report socket, with descriptors; the connection on which the answer comes."""
    reports = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    reports.settimeout(ANSWER_S)
    reports.connect(_REPORTS)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", passed))] if passed else []
    reports.sendmsg([what], rights)
    return reports


def wait(reports: socket.socket) -> None:
    with reports, suppress(OSError):
        reports.recv(256)


def has_peer(connection: socket.socket) -> bool:
    """Whether somebody has connected it."""
    with suppress(OSError):
        return bool(connection.getpeername())
    return False


def ask_tor(connection: socket.socket, tor: tuple[str, int], errand: tuple[str, int]) -> None:
    """SOCKS without a tag."""
    connection.settimeout(ANSWER_S)
    raw(CONNECT, connection, tor)
    connection.sendall(b"\x05\x01\x00")
    connection.recv(2)
    connection.sendall(bindings.socks_request(bindings.SOCKS_CONNECT, *errand))
    if connection.recv(10)[1:2] == b"\0":
        connection.recv(256)


class Hostile:
    """What such a tool can do; each takes an errand that is allowed and one that is not."""

    def __init__(self, tor: tuple[str, int], rng: Random) -> None:
        self.tor = tor
        self.rng = rng

    def honest(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        with socket.create_connection(good, ANSWER_S) as connection:
            connection.recv(256)

    def own_report(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        with bound() as connection:
            wait(send(packet(connection.getsockname(), good), connection.fileno()))

    def doubled(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        """At once: which of them is heard first nobody can say."""
        with bound() as connection:
            both = [send(packet(connection.getsockname(), good), connection.fileno()) for _ in range(2)]
            for reports in both:
                wait(reports)

    def again_under_way(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        with bound() as connection:
            first = send(packet(connection.getsockname(), good), connection.fileno())
            until = time.monotonic() + ANSWER_S
            while not has_peer(connection) and time.monotonic() < until:
                time.sleep(0.001)
            wait(send(packet(connection.getsockname(), bad), connection.fileno()))
            wait(first)

    def again_when_open(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        with bound() as connection:
            for errand in (good, bad):
                wait(send(packet(connection.getsockname(), errand), connection.fileno()))

    def late(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        with bound() as connection:
            ask_tor(connection, self.tor, bad)
            wait(send(packet(connection.getsockname(), bad), connection.fileno()))

    def closed(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        with bound() as connection:
            source = connection.getsockname()
            send(packet(source, good), connection.fileno()).close()
        with bound(source[1]) as other:
            ask_tor(other, self.tor, bad)

    def around(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        with bound() as connection:
            ask_tor(connection, self.tor, bad)

    def other_nonce(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        with bound() as connection:
            wait(send(packet(connection.getsockname(), bad, self.rng.randbytes(16)), connection.fileno()))

    def other_port(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        with bound() as connection:
            host, port = connection.getsockname()
            wait(send(packet((host, port ^ 1), bad), connection.fileno()))

    def other_address(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        with socket.socket() as connection:
            raw(BIND, connection, ("127.0.0.1", 0))
            wait(send(packet(connection.getsockname(), bad), connection.fileno()))

    def weak(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        """As a tool that has bound its socket itself: allowed, and one witness less."""
        with socket.socket() as connection:
            raw(BIND, connection, (f"127.0.0.{self.rng.randrange(2, 250)}", 0))
            wait(send(packet(connection.getsockname(), good, flags=bindings.Flag.BOUND), connection.fileno()))

    def rubbish(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        rubbish = packet((_ADDRESS, 1), bad)
        for what in (
            b"",
            b"x",
            rubbish[:-1],
            rubbish + b"x",
            self.rng.randbytes(len(rubbish)),
            self.rng.randbytes(2000),
        ):
            wait(send(what))
        with open("/dev/null") as file, socket.socket() as one, socket.socket() as two:
            wait(send(rubbish, one.fileno(), two.fileno()))
            wait(send(rubbish, file.fileno()))

    def other_sockets(self, good: tuple[str, int], bad: tuple[str, int]) -> None:
        one, two = socket.socketpair()
        with one, two, socket.socket(socket.AF_UNIX) as local, bound() as listening:
            _libc.syscall({"x86_64": 50, "aarch64": 201}[platform.machine()], listening.fileno(), 1)
            for odd in (one, local, listening):
                wait(send(packet((_ADDRESS, 1), bad), odd.fileno()))


def main() -> None:
    rng = Random(int(sys.argv[1]))
    tor, *errands = [_endpoint(word) for word in sys.argv[2:] if not word.startswith("!")]
    bad = [_endpoint(word[1:]) for word in sys.argv[2:] if word.startswith("!")]
    hostile = Hostile(tor, rng)
    acts: list[Callable[[tuple[str, int], tuple[str, int]], None]] = [
        hostile.own_report, hostile.doubled, hostile.again_under_way, hostile.again_when_open, hostile.late,
        hostile.closed, hostile.around, hostile.other_nonce, hostile.other_port, hostile.other_address, hostile.weak,
        hostile.rubbish, hostile.other_sockets,
    ]  # fmt: skip
    rng.shuffle(acts)
    for good, forbidden, act in zip(errands, bad, acts, strict=False):
        for deed in (act, hostile.honest):
            with suppress(OSError):
                deed(good, forbidden)
                print(deed.__name__, flush=True)


def _endpoint(word: str) -> tuple[str, int]:
    host, _, port = word.rpartition(",")
    return host, int(port)


if __name__ == "__main__":
    main()
