"""What -o names: a file that is there whole, or not at all; or a pipe or a device, which is written to as it is.

Called by the verbs that have -o.
"""

import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import OperatorError
from .results_store import shown

_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d{1,9})")
STDOUT = Path("-")
_NAMES = {str(STDOUT): 1, "/dev/stdout": 1, "/dev/stderr": 2}


def is_stdout(path: Path | None) -> bool:
    """Whether that is standard output; where nothing was named it is, too."""
    return path is None or _descriptor(path) == 1


@contextmanager
def whole_file(path: Path, mode: int) -> Iterator[IO[bytes]]:
    """A file to write to. What it is decides how:

    a file, or nothing yet     written beside it, its owner's alone; in the end synced, given just these permissions,
                               whatever the umask, and renamed; when it can't be written to its end it goes
    a symbolic link            is followed: what it leads to is replaced
    whatever else              a pipe, a device, `/dev/fd/N`: written through; to be replaced would destroy it
    `-`                        standard output

    Raises OperatorError, and BrokenPipeError where the reader of a pipe has gone."""
    if is_stdout(path):
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    hint = "Nothing was changed."
    try:
        if _is_written_through(path):
            hint = ""
            with open(_opened(path), "wb") as file:
                yield file
        else:
            with _beside(Path(os.path.realpath(path)), mode) as file:
                yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        why = error.strerror or error
        raise OperatorError(f"{shown(path)} can't be written: {shown(why)}.", hint) from error


def _descriptor(path: Path) -> int | None:
    """Which of our descriptors it names: a file that was opened to append to must not be opened anew."""
    found = _DESCRIPTOR.fullmatch(str(path))
    return int(found[1]) if found is not None else _NAMES.get(str(path))


def _is_written_through(path: Path) -> bool:
    if _descriptor(path) is not None:
        return True
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def _opened(path: Path) -> int:
    number = _descriptor(path)
    return os.dup(number) if number is not None else os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)


@contextmanager
def _beside(path: Path, mode: int) -> Iterator[IO[bytes]]:
    beside = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(number, "wb") as file:
            yield file
            file.flush()
            os.fchmod(number, mode)
            os.fsync(number)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
