"""A report as a file: there whole, or not at all. Called by the verbs of `report` that have -o."""

import os
import secrets
from pathlib import Path

from ..errors import OperatorError
from .results_store import shown


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Put a file in its place, whole, with just these permissions, whatever the umask. Raises OperatorError."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OperatorError(f"{shown(path)} can't be written: {error.strerror}.", "Nothing was changed.") from error
