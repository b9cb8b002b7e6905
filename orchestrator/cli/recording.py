"""The file of records (`--record`): a line a run, whoever has the terminal.

Opened before the first run; called where a run ends (`run_scan.py`, `daemon_lease.py`).
"""

import os
from pathlib import Path

from ..errors import OperatorError


class Recording:
    """An open file of records, whose owner alone may read it. `problem`: why not all of them are there. Raises
    OperatorError when it can't be opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        try:
            self._file = open(path, "wb", buffering=0, opener=_opened)  # noqa: SIM115 - as long as runs end
        except OSError as error:
            raise OperatorError(f"{path} can't be written: {error.strerror}.", "Nothing was started.") from error

    def add(self, line: bytes) -> None:
        """One record."""
        try:
            while line:
                line = line[self._file.write(line) or 0 :]
        except OSError as error:
            self.problem = f"{self.path} could not be written: {error.strerror}."

    def close(self) -> None:
        """No more of them."""
        self._file.close()


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOCTTY, 0o600)
