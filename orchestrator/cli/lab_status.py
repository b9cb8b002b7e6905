"""What `exitpin lab status` tells of a running lab: as JSON values, and as tables. Called by `lab.py`."""

import time
from dataclasses import asdict
from datetime import UTC, datetime

from ..lab.state import DEFAULT_NAME, LabState, encode
from ..lab.voting import Validity, validity_of

HEAD = 4096  # of a consensus: its times stand in its first lines


def name_option(name: str) -> str:
    """The words that name a lab to other commands."""
    return "" if name == DEFAULT_NAME else f" --name {name}"


def consensus_of(state: LabState) -> Validity | None:
    """The times of the consensus that the lab's client has."""
    try:
        with open(state.cookie_file.with_name("cached-consensus"), errors="replace") as text:
            return validity_of(text.read(HEAD))
    except OSError:
        return None


def has_ended(state: LabState) -> bool:
    """Whether the lab's client is gone for good; in a lab that lives it comes back."""
    return not state.client_pid and state.voting is None


def status_of(state: LabState) -> dict[str, object]:
    """The status as JSON values."""
    plain = encode(state)
    validity = consensus_of(state)
    return {
        "name": state.name,
        "pid": state.supervisor_pid,
        "uptime": round(time.time() - state.started_at, 1),
        "started_in": state.start_s,
        "start": state.start_kind,
        "profile": state.profile,
        "seed": state.seed,
        "voting": plain["voting"],
        "consensus": validity and asdict(validity),
        "client_pid": state.client_pid,
        "tor": state.tor_version,
        "control_socket": plain["control_socket"],
        "cookie_file": plain["cookie_file"],
        "socks": f"{state.socks_host}:{state.socks_port}",
        "ca_file": plain["ca_file"],
        "log": plain["log_file"],
        "residents": str(state.residents_file),
        "relays": plain["relays"],
        "targets": [{**target, "address": target["addresses"][0]} for target in plain["targets"]],
    }


def print_status(state: LabState) -> None:
    """Tables for people."""
    minutes, seconds = divmod(int(time.time() - state.started_at), 60)
    print(f"lab {state.name}: up for {minutes} min {seconds} s, pid {state.supervisor_pid}, tor {state.tor_version}")
    seeded = "" if state.seed is None else f", shuffled by seed {state.seed}"
    print(f"profile    {state.profile}{seeded}")
    print(f"network    {_pace(state)}")
    if has_ended(state):
        print(f"client     the client tor of lab {state.name} has ended, so nothing can be run in it:", end=" ")
        print(f"exitpin lab down{name_option(state.name)}; then start it anew")
    print(f"control    {state.control_socket}")
    print(f"socks      {state.socks_host}:{state.socks_port} (inside)")
    print(f"CA         {state.ca_file}")
    print(f"witness    {state.log_file}")
    print()
    width = max(len(relay.behaviour) for relay in state.relays)
    for relay in state.relays:
        is_off = relay.is_removed or (relay.role == "authority" and state.voting is None)
        dead = "  (removed)" if relay.is_removed else "" if relay.pid or is_off else "  (dead)"
        where = f"{relay.nickname:<8} {relay.role:<10} {relay.address:<15} {relay.fingerprint}"
        kind = relay.kind if relay.role == "exit" else ""
        print(f"{where}  {relay.behaviour:<{width}}  {kind}{dead}".rstrip())
    print()
    for target in state.targets:
        ports = _ranges(target.ports)
        print(f"{target.name:<17} {target.address:<15} {ports:<13} {target.note}")


def _pace(state: LabState) -> str:
    if state.voting is None:
        return "frozen: it does not change"
    validity = consensus_of(state)
    if validity is None:
        return f"lives: votes each {state.voting.interval_s} s"
    left_s = int(validity.valid_until - time.time())
    until = f"valid for {left_s} s more" if left_s >= 0 else f"not valid since {-left_s} s"
    after = datetime.fromtimestamp(validity.valid_after, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"lives: votes each {state.voting.interval_s} s; the client's consensus is of {after} UTC, {until}"


def _ranges(ports: tuple[int, ...]) -> str:
    if len(ports) > 4:
        return f"{ports[0]}-{ports[-1]}"
    return ",".join(map(str, ports))
