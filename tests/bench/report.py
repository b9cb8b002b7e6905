"""The HTML report of a big scan: how large, how long to make and to open. python tests/bench/report.py [--keep DIR].

1,500 exits by five tools, made up: shares of findings and errors as a real network may have them, records and evidence
of the size that an audit writes. The page is made by the code of `exitpin report html`, and opened in a headless
Chromium, where there is one: until its load event has ended, and until the table has answered the first letter typed
into the search. It is measured as it comes: nobody has the file in a cache.
"""

import argparse
import asyncio
import datetime
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from figures import Measure

from exitpin.orchestrator.report.html import page
from exitpin.orchestrator.results.exhibit import Blob, exhibit, pack
from exitpin.orchestrator.results.store import Store
from exitpin.orchestrator.results.stored import open_store

EXITS = 1500
TOOLS = ("tls-cert", "ssh-hostkey", "http-body", "dns-exit", "download")
SHARES = {"tampered": 0.004, "suspect": 0.006, "broken": 0.01, "error": 0.02, "skipped": 0.03}
CONTROLS, CONTROLS_OF_A_FINDING = 4, 24
RUNS = {"tampered": 3, "suspect": 3, "broken": 8, "error": 3, "skipped": 0, "ok": 1}
SCAN, BEGAN = "20260501T120000-3f9a2b", 1_777_636_800.0
PARAGRAPHS = 60
MB, GOAL_MB, GOAL_S = 1e6, 2, 2
KEY = ec.generate_private_key(ec.SECP256R1())

Json = dict[str, Any]


def fingerprint(number: int) -> str:
    return hashlib.sha1(b"relay %d" % number).hexdigest().upper()


def exit_table(number: int) -> Json:
    return {
        "fingerprint": fingerprint(number), "nickname": f"NiceRelay{number:04d}",
        "addresses": [f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}"], "observed_address": None,
        "flags": ["Exit", "Fast", "Guard", "HSDir", "Running", "Stable", "V2Dir", "Valid"],
        "family": [f"${fingerprint(number // 8 * 8 + n)}" for n in range(8)],
        "contact": f"email:abuse[]operator{number // 8}.example url:https://relays{number // 8}.example proof:uri-rsa",
        "consensus": "2026-05-01 11:00:00",
    }  # fmt: skip


def tool_table(tool: str) -> Json:
    return {
        "id": tool, "summary": "Does this exit hand us what the server sent?", "argv": [tool, "-a", "{{host}}", "-b"],
        "digest": hashlib.sha256(tool.encode()).hexdigest(), "binary": f"/usr/bin/{tool}", "version": "3.5.4",
        "params": {"host": "www.example.org", "port": "443"},
    }  # fmt: skip


def certificate(number: int) -> bytes:
    """What a man in the middle makes up, one for each exit; 0: the server's own."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "www.example.org")])
    start = datetime.datetime(2026, 4, 1, tzinfo=datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("www.example.org"), x509.DNSName("example.org")])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), number + 1, start, start + datetime.timedelta(90))
    made = builder.add_extension(names, False).sign(KEY, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def body(number: int) -> bytes:
    """A page as an exit changed it; 0: as it was sent."""
    lines = [b"<html>", *(b"<p>An honest paragraph, the %d-th of this page.</p>" % n for n in range(PARAGRAPHS))]
    if number:
        lines.insert(number % PARAGRAPHS, b'<script src="http://ads%d.example/a.js"></script>' % number)
    return b"\n".join([*lines, b"</html>\n"])


def shown(tool: str, number: int) -> tuple[Json, dict[str, Blob]]:
    """The facts and the evidence of a run; `number` 0: an honest one."""
    if tool == "tls-cert":
        pem = certificate(number)
        digest = hashlib.sha256(pem).hexdigest()
        return {"chain": [digest], "verify_code": 18 if number else 0, "issuer": "CN = CA"}, {"stdout": pack(pem)}
    if tool == "http-body":
        page = body(number)
        scripts = [f"http://ads{number}.example/a.js"] if number else None
        facts = {"code": 200, "body": hashlib.sha256(page).hexdigest(), "scripts": scripts, "inline": None}
        return facts, {"artifact:body": pack(page), "artifact:headers": pack(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n")}
    if tool == "download":
        file = bytes(range(256)) * 40 + b"%d" % number
        return {"size": len(file), "sha256": hashlib.sha256(file).hexdigest()}, {"artifact:file": pack(file)}
    return {"values": [f"value {number}", "another"]}, {}


def run(run_id: str, tool: str, number: int, role: str, status: str, rng: Random) -> tuple[Json, list[Blob]]:
    """The record of a run, and its evidence."""
    lies = status in ("tampered", "suspect")
    facts, blobs = shown(tool, number if lies else 0)
    kept = blobs if lies or role == "control" else {}
    queue = BEGAN + rng.random() * 3600
    circuit = queue + rng.lognormvariate(0.2, 0.6)
    first = circuit + 0.15 + rng.random() * 0.2
    answered = first + rng.lognormvariate(-0.4, 0.7)
    has_answer = status in ("ok", *(("tampered", "suspect") if lies else ()))
    return {
        "schema": "exitpin.run/1", "run_id": run_id, "scan_id": SCAN, "attempt": 1, "status": status, "role": role,
        "key": hashlib.sha256(f"{tool} {number}".encode()).hexdigest(), "vantage": {"kind": "own", "tor": "0.4.8.16"},
        "start": circuit, "t": {"queue": queue, "circuit": circuit, "first_stream": first,
                                "first_byte": answered if has_answer else None, "end": answered + rng.random()},
        "exit": exit_table(number), "source_address": f"127.64.{number // 256}.{number % 256}",
        "circuits": [{"id": number, "path": [fingerprint(9000 + rng.randrange(5000)), fingerprint(number)],
                      "reason": None}],
        "streams": [{
            "pid": 4711, "source_address": f"127.64.{number // 256}.{number % 256}", "source_port": 40001,
            "tag": "t" * 40, "destination": "www.example.org:443", "is_lookup": False, "resolved": "192.0.2.10",
            "stream_id": number, "circuit_id": number, "status": "succeeded", "closed": True, "reason": "DONE",
            "remote_reason": None,
            "bytes_up": 512, "bytes_down": 4096, "witnesses": ["source-address", "source-port", "socks-username"],
        }],
        "tool": tool_table(tool), "facts": facts if has_answer else None, "failure": None,
        "process": {"rc": 0 if has_answer else 1, "signal": None, "timed_out": False,
                    "stdout": "what the tool wrote\n" * 6 if lies else None, "stderr": None},
        "evidence": [exhibit(name, blob) for name, blob in kept.items()],
    }, list(kept.values())  # fmt: skip


def verdict(tool: str, number: int, status: str, runs: list[Json], controls: list[Json]) -> Json:
    lies = status in ("tampered", "suspect")
    key = hashlib.sha256(f"{tool} {number}".encode()).hexdigest()
    reason = {"ok": "", "skipped": "its policy refuses www.example.org:443"}.get(
        status, f"a value that no control saw, and that does not validate (code 18): CN = www.example.org, {number}"
    )
    return {
        "schema": "exitpin.verdict/1", "verdict_id": f"{SCAN}-v{key[:12]}", "scan_id": SCAN, "key": key,
        "status": status, "severity": "high" if lies else None, "rule": 2 if lies else None,
        "when": "chain.0 differs from what the controls agree on, and verify_code is not 0" if lies else None,
        "reason": reason, "lied": len(runs) if lies else 0, "of": len(runs) if lies or status == "ok" else 0,
        "undecided": [], "layer": "target" if status == "error" else None, "blame": "exit" if lies else None,
        "retryable": False, "interrupted": False, "tool": tool_table(tool), "exit": exit_table(number),
        "vantage": {"kind": "own", "name": "", "tor": "0.4.8.16"}, "started": BEGAN, "ended": BEGAN + number,
        "runs": [{"run_id": each["run_id"], "role": each["role"], "status": status, "reason": reason,
                  "t": each["t"]["end"], "doubts": []} for each in runs],
        "controls": controls, "failure": None, "evidence": [],
        "reproduce": f"exitpin audit {tool} -e {fingerprint(number)} -p host=www.example.org",
    }  # fmt: skip


def records(exits: int, rng: Random) -> Iterator[tuple[Json, list[Blob]]]:
    """All of a scan."""
    count = 0

    def run_id() -> str:
        nonlocal count
        count += 1
        return f"{SCAN}-{count:05d}"

    for tool in TOOLS:
        controls = []
        for number in range(exits + 1, exits + 1 + CONTROLS_OF_A_FINDING):
            record, blobs = run(run_id(), tool, number, "control", "ok", rng)
            yield record, blobs
            told = {"vantage": "exit", "exit": fingerprint(number), "run_id": record["run_id"], "at": BEGAN}
            controls.append({**told, "facts": record["facts"]})
        for number in range(1, exits + 1):
            status = rng.choices([*SHARES, "ok"], [*SHARES.values(), 1 - sum(SHARES.values())])[0]
            made = [run(run_id(), tool, number, "probe", status, rng) for _ in range(RUNS[status])]
            yield from made
            asked = controls if status in ("tampered", "suspect") else controls[:CONTROLS]
            yield verdict(tool, number, status, [record for record, _ in made], asked), []


def fill(path: Path, exits: int = EXITS) -> None:
    """The store of such a scan."""

    async def go() -> None:
        store = Store(path)
        store.add_scan({
            "schema": "exitpin.scan/1", "scan_id": SCAN, "state": "done", "started": BEGAN, "ended": BEGAN + 36_000,
            "exitpin": "bench", "vantage": {"kind": "own", "name": "", "tor": "0.4.8.16"},
            "planned": exits * len(TOOLS),
            "consensus": "2026-05-01 11:00:00", "tools": [tool_table(tool) for tool in TOOLS], "exits": [],
        })  # fmt: skip
        for record, blobs in records(exits, Random(1)):
            store.add(record, blobs)
            if store.is_full:
                drained = asyncio.get_running_loop().create_future()
                store.call_when_drained(lambda: drained.done() or drained.set_result(None))  # noqa: B023
                await drained
        await store.close()

    asyncio.run(go())


def rendered(store: Path, place: Path) -> dict[str, float]:
    """Make the page; its figures."""
    began = time.perf_counter()
    reader = open_store(store)
    assert reader is not None
    with reader:
        content = page(reader, SCAN).encode()
    took = time.perf_counter() - began
    place.write_bytes(content)
    return {"size_mb": len(content) / MB, "render_s": took, "full": content.count(b'<details class="verdict')}


LOADED = "const [n] = performance.getEntriesByType('navigation'); return (n.loadEventEnd - n.startTime) / 1000"
TYPED = """
const [done] = [arguments[arguments.length - 1]], search = document.getElementById('search'), began = performance.now();
search.value = 'n';
search.dispatchEvent(new Event('input'));
requestAnimationFrame(() => setTimeout(() => done((performance.now() - began) / 1000)));
"""


def opened(place: Path, rounds: int) -> list[dict[str, float]]:
    """Open it so many times; nothing, where there is no browser."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "browser"))
    from chromium import browser, missing

    if missing():
        return []
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="xb-") as profile, browser(Path(profile)) as window:
            window.open(place)
            loaded = float(window.script(LOADED))
            found.append({"load_s": loaded, "typed_s": float(window.driver.execute_async_script(TYPED))})
    return found


