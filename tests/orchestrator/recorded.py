"""Records as small as the store needs them, a store that holds them, and what is found in it."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from exitpin.orchestrator.results.store import Store
from exitpin.orchestrator.results.stored import Reader, Wanted, open_store


def run_record(number: int = 1, **changes: object) -> dict[str, Any]:
    return {
        "schema": "exitpin.run/1",
        "run_id": f"s1-{number:04d}",
        "scan_id": "s1",
        "key": "k1",
        "role": "probe",
        "attempt": 1,
        "status": "ok",
        "start": 1000.0 + number,
        "t": {"queue": 999.0, "end": 1001.0 + number},
        "exit": {"fingerprint": f"{number:040X}", "nickname": f"Exit{number:02d}"},
        "tool": {"id": "tls-cert", "digest": "d1"},
        **changes,
    }


def verdict_record(number: int = 1, **changes: object) -> dict[str, Any]:
    times = {"started": 1000.0 + number, "ended": 1002.0 + number}
    changes = {"verdict_id": f"s1-v{number:04d}", "status": "ok", "severity": None, **times, **changes}
    record = run_record(number, schema="exitpin.verdict/1", **changes)
    return {name: value for name, value in record.items() if name not in ("run_id", "start", "t", "role")}


def scan_record(scan_id: str = "s1", **changes: object) -> dict[str, Any]:
    return {
        "schema": "exitpin.scan/1",
        "scan_id": scan_id,
        "state": "done",
        "started": 1000.0,
        "ended": 1100.0,
        "vantage": {"kind": "own", "name": "", "tor": "0.4.9"},
        "tools": [{"id": "tls-cert", "params": {"host": "www.example.org"}}],
        "exits": [],
        "planned": 1,
        **changes,
    }


def write(path: Path, records: Iterable[Mapping[str, object]], **options: Any) -> Store:
    """All of them, scans included, to the end. Raises what `close` raises."""

    async def go() -> Store:
        store = Store(path, **options)
        for record in records:
            (store.add_scan if record["schema"] == "exitpin.scan/1" else store.add)(record)
        await store.close()
        return store

    return asyncio.run(go())


def reader(path: Path) -> Reader:
    found = open_store(path)
    assert found is not None
    return found


def ids(path: Path, wanted: Wanted | None = None) -> list[str]:
    with reader(path) as store:
        return [record.get("verdict_id") or record["run_id"] for record in store.query(wanted or Wanted())]
