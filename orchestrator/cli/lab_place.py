"""Whether what is written inside the lab lies outside, too: a lab has mounts of its own, as they were when it began."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import OperatorError

OF_THE_PROCESS = ("/dev/", "/proc/")
"""What lies there is each process's own (/dev/fd/3), or the machine's."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder that is to hold a file (or the nearest above it that is there), as it was seen at first. `option`: by
    which another file is named."""

    file: Path
    option: str
    path: Path
    seen: tuple[int, int]

    def refuse_another(self) -> None:
        """Raises OperatorError when there is another folder at this path now: what was written there would be lost."""
        if _identity(self.path) != self.seen:
            raise OperatorError(
                f"{self.file} can't be written: inside the lab {self.path} is another folder.",
                f"It was mounted after the lab began: start the lab anew, or name another file by {self.option}.",
            )


def folders_of(files: Mapping[str, str | Path | None]) -> Iterator[Folder]:
    """Of the files that are asked for, by option; None, or a place of the process: there is none to be looked at."""
    for option, file in files.items():
        if file is None or str(file).startswith(OF_THE_PROCESS):
            continue
        place = Path(file).absolute()
        path = place.parent
        while not path.is_dir() and path != path.parent:
            path = path.parent
        yield Folder(place, option, path, _identity(path))


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino
