"""(f) Modules of exitmap: a scan of 24 exits at once, in a lab of its own, and what one probe costs.

Two modules: one in Python alone (urllib), one that runs curl by `run_cmd_over_tor` and once more by `subprocess`. A
scan of which the targets saw any connection come from another exit is worth no figure. Beside it, `bare`: Python
alone, as long as it takes to import what such a module imports.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

from figures import Measure

from exitpin.orchestrator.lab import start as lab
from exitpin.orchestrator.lab.state import LabState

EXITS, SPECIAL_EXITS = 24, 4
NAME = "bench-exitmap"
PYTHON = """
import urllib.request
destinations = [("web.test", 80)]
def fetch(exit_desc):
    assert urllib.request.urlopen("http://web.test/ip", timeout=30).read().decode().strip() == exit_desc.address
def probe(exit_desc, run_python_over_tor, run_cmd_over_tor, **kwargs):
    run_python_over_tor(fetch, exit_desc)
"""
COMMANDS = """
import subprocess
CURL = ["curl", "-sS", "http://web.test/ip"]
destinations = [("web.test", 80)]
def inside(exit_desc):
    assert subprocess.run(CURL, capture_output=True, text=True).stdout.strip() == exit_desc.address
def probe(exit_desc, run_python_over_tor, run_cmd_over_tor, **kwargs):
    out, _ = run_cmd_over_tor.execute(CURL, 30)
    assert out.decode().strip() == exit_desc.address
    run_python_over_tor(inside, exit_desc)
"""
MODULES = {"Python": (PYTHON, 1), "curl, twice": (COMMANDS, 2)}
"""By what it does: its source, and how many connections a probe makes."""


def measures(rounds: int) -> list[Measure]:
    """`rounds` scans with each module."""
    state, was_running, _ = lab.up(NAME, EXITS + SPECIAL_EXITS)
    try:
        with tempfile.TemporaryDirectory(prefix="xb-", dir="/tmp") as directory:
            return [one for what in MODULES for one in _measure(state, Path(directory), what, rounds)]
    finally:
        if not was_running:
            lab.down(NAME)


def _measure(state: LabState, directory: Path, what: str, rounds: int) -> list[Measure]:
    source, connections = MODULES[what]
    module = directory / "module.py"
    module.write_text(source)
    exits = [one for one in state.relays if one.role == "exit" and one.behaviour == "plain"][:EXITS]
    command = [
        sys.executable, "-m", "exitpin", "exitmap", "--lab", "--name", state.name, "--json", "--wide", str(module),
        "-e", ",".join(one.nickname for one in exits), "--events", str(directory / "events.ndjson.gz"),
    ]  # fmt: skip
    whole = Measure(f"exitmap module ({what}), {EXITS} exits", "s", note="the whole command, setup to the last record")
    each = Measure(f"exitmap module ({what}), a probe", "ms CPU", figure="{} ms over its imports")
    for _ in range(rounds):
        each.add("bare", _cpu_ms([sys.executable, "-P", "-c", "import logging, urllib.request"]))
        offset, began = state.log_file.stat().st_size, time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        whole.add("ours", time.monotonic() - began)
        if done.returncode != 0:
            raise RuntimeError(f"exitpin exitmap ended with {done.returncode}: {done.stderr}")
        with open(state.log_file, encoding="utf-8") as log:
            log.seek(offset)
            lines = [json.loads(line) for line in log]
        seen = Counter(line["peer"][0] for line in lines if not line["service"].startswith("dns"))  # those are exits'
        if seen != {one.address: connections for one in exits}:
            raise RuntimeError(f"not each connection left by the exit of its probe: {seen}")
        records = [json.loads(line) for line in done.stdout.splitlines()]
        each.add("ours", 1e3 * median(record["process"]["cpu_s"] for record in records))
    each.compare("difference", "ours", "bare")
    return [whole, each]


def _cpu_ms(command: list[str], times: int = 10) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(times):
        subprocess.run(command, check=True, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / times
