"""What the other end of a SOCK_SEQPACKET connection said last (unix(7)). Used by whoever receives packets."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def despite_reset(receive: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `receive` gets with these, and raises. An end that was closed with something unread has the kernel tell that
    before all that it had said, and once."""
    try:
        return receive(*args, **kwargs)
    except ConnectionResetError:
        return receive(*args, **kwargs)
