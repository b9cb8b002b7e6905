"""What a module logs: shown as exitmap shows it, and given to the run as facts and as a file of evidence.

A line is a fact as soon as it is logged, `log.0007.warning`, so that a probe that is killed has told all it had to
tell. The gravest level of all is the fact `level`, which only a probe has that ended by itself.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Final

FORMAT: Final = "%(asctime)s %(name)s [%(levelname)s] %(message)s"
LINES_MAX: Final = 500
BYTES_MAX: Final = 48 << 10
LINE_MAX: Final = 2000
"""Of what there is room for in the facts of a run (64 KiB, 1000 lines); the file has all."""


class Facts(logging.Handler):
    """Writes each line to the facts of the run. `path` None: there are none to be written."""

    def __init__(self, path: str | None) -> None:
        super().__init__()
        self._path = path
        self._gravest = 0
        self._lines = self._bytes = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = f"{record.name.removeprefix('modules.')}: {record.getMessage()}"
        except Exception:  # arguments that don't fit the format: whoever shows the line says so
            return
        self._gravest = max(self._gravest, record.levelno)
        self._lines += 1
        self._bytes += len(text)
        if self._lines <= LINES_MAX and self._bytes <= BYTES_MAX:
            self.give(f"log.{self._lines:04}.{_level(record.levelno)}", text)

    def give(self, name: str, text: str) -> None:
        """One fact. What can't be given is lost for the facts alone."""
        if self._path is None:
            return
        try:
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.write(file, f"{name}={_on_one_line(text[:LINE_MAX])}\n".encode())
        finally:
            os.close(file)

    def close(self) -> None:
        """Say which level was the gravest."""
        if self._gravest:
            self.give("level", _level(self._gravest))
        self._gravest = 0
        super().close()


def begin(verbosity: str, facts: str | None, evidence: str | None) -> Facts:
    """Show and keep lines from this level on: on stderr, as facts, and in `log.txt` among the evidence."""
    kept = Facts(facts)
    shown = logging.StreamHandler(sys.stderr)
    handlers: list[logging.Handler] = [shown, kept]
    if evidence is not None:
        handlers.append(logging.FileHandler(Path(evidence, "log.txt"), encoding="utf-8", delay=True))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(FORMAT))
    logging.basicConfig(level=verbosity.upper(), handlers=handlers)
    logging.getLogger("stem").setLevel(verbosity.upper())
    return kept


def _on_one_line(text: str) -> str:
    """As text that a terminal does not obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _level(number: int) -> str:
    """The standard name of the level, or of the next below it."""
    return logging.getLevelName(max(10, min(50, number // 10 * 10))).lower()
