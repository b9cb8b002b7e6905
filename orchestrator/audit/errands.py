"""An errand: one run that an audit wants made, and how a declared tool's run is put together from it.

Pure. Says where a run's directory is and what its command line becomes; `auditing.py` has it carried out.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random

from ..model import Destination, Fingerprint, Relay, Run, Setup
from ..plan import run_address
from ..policy import parse_policy
from ..tool import Tool
from .cases import Case, Role, WantControls
from .controls import ControlPool
from .params import Bound, run_values
from .templates import fill, fill_all

URGENCY = {Role.CONFIRM: 0, Role.CONTROL: 1, Role.RETRY: 2, Role.PROBE: 2}
NONCE_BYTES = 16
NOBODY = Relay(Fingerprint("0" * 40), "direct", "127.0.0.1", 0, frozenset(), parse_policy("accept *:*"))
"""Stands where a relay would, for a run that goes through none."""

BASE_ENVIRONMENT = (("LC_ALL", "C"), ("TZ", "UTC"))


@dataclass(slots=True, eq=False)
class Audit:
    """A tool with its parameters, and its controls. `candidates`: the exits that may be asked for a control;
    `destinations`: where its runs go, as far as that is known before a run; `waiting`: its open cases; `keen`: those of
    them that want more than the baseline says; `asking`: those that found too little to be judged by; `made`: how many
    control runs went through each exit; `budget`: how many controls may be made until somebody has another wish, lest
    those that grow old too fast are made for ever."""

    tool: Tool
    bound: Bound
    key: str
    pool: ControlPool
    candidates: tuple[Relay, ...]
    destinations: tuple[Destination, ...]
    waiting: set[Case] = field(default_factory=set)
    keen: dict[Case, WantControls] = field(default_factory=dict)
    asking: dict[Case, None] = field(default_factory=dict)
    under_way: int = 0
    made: Counter[Fingerprint] = field(default_factory=Counter)
    budget: int = 0
    given_up: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Errand:
    """One run that is to be made. `case` None: it is a control. `avoid`: the hops before the exit that may have had a
    hand in what it is to confirm; `repetition`: which of the runs of its role, of one tool and exit, it is; `again`:
    how often it was made and void."""

    audit: Audit
    relay: Relay
    role: Role
    case: Case | None = None
    avoid: frozenset[Fingerprint] = frozenset()
    repetition: int = 1
    again: int = 0

    @classmethod
    def of_run(cls, audit: Audit, case: Case, run_id: str) -> "Errand":
        """That which a run of a case was made for."""
        attempt = next(attempt for attempt in case.attempts if attempt.run_id == run_id)
        return cls(audit, case.exit, attempt.role, case, repetition=attempt.repetition)

    @property
    def exit(self) -> Fingerprint:
        return self.relay.fingerprint

    @property
    def destinations(self) -> tuple[Destination, ...]:
        return self.audit.destinations

    @property
    def urgency(self) -> int:
        return URGENCY[self.role]


@dataclass(frozen=True, slots=True)
class Terms:
    """What all runs of a scan share. `scratch`: where each has its folder; `shared`: the scan's part of each record
    (`observation.fold`); `first_index`: the number of the first run."""

    scan_id: str
    scratch: str
    shared: dict[str, object]
    timeout_max_s: float | None = None
    first_index: int = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Who the run is, and where it lives: numbers, names and paths that the plan of a scan gives out."""

    run_id: str
    index: int
    address: str
    nonce: bytes
    directory: str
    attempt: int = 1


class Places:
    """Gives each run of a scan its number (from `first_index` on), its address, its secret and its folder."""

    def __init__(self, scan_id: str, scratch: str, rng: Random, first_index: int = 1) -> None:
        self._scan_id = scan_id
        self._scratch = scratch
        self._rng = Random(f"{scan_id} {rng.getrandbits(64)}")  # a seed repeats the plan; a name asked once is known
        self._numbers = count(first_index)
        self._first_address = self._rng.getrandbits(22)

    def next(self, errand: Errand) -> tuple[Place, dict[str, str]]:
        """The place of a new run, and what its placeholders stand for."""
        index = next(self._numbers)
        place = Place(
            run_id=f"{self._scan_id}-{index:05d}",
            index=index,
            address=run_address(self._first_address + index),
            nonce=self._rng.getrandbits(8 * NONCE_BYTES).to_bytes(NONCE_BYTES, "big"),
            directory=f"{self._scratch}/{index}",
            attempt=1 if errand.case is None else len(errand.case.attempts) + 1,
        )
        artifacts, nonce = f"{place.directory}/artifacts", f"{self._rng.getrandbits(64):016x}"
        bound, run_id = errand.audit.bound, place.run_id
        return place, run_values(bound, errand.relay, run_id=run_id, nonce=nonce, artifacts=artifacts)


def make_run(
    errand: Errand,
    place: Place,
    values: Mapping[str, str],
    destinations: tuple[Destination, ...],
    timeout_max_s: float | None = None,
) -> Run:
    """The run of an errand. `values`: all placeholders. Raises KeyError for one that has no value."""
    command = errand.audit.tool.command
    environment = [*BASE_ENVIRONMENT, *((name, fill(text, values)) for name, text in command.environment)]
    limits = command.limits
    setup = Setup(
        directory=place.directory,
        environment=tuple(environment),
        stdin=fill(command.stdin, values).encode(),
        destinations=destinations,
        stdout_max=limits.stdout,
        stderr_max=limits.stderr,
        artifacts_max=limits.artifacts,
        memory_max=limits.memory,
        cpu_s=limits.cpu_s,
        procs_max=limits.procs,
        kill_after_s=command.kill_after_s,
        resolve=command.resolve,
        cwd=fill(command.cwd, values),
    )
    return Run(
        run_id=place.run_id,
        index=place.index,
        exit=errand.relay,
        argv=fill_all(command.argv, values),
        address=place.address,
        nonce=place.nonce,
        timeout_s=min(command.timeout_s, timeout_max_s or command.timeout_s),
        attempt=place.attempt,
        setup=setup,
        avoid=errand.avoid,
    )
