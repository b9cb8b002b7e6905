"""The lab's supervisor: pid 1 of the lab's PID namespace, so that its end is the end of everything in the lab.

`python -m exitpin.wrappers.lab_supervisor SPEC` makes the namespaces, boots the network and tells its progress as JSON lines on
stdout: {"phase", "done", "of"}, and at last {"ready": true} or {"error", "hint"}. Until it is ready (and, with "stay" in the
spec, for good) it dies with the process that started it. After that it only reaps, and exits on SIGTERM or SIGINT.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from ..orchestrator.errors import OperatorError
from ..orchestrator.lab import state as lab_state
from ..orchestrator.lab.network import Network, Relay, build
from . import lab_keys, lab_probe, lab_tors, lab_world
from .namespaces import die_with_parent, outlive_parent, run_as_init, wait_status

CLIENT = "client"
TARGETS = "targets"


@dataclass
class Plant:
    """The lab's daemons by name, each with its pid."""

    directory: Path
    pids: dict[str, int] = field(default_factory=dict)
    children: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], stdout: int | None = None) -> "subprocess.Popen[bytes]":
        """Start a daemon; its complaints go to `logs/NAME.log`."""
        with open(self.directory / "logs" / f"{name}.log", "ab") as log:
            out = log.fileno() if stdout is None else stdout
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=log, env=dict(environment))
        self.children.append(child)
        self.pids[name] = child.pid
        return child

    def stop(self, name: str) -> None:
        """Kill a daemon and wait for its end."""
        pid = self.pids.pop(name)
        os.kill(pid, signal.SIGKILL)
        wait_status(pid)

    def first_dead(self) -> str | None:
        """The name of a daemon that has ended by itself, if there is one."""
        for name, pid in self.pids.items():
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return name
        return None

    def last_words(self, name: str) -> str:
        """What a dead daemon said last."""
        for path in (self.directory / "tor" / name / "notice.log", self.directory / "logs" / f"{name}.log"):
            if path.exists() and (lines := path.read_text(errors="replace").strip().splitlines()):
                return lines[-1]
        return "it left no message"


@dataclass
class Boot:
    """One start of a lab, from the spec to the probe."""

    spec: dict[str, Any]
    network: Network
    plant: Plant
    cache: Path

    @property
    def directory(self) -> Path:
        return Path(self.spec["directory"])

    @property
    def tor_root(self) -> Path:
        return self.directory / "tor"

    @property
    def control_socket(self) -> Path:
        return self.directory / "control"

    def start_targets(self) -> None:
        """The small internet first: exits ask its name server as soon as they live."""
        command = [sys.executable, "-m", "exitpin.wrappers.lab_targets", self.spec["path"]]
        child = self.plant.start(TARGETS, command, os.environ, subprocess.PIPE)
        for line in _lines(child, time.monotonic() + 30):
            if line == b"ready":
                return
        raise OperatorError(f"The lab's targets did not start: {self.plant.last_words(TARGETS)}.", "Are asyncssh and dnspython there? `pip install exitpin[lab]`.")

    def start_relays(self, relays: Sequence[Relay], who: lab_tors.Identities, environment: Mapping[str, str]) -> None:
        for relay in relays:
            data_dir = self.tor_root / relay.nickname
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            (data_dir / "resolv.conf").write_text(lab_tors.resolv_conf(relay))
            self.start_tor(relay.nickname, lab_tors.relay(relay, self.network, who, data_dir), environment)

    def start_client(self, who: lab_tors.Identities, *, frozen: bool) -> None:
        data_dir = self.tor_root / CLIENT
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.start_tor(CLIENT, lab_tors.client(self.network, who, data_dir, self.control_socket, frozen=frozen), {})

    def start_tor(self, name: str, torrc: str, environment: Mapping[str, str]) -> None:
        path = self.tor_root / name / "torrc"
        path.write_text(torrc)
        own = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.directory), **environment}
        self.plant.start(name, [self.spec["tor"], "--quiet", "-f", str(path), "--defaults-torrc", "/dev/null"], own)

    def probe(self, who: lab_tors.Identities, timeout_s: float, phase: str) -> tuple[str, int]:
        """Wait until every exit has carried a stream; returns where the client listens for SOCKS."""
        exits = [
            {"nickname": one.nickname, "fingerprint": who.fingerprints[one.nickname], "address": one.address, "has_dns": one.has_dns}
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
        child = self.plant.start("probe", [sys.executable, "-m", "exitpin.wrappers.lab_probe", str(path)], os.environ, subprocess.PIPE)
        del self.plant.pids["probe"]
        return self._follow(child, timeout_s, phase)

    def _follow(self, child: "subprocess.Popen[bytes]", timeout_s: float, phase: str) -> tuple[str, int]:
        socks, done = ("", 0), 0
        for line in _lines(child, time.monotonic() + timeout_s + 10):
            if line is None:
                dead = self.plant.first_dead()
                if dead is not None:
                    raise OperatorError(f"The lab's process {dead} has ended: {self.plant.last_words(dead)}.")
                continue
            fact = json.loads(line)
            if "error" in fact:
                raise OperatorError(fact["error"], f"The logs are in {self.directory}.failed; try `--exits` with a smaller number.")
            if "socks" in fact:
                socks = (fact["socks"][0], fact["socks"][1])
            done += "exit" in fact
            say(phase=phase, done=done, of=len(self.network.exits))
        if child.wait() != 0:
            raise OperatorError(f"The lab's probe failed: {self.plant.last_words('probe')}.")
        return socks


def _lines(child: "subprocess.Popen[bytes]", deadline: float) -> Iterator[bytes | None]:
    """The child's lines, with None every 0.2 s without one, to the end of its output or to the deadline."""
    assert child.stdout is not None
    descriptor, rest = child.stdout.fileno(), b""
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 0.2)[0]:
            yield None
            continue
        found = os.read(descriptor, 65536)
        if not found:
            return
        *lines, rest = (rest + found).split(b"\n")
        yield from lines
    child.kill()


