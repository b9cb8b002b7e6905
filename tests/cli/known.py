"""What there is to complete: a lab that runs, as far as its state tells, a consensus, and tools in ./tools.d."""

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exitpin.orchestrator.lab.state import STATE_FILE, process_start

RELAY = """\
r {nickname} {identity} {digest} 2026-05-01 12:00:00 {address} 9001 0
a [2001:db8::1]:9001
s {flags}
v Tor 0.4.8.10
w Bandwidth=2000
p accept 1-65535
"""


def running_lab(folder: Path, name: str, exits: Sequence[str]) -> dict[str, str]:
    """The environment in which there is such a lab: this process stands for its supervisor."""
    relay = {
        "address6": "", "policy": [], "behaviour": "", "kind": "good", "expect": {}, "pid": 0, "repeat": 1,
    }  # fmt: skip
    relays = [
        {**relay, "nickname": name, "fingerprint": f"AB{at:02}{'0' * 36}", "role": role, "address": f"203.0.113.{at}"}
        for at, (name, role) in enumerate([*((one, "exit") for one in exits), ("middle", "middle")], 1)
    ]
    state: dict[str, Any] = {
        "name": name, "supervisor_pid": os.getpid(), "supervisor_start": process_start(os.getpid()),
        "pid_namespace": 0, "started_at": 0.0, "exits": len(exits), "hosts": [], "profile": "plain", "seed": None,
        "digest": "", "tor_version": "", "socks_host": "", "socks_port": 1, "client_pid": 1, "relays": relays,
        "targets": [], "start_s": 1.0, "start_kind": "",
        **dict.fromkeys(("directory", "control_socket", "cookie_file", "log_file", "ca_file"), str(folder)),
    }  # fmt: skip
    (folder / name).mkdir(parents=True)
    (folder / name / STATE_FILE).write_text(json.dumps(state))
    return {"EXITPIN_LAB_DIR": str(folder)}


def kept_consensus(folder: Path, relays: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    """The environment in which exitpin's own tor has kept a consensus of (nickname, fingerprint, flags)."""
    kept = folder / "exitpin" / "tor"
    kept.mkdir(parents=True)
    lines = [
        RELAY.format(
            nickname=nickname, identity=_base64(bytes.fromhex(fingerprint)), digest=_base64(bytes(20)),
            address="192.0.2.1", flags=flags,
        )
        for nickname, fingerprint, flags in relays
    ]  # fmt: skip
    text = f"network-status-version 3\nvote-status consensus\n{''.join(lines)}directory-footer\n"
    (kept / "cached-consensus").write_text(text)
    return {"XDG_CACHE_HOME": str(folder)}


def own_tools(folder: Path, names: Sequence[str], summary: str = "", tags: str = "[]") -> None:
    """Tools in ./tools.d of a folder."""
    (folder / "tools.d").mkdir(exist_ok=True)
    for name in names:
        (folder / "tools.d" / f"{name}.toml").write_text(f'summary = "{summary}"\ntags = {tags}\n')


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")
