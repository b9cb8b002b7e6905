"""The child's side of a call (`calls.py`): read it, make it, write its answer where the parent reads.

A program: `python -P -c "from exitpin.wrappers.callee import main; main()" CALL ANSWER`, both descriptors. Programs
that the function starts can open both by /proc/PID/fd. So an answer is signed, by a key that is nowhere but in this
process when the function begins, whose memory is no other's to look at: of no process without capabilities, that is,
and not where a supervisor has to look at it. Source: PR_SET_DUMPABLE in prctl(2), proc(5).
"""

import os
import pickle
import struct
import sys
import traceback
from hashlib import blake2b
from io import BytesIO
from typing import Any

from .callee_end import end_in_time

HEADER = struct.Struct("=QQ32s")
"""What came of it, how many bytes of pickle follow, and the signature of all that."""
RETURNED, RAISED = 1, 2
KEY_BYTES = 32
SUPERVISED = "2:"
"""What EXITPIN_SHIM begins with where a supervisor looks into the process."""
_PR_SET_DUMPABLE = 4


def signature(key: bytes, kind: int, content: bytes) -> bytes:
    """Of an answer."""
    return blake2b(struct.pack("=QQ", kind, len(content)) + content, key=key, digest_size=32).digest()


def main() -> None:
    """Make the call. The exit status is 0 where there is an answer."""
    asked, answer = map(int, sys.argv[1:3])
    for descriptor in (asked, answer):
        os.set_inheritable(descriptor, False)  # what the function starts has no part in it
    sys.argv[1:] = []
    if not os.environ.get("EXITPIN_SHIM", "").startswith(SUPERVISED):
        _be_nobody_else_s()
    key, call = _taken(asked)
    sys.path[:] = pickle.load(call)
    owner = os.getpid()
    kind, content = _made(call)
    if os.getpid() != owner:
        _end_as_a_child(kind)
    _write(answer, HEADER.pack(kind, len(content), signature(key, kind, content)) + content)
    end_in_time()


def _taken(asked: int) -> tuple[bytes, BytesIO]:
    """The key and the call, of which nothing is left where they were."""
    content = os.pread(asked, os.fstat(asked).st_size, 0)
    os.ftruncate(asked, 0)
    os.close(asked)
    return content[:KEY_BYTES], BytesIO(content[KEY_BYTES:])


def _end_as_a_child(kind: int) -> None:
    """The function has forked, and this is what came back: no answer of its own."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0 if kind == RETURNED else 1)


def _be_nobody_else_s() -> None:
    """No process of the same user may look into this one from now on; programs that it starts are as they were."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _made(file: Any) -> tuple[int, bytes]:
    import cloudpickle

    try:
        function, args, kwargs = pickle.load(file)
        returned = function(*args, **kwargs)
    except SystemExit:
        raise
    except Exception as error:
        return RAISED, _told(error) + _pickled(error)
    except BaseException as error:  # what interrupts: it has interrupted the function, and not the caller
        return RAISED, _told(error)
    try:
        return RETURNED, cloudpickle.dumps(returned)
    except Exception as error:
        why = f"what the function returned, a {type(returned).__name__}, can't be sent: {_text(error)}"
        return RAISED, _told(error, why)


def _told(error: BaseException, message: str | None = None) -> bytes:
    """The name of its type, its message and its traceback, pickled."""
    return pickle.dumps((type(error).__qualname__, message or _text(error), "".join(traceback.format_exception(error))))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as why:
        return f"(its own text fails: {type(why).__name__})"


def _pickled(error: Exception) -> bytes:
    """It itself; nothing, where it holds what can't travel, or can't be made anew."""
    import cloudpickle

    try:
        pickled: bytes = cloudpickle.dumps(error)
        pickle.loads(pickled)
    except Exception:
        return b""
    return pickled


def _write(descriptor: int, content: bytes) -> None:
    try:
        written = 0
        while written < len(content):
            written += os.pwrite(descriptor, memoryview(content)[written:], written)
    except OSError as error:
        sys.exit(f"exitpin: what the function returned is too large ({len(content)} bytes): {error.strerror}")
