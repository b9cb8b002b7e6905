"""A file that is there whole, or not at all. Called by the verbs that have -o."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OperatorError
from .results_store import shown


@contextmanager
def whole_file(path: Path, mode: int) -> Iterator[Path]:
    """A file beside `path` to write to, its owner's alone. In the end it is synced, gets just these permissions,
    whatever the umask, and takes the name; when it can't be written to its end it goes. Raises OperatorError."""
    beside = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    try:
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            yield beside
            with beside.open("rb") as file:
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise OperatorError(f"{shown(path)} can't be written: {shown(why)}.", "Nothing was changed.") from error
