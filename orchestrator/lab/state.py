"""What is known of a running lab: where its state lives, how it is written, read, and seen to be stale.

Read by whoever runs inside a lab; written by the lab's supervisor once it is ready. Seen from inside, the supervisor is
pid 1 and the same file is found through EXITPIN_LAB_DIR.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...wrappers.runtime import private_directory as private_directory
from ...wrappers.runtime import runtime_directory
from ..errors import EXIT_USAGE, OperatorError
from .voting import Voting

ENV_NAME = "EXITPIN_LAB"
ENV_DIR = "EXITPIN_LAB_DIR"
DEFAULT_NAME = "default"
STATE_FILE = "state.json"
RESIDENTS_FILE = "relays.jsonl"
CHANGE_SOCKET = "change"
SOCKET_PATH_MAX = 99

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z")


@dataclass(frozen=True, slots=True)
class RelayState:
    """A relay of a running lab. `pid` is seen from inside the lab; 0 when the process is gone or was never started.
    `is_removed`: it was taken out of a lab that lives; `revision`: of its torrc, as its descriptor has to tell it.

    `behaviour`, `kind`, `expect` (statuses by tool id; a tool that is not there has to find nothing) and `repeat` (in
    how many probes) are the planted truth: for tables and for those who score an audit, never for a verdict.
    """

    nickname: str
    fingerprint: str
    role: str
    address: str
    address6: str
    policy: tuple[str, ...]
    behaviour: str
    kind: str
    expect: Mapping[str, tuple[str, ...]]
    pid: int
    repeat: int = 1
    is_removed: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class TargetState:
    """A target of a running lab."""

    name: str
    kind: str
    addresses: tuple[str, ...]
    ports: tuple[int, ...]
    note: str

    @property
    def address(self) -> str:
        """The address that one tries first."""
        return self.addresses[0]


@dataclass(frozen=True, slots=True)
class LabState:
    """A running lab, as its state file tells it. `supervisor_pid` is valid in the namespace of the reader; `client_pid`
    is 0 when the client tor has ended; `voting` is the pace of a lab that lives."""

    name: str
    directory: Path
    supervisor_pid: int
    supervisor_start: int
    pid_namespace: int
    started_at: float
    exits: int
    hosts: tuple[tuple[str, str], ...]
    profile: str
    seed: int | None
    digest: str
    tor_version: str
    control_socket: Path
    cookie_file: Path
    socks_host: str
    socks_port: int
    client_pid: int
    relays: tuple[RelayState, ...]
    targets: tuple[TargetState, ...]
    log_file: Path
    ca_file: Path
    start_s: float
    start_kind: str
    voting: Voting | None = None

    @property
    def residents_file(self) -> Path:
        """Who lived at which address, and when (`residents.py`)."""
        return self.directory / RESIDENTS_FILE

    @property
    def change_socket(self) -> Path:
        """Where a lab that lives takes changes (`wrappers/lab_ask.py`)."""
        return self.directory / CHANGE_SOCKET

    def relay(self, nickname: str) -> RelayState:
        """The relay of that nickname; KeyError if there is none."""
        return {relay.nickname: relay for relay in self.relays}[nickname]

    def target(self, kind: str) -> TargetState:
        """The first target of that kind; KeyError if there is none."""
        return {target.kind: target for target in reversed(self.targets)}[kind]

    def environment(self) -> dict[str, str]:
        """What a process inside the lab has in its environment on top of its own."""
        return {ENV_NAME: self.name, ENV_DIR: str(self.directory.parent)}


def load(name: str = DEFAULT_NAME) -> LabState:
    """The running lab of that name; OperatorError if it isn't running."""
    found = find(name)
    if found is None:
        option = "" if name == DEFAULT_NAME else f" --name {name}"
        raise OperatorError(
            f"The lab{'' if name == DEFAULT_NAME else ' ' + name} is not running.",
            f"Start it with `exitpin lab up{option}`.",
        )
    return found


def find(name: str) -> LabState | None:
    """The running lab of that name, or None; a state whose supervisor is gone counts as none."""
    check_name(name)
    try:
        state = decode(json.loads((base_directory() / name / STATE_FILE).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise OperatorError(
            f"The state of lab {name} can't be read: {error}.", f"Remove {base_directory() / name}."
        ) from error
    if _own_pid_namespace() == state.pid_namespace:
        return replace(state, supervisor_pid=1)
    return state if process_start(state.supervisor_pid) == state.supervisor_start else None


def running() -> list[LabState]:
    """The running labs of this user, by name; OperatorError as `find`."""
    try:
        names = sorted(path.name for path in base_directory().iterdir() if _NAME.match(path.name) and path.is_dir())
    except OSError:
        return []
    return [found for found in map(find, names) if found is not None]


def base_directory() -> Path:
    """Where all labs of this user keep their state: private to the user, and short enough for Unix sockets."""
    given = os.environ.get(ENV_DIR)
    if given:
        return Path(given)
    return runtime_directory() / "lab"


def check_name(name: str) -> None:
    """OperatorError for a name that can't be a lab's."""
    if not _NAME.match(name):
        raise OperatorError(
            f"{name!r} can't be the name of a lab.", "Use up to 32 letters, digits, dashes and underscores.", EXIT_USAGE
        )


def save(state: LabState) -> None:
    """Write the state file in one step."""
    path = state.directory / STATE_FILE
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(encode(state), indent=1) + "\n")
    draft.rename(path)


def encode(state: LabState) -> dict[str, Any]:
    """The state as JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(state), default=str))
    return plain


def decode(plain: dict[str, Any]) -> LabState:
    """The reverse of `encode`; KeyError or TypeError when it is not such a value."""
    values = dict(plain)
    for field in ("directory", "control_socket", "cookie_file", "log_file", "ca_file"):
        values[field] = Path(values[field])
    values["hosts"] = tuple((name, kind) for name, kind in values["hosts"])
    values["relays"] = tuple(
        RelayState(
            **{
                **relay,
                "policy": tuple(relay["policy"]),
                "expect": {tool: tuple(statuses) for tool, statuses in relay["expect"].items()},
            }
        )
        for relay in values["relays"]
    )
    values["targets"] = tuple(
        TargetState(**{**target, "addresses": tuple(target["addresses"]), "ports": tuple(target["ports"])})
        for target in values["targets"]
    )
    values["voting"] = Voting(**values["voting"]) if values.get("voting") else None
    return LabState(**values)


def process_start(pid: int) -> int | None:
    """When the process started, in clock ticks since boot (proc(5), stat field 22); None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _own_pid_namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino
