"""Where everything is measured: the lab's client tor, its relays and addresses, from inside; and CPU time there."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exitpin.orchestrator.lab.state import LabState, RelayState
from exitpin.wrappers.tor import authenticate

HERE = Path(__file__).resolve().parent
EXITS = 16
SPECIAL_EXITS = 4
WEB = "http://192.0.2.10/ip"
SINK = ("192.0.2.13", "9000")


@dataclass(frozen=True, slots=True)
class Place:
    """A running lab, and a directory for what the measurements leave behind."""

    lab: LabState
    directory: Path

    @property
    def exits(self) -> tuple[RelayState, ...]:
        """The plain exits: the last ones of a lab are slow or refuse something."""
        return tuple(relay for relay in self.lab.relays if relay.role == "exit" and relay.behaviour == "plain")[:EXITS]

    @property
    def middle(self) -> str:
        """The first hop of every circuit of ours: the same on all sides."""
        return self.middles[0]

    @property
    def middles(self) -> tuple[str, ...]:
        return tuple(relay.fingerprint for relay in self.lab.relays if relay.role == "middle")

    def control(self) -> socket.socket:
        """A new control connection to the lab's client."""
        return authenticate(self.lab.control_socket)

    def fresh(self, suffix: str) -> Path:
        """A file of its own."""
        descriptor, path = tempfile.mkstemp(suffix=suffix, dir=self.directory)
        os.close(descriptor)
        return Path(path)

    def program(self, name: str, *more: str) -> str:
        """A program of this folder, compiled once; `more`: flags for the compiler."""
        built = self.directory / "".join((name, *more))
        if not built.exists():
            compiler = os.environ.get("CC", "cc").split()
            flags = ["-std=gnu11", "-O2", "-Wall", *more, "-o", str(built)]
            subprocess.run([*compiler, *flags, str(HERE / "programs" / f"{name}.c")], check=True)
        return str(built)

    def proxychains(self) -> list[str]:
        """The words before a command that goes through the lab's tor by proxychains; none, where that is not here."""
        file = self.directory / "proxychains.conf"
        file.write_text(f"strict_chain\n[ProxyList]\nsocks5 127.0.0.1 {self.lab.socks_port}\n")
        found = shutil.which("proxychains4")
        return [found, "-q", "-f", str(file)] if found else []

    def torsocks_environment(self, port: int) -> dict[str, str]:
        """The environment in which torsocks talks to 127.0.0.1:`port`."""
        return {**os.environ, "TORSOCKS_TOR_PORT": str(port)}


def cpu_of_the_lab_s() -> float:
    """CPU time so far of everything inside: of what lives (schedstat of all threads) and of what we waited for."""
    waited = resource.getrusage(resource.RUSAGE_CHILDREN)
    total_s = waited.ru_utime + waited.ru_stime
    for path in Path("/proc").glob("[0-9]*/task/*/schedstat"):
        try:
            total_s += int(path.read_text().split()[0]) / 1e9
        except (OSError, ValueError, IndexError):
            continue
    return total_s


def run_ours(place: Place, *arguments: str, stdout: int = subprocess.DEVNULL, hop: str = "") -> dict[str, Any]:
    """`exitpin run --lab ARGUMENTS`, as ours.py sees it from inside. RuntimeError when a run failed."""
    output = place.fresh(".json")
    environment = {**os.environ, **place.lab.environment(), **({"EXITPIN_FIRST_HOPS": hop} if hop else {})}
    command = [sys.executable, str(HERE / "ours.py"), str(output), "--lab", "--name", place.lab.name, *arguments]
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=environment, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"exitpin run ended with {done.returncode}: {done.stderr.decode()}")
    summary: dict[str, Any] = json.loads(output.read_text())
    return summary
