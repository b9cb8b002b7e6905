"""A network that leads nowhere (nowhere.h): datagrams that a tool sends there reach our name server, or nobody.

Called by `wrappers/name_server.py`. Source: network_namespaces(7), ip-route(8) type local.
"""

import os
import socket
from typing import Final

from ._bindings import ffi, lib

BATCH: Final = 8
SO_NETNS_COOKIE: Final = 71


class Nowhere:
    """One, of one run. `servers`: where its datagrams to port 53 arrive, IPv4 and IPv6. Raises OSError: EPERM where no
    user namespaces are allowed."""

    def __init__(self) -> None:
        fds = ffi.new("int[20]")
        _check(lib.exitpin_nowhere_make(fds))
        self._namespaces = fds[0], fds[1]
        self.servers = [socket.socket(fileno=fd) for fd in dict.fromkeys((fds[2], fds[3]))]
        self._ready: dict[int, list[socket.socket]] = {socket.AF_INET: [], socket.AF_INET6: []}
        self._store(list(fds[4:20]))
        self.cookie = cookie_of(self.servers[0])

    def datagrams(self, family: int) -> socket.socket:
        """A new socket of it, for the tool. Raises OSError."""
        if not self._ready[family]:
            fds = ffi.new("int[16]")
            _check(lib.exitpin_nowhere_more(*self._namespaces, fds))
            self._store(list(fds))
        return self._ready[family].pop()

    def _store(self, fds: list[int]) -> None:
        self._ready[socket.AF_INET] += [socket.socket(fileno=fd) for fd in fds[:BATCH]]
        self._ready[socket.AF_INET6] += [socket.socket(fileno=fd) for fd in fds[BATCH:]]

    def close(self) -> None:
        """It goes when the last socket of it is closed."""
        for one in (*self.servers, *self._ready[socket.AF_INET], *self._ready[socket.AF_INET6]):
            one.close()
        for fd in self._namespaces:
            os.close(fd)


def cookie_of(one: socket.socket) -> bytes:
    """Which network a socket is of."""
    return one.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)


def _check(error: int) -> None:
    if error:
        raise OSError(error, os.strerror(error))
