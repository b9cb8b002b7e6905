"""How a lab's network comes up: targets first, then tors from the cache's keys and directory, then the probe.

Runs inside the namespaces, for the supervisor. The first start of a shape *founds* it: authorities run until the
client knows all relays, and what they agreed on is stored. Every start ends with the client on that frozen
directory, authorities off; but of a lab that lives: there authorities and client are left as they are founded.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..orchestrator.errors import OperatorError
from ..orchestrator.lab import state as lab_state
from ..orchestrator.lab.network import Network, Relay
from ..orchestrator.lab.residents import line_of
from ..orchestrator.lab.voting import Voting
from . import lab_keys, lab_mitm, lab_probe, lab_tors, lab_world
from .lab_certificates import TRUSTED_FILE
from .lab_plant import Child, Plant, lines_of

CLIENT = "client"
TARGETS = "targets"
MIDDLEMEN = "mitm"
READY_S = 30.0


@dataclass
class Boot:
    """One start of a lab, from the spec to the probe."""

    spec: dict[str, Any]
    network: Network
    plant: Plant
    cache: Path
    say: Callable[..., None]

    @property
    def directory(self) -> Path:
        return Path(self.spec["directory"])

    @property
    def tor_root(self) -> Path:
        return self.directory / "tor"

    @property
    def voting(self) -> Voting | None:
        """The pace of a lab that lives."""
        return Voting(**self.spec["voting"]) if self.spec["voting"] else None

    @property
    def control_socket(self) -> Path:
        return self.directory / "control"

    def start_targets(self) -> None:
        """The small internet first: exits ask its name server as soon as they live."""
        if not self._is_ready(TARGETS, "exitpin.wrappers.lab_targets"):
            raise OperatorError(
                f"The lab's targets did not start: {self.plant.last_words(TARGETS)}.",
                "Are asyncssh and dnspython there? `pip install exitpin[lab]`.",
            )
        lab_world.trust(self.directory, (self.directory / TRUSTED_FILE).read_bytes())

    def start_middlemen(self) -> None:
        """Whoever sits behind exits that meddle, if there are such exits; before the exits, which ask name servers."""
        if lab_mitm.is_needed(self.network) and not self._is_ready(MIDDLEMEN, "exitpin.wrappers.lab_mitm"):
            raise OperatorError(f"The lab's men in the middle did not start: {self.plant.last_words(MIDDLEMEN)}")

    def _is_ready(self, name: str, module: str) -> bool:
        child = self.plant.start(name, [sys.executable, "-m", module, self.spec["path"]], os.environ, subprocess.PIPE)
        return any(line == b"ready" for line in lines_of(child, time.monotonic() + READY_S))

    def start_relays(
        self,
        relays: Sequence[Relay],
        who: lab_tors.Identities,
        environment: Mapping[str, str],
        *,
        declares: bool = False,
    ) -> None:
        """Start these; `declares`: with the policies that the directory is to know."""
        for relay in relays:
            self.write_torrc(relay, who, declares=declares)
            self.start_tor(relay.nickname, environment)

    def write_torrc(self, relay: Relay, who: lab_tors.Identities, *, declares: bool, revision: int = 0) -> None:
        """What this relay is to be; see `lab_tors.relay`."""
        data_dir = self.tor_root / relay.nickname
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data_dir / "resolv.conf").write_text(lab_tors.resolv_conf(relay))
        torrc = lab_tors.relay(
            relay, self.network, who, data_dir, declares=declares, voting=self.voting, revision=revision
        )
        (data_dir / "torrc").write_text(torrc)

    def start_client(self, who: lab_tors.Identities, *, frozen: bool) -> None:
        data_dir = self.tor_root / CLIENT
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        voting = self.voting or lab_tors.FOUNDING
        torrc = lab_tors.client(self.network, who, data_dir, self.control_socket, frozen=frozen, voting=voting)
        (data_dir / "torrc").write_text(torrc)
        self.start_tor(CLIENT, {})

    def start_tor(self, name: str, environment: Mapping[str, str]) -> None:
        """Start the tor whose torrc is there."""
        path = self.tor_root / name / "torrc"
        own = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory), **environment}
        self.plant.start(name, [self.spec["tor"], "--quiet", "-f", str(path), "--defaults-torrc", "/dev/null"], own)

    def probe(self, who: lab_tors.Identities, timeout_s: float, phase: str) -> tuple[str, int]:
        """Wait until every exit has carried a stream; returns where the client listens for SOCKS."""
        exits = [
            {
                "nickname": one.nickname,
                "fingerprint": who.fingerprints[one.nickname],
                "address": one.address,
                "has_dns": one.has_dns,
            }
            for one in self.network.exits
        ]
        path = self.directory / "probe.json"
        wanted = {
            "timeout_s": timeout_s,
            "control_socket": str(self.control_socket),
            "cookie_file": str(self.tor_root / CLIENT / "control_auth_cookie"),
            "middles": [who.fingerprints[relay.nickname] for relay in self.network.middles],
            "relays": [relay.nickname for relay in self.network.relays],
            "voted": [relay.nickname for relay in self.network.exits if relay.is_voted_exit],
            "exits": lab_probe.specification(exits),
        }
        path.write_text(json.dumps(wanted))
        child = self.plant.start(
            "probe", [sys.executable, "-m", "exitpin.wrappers.lab_probe", str(path)], os.environ, subprocess.PIPE
        )
        del self.plant.pids["probe"]  # when it ends, nothing is missing
        return self._follow(child, timeout_s, phase)

    def _follow(self, child: Child, timeout_s: float, phase: str) -> tuple[str, int]:
        socks, done = ("", 0), 0
        for line in lines_of(child, time.monotonic() + timeout_s + 10):
            if line is None:
                dead = self.plant.first_dead()
                if dead is not None:
                    raise OperatorError(f"The lab's process {dead} has ended: {self.plant.last_words(dead)}.")
                continue
            fact = json.loads(line)
            if "error" in fact:
                raise OperatorError(
                    fact["error"], f"The logs are in {self.directory}.failed; try `--exits` with a smaller number."
                )
            if "socks" in fact:
                socks = (fact["socks"][0], fact["socks"][1])
            done += "exit" in fact
            self.say(phase=phase, done=done, of=len(self.network.exits))
        if child.wait() != 0:
            raise OperatorError(f"The lab's probe failed: {self.plant.last_words('probe')}.")
        return socks


def boot(one: Boot) -> tuple[lab_tors.Identities, tuple[str, int], str]:
    """Bring the network up: frozen if the cache allows it, else found it first; or living."""
    one.start_targets()
    one.start_middlemen()
    name = lab_keys.shape(one.network, one.spec["tor_version"])
    shelf = one.cache / name
    environment = lab_keys.link_key_environment(one.cache)
    if one.voting is not None:
        return _live(one, environment)
    one.say(phase="waiting for another lab of this shape", done=0, of=1)
    kind = "warm"
    with lab_keys.locked(one.cache, name):
        one.tor_root.mkdir(mode=0o700)
        (one.tor_root / CLIENT).mkdir(mode=0o700)
        if not lab_keys.is_fresh(shelf, time.time()):
            kind = "cold"
            _found(one, shelf, environment)
        who = lab_keys.thaw(shelf, one.network, one.tor_root, one.tor_root / CLIENT, relays=kind == "warm")
    one.start_client(who, frozen=True)
    if kind == "warm":
        one.start_relays([*one.network.middles, *one.network.exits], who, environment)
    return who, one.probe(who, 60 + 2 * len(one.network.exits), "exits ready"), kind


def _found(one: Boot, shelf: Path, environment: Mapping[str, str]) -> None:
    """Boot with authorities once, store what they agreed on, and take authorities and client down again."""
    who, _ = _vote(one, environment)
    for name in (CLIENT, *(relay.nickname for relay in one.network.authorities)):
        one.plant.stop(name)
    lab_keys.sweep(one.cache, time.time())
    lab_keys.freeze(shelf, one.network, who, one.tor_root, one.tor_root / CLIENT)
    liars = [relay for relay in one.network.exits if relay.conduct.enforce]
    for relay in liars:  # what they declared is known; from now on they do as they will
        one.plant.stop(relay.nickname)
    one.start_relays(liars, who, environment)
    shutil.rmtree(one.tor_root / CLIENT)
    (one.tor_root / CLIENT).mkdir(mode=0o700)
    one.control_socket.unlink(missing_ok=True)


def _live(one: Boot, environment: Mapping[str, str]) -> tuple[lab_tors.Identities, tuple[str, int], str]:
    """Boot with authorities that stay. The client will have the same port for SOCKS when it is started again."""
    one.tor_root.mkdir(mode=0o700)
    who, socks = _vote(one, environment)
    torrc = one.tor_root / CLIENT / "torrc"
    torrc.write_text(torrc.read_text().replace("SocksPort 127.0.0.1:auto", f"SocksPort {socks[0]}:{socks[1]}", 1))
    return who, socks, "cold"


def _vote(one: Boot, environment: Mapping[str, str]) -> tuple[lab_tors.Identities, tuple[str, int]]:
    """Make keys and start everybody; returns who they are, and where the client listens, when all are known to it."""
    one.say(phase="making keys", done=0, of=1)
    keys = one.directory / "founding"
    who = lab_keys.found(one.network, keys)
    for relay in one.network.relays:
        (one.tor_root / relay.nickname).mkdir(mode=0o700)
        (keys / relay.nickname).rename(one.tor_root / relay.nickname / "keys")
    one.say(phase="waiting for a consensus", done=0, of=1)
    one.start_relays(one.network.authorities, who, environment)
    one.start_client(who, frozen=False)
    one.start_relays([*one.network.middles, *one.network.exits], who, environment, declares=True)
    return who, one.probe(who, 120 + 2 * len(one.network.exits), "exits known")


def describe(
    one: Boot, who: lab_tors.Identities, socks: tuple[str, int], kind: str, place: tuple[int, int]
) -> lab_state.LabState:
    """The state of a lab that is ready; `place` is the supervisor's pid and start time as seen from outside."""
    relays = tuple(
        relay_state(relay, who.fingerprints[relay.nickname], one.plant.pids.get(relay.nickname, 0))
        for relay in one.network.relays
    )
    targets = tuple(
        lab_state.TargetState(target.name, target.kind, target.addresses, target.ports, target.note)
        for target in one.network.targets
    )
    return lab_state.LabState(
        name=one.spec["name"],
        directory=one.directory,
        supervisor_pid=place[0],
        supervisor_start=place[1],
        pid_namespace=os.stat("/proc/self/ns/pid").st_ino,
        started_at=time.time(),
        exits=one.spec["exits"],
        hosts=tuple((name, target) for name, target in one.spec["hosts"]),
        profile=one.spec["profile"],
        seed=one.spec["seed"],
        digest=one.spec["digest"],
        tor_version=one.spec["tor_version"],
        control_socket=one.control_socket,
        cookie_file=one.tor_root / CLIENT / "control_auth_cookie",
        socks_host=socks[0],
        socks_port=socks[1],
        client_pid=one.plant.pids[CLIENT],
        relays=relays,
        targets=targets,
        log_file=Path(one.spec["log_file"]),
        ca_file=one.directory / "ca.pem",
        start_s=round(time.time() - one.spec["asked_at"], 2),
        start_kind=kind,
        voting=one.voting,
    )


def relay_state(
    relay: Relay, fingerprint: str, pid: int, is_removed: bool = False, revision: int = 0
) -> lab_state.RelayState:
    """What the state file tells of a relay."""
    return lab_state.RelayState(
        relay.nickname, fingerprint, relay.role.value, relay.address, relay.address6, relay.policy, relay.behaviour,
        relay.conduct.kind.value, relay.conduct.expect, pid, relay.conduct.repeat, is_removed, revision,
    )  # fmt: skip


def note_residents(state: lab_state.LabState) -> None:
    """Begin the book of who lived at which address."""
    with open(state.residents_file, "w") as book:
        for one in (one for one in state.relays if one.pid):
            where = (one.address, one.address6)
            book.write(line_of(state.started_at, "boot", True, one.nickname, one.fingerprint, where, one.policy))
