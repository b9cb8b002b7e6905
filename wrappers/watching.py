"""Descriptors on the event loop, of which a user may have so many: all their programs together, and one that we run
may have used that up. Then there is none for a run of ours, which is lost, or for ourselves, who look now and then.

What is watched already can be watched for something else without fail. Source: epoll(7), fs.epoll.max_user_watches.
"""

import errno
import os
from collections.abc import Callable

FULL = "this user may have no more descriptors watched (fs.epoll.max_user_watches)"

Adds = Callable[..., None]
"""A loop's `add_reader` or `add_writer`."""


def watch(adds: Adds, descriptor: int, react: Callable[..., None], *given: object) -> None:
    """Call `react(*given)` whenever that can be read, or written to. Raises OSError, which says that nothing can be
    watched any more."""
    try:
        adds(descriptor, react, *given)
    except OSError as error:
        raise OSError(error.errno, why(error)) from error


def why(error: OSError) -> str:
    """In words: a full disk has the same number."""
    return FULL if error.errno == errno.ENOSPC else os.strerror(error.errno or 0)
