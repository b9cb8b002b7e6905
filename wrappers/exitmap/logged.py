"""What a module logs: shown as exitmap shows it, and given to the run as facts and as a file of evidence.

A line is a fact as soon as it is logged, `log.0007.warning`, so that a probe that is killed has told all it had to
tell. The gravest level of all is the fact `level`, which only a probe has that ended by itself: with its threads, what
it has asked to be called at its end, and the processes that it has forked, whose lines are named by their numbers, too.
What is logged may be an exit's to choose, so no text takes the room that others have.
"""

import atexit
import contextlib
import logging
import os
import re
import sys
from pathlib import Path
from typing import Final

from ..harvest import FACTS_BYTES

FORMAT: Final = "%(asctime)s %(name)s [%(levelname)s] %(message)s"
LINES_MAX: Final = 500
FORKED_MAX: Final = 450
BYTES_MAX: Final = 48 << 10
TEXT_MAX: Final = 2000
"""Lines of the process itself, lines until which others add to them, bytes of all of them, and bytes of one text: of
what there is room for in the facts of a run (64 KiB, 1000 lines) that leaves enough for those that are no lines. The
file has all."""
LEVEL: Final = re.compile(r"^log\.[0-9.]+([a-z]+)=", re.MULTILINE)


class Facts(logging.Handler):
    """Writes each line to the facts of the run. `path` None: there are none to be written."""

    def __init__(self, path: str | None) -> None:
        super().__init__()
        self._path = path
        self._gravest = 0
        self._owner = os.getpid()
        self._is_told = False
        self._lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = f"{record.name.removeprefix('modules.')}: {record.getMessage()}"
        except Exception:  # arguments that don't fit the format: whoever shows the line says so
            return
        self._gravest = max(self._gravest, record.levelno)
        whose, lines_max = "", LINES_MAX
        if (pid := os.getpid()) != self._owner:  # others may have been forked after as many lines
            whose, lines_max = f"{pid}.", FORKED_MAX
            self._lines = self._written().count("\n")
        self._lines += 1
        if self._lines <= lines_max:
            self._write(_fact(f"log.{whose}{self._lines:04}.{_level(record.levelno)}", text), BYTES_MAX)

    def give(self, name: str, text: str) -> None:
        """One fact, cut to `TEXT_MAX` bytes. What can't be given is lost for the facts alone."""
        self._write(_fact(name, text))

    def tell_level(self) -> None:
        """Say which level was the gravest, once, and in the process itself: when it ends, after its threads."""
        if self._is_told or os.getpid() != self._owner:
            return
        self._is_told = True
        told = [getattr(logging, name.upper()) for name in LEVEL.findall(self._written())]
        if gravest := max([self._gravest, *told]):
            self.give("level", _level(gravest))

    def _written(self) -> str:
        """All facts so far."""
        with contextlib.suppress(OSError):
            if self._path is not None:
                return Path(self._path).read_text("utf-8", "replace")
        return ""

    def _write(self, line: bytes, size_max: int = FACTS_BYTES) -> None:
        """If there is room until there are so many bytes."""
        if self._path is None:
            return
        with contextlib.suppress(OSError):
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if os.fstat(file).st_size + len(line) <= size_max:
                    os.write(file, line)
            finally:
                os.close(file)


def begin(verbosity: str, facts: str | None, evidence: str | None) -> Facts:
    """Show and keep lines from this level on: on stderr, as facts, and in `log.txt` among the evidence."""
    kept = Facts(facts)
    atexit.register(kept.tell_level)  # called after all that the module registers
    shown = logging.StreamHandler(sys.stderr)
    handlers: list[logging.Handler] = [shown, kept]
    if evidence is not None:
        handlers.append(logging.FileHandler(Path(evidence, "log.txt"), encoding="utf-8", delay=True))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(FORMAT))
    logging.basicConfig(level=verbosity.upper(), handlers=handlers)
    logging.getLogger("stem").setLevel(verbosity.upper())
    return kept


def _fact(name: str, text: str) -> bytes:
    """The line of a fact. What is cut leaves no half of a character."""
    content = _on_one_line(text[:TEXT_MAX]).encode()[:TEXT_MAX].decode("utf-8", "ignore")
    return f"{name}={content}\n".encode()


def _on_one_line(text: str) -> str:
    """As text that a terminal does not obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _level(number: int) -> str:
    """The standard name of the level, or of the next below it."""
    return logging.getLevelName(max(10, min(50, number // 10 * 10))).lower()
