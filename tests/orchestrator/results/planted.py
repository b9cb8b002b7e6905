"""Records in which our address, a secret, and whatever else is ours stands wherever it could."""

import copy
import hashlib
from typing import Any

from ..recorded import run_record, scan_record, verdict_record

ADDRESS = "198.51.100.77"
SECRET = "hunter2-hunter2"
NAME, HOME, HOST, PID = "my-vantage", "/home/alice", "alices-laptop", 4711
KEY = hashlib.sha256(SECRET.encode()).hexdigest()
HIDDEN = (NAME, HOME, HOST, KEY[:12], "/usr/bin")

VANTAGE = {"kind": "control", "name": f"{NAME} {HOME}/tor/control", "tor": "0.4.9", "address": ADDRESS}
EXIT = {
    "fingerprint": "E1" * 20, "nickname": "evil", "addresses": ["203.0.113.11"], "observed_address": None,
    "flags": ["Exit"], "family": [], "contact": "noc", "consensus": "2026-05-01 00:00:00",
}  # fmt: skip
TOOL: dict[str, Any] = {
    "id": "mail-check", "summary": "Is mail changed?", "digest": "d" * 64,
    "argv": ["curl", "-u", "me:(secret)", "-o", f"{HOME}/out", "--interface", ADDRESS],
    "binary": "/usr/bin/curl", "version": "8", "word": f"{HOME}/mail-check.toml",
    "params": {"host": "www.example.org", "password": "(secret)", "ca": f"{HOME}/ca.pem"},
}  # fmt: skip
DIRECT = {
    "vantage": "direct", "exit": None, "run_id": "s1-0007", "at": 900.0, "facts": {"seen": ADDRESS, "all": [ADDRESS]},
}  # fmt: skip
CONTROL = {"vantage": "exit", "exit": "AB" * 20, "run_id": "s1-0008", "at": 1.0, "facts": {"seen": "x"}}
PIECES = [
    {"name": "events", "sha256": "ab" * 32, "size_bytes": 10, "is_cut": False},
    {"name": "events", "file": f"{HOME}/events.ndjson.gz"},
    f"{HOME}/events.ndjson.gz",
]
REPRODUCE = (
    f"exitpin audit {HOME}/mail-check.toml -e {EXIT['fingerprint']} --lab --name {NAME} -p ca={HOME}/ca.pem"
    " -p host=www.example.org -p 'password=(secret)'"
)
SHARED = {"key": KEY, "vantage": VANTAGE, "exit": EXIT, "tool": TOOL, "evidence": PIECES, "reproduce": REPRODUCE}
STREAM = {
    "pid": PID, "source_address": "127.64.0.1", "source_port": 40001, "tag": "s1-0001.1.x", "status": "succeeded",
    "destination": "www.example.org:443", "is_lookup": False, "stream_id": 9,
}  # fmt: skip


def planted_run() -> dict[str, Any]:
    record = run_record(
        1, **SHARED, controls=[DIRECT], repetition=1, nonce="n", denied_count=1, facts_exact=True, streams=[STREAM],
        source_address="127.64.0.1", circuits=[{"id": 7, "path": ["AA" * 20, EXIT["fingerprint"]], "reason": None}],
        denied=[{"pid": PID, "reason": "unix", "what": f"{HOME}/.ssh/agent"}],
        processes=[{"pid": PID, "exe": "/usr/bin/curl", "hello": True}],
        containment={"level": "shim", "asked": "shim", "open": [], "host": HOST},
        process={"rc": 1, "stdout": f"from {ADDRESS}", "stderr": f"{HOST}: {HOME}: no such file", "stdout_bytes": 3},
        failure={"kind": "tool", "blame": "local", "retryable": False, "detail": f"{HOME}/x: not found on {HOST}"},
        unusable=f"{HOME}/x: not found", facts={"seen": "203.0.113.11"},
        verdict={"status": "tampered", "severity": "high", "reason": f"saw {ADDRESS}", "lied": 1, "argv": HOME},
    )  # fmt: skip
    return copy.deepcopy(record)


def planted_verdict() -> dict[str, Any]:
    attempt = {
        "run_id": "s1-0001", "role": "probe", "status": "tampered", "reason": f"saw {ADDRESS}", "t": 1.0, "pid": PID,
        "doubts": ["it came from 127.64.0.1:40001, the run's address is 127.64.0.2"],
    }  # fmt: skip
    record = verdict_record(
        1, **SHARED, verdict_id=f"s1-v{KEY[:12]}", controls=[DIRECT, CONTROL], status="tampered",
        severity="high", rule=1, when="seen is not x", reason="an address that no control saw", lied=2, of=3,
        undecided=[], layer=None, blame="exit", retryable=False, interrupted=False, failure=None, machine=HOST,
        runs=[attempt],
    )  # fmt: skip
    return copy.deepcopy(record)


def planted_scan() -> dict[str, Any]:
    params = {**TOOL["params"], "password": SECRET}
    tool = {**TOOL, "key": KEY, "given": ["password"], "secret": ["password"], "params": params}
    record = scan_record(
        "s1", vantage=VANTAGE, tools=[tool], host=HOST,
        settings={"control": f"{HOME}/tor/control", "destinations": [ADDRESS]},
        legs=[{"started": 1.0, "how": f"on {HOST}", "consensus": "x", "evidence": []}],
    )  # fmt: skip
    return copy.deepcopy(record)