def boot(one: Boot) -> tuple[lab_tors.Identities, tuple[str, int], str]:
    """Bring the network up: frozen if the cache allows it, else found it first."""
    one.start_targets()
    name = lab_keys.shape(one.network, one.spec["tor_version"])
    shelf = one.cache / name
    environment = lab_keys.link_key_environment(one.cache)
    say(phase="waiting for another lab of this shape", done=0, of=1)
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
    say(phase="making keys", done=0, of=1)
    keys = one.directory / "founding"
    who = lab_keys.found(one.network, keys)
    for relay in one.network.relays:
        (one.tor_root / relay.nickname).mkdir(mode=0o700)
        (keys / relay.nickname).rename(one.tor_root / relay.nickname / "keys")
    say(phase="waiting for a consensus", done=0, of=1)
    one.start_relays(one.network.authorities, who, environment)
    one.start_client(who, frozen=False)
    one.start_relays([*one.network.middles, *one.network.exits], who, environment)
    one.probe(who, 120 + 2 * len(one.network.exits), "exits known")
    for name in (CLIENT, *(relay.nickname for relay in one.network.authorities)):
        one.plant.stop(name)
    lab_keys.freeze(shelf, one.network, who, one.tor_root, one.tor_root / CLIENT)
    shutil.rmtree(one.tor_root / CLIENT)
    (one.tor_root / CLIENT).mkdir(mode=0o700)
    one.control_socket.unlink(missing_ok=True)


def describe(one: Boot, who: lab_tors.Identities, socks: tuple[str, int], kind: str, place: tuple[int, int]) -> lab_state.LabState:
    """The state of a lab that is ready; `place` is the supervisor's pid and start time as seen from outside."""
    relays = tuple(
        lab_state.RelayState(
            relay.nickname, who.fingerprints[relay.nickname], relay.role.value, relay.address, relay.address6,
            relay.policy, relay.behaviour.value, one.plant.pids.get(relay.nickname, 0),
        )
        for relay in one.network.relays
    )  # fmt: skip
    targets = tuple(
        lab_state.TargetState(target.name, target.kind, target.addresses, target.ports, target.note) for target in one.network.targets
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
    )


def say(**fact: Any) -> None:
    """One line for whoever started us."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def reap(state: lab_state.LabState) -> NoReturn:
    """Wait for children for good; a relay that has ended gets pid 0 in the state file."""
    while True:
        found = signal.sigwait({signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})
        if found != signal.SIGCHLD:
            os._exit(0)
        dead = set(_ended())
        if any(relay.pid in dead for relay in state.relays) or state.client_pid in dead:
            relays = tuple(replace(relay, pid=0 if relay.pid in dead else relay.pid) for relay in state.relays)
            state = replace(state, relays=relays, client_pid=0 if state.client_pid in dead else state.client_pid)
            lab_state.save(state)


def _ended() -> Iterator[int]:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid


def supervise(spec: dict[str, Any]) -> int:
    """The life of pid 1."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    outside = int(os.readlink("/proc/self"))  # the old /proc still tells our pid in the namespace outside
    start = lab_state.process_start(outside)
    assert start is not None
    try:
        directory = Path(spec["directory"])
        lab_world.furnish(directory, f"lab-{spec['name']}")
        network = build(spec["exits"], tuple((name, kind) for name, kind in spec["hosts"]))
        one = Boot(spec, network, Plant(directory), Path(spec["cache"]))
        who, socks, kind = boot(one)
        state = describe(one, who, socks, kind, (outside, start))
        lab_state.save(state)
    except OperatorError as error:
        say(error=error.message, hint=error.hint)
        return error.exit_status
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT})
    if not spec["stay"]:
        outlive_parent()
    say(ready=True)
    with open(os.devnull, "rb+", buffering=0) as nothing:
        os.dup2(nothing.fileno(), 1)
    os.kill(os.getpid(), signal.SIGCHLD)  # what ended while nobody looked
    reap(state)


def main() -> int:
    path = Path(sys.argv[1])
    spec = {**json.loads(path.read_text()), "path": str(path)}
    die_with_parent(spec["parent"])
    try:
        return run_as_init(lambda: supervise(spec))
    except OperatorError as error:
        say(error=error.message, hint=error.hint)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
