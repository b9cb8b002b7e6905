"""`torsocks`: sockets through Tor. Every socket of this process is one, so there is nothing to put in their place.

What is left is `resolve`, which asks the exit for a name's address.
"""

import errno
import ipaddress
import os
import socket
import threading
from typing import Any, Final

from . import error

proxy_addr: str | None = None
proxy_port: int | None = None
queue = circ_id = None

orig_socket = socket.socket
MAPPED: Final = ipaddress.IPv4Network("198.18.0.0/15")
NOT_RESOLVED: Final = 4  # what tor answers to a RESOLVE that failed, whatever the exit said


class _Torsocket(socket.socket):
    """A TCP socket that can ask the exit for an address, too."""

    def resolve(self, hostname: str) -> str:
        """The IPv4 address that the exit finds. Raises SOCKSv5Error, as exitmap does, and TimeoutError after the
        socket's timeout."""
        found: list[Any] = []
        timeout_s = self.gettimeout()
        asking = threading.Thread(target=_ask, args=(hostname, found), daemon=True)
        asking.start()
        asking.join(timeout_s)
        self.close()
        if not found:
            raise TimeoutError("timed out")
        if isinstance(found[0], Exception):
            raise error.SOCKSv5Error(f"SOCKS Server error {NOT_RESOLVED}") from found[0]
        address = str(found[0])
        if ipaddress.ip_address(address) in MAPPED:
            raise RuntimeError("exitpin: resolve() wants the exit's own answers: exitpin exitmap --resolve exit ...")
        return address


def _ask(hostname: str, found: list[Any]) -> None:
    try:
        found.append(socket.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError) as why:
        found.append(why)


def torsocket(
    family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0, _sock: object = None
) -> socket.socket:
    """A socket as exitmap makes them: TCP over IPv4 alone, and local ones as they are. Raises OSError."""
    if family == socket.AF_UNIX:
        return orig_socket(family, type, proto)
    wrong = (
        errno.EAFNOSUPPORT if family != socket.AF_INET
        else errno.ESOCKTNOSUPPORT if type != socket.SOCK_STREAM
        else errno.EPROTONOSUPPORT if proto not in (0, socket.IPPROTO_TCP)
        else 0
    )  # fmt: skip
    if wrong:
        raise OSError(wrong, os.strerror(wrong))
    return _Torsocket(family, type, proto)


class MonkeyPatchedSocket:
    """A context in which sockets go through Tor: they do anyway."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __enter__(self) -> "MonkeyPatchedSocket":
        return self

    def __exit__(self, *exception: object) -> None:
        pass