def measures(rounds: int, exits: int = EXITS) -> list[Measure]:
    """Rows for the table of all benchmarks."""
    size = Measure(f"HTML report of {exits:,} exits by 5 tools", "MB", figure="{} MB", goal=f"under {GOAL_MB}")
    made = Measure("the same, to make it", "s")
    load = Measure("the same, to open it in Chromium", "s", figure="{} s", goal=f"under {GOAL_S}")
    typed = Measure("the same, first letter of a search", "s")
    with tempfile.TemporaryDirectory(prefix="xb-", dir="/tmp") as directory:
        store, place = Path(directory, "results.sqlite"), Path(directory, "report.html")
        fill(store, exits)
        for _ in range(rounds):
            figures = rendered(store, place)
            size.add("ours", figures["size_mb"])
            made.add("ours", figures["render_s"])
        for figures in opened(place, rounds):
            load.add("ours", figures["load_s"])
            typed.add("ours", figures["typed_s"])
    size.per_round, load.per_round = size.sides["ours"], load.sides.get("ours", [])
    if not load.per_round:
        load.note = "no Chromium here: not measured"
    return [size, made, load, typed]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exits", type=int, default=EXITS, metavar="N", help="how many (%(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave store and page there")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="xb-", dir="/tmp") as directory:
        folder = args.keep or Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "results.sqlite").exists():
            fill(folder / "results.sqlite", args.exits)
        figures = rendered(folder / "results.sqlite", folder / "report.html")
        figures |= next(iter(opened(folder / "report.html", 1)), {})
    for name, value in figures.items():
        print(f"{name:<10} {value:>10.4g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
