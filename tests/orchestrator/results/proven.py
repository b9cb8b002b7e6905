"""A finding with all that it rests on: two runs and a control with their events, as a scan leaves them."""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from exitpin.orchestrator.audit.keys import audit_key
from exitpin.orchestrator.results.exhibit import Blob, exhibit, pack
from exitpin.orchestrator.results.store import Store

from ..proof import evidence, records
from ..recorded import scan_record
from ..values import EXIT, OTHER_EXIT

OUTPUT = b"what the exit \x1b[31msaid\n" * 10
DESCRIPTOR = b"router evil 198.51.100.1 9001 0 0\n"
STREAMS = {"s-0001": ("STREAM 1 ", "CIRC 7 "), "s-0002": ("STREAM 2 ", "STREAM 5 ", "CIRC 8 ")}


def events_of(run_id: str) -> bytes:
    """The slice of the session's events that is this run's."""
    header, *entries = evidence()
    marks = STREAMS[run_id]
    own = [e for e in entries if e.get("run") == run_id or str(e.get("tor")).startswith(marks)]
    return "".join(json.dumps(entry) + "\n" for entry in [header, *own]).encode()


def key_of(fingerprint: str) -> str:
    """Of the one question, asked of an exit."""
    return hashlib.sha256(f"{audit_key('d1', {'host': 'www.example.org'})}\0{fingerprint}".encode()).hexdigest()


def finding(scan_id: str = "s1") -> tuple[list[dict[str, Any]], list[Blob]]:
    """Records, the verdict first, and the pieces that they name."""
    first, second = (
        {"schema": "exitpin.run/1", "scan_id": scan_id, "attempt": 1, "t": {"queue": 1.0, "end": 1000.0}, **record}
        for record in records()
    )
    said, declared = pack(OUTPUT), pack(DESCRIPTOR)
    blobs = [said, declared]
    for record in (first, second):
        blobs.append(pack(events_of(record["run_id"])))
        record["evidence"] = [exhibit("events", blobs[-1])]
    tool = {"id": "tls-cert", "digest": "d1", "params": {"host": "www.example.org"}}
    for record in (first, second):
        record["vantage"] = {"kind": "own"}
    first["evidence"].append(exhibit("stdout", said))
    seen = {"chain": ["true"]}
    held = {"vantage": "exit", "exit": OTHER_EXIT, "run_id": second["run_id"], "at": 1000.0, "facts": seen}
    first.update(
        key=key_of(EXIT), role="probe", tool=tool, facts={"chain": ["evil"]},
        verdict={"status": "tampered", "severity": "high", "reason": "a lie"}, status="tampered", controls=[held],
    )  # fmt: skip
    second.update(key=key_of(OTHER_EXIT), role="control", tool=tool, facts={"chain": ["true"], "page": 1}, verdict=None)
    verdict = {
        "schema": "exitpin.verdict/1", "verdict_id": f"{scan_id}-v000000000001", "scan_id": scan_id,
        "status": "suspect", "severity": "high", "reason": "a lie", "interrupted": False, "lied": 1, "of": 1,
        "blame": "exit", "key": first["key"],
        "started": 1000.0, "ended": 1010.0, "tool": tool, "exit": first["exit"], "vantage": {"kind": "own"},
        "runs": [{"run_id": first["run_id"], "role": "probe", "status": "tampered", "reason": "a lie", "t": 1000.0}],
        "controls": [
            dict(held),
            {"vantage": "direct", "exit": None, "run_id": None, "at": 1.0, "facts": seen},
        ],
        "evidence": [exhibit("descriptor", declared)], "failure": None,
    }  # fmt: skip
    return [verdict, first, second], blobs


def honest(scan_id: str = "s1") -> dict[str, Any]:
    """A verdict beside the finding, whose run was removed."""
    (verdict, *_), _ = finding(scan_id)
    return {
        **verdict, "verdict_id": f"{scan_id}-v000000000002", "key": key_of(OTHER_EXIT), "status": "ok", "lied": 0,
        "severity": None, "blame": None, "exit": {"fingerprint": OTHER_EXIT}, "evidence": [], "controls": [],
        "runs": [{"run_id": f"{scan_id}-0009", "role": "probe", "status": "ok", "reason": "", "t": 1000.0}],
    }  # fmt: skip


def scan() -> dict[str, Any]:
    tools = [{"id": "tls-cert", "digest": "d1", "params": {"host": "www.example.org"}}]
    return scan_record("s1", tools=tools, planned=2, exits=[EXIT, OTHER_EXIT])


def keep(path: Path, records: Iterable[Mapping[str, object]], blobs: Iterable[Blob] = ()) -> None:
    """Write all of them into a store."""

    async def go() -> None:
        store, rest = Store(path), list(blobs)
        for record in records:
            if record["schema"] == "exitpin.scan/1":
                store.add_scan(record)
            else:
                store.add(record, rest)
                rest = []
        await store.close()

    asyncio.run(go())
