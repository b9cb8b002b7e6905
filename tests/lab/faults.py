"""What a test breaks in a lab while an audit is at work in it, and the audit itself."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from exitpin.orchestrator.lab.state import LabState

from .conftest import eventually
from .running import EXITPIN, Audited, Log, audit_command, tree_of, verb_of_lab

CHAIN = "table ip faults {{\nchain out {{\ntype filter hook output priority 0;\n{rules}}}\n}}\n"
WAYS = {"silent": "drop", "refused": "reject with tcp reset"}


@contextmanager
def unreachable(lab: LabState, *nicknames: str, way: str = "silent") -> Iterator[None]:
    """Within it nobody can reach these relays: packets are dropped, or connections refused and reset."""
    rules = "".join(f"ip daddr {lab.relay(name).address} meta l4proto tcp {WAYS[way]}\n" for name in nicknames)
    _inside(lab, "nft", "-f", "-", given=CHAIN.format(rules=rules))
    try:
        yield
    finally:
        _inside(lab, "nft", "delete table ip faults")


@contextmanager
def stopped(lab: LabState, *nicknames: str) -> Iterator[None]:
    """Within it these relays do nothing, and keep their connections."""
    pids = [str(lab.relay(name).pid) for name in nicknames]
    _inside(lab, "kill", "-STOP", *pids)
    try:
        yield
    finally:
        _inside(lab, "kill", "-CONT", *pids)


def kill(lab: LabState, nickname: str) -> None:
    """End a relay for good."""
    _inside(lab, "kill", "-KILL", str(lab.relay(nickname).pid))


def middles(lab: LabState) -> list[str]:
    """The relays that circuits begin with."""
    return [relay.nickname for relay in lab.relays if relay.role == "middle"]


def _inside(lab: LabState, *words: str, given: str = "") -> None:
    subprocess.run(
        verb_of_lab(lab, "exec", "--", *words), check=True, capture_output=True, timeout=60, input=given, text=True
    )


class Auditing:
    """An audit under way; its stderr is read as it comes."""

    def __init__(
        self,
        lab: LabState,
        directory: Path,
        *words: str,
        environment: dict[str, str] | None = None,
        by: Sequence[str] = EXITPIN,
    ) -> None:
        """`by`: what is run instead of exitpin."""
        self.store = directory / "store.sqlite"
        self._log = Log.of(lab)
        self._said: list[str] = []
        argv = [*by, *audit_command(lab, "--store", str(self.store), *words)[len(EXITPIN) :]]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> "Auditing":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def wait_for_runs(self, count: int) -> None:
        """Returns when a target has heard of so many runs."""

        def begun() -> None:
            assert len(self._log.peers("http")) >= count, self._said

        eventually(begun, 60)

    def wait_for(self, words: str, timeout_s: float = 90.0) -> str:
        """The first sentence with these words."""

        def said() -> str:
            found = [line for line in list(self._said) if words in line]
            assert found, self._said
            return found[0]

        return eventually(said, timeout_s)

    def signal(self, signo: signal.Signals) -> None:
        """To all of its processes but those in the lab's own tree."""
        for pid in tree_of(self._process.pid):
            os.kill(pid, signo)

    def end(self, timeout_s: float = 200.0) -> Audited:
        """What came of it."""
        status = self._process.wait(timeout_s)
        self._reader.join()
        return Audited(status, "", "".join(self._said), self.store)

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line)
        self._process.stderr.close()
