"""Whether the store inside the lab is the store outside: a lab has mounts of its own, as they were when it began."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import OperatorError
from ..results.store import store_path


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder that is to hold the store (or the nearest above it that is there), as it was seen at first."""

    store: Path
    path: Path
    seen: tuple[int, int]

    def refuse_another(self) -> None:
        """Raises OperatorError when there is another folder at this path now: what was written there would be lost."""
        if _identity(self.path) != self.seen:
            raise OperatorError(
                f"results can't be kept in {self.store}: inside the lab {self.path} is another folder.",
                "It was mounted after the lab began: start the lab anew, or name another file by --store.",
            )


def folder_of(store: str | None, environment: Mapping[str, str]) -> Folder:
    """The folder of the store that is asked for."""
    place = Path(store or store_path(environment)).absolute()
    path = place.parent
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return Folder(place, path, _identity(path))


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
