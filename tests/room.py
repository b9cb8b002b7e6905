"""Descriptors on their way: the kernel counts them for a user, and so for all tests of his that run at a time."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def to_oneself() -> Iterator[None]:
    """Whoever puts many on their way has the user to himself: each worker's tests wait here for those of the others."""
    folder = os.open(tempfile.gettempdir(), os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)  # what a test has forked may have a copy of it still
        os.close(folder)
