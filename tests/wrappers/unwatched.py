"""A user who has as many descriptors watched as one may (epoll(7), fs.epoll.max_user_watches)."""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def out_of_watches(*_: object) -> None:
    """In the place of a loop's `add_reader` and `add_writer`."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def is_full(spared: int = 0) -> Iterator[None]:
    """In this block the running loop can watch so many more, and then only what it has watched before."""
    loop = asyncio.get_running_loop()
    selector = loop._selector  # type: ignore[attr-defined]
    register: Callable[..., object] = selector.register
    left = spared

    def registers(*what: object) -> object:
        nonlocal left
        if left == 0:
            out_of_watches()
        left -= 1
        return register(*what)

    selector.register = registers
    try:
        yield
    finally:
        del selector.register
