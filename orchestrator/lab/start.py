"""Starting and ending a lab, as the command line sees it: one lock per name, a supervisor in namespaces, a state file.

Nothing of the lab lives in this process: it starts the supervisor, follows its progress, and leaves.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from ...wrappers.daemon_socket import daemon_log, daemon_socket
from ..errors import OperatorError
from . import network
from .conduct import Conduct, digest, encode
from .state import SOCKET_PATH_MAX, LabState, base_directory, check_name, find, load, private_directory, process_start
from .voting import Voting

END_S = 5.0
NEEDED_MODULES = {"asyncssh": "asyncssh", "dns": "dnspython", "cryptography": "cryptography"}

Progress = Callable[[str, int, int], None]
Hosts = tuple[tuple[str, str], ...]
Child = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Shape:
    """What a lab is asked to be: its exits, how each conducts itself, and the names of its targets."""

    cast: tuple[Conduct, ...]
    hosts: Hosts
    profile: str
    seed: int | None
    voting: Voting | None = None

    @property
    def digest(self) -> str:
        """By which a running lab is known to be the one asked for."""
        pace = f"-{self.voting.interval_s}x{self.voting.valid}" if self.voting else ""
        return digest(self.cast, self.hosts) + pace


def up(
    name: str,
    exits: int | None = None,
    hosts: Hosts = (),
    *,
    profile: str = network.PROFILE_DEFAULT,
    seed: int | None = None,
    voting: Voting | None = None,
    stay: bool = False,
    progress: Progress = lambda *_: None,
) -> tuple[LabState, bool, Child | None]:
    """Start a lab, or find it running. `exits`: how many, None: as the profile says; `profile`: a name or a path;
    `seed` shuffles which exit has which behaviour; `voting`: the lab lives, at that pace.

    Returns its state, whether it was running before, and (with `stay`) the process whose end is the lab's. Raises
    OperatorError when it can't be started, or runs with another shape. An interrupt while it starts leaves nothing.
    """
    check_name(name)
    shape = replace(shape_of(exits, hosts, profile, seed), voting=voting)
    base = private_directory(base_directory())
    with _locked(base, name, progress):
        running = find(name)
        if running is not None:
            if running.digest != shape.digest:
                seeded = "" if running.seed is None else f", seed {running.seed}"
                raise OperatorError(
                    f"The lab {name} is running with another shape ({running.exits} exits, "
                    f"profile {running.profile}{seeded}, {pace_of(running)}).",
                    "End it with `exitpin lab down`, or give another --name.",
                )
            if not running.client_pid and running.voting is None:
                raise OperatorError(
                    f"The lab {name} is running, but its client tor has ended.", "End it with `exitpin lab down` first."
                )
            return running, True, None
        directory = base / name
        _remove(directory)
        _remove(failed_directory(directory))
        tor, version = _requirements()
        spec = _write_spec(directory, name, shape, tor, version, stay)
        supervisor = _start(spec, directory, progress)
        return load(name), False, supervisor if stay else None


def pace_of(lab: LabState) -> str:
    """Whether it lives, in words."""
    return "frozen" if lab.voting is None else f"voting each {lab.voting.interval_s} s"


def shape_of(exits: int | None, hosts: Hosts, profile: str, seed: int | None) -> Shape:
    """What is asked for, checked. OperatorError when it makes no lab."""
    from . import profile as profiles  # slow to import, for those who only look at a lab

    loaded = profiles.load(profile)
    cast = loaded.cast(exits, seed)
    network.build(len(cast), hosts, cast)
    return Shape(cast, hosts, profile, loaded.seed if seed is None else seed)


def down(name: str) -> bool:
    """End a lab and remove its state, and what a failed start has left; whether there was a lab. Returns when every
    process of it is gone.
    """
    check_name(name)
    directory = base_directory() / name
    if not directory.exists() and not failed_directory(directory).exists():
        return False
    with _locked(base_directory(), name, lambda *_: None):
        running = find(name)
        if running is not None:
            if running.supervisor_pid == 1:
                raise OperatorError("A lab can't be ended from inside.", "Leave it first.")
            _end(running.supervisor_pid, running.supervisor_start)
        _remove(directory)
        _remove(failed_directory(directory))
        for left in (daemon_socket("lab", name), daemon_log("lab", name)):
            left.unlink(missing_ok=True)
    return running is not None


@contextmanager
def _locked(base: Path, name: str, progress: Progress) -> Iterator[None]:
    """Hold the name's lock. Its file goes with the lab: with one that ended, and with one that never was."""
    path = base / f"{name}.lock"
    descriptor = _lock(path, progress)
    try:
        yield
    finally:
        if not (base / name).exists():
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path, progress: Progress) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"another command is starting or ending lab {path.stem}", 0, 1)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Whoever held it before us may have removed the file: then ours is a lock that nobody else sees.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def _requirements() -> tuple[str, str]:
    """The tor program and its version; OperatorError when something is missing."""
    missing = [package for module, package in NEEDED_MODULES.items() if find_spec(module) is None]
    if missing:
        raise OperatorError(f"The lab needs {' and '.join(missing)}.", "Install it: `pip install 'exitpin[lab]'`.")
    tor = shutil.which("tor", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if tor is None:
        raise OperatorError("The lab needs the program `tor`.", "Install it (Debian: `apt install tor`).")
    words = subprocess.run([tor, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout.split()
    return tor, words[2].rstrip(".")


def _write_spec(directory: Path, name: str, shape: Shape, tor: str, version: str, stay: bool) -> Path:
    import platformdirs

    private_directory(directory)
    if len(str(directory / "control")) > SOCKET_PATH_MAX:
        raise OperatorError(
            f"{directory} is too long a path for Unix sockets.", "Set XDG_RUNTIME_DIR to a shorter one."
        )
    (directory / "logs").mkdir(mode=0o700)
    spec = {
        "name": name,
        "directory": str(directory),
        "cache": str(platformdirs.user_cache_path("exitpin") / "lab"),
        "log_file": str(directory / "connections.jsonl"),
        "exits": len(shape.cast),
        "hosts": shape.hosts,
        "cast": [encode(one) for one in shape.cast],
        "added": [],
        "voting": shape.voting and asdict(shape.voting),
        "profile": shape.profile,
        "seed": shape.seed,
        "digest": shape.digest,
        "tor": tor,
        "tor_version": version,
        "stay": stay,
        "parent": os.getpid(),
        "asked_at": time.time(),
    }
    path = directory / "spec.json"
    path.write_text(json.dumps(spec))
    return path


def _start(spec: Path, directory: Path, progress: Progress) -> Child:
    command = [sys.executable, "-m", "exitpin.wrappers.lab_supervisor", str(spec)]
    with open(directory / "logs" / "supervisor.log", "ab") as log:
        supervisor = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    try:
        _follow(supervisor, directory, progress)
    except BaseException as error:
        _abandon(supervisor)
        if isinstance(error, OperatorError):
            _remove(failed_directory(directory))
            directory.rename(failed_directory(directory))
        else:
            _remove(directory)
        raise
    if not json.loads(spec.read_text())["stay"]:
        # What is left of it waits for pid 1 of the lab, which no longer depends on it.
        supervisor.kill()
        supervisor.wait()
    return supervisor


def failed_directory(directory: Path) -> Path:
    """Where what a failed start has left is kept until the next start, or until the lab is ended."""
    return directory.with_name(f"{directory.name}.failed")


def _follow(supervisor: Child, directory: Path, progress: Progress) -> None:
    """Read the supervisor's lines until it is ready; OperatorError when it fails."""
    assert supervisor.stdout is not None
    for line in supervisor.stdout:
        fact = json.loads(line)
        if "error" in fact:
            raise OperatorError(fact["error"], fact["hint"])
        if "ready" in fact:
            return
        progress(fact["phase"], fact["done"], fact["of"])
    words = (directory / "logs" / "supervisor.log").read_text(errors="replace").strip().splitlines()
    raise OperatorError(f"The lab's supervisor ended: {words[-1] if words else 'no message'}.")


def _abandon(supervisor: Child) -> None:
    """Kill a supervisor that is not ready: its init dies with it, and with that the lab. Then the pipe closes."""
    supervisor.kill()
    supervisor.wait()
    assert supervisor.stdout is not None
    deadline = time.monotonic() + END_S
    while time.monotonic() < deadline:
        if select.select([supervisor.stdout], [], [], 0.1)[0] and not os.read(supervisor.stdout.fileno(), 65536):
            return


def _end(pid: int, start: int) -> None:
    """TERM, then KILL, and wait: when pid 1 of a PID namespace is reported gone, so is all in it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if process_start(pid) != start:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
            if select.select([descriptor], [], [], END_S)[0]:
                return
        raise OperatorError(f"The lab's supervisor (pid {pid}) does not end.")
    finally:
        os.close(descriptor)


def _remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
