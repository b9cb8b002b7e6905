"""What the other end of a SOCK_SEQPACKET connection said last (unix(7)). Used by whoever receives packets."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def despite_reset(receive: Callable[[], T]) -> T:
    """What `receive` gets, and raises. An end that was closed with something unread has the kernel tell that before all
    that it had said, and once."""
    try:
        return receive()
    except ConnectionResetError:
        return receive()
