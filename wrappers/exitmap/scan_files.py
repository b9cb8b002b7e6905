"""What the orchestrator and the processes of one scan tell each other: files in a folder of the scan's own.

`spec.json`      ours: what was asked for
`consensus`      ours: the router status entries of all relays
`exits/FP.json`  ours: an exit's server descriptor, and which of the module's destinations it allows
`prepared.json`  setup's: destinations, and what can't be handed on
`globals`        setup's, for probes and teardown alone: a pickle, which the orchestrator never reads
`stats.json`     ours: how the probes ended, for teardown
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ...orchestrator.errors import OperatorError

FOLDER: Final = "EXITPIN_EXITMAP"
"""The variable that names the folder."""
RETURNED: Final = "exitmap.returned"
"""The fact of a probe that has returned: the orchestrator's alone, and in no record."""
ANSWER_MAX: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Spec:
    """What was asked for. `target`: host and port of the command line; `verbosity`: the least level of log lines;
    `first_hop`: the one that all circuits have, if there is but one; `digest`: SHA-256 of the module's file."""

    module: str
    digest: str = ""
    target: tuple[str | None, int | None] = (None, None)
    verbosity: str = "info"
    analysis_dir: str | None = None
    first_hop: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What setup() left. `destinations` None: any; `missing`: globals that can't be handed to a probe, and why."""

    destinations: tuple[tuple[str, int], ...] | None
    missing: Mapping[str, str]


class ScanFiles:
    """The folder, for both sides."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder)

    @property
    def globals(self) -> Path:
        """Where setup leaves what it set."""
        return self.path / "globals"

    @property
    def consensus(self) -> Path:
        """Router status entries."""
        return self.path / "consensus"

    def begin(self, spec: Spec, consensus: str) -> None:
        """Make the folder. Raises OperatorError, as all that is written here does."""
        with _writing(self.path):
            self.path.mkdir(mode=0o700)
            (self.path / "exits").mkdir()
            self.consensus.write_text(consensus, "utf-8", "surrogateescape")
        self._write("spec.json", asdict(spec))

    def spec(self) -> Spec:
        """What was asked for."""
        told = self._read("spec.json")
        return Spec(**{**told, "target": tuple(told["target"])})

    def tell_exit(self, fingerprint: str, descriptor: str, allowed: Iterable[tuple[str, int]] | None) -> None:
        """What a probe is given of its exit; `allowed` None: any destination."""
        destinations = None if allowed is None else sorted(allowed)
        self._write(f"exits/{fingerprint}.json", {"descriptor": descriptor, "destinations": destinations})

    def exit(self, fingerprint: str) -> tuple[str, list[tuple[str, int]] | None]:
        """Its descriptor and the destinations that it allows."""
        told = self._read(f"exits/{fingerprint}.json")
        allowed = told["destinations"]
        return told["descriptor"], None if allowed is None else [(host, port) for host, port in allowed]

    def tell_prepared(self, destinations: Sequence[tuple[str, int]] | None, missing: Mapping[str, str]) -> None:
        """What setup() left."""
        self._write("prepared.json", {"destinations": destinations, "missing": dict(missing)})

    def prepared(self) -> Prepared | None:
        """What setup() left, as a process of the module wrote it; None: it did not come so far. Raises ValueError for
        what is not of this form."""
        from ..harvest import read_artifact
        from ..values import Unreadable

        try:
            content = read_artifact(str(self.path), "prepared.json", ANSWER_MAX)
            if content is None:
                return None
            told = json.loads(content)
            given = told["destinations"]
            destinations = None if given is None else tuple(_destination(host, port) for host, port in given)
            return Prepared(destinations, {str(name): str(why) for name, why in told["missing"].items()})
        except (AttributeError, KeyError, TypeError, OSError, RecursionError, Unreadable) as error:
            raise ValueError(f"prepared.json: {error!r}") from None

    def tell_stats(self, stats: Mapping[str, object]) -> None:
        """How the probes ended."""
        self._write("stats.json", stats)

    def stats(self) -> dict[str, Any]:
        """How the probes ended."""
        told: dict[str, Any] = self._read("stats.json")
        return told

    def _write(self, name: str, content: object) -> None:
        with _writing(self.path / name):
            (self.path / name).write_text(json.dumps(content), "utf-8")

    def _read(self, name: str) -> Any:
        return json.loads((self.path / name).read_text("utf-8"))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "See whether there is room, and XDG_RUNTIME_DIR is a folder of yours."
        raise OperatorError(f"{path} can't be written: {error.strerror}.", hint) from error


def _destination(host: object, port: object) -> tuple[str, int]:
    """A destination, as a module gave it. Raises ValueError for what can be none."""
    is_host = isinstance(host, str) and host.isprintable() and host and " " not in host
    if not is_host or type(port) is not int or not 0 < port < 65536:
        raise ValueError(f"{(host, port)!r} is no destination")
    return str(host), port
