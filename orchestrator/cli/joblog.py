"""The joblog of `exitpin run` (`--joblog`): a line a run, in the form of GNU parallel: its tools can read it."""

import time
from pathlib import Path
from typing import TextIO

from ..errors import EXIT_NOT_EXECUTABLE, OperatorError
from ..runs import Life

COLUMNS = ("Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command")
ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})
"""What would end a field or a line."""


class Joblog:
    """Open from the start to the end of the command. Raises OperatorError when it can't be."""

    def __init__(self, path: str) -> None:
        try:
            self._file: TextIO = Path(path).open("w", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115 - open as long as we run
            self._write(*COLUMNS)
        except OSError as error:
            raise OperatorError(f"{path} can't be written: {error.strerror}.") from error

    def add(self, life: Life, received_bytes: int) -> None:
        """One run that has ended; `received_bytes` is what it wrote to its stdout."""
        times, exited, run = life.times, life.exited, life.run
        start = times.start or times.queue
        runtime_s = (times.end or time.time()) - start
        rc, signo = (exited.rc or 0, exited.signal or 0) if exited else (EXIT_NOT_EXECUTABLE, 0)
        sent_bytes = 0
        self._write(
            run.index, run.exit.fingerprint, f"{start:.3f}", f"{runtime_s:.3f}", sent_bytes, received_bytes, rc, signo,
            " ".join(run.argv).translate(ESCAPES),
        )  # fmt: skip

    def _write(self, *fields: object) -> None:
        print(*fields, sep="\t", file=self._file, flush=True)
