"""Whether the store inside the lab is the store outside: a lab has mounts of its own, as they were when it began."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import OperatorError
from ..results.store import store_path


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder that is to hold the store (or the nearest above it that is there), as it was seen at first."""

    path: Path
    seen: tuple[int, int]

    def refuse_another(self) -> None:
        """Raises OperatorError when there is another folder at this path now: what was written there would be lost."""
        if _identity(self.path) != self.seen:
            raise OperatorError(
                f"{self.path} is another folder inside the lab: it was mounted after the lab began.",
                "Start the lab anew (`exitpin lab down`, `exitpin lab up`), or name another place by --store.",
            )


def folder_of(store: str | None, environment: Mapping[str, str]) -> Folder:
    """The folder of the store that is asked for."""
    path = Path(store or store_path(environment)).absolute().parent
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return Folder(path, _identity(path))


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
