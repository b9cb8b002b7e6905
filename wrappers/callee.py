"""The child's side of a call (`calls.py`): read it, make it, write its answer where the parent reads.

A program: `python -P -c "from exitpin.wrappers.callee import main; main()" CALL ANSWER`, both descriptors.
"""

import os
import pickle
import struct
import sys
import traceback
from typing import Any

HEADER = struct.Struct("=QQ")
"""What came of it, and how many bytes of pickle follow."""
RETURNED, RAISED = 1, 2


def main() -> None:
    """Make the call. The exit status is 0 where there is an answer."""
    asked, answer = map(int, sys.argv[1:3])
    for descriptor in (asked, answer):
        os.set_inheritable(descriptor, False)  # what the function starts has no part in it
    sys.argv[1:] = []
    with os.fdopen(asked, "rb") as file:
        file.seek(0)
        sys.path[:] = pickle.load(file)
        kind, content = _made(file)
    _write(answer, HEADER.pack(kind, len(content)) + content)


def _made(file: Any) -> tuple[int, bytes]:
    import cloudpickle

    try:
        function, args, kwargs = pickle.load(file)
        return RETURNED, cloudpickle.dumps(function(*args, **kwargs))
    except Exception as error:
        told = traceback.format_exc()
        try:
            pickled = cloudpickle.dumps((error, told))
            pickle.loads(pickled)
        except Exception:  # it holds what can't travel, or can't be made anew
            pickled = cloudpickle.dumps((RuntimeError(f"{type(error).__name__}: {error}"), told))
        return RAISED, pickled


def _write(descriptor: int, content: bytes) -> None:
    try:
        written = 0
        while written < len(content):
            written += os.pwrite(descriptor, memoryview(content)[written:], written)
    except OSError as error:
        sys.exit(f"exitpin: what the function returned is too large ({len(content)} bytes): {error.strerror}")
