"""`socks`, where PySocks is not installed: exitmap needs it, so its modules import it, mostly without using it."""

import socket

PROXY_TYPE_SOCKS4 = SOCKS4 = 1
PROXY_TYPE_SOCKS5 = SOCKS5 = 2
PROXY_TYPE_HTTP = HTTP = 3

socksocket = socket.socket
"""Every socket is pinned; one with a proxy of its own there is not."""


class ProxyError(OSError):
    """What PySocks raises."""


class GeneralProxyError(ProxyError):
    """The proxy failed."""


class ProxyConnectionError(ProxyError):
    """The proxy was not reached."""


class SOCKS5Error(ProxyError):
    """The proxy said no."""


def set_default_proxy(*_: object, **__: object) -> None:
    """Sockets have no proxy."""


setdefaultproxy = set_default_proxy
