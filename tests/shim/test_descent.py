"""Who descends from whom, as the thread tells it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from exitpin.shim._bindings import lib

BELOW = "print(__import__('os').getpid(), flush=True); input()"
NESTED = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BELOW!r}])"


@contextmanager
def grandchild() -> Iterator[tuple[int, int]]:
    """A child of ours, and a child of that."""
    process = subprocess.Popen([sys.executable, "-c", NESTED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
    finally:
        process.communicate("\n")


def test_a_process_descends_from_its_parent_and_from_that_ones_and_from_nobody_else() -> None:
    with grandchild() as (child, below):
        assert lib.exitpin_descends(below, child)
        assert lib.exitpin_descends(below, os.getpid())
        assert lib.exitpin_descends(child, os.getpid())
        assert not lib.exitpin_descends(child, below)
        assert not lib.exitpin_descends(child, child)
        assert not lib.exitpin_descends(os.getpid(), child)
        assert not lib.exitpin_descends(1, child)
        assert not lib.exitpin_descends(below, 1)
    assert not lib.exitpin_descends(below, child)  # it is gone
