"""32 connections in all the ways that Python has: crowd.py FIRST SECOND THIRD (two IPv4 addresses, an IPv6 one).

Threads, forked processes (each with a thread), IPv6 sockets and non-blocking sockets under epoll; eight each. Every one
talks to a port of its own, reads who the target says it is, and echoes a line.
"""

import os
import select
import socket
import sys
import threading
from collections.abc import Sequence

TIMEOUT_S = 60.0
failed: list[str] = []


def talk(connection: socket.socket, host: str, port: int) -> None:
    """The target's first line names itself; what comes after is an echo."""
    with connection, connection.makefile("rb") as lines:
        greeting = lines.readline().split()
        connection.sendall(b"%d\n" % port)
        if greeting[:2] != [host.encode(), b"%d" % port] or lines.readline() != b"%d\n" % port:
            failed.append(f"{host} {port}: {greeting!r}")


def connect(host: str, port: int) -> None:
    try:
        talk(socket.create_connection((host, port), TIMEOUT_S), host, port)
    except OSError as error:
        failed.append(f"{host} {port}: {error}")


def by_threads(host: str, ports: Sequence[int]) -> None:
    threads = [threading.Thread(target=connect, args=(host, port)) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def by_forks(host: str, ports: Sequence[int]) -> None:
    children = []
    for port in ports:
        child = os.fork()
        if child == 0:
            by_threads(host, [port])
            os._exit(len(failed))
        children.append(child)
    failed.extend(f"{host}: a child failed" for child in children if os.waitpid(child, 0)[1] != 0)


def by_epoll(host: str, ports: Sequence[int]) -> None:
    waiting = select.epoll()
    connections = {}
    for port in ports:
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        connection.connect_ex((host, port))
        waiting.register(connection, select.EPOLLOUT)
        connections[connection.fileno()] = (connection, port)
    while connections:
        for descriptor, _ in waiting.poll(TIMEOUT_S):
            connection, port = connections.pop(descriptor)
            waiting.unregister(descriptor)
            error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            connection.settimeout(TIMEOUT_S)
            if error:
                failed.append(f"{host} {port}: {os.strerror(error)}")
            else:
                talk(connection, host, port)


if __name__ == "__main__":
    first, second, third = sys.argv[1:]
    by_forks(second, range(9000, 9008))
    by_threads(first, range(9008, 9016))
    by_threads(third, range(9016, 9024))
    by_epoll(first, range(9024, 9032))
    print(failed)
    sys.exit(bool(failed))
