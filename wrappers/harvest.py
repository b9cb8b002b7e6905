"""The bytes that a run left behind, read so that whoever wrote them can't choose what we read, or how much.

Decides what is plain enough to be read; what the bytes mean is decided in `extraction.py`.
"""

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ..orchestrator.tool import Limits
from . import values
from .values import Unreadable

FACTS_BYTES: Final = 64 << 10
FACTS_MAX: Final = 1000
NAME_MAX: Final = 64
OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EINTR})
"""Errors of open(2) and read(2) that no tool can bring about."""
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Harvest:
    """What a run left: its output, the folder of its artifacts (or their contents by name) and its emitted facts."""

    stdout: bytes = b""
    stderr: bytes = b""
    artifacts: str | Mapping[str, bytes] = ""
    facts: bytes = b""


@dataclass(slots=True)
class Sources:
    """Reads each source of a harvest once, within the limits of the tool. `twice`: emitted facts that were set more
    than once, so that nobody knows what they are."""

    harvest: Harvest
    limits: Limits
    problems: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    _read: dict[str, bytes | None] = field(default_factory=dict)
    _emitted: dict[str, str] | None = None

    def read(self, source: str) -> bytes | None:
        """The bytes of stdout, stderr or artifact:NAME, cut at the limit; None: there is no such file.

        Raises Unreadable for what is no plain file.
        """
        if source not in self._read:
            self._read[source] = self._capped(source)
        return self._read[source]

    def emitted(self) -> Mapping[str, str]:
        """The facts that the tool emitted, by name."""
        if self._emitted is None:
            self._emitted = self._parsed_facts()
        return self._emitted

    def _capped(self, source: str) -> bytes | None:
        if source in ("stdout", "stderr"):
            is_stdout = source == "stdout"
            content = self.harvest.stdout if is_stdout else self.harvest.stderr
            limit = self.limits.stdout if is_stdout else self.limits.stderr
        else:
            name = source.removeprefix("artifact:")
            limit = self.limits.artifacts
            given = self.harvest.artifacts
            found = read_artifact(given, name, limit + 1) if isinstance(given, str) else given.get(name)
            if found is None:
                self.problems.append(f"{name!r}: no such artifact")
                return None
            content = found
        if len(content) > limit:
            self.problems.append(f"{source}: cut after {limit} bytes")
        return content[:limit]

    def _parsed_facts(self) -> dict[str, str]:
        """Lines NAME=VALUE; what is none is dropped and told."""
        facts: dict[str, str] = {}
        content = self.harvest.facts
        if len(content) > FACTS_BYTES:
            self.problems.append(f"facts: cut after {FACTS_BYTES} bytes")
            content = content[:FACTS_BYTES]
        lines = content.split(b"\n", FACTS_MAX)
        if len(lines) > FACTS_MAX:
            self.problems.append(f"facts: only the first {FACTS_MAX} lines were read")
        wrong = 0
        for line in lines[:FACTS_MAX]:
            name, equals, value = values.decoded(line.rstrip(b"\r")).partition("=")
            if equals and 0 < len(name) <= NAME_MAX and _NAME.issuperset(name):
                if name in facts and name not in self.twice:
                    self.twice.append(name)
                facts[name] = values.storable(value)
            elif line:
                wrong += 1
        if wrong:
            self.problems.append(f"facts: {wrong} lines are not NAME=VALUE")
        return facts


def read_artifact(folder: str, name: str, limit: int) -> bytes | None:
    """The first `limit` bytes of a plain file that is in the folder itself; None: there is none of that name.

    Neither a link nor a folder is followed, and nothing that could make us wait is opened. Raises Unreadable for what
    the tool made unreadable, and OSError where this machine failed: then nothing is known of the file.
    """
    if not folder:
        return None
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise Unreadable(f"{name!r} is no name of an artifact")
    try:
        within = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable("the artifacts", error) from None
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=within)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(repr(name), error) from None
    finally:
        os.close(within)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable(f"{name!r} is no plain file")
        return _first(descriptor, limit)
    except OSError as error:
        raise _unreadable(repr(name), error) from None
    finally:
        os.close(descriptor)


def _unreadable(what: str, error: OSError) -> Exception:
    """What the tool can bring about, as Unreadable; what it can't, as it is."""
    return error if error.errno in OURS else Unreadable(f"{what} can't be read: {error.strerror}")


def _first(descriptor: int, limit: int) -> bytes:
    content = bytearray()
    while len(content) < limit and (chunk := os.read(descriptor, min(_CHUNK, limit - len(content)))):
        content += chunk
    return bytes(content)
