"""A client tor that attaches its own streams, for the loop of SETCONF ExitNodes and torsocks.

The lab's client leaves its streams to a controller, so that loop can't use it. This one starts from the lab client's
torrc and directory, without the lines that pin; it lives inside the lab and as long as the `with` block.
"""

import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from place import WEB, Place

from exitpin.orchestrator.lab.state import RelayState
from exitpin.wrappers.tor import authenticate

PINNING = {"__LeaveStreamsUnattached", "__DisablePredictedCircuits"}
OWN = {"DataDirectory", "ControlSocket", "SocksPort", "Log"}
START_S = 30.0


class OwnClient:
    """One more tor of the lab."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._directory = place.directory / "client"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "OwnClient":
        torrc = Path(self._place.lab.cookie_file).with_name("torrc")
        not_copied = shutil.ignore_patterns("lock", "*.log", "control*", "state")
        shutil.copytree(torrc.parent, self._directory, ignore=not_copied)
        own = (
            f"DataDirectory {self._directory}\nControlSocket {self._directory}/control\nSocksPort 127.0.0.1:auto\n"
            f"Log notice file {self._directory}/notice.log\n"
        )
        kept = [line for line in torrc.read_text().splitlines(keepends=True) if line.split()[0] not in PINNING | OWN]
        (self._directory / "torrc").write_text(own + "".join(kept))
        self._directory.chmod(0o700)
        command = ["tor", "--quiet", "-f", str(self._directory / "torrc"), "--defaults-torrc", "/dev/null"]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + START_S
        while not (self._directory / "control").exists():
            self._wait(deadline)
        self._control = authenticate(self._directory / "control")
        while "=1" not in self._ask("GETINFO status/circuit-established"):
            self._wait(deadline)
        self._port = int(self._ask("GETINFO net/listeners/socks").split('"')[1].rpartition(":")[2])
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def rate(self, exits: Iterable[RelayState]) -> float:
        """Runs a second, one after the other, each through the next of `exits`."""
        wanted, began = list(exits), time.monotonic()
        environment = self._place.torsocks_environment(self._port)
        for relay in wanted:
            self._ask(f"SETCONF ExitNodes=${relay.fingerprint} StrictNodes=1")
            command = ["/usr/bin/torsocks", "curl", "-sS", WEB]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            if (seen := done.stdout.strip()) != relay.address:
                raise RuntimeError(f"{seen} was seen where {relay.address} was asked for")
        return len(wanted) / (time.monotonic() - began)

    def _ask(self, command: str) -> str:
        self._control.sendall(command.encode() + b"\r\n")
        reply = b""
        while not any(line.startswith(b"250 ") for line in reply.splitlines()) or not reply.endswith(b"\r\n"):
            part = self._control.recv(65536)
            reply += part
            if not part or reply.startswith(b"5"):
                raise RuntimeError(f"{command}: {reply!r}")
        return reply.decode()

    def _wait(self, deadline: float) -> None:
        if time.monotonic() > deadline or (self._process is not None and self._process.poll() is not None):
            raise RuntimeError(f"the client did not come up: {self._directory}/notice.log")
        time.sleep(0.05)
