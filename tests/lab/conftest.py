"""One private network for all that a worker tests, and what tests do with it."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.lab import network, start
from exitpin.orchestrator.lab.state import LabState, load
from exitpin.orchestrator.lab.voting import Voting

if TYPE_CHECKING:
    from .living import LivingLab

from .running import SecondController

COMMAND_S = 60.0


def verb(*words: str) -> list[str]:
    """The argv of `exitpin lab WORDS`."""
    return [sys.executable, "-m", "exitpin", "lab", *words]


T = TypeVar("T")


def eventually(assertion: Callable[[], T], timeout_s: float = 10.0) -> T:
    """Try an assertion until it holds or time is up; what it returns."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return assertion()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            select.select([], [], [], 0.02)


@dataclass(frozen=True, slots=True)
class Connection:
    """A line of the ground truth."""

    t: float
    service: str
    own: tuple[str, int]
    peer: tuple[str, int]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Lab:
    """A running lab and what one does with it."""

    state: LabState

    def exec(self, argv: Sequence[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        """Run a command inside and wait for it."""
        command = verb("exec", "--name", self.state.name, "--", *argv)
        return subprocess.run(command, **{"text": True, "capture_output": True, "timeout": COMMAND_S, **options})

    def connections(self) -> list[Connection]:
        """All that the targets have seen so far."""
        lines = self.state.log_file.read_text().splitlines()
        return [_connection(json.loads(line)) for line in lines]

    def fetch(self, exit_: str, host: str, port: int, send: bytes = b"", host_seen: str = "") -> bytes:
        """What a destination answers to a stream through one exit (its nickname)."""
        answer = self.through(exit_, host, port, send)
        assert not answer.startswith(b"refused "), answer
        return answer

    def through(self, exit_: str, host: str, port: int, send: bytes = b"") -> bytes:
        """As `fetch`, or `refused REASON` when the stream does not come to pass."""
        script = Path(__file__).with_name("one_stream.py")
        middle, fingerprint = self.state.relay("mid1").fingerprint, self.state.relay(exit_).fingerprint
        argv = [sys.executable, str(script), str(self.state.control_socket), str(self.state.cookie_file)]
        done = self.exec(
            [*argv, self.state.socks_host, str(self.state.socks_port), middle, fingerprint, host, str(port)],
            input=send,
            text=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return bytes(done.stdout)


def _connection(line: Mapping[str, Any]) -> Connection:
    own, peer = (str(line["own"][0]), int(line["own"][1])), (str(line["peer"][0]), int(line["peer"][1]))
    return Connection(line["t"], line["service"], own, peer, line.get("name", ""))


@pytest.fixture(scope="session", autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands under test neither read this user's settings nor write to this user's results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield


def lab_or_skip(
    name: str,
    exits: int | None,
    hosts: tuple[tuple[str, str], ...] = (),
    profile: str = network.PROFILE_DEFAULT,
    seed: int | None = None,
    voting: Voting | None = None,
) -> None:
    """Start a lab; skip the test where this machine can't have one."""
    try:
        start.up(name, exits, hosts, profile=profile, seed=seed, voting=voting)
    except OperatorError as error:
        if "make namespaces" in error.message or "needs the program" in error.message:
            pytest.skip(str(error))
        raise


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab of 8 exits for the session. Its client waits for who is silent as short a time as tor allows: 10 s."""
    name = f"test-{os.getpid()}"
    lab_or_skip(name, 8, (("www.example.org", "web"),))
    try:
        found = Lab(load(name))
        # after the other time it would close circuits that have failed once, whatever a test is about to do with one
        SecondController(found.state).ask("SETCONF CircuitStreamTimeout=10 NewCircuitPeriod=86400")
        yield found
    finally:
        start.down(name)


@pytest.fixture(scope="session")
def audited() -> Iterator[LabState]:
    """A lab of 18 exits for whole audits: 14 plain ones, who injects, a man in the middle, two odd ones."""
    name = f"audited-{os.getpid()}"
    lab_or_skip(name, None, profile=str(Path(__file__).with_name("audited.toml")))
    try:
        yield load(name)
    finally:
        start.down(name)


@pytest.fixture(scope="module")
def living_lab() -> Iterator["LivingLab"]:
    """A lab of 8 exits whose authorities vote each 10 s, for one module, whose tests may change it."""
    from .living import LivingLab  # it needs us

    name = f"living-{os.getpid()}"
    lab_or_skip(name, 8, voting=Voting(10))
    try:
        yield LivingLab(name)
    finally:
        start.down(name)


@pytest.fixture
def own_address() -> Iterator[str]:
    """An address of the target network that no other test uses."""
    _taken.append(len(_taken))
    yield f"192.0.2.{100 + len(_taken)}"


_taken: list[int] = []


def is_alive(pid: int) -> bool:
    """Whether a process of that pid exists, zombies not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for_end(pid: int, timeout_s: float = 10.0) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], timeout_s)[0], f"{pid} does not end"
    finally:
        os.close(descriptor)


def processes_of(directory: Path) -> list[int]:
    """The processes whose command line mentions a lab's state directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and is_alive(int(entry.name)):
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"{directory}/".encode() in words:
                found.append(int(entry.name))
    return found


def free_name() -> str:
    """The name of a lab that nobody has."""
    with socket.socket(socket.AF_INET) as one:
        one.bind(("127.0.0.1", 0))
        return f"t{os.getpid()}-{one.getsockname()[1]}"
