"""Who typed a command line, and what it asks to be run: what `run` and `sh` make of it, in whatever process."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """`directory`: where relative paths begin, empty for our own; `terminals`: which of its standard descriptors are
    terminals."""

    environment: Mapping[str, str]
    directory: str = ""
    terminals: frozenset[int] = frozenset()

    @classmethod
    def of_this_process(cls) -> "Caller":
        """Ourselves."""
        return cls(dict(os.environ), "", frozenset(number for number in range(3) if os.isatty(number)))

    def place(self, path: str) -> str:
        """A path that the caller gave, as it is found from here."""
        return os.path.join(self.directory, path)


@dataclass(frozen=True, slots=True)
class Asked:
    """`is_foreground`: it makes sense only with the caller's terminal or input, and more than one run is refused."""

    command: list[str]
    environment: Mapping[str, str]
    is_foreground: bool = False
