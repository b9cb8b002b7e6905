"""What `exitpin lab status` tells of a running lab: as JSON values, and as tables. Called by `lab.py`."""

import time

from ..lab.state import LabState, encode


def status_of(state: LabState) -> dict[str, object]:
    """The status as JSON values."""
    plain = encode(state)
    return {
        "name": state.name,
        "pid": state.supervisor_pid,
        "uptime": round(time.time() - state.started_at, 1),
        "started_in": state.start_s,
        "start": state.start_kind,
        "profile": state.profile,
        "seed": state.seed,
        "tor": state.tor_version,
        "control_socket": plain["control_socket"],
        "cookie_file": plain["cookie_file"],
        "socks": f"{state.socks_host}:{state.socks_port}",
        "ca_file": plain["ca_file"],
        "log": plain["log_file"],
        "relays": plain["relays"],
        "targets": [{**target, "address": target["addresses"][0]} for target in plain["targets"]],
    }


def print_status(state: LabState) -> None:
    """Tables for people."""
    minutes, seconds = divmod(int(time.time() - state.started_at), 60)
    print(f"lab {state.name}: up for {minutes} min {seconds} s, pid {state.supervisor_pid}, tor {state.tor_version}")
    seeded = "" if state.seed is None else f", shuffled by seed {state.seed}"
    print(f"profile    {state.profile}{seeded}")
    print(f"control    {state.control_socket}")
    print(f"socks      {state.socks_host}:{state.socks_port} (inside)")
    print(f"CA         {state.ca_file}")
    print(f"witness    {state.log_file}")
    print()
    width = max(len(relay.behaviour) for relay in state.relays)
    for relay in state.relays:
        dead = "" if relay.pid or relay.role == "authority" else "  (dead)"
        where = f"{relay.nickname:<8} {relay.role:<10} {relay.address:<15} {relay.fingerprint}"
        kind = relay.kind if relay.role == "exit" else ""
        print(f"{where}  {relay.behaviour:<{width}}  {kind}{dead}".rstrip())
    print()
    for target in state.targets:
        ports = _ranges(target.ports)
        print(f"{target.name:<17} {target.address:<15} {ports:<13} {target.note}")


def _ranges(ports: tuple[int, ...]) -> str:
    if len(ports) > 4:
        return f"{ports[0]}-{ports[-1]}"
    return ",".join(map(str, ports))
