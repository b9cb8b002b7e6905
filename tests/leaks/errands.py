"""Servers that are none of the tool's, on Unix sockets, a pipe, a terminal, queues, loopback: they go where one says.

python -m leaks.errands DIRECTORY ABSTRACT    (in the lab; says its port on loopback when all is open)
A request is `CONNECT ADDRESS PORT`; the resolver takes anything with a name in it; the giver hands out sockets: `udp`
or `tcp`. As ssh's ControlMaster, tmux, docker, nscd, systemd-resolved and a browser that is open do.
Ends with its stdin.
"""

import ctypes
import os
import pty
import re
import socket
import struct
import sys
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from . import wire

IPC_CREAT = 0o1000
REQUEST = re.compile(rb"CONNECT (\S+) (\d+)")
SOMEWHERE = ("198.51.100.252", 9099)
"""Where a stream of the giver's goes: to no vector's own address, so that only what is written on it tells."""
NAME = re.compile(rb"198-51-100-\d+\.ip\.test")


def stream_to(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), 5)


def carry_out(request: bytes) -> bytes:
    """Go there, say whose errand it is, and return what is said."""
    found = REQUEST.search(request)
    if found is None:
        return b"what?\n"
    host, port = found[1].decode(), int(found[2])
    with stream_to(host, port) as stream:
        stream.sendall(b"leak:%s;" % found[1].rpartition(b".")[2])
        return stream.recv(200)


def resolve(request: bytes) -> bytes:
    """Ask the name server for the name in it."""
    found = NAME.search(request)
    if found is None:
        return b"what?\n"
    labels = b"".join(bytes([len(label)]) + label for label in found[0].split(b".")) + b"\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(3)
        asking.sendto(struct.pack(">6H", 77, 0x100, 1, 0, 0, 0) + labels + b"\0\1\0\1", (wire.NAME_SERVER, 53))
        return asking.recv(500)


def answer(connection: socket.socket, act: Callable[[bytes], bytes]) -> None:
    with connection, suppress(OSError):
        connection.sendall(act(connection.recv(1000)))


def give(connection: socket.socket) -> None:
    """Hand out a socket of the kind that is asked for."""
    with connection, suppress(OSError):
        words = connection.recv(200).decode().split()
        given = socket.socket(socket.AF_INET, socket.SOCK_DGRAM) if words[0] == "udp" else stream_to(*SOMEWHERE)
        socket.send_fds(connection, [b"x"], [given.fileno()])
        connection.recv(1)
        given.close()


def serve(listener: socket.socket, act: Callable[[socket.socket], None]) -> None:
    listener.listen(64)

    def forever() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=act, args=(connection,), daemon=True).start()

    threading.Thread(target=forever, daemon=True).start()


def unix(kind: socket.SocketKind, address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(address)
    return listener


def read_datagrams(sock: socket.socket) -> None:
    while True:
        request = sock.recv(1000)
        with suppress(OSError):
            carry_out(request)


def read_pipe(path: Path) -> None:
    with open(path, "r+b", buffering=0) as pipe:
        while True:
            request = pipe.read(1000)
            with suppress(OSError):
                carry_out(request)


def serve_terminal(place: Path) -> None:
    """As what makes a serial line of a connection does."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    place.symlink_to(os.ttyname(theirs))
    threading.Thread(target=read_forever, args=(lambda: os.read(ours, 1000),), daemon=True).start()


def read_spool(directory: Path) -> None:
    while True:
        for job in directory.iterdir():
            request = job.read_bytes()
            if request:
                job.unlink()
                with suppress(OSError):
                    carry_out(request)
        time.sleep(0.05)


def read_queues(directory: Path) -> None:
    """System V's and POSIX' queues, and shared memory whose first byte is not 0 any more. They go with the lab."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype, libc.shmat.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    place = os.fsencode(directory)
    queue = libc.msgget(libc.ftok(place, ord("q")), IPC_CREAT | 0o600)
    named = libc.mq_open(b"/" + os.fsencode(directory.name), os.O_RDONLY | os.O_CREAT, 0o600, None)
    memory = libc.shmat(libc.shmget(libc.ftok(place, ord("m")), 1000, IPC_CREAT | 0o600), None, 0)
    if queue < 0 or named < 0 or memory in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "no queues or shared memory")
    shared = ctypes.cast(memory, ctypes.POINTER(ctypes.c_char * 1000)).contents

    def from_queue() -> bytes:
        message = ctypes.create_string_buffer(1008)
        return message[8 : 8 + max(0, int(libc.msgrcv(queue, message, 1000, 0, 0)))]

    def from_named() -> bytes:
        message = ctypes.create_string_buffer(8192)
        return message[: max(0, int(libc.mq_receive(named, message, 8192, None)))]

    def from_memory() -> bytes:
        while shared[0] == b"\0":
            time.sleep(0.05)
        found, shared[0] = shared.value, b"\0"
        return bytes(found)

    for source in (from_queue, from_named, from_memory):
        threading.Thread(target=read_forever, args=(source,), daemon=True).start()


def read_forever(source: Callable[[], bytes]) -> None:
    while True:
        request = source()
        with suppress(OSError):
            carry_out(request)


def main() -> None:
    directory, abstract = Path(sys.argv[1]), sys.argv[2]
    directory.joinpath("spool").mkdir()
    os.mkfifo(directory / "fifo")

    def by_request(connection: socket.socket) -> None:
        answer(connection, carry_out)

    def by_name(connection: socket.socket) -> None:
        answer(connection, resolve)

    serve(unix(socket.SOCK_STREAM, f"{directory}/stream"), by_request)
    serve(unix(socket.SOCK_SEQPACKET, f"{directory}/seqpacket"), by_request)
    serve(unix(socket.SOCK_STREAM, f"\0{abstract}"), by_request)
    serve(unix(socket.SOCK_STREAM, f"{directory}/resolver"), by_name)
    serve(unix(socket.SOCK_STREAM, f"{directory}/giver"), give)
    loopback = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    serve(loopback, by_request)
    datagrams = unix(socket.SOCK_DGRAM, f"{directory}/datagram")
    threading.Thread(target=read_datagrams, args=(datagrams,), daemon=True).start()
    threading.Thread(target=read_pipe, args=(directory / "fifo",), daemon=True).start()
    serve_terminal(directory / "terminal")
    threading.Thread(target=read_spool, args=(directory / "spool",), daemon=True).start()
    read_queues(directory)
    print(loopback.getsockname()[1], flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
