"""A private network for the torture, the plays that are acted inside it, and the judge: the targets' own log."""

import json
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.lab import start
from exitpin.orchestrator.lab.state import LabState, load
from exitpin.orchestrator.verify import read_evidence, verify

from ..lab.conftest import nobodys_home as nobodys_home

HERE = Path(__file__).parent
EXITPIN = [sys.executable, "-m", "exitpin"]


@dataclass(frozen=True, slots=True)
class Play:
    """What an act has left: its figures, its records, its evidence, and what the targets saw while it went on."""

    figures: dict[str, Any]
    records: list[dict[str, Any]]
    evidence: Path
    seen: list[dict[str, Any]]

    def judge(self) -> "Judgement":
        """The targets' log against what each destination was given out for. Nothing of ours is asked."""
        judgement, expected = Judgement(), self.figures["expected"]
        for line in self.seen:
            destination = f"{line['own'][0]} {line['own'][1]}"
            if destination not in expected:
                continue
            judgement.arrived.setdefault(destination, []).append(line["peer"][0])
            if not expected[destination]:
                judgement.foreign.append(f"{destination} from {line['peer'][0]}")
            elif line["peer"][0] not in expected[destination]:
                judgement.wrong.append(f"{destination} from {line['peer'][0]}, not {expected[destination]}")
        return judgement

    def problems(self) -> list[str]:
        """What the offline verifier has to say against the records."""
        with self.evidence.open() as lines:
            verdict = verify(read_evidence(lines), self.records)
        assert verdict.records == len(self.records)
        return verdict.problems


@dataclass(slots=True)
class Judgement:
    """`arrived`: by destination, the addresses that came; `wrong`: from another exit; `foreign`: not wanted."""

    arrived: dict[str, list[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def doubled(self, repeated: Sequence[str]) -> list[str]:
        """Destinations that were reached twice, but for those: no connection may be made again behind a tool's back."""
        twice = {destination for destination, peers in self.arrived.items() if len(peers) > 1}
        return sorted(twice - set(repeated))


@dataclass(slots=True)
class Theatre:
    """A lab, and the plays in it. Two plays in succession have no destination in common."""

    name: str
    _given: int = 0

    @property
    def state(self) -> LabState:
        return load(self.name)

    def mark(self) -> int:
        """Where the targets' log ends now."""
        return self.state.log_file.stat().st_size

    def seen_since(self, mark: int) -> list[dict[str, Any]]:
        """All that the targets have seen since then."""
        with self.state.log_file.open("rb") as log:
            log.seek(mark)
            return [json.loads(line) for line in log]

    def enact(self, act: str, directory: Path, timeout_s: float, *, destinations: int, **spec: Any) -> Play:
        """Run the script `act` inside the lab, to its end."""
        spec |= {"lab": self.name, "directory": str(directory), "first": self._given}
        self._given += destinations
        path = directory / "spec.json"
        path.write_text(json.dumps(spec))
        mark = self.mark()
        done = subprocess.run(
            self.inside(sys.executable, str(HERE / f"{act}.py"), str(path)),
            timeout=timeout_s,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        complaints = done.stderr.strip()
        assert not complaints, complaints[-4000:]
        records = [json.loads(line) for line in (directory / "records.ndjson").read_text().splitlines()]
        figures = json.loads((directory / "figures.json").read_text())
        return Play(figures, records, directory / "events.ndjson", self.seen_since(mark))

    def inside(self, *argv: str) -> list[str]:
        """The argv that runs `argv` inside the lab."""
        return [*EXITPIN, "lab", "exec", "--name", self.name, "--", *argv]

    def run(self, *words: str) -> list[str]:
        """The argv of `exitpin run` on this lab."""
        return [*EXITPIN, "run", "--lab", "--name", self.name, *words]


def _open(name: str, exits: int) -> Theatre:
    try:
        start.up(name, exits)
    except OperatorError as error:
        if "make namespaces" in error.message or "needs the program" in error.message:
            pytest.skip(str(error))
        raise
    return Theatre(name)


@pytest.fixture(scope="session")
def theatre() -> Iterator[Theatre]:
    """A lab of 16 exits for all plays."""
    found = _open(f"torture-{os.getpid()}", 16)
    yield found
    start.down(found.name)


@pytest.fixture
def doomed() -> Iterator[Theatre]:
    """A small lab of the test's own, whose tor may come to harm."""
    found = _open(f"doomed-{os.getpid()}", 5)
    yield found
    start.down(found.name)


@pytest.fixture(scope="session")
def scale() -> float:
    """How much of everything: 1 is the whole, 0.25 a quarter."""
    return float(os.environ.get("EXITPIN_TORTURE_SCALE", "1"))


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    """The seed of this test: EXITPIN_TORTURE_SEED repeats one."""
    drawn = int(os.environ.get("EXITPIN_TORTURE_SEED", random.SystemRandom().randrange(1 << 32)))
    with capsys.disabled():
        print(f"\nseed {drawn}: EXITPIN_TORTURE_SEED={drawn} repeats it")
    return drawn


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str, Mapping[str, object]], None]:
    """Print figures, whatever pytest captures."""

    def show(title: str, figures: Mapping[str, object]) -> None:
        with capsys.disabled():
            print(f"{title}: " + ", ".join(f"{name} {value}" for name, value in figures.items()))

    return show


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Sequence[str]]:
    """The argv of a small tool that goes about its errands, one after the other; `more`: flags for the compiler."""

    def built(*more: str) -> Sequence[str]:
        program = tmp_path_factory.mktemp("programs") / "client"
        flags = ["-O1", "-Wall", "-Wextra", "-Werror", *more]
        subprocess.run(["cc", *flags, "-o", str(program), str(HERE / "programs" / "client.c")], check=True)
        return [str(program)]

    return built


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """Tries an assertion until it holds or time is up."""

    def until_it_holds(assertion: Callable[[], None], timeout_s: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return assertion()
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                select.select([], [], [], 0.02)

    return until_it_holds
