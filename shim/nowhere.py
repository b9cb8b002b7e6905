"""A network that leads nowhere (nowhere.h): datagrams that a tool sends there reach our name server, or nobody.

Called by `wrappers/name_server.py`. Source: network_namespaces(7), ip-route(8) type local.
"""

import os
import socket
from typing import Final

from ._bindings import ffi, lib

SO_NETNS_COOKIE: Final = 71


class Nowhere:
    """One, of one run. `servers`: where its datagrams to port 53 arrive: IPv4, and IPv6 if the kernel has it. Raises
    OSError: EPERM where no user namespaces are allowed."""

    def __init__(self) -> None:
        fds = ffi.new("int[]", lib.EXITPIN_NOWHERE_FDS)
        _check(lib.exitpin_nowhere_make(fds))
        *self._namespaces, ipv4, ipv6 = fds
        self.servers = [socket.socket(fileno=fd) for fd in (ipv4, ipv6) if fd >= 0]
        self._ready: dict[int, list[socket.socket]] = {}
        self.cookie = network_of(self.servers[0])

    def datagrams(self, family: int) -> socket.socket:
        """A new socket of it, for the tool. Raises OSError."""
        ready = self._ready.setdefault(family, [])
        if not ready:
            fds = ffi.new("int[]", lib.EXITPIN_NOWHERE_BATCH)
            _check(lib.exitpin_nowhere_more(*self._namespaces, family, fds))
            ready += [socket.socket(fileno=fd) for fd in fds]
        return ready.pop()

    def close(self) -> None:
        """It goes when the last socket of it is closed."""
        for one in (*self.servers, *(one for ready in self._ready.values() for one in ready)):
            one.close()
        self._ready.clear()
        for fd in self._namespaces:
            os.close(fd)
        self._namespaces = []


def network_of(one: socket.socket) -> bytes:
    """The cookie of a socket's network namespace. Raises OSError, always before Linux 5.14."""
    return one.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8)


def _check(error: int) -> None:
    if error:
        raise OSError(error, os.strerror(error))
