"""A watch in a lab whose network changes: the plan, the watch, whoever changes the network, and the judge.

Black box: the command line, the store as SQLite shows it, and the lab's own file of who lived where.
"""

import json
import os
import random
import re
import sqlite3
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from exitpin.orchestrator.freshness import epoch_of
from exitpin.orchestrator.lab.residents import Residents, read_residents
from exitpin.orchestrator.lab.state import LabState, load
from exitpin.orchestrator.results.stored import open_store

from .conftest import EXITPIN

MARK = "EXITPIN_WATCH_MARK"
PLAN = """
schema = "exitpin.watch/1"
[[scan]]
name = "addresses"
tools = ["{tool}"]
interval = "{interval}"
order = "need"
newcomers = "1m"
timeout = "20s"
repeat = {repeat}
jobs = {jobs}
[output]
status = "status.json"
prometheus = "exitpin.prom"
"""
SLOWLY = '"sh", "-c", "sleep 1; exec \\"$@\\"", "sh"'
AWAY_S = 15.0
"""A relay that was started anew may lack names and connections for so long."""
_RELAY = re.compile(r"^r \S+ (\S+) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Watched:
    """A folder with a plan, and a store, of a lab."""

    lab: str
    folder: Path
    mark: str

    @property
    def state(self) -> LabState:
        return load(self.lab)

    @property
    def store(self) -> Path:
        return self.folder / "results.sqlite"

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")

    def residents(self) -> Residents:
        return read_residents(self.state.residents_file.read_text().splitlines())

    def watch(self, *options: str, is_slow: bool = False) -> "subprocess.Popen[bytes]":
        """Begin to watch. `is_slow`: an iteration is under way most of the time, and so is a tool."""
        plan: dict[str, object] = {"tool": "exit-address", "interval": "5s", "repeat": 1, "jobs": 64}
        if is_slow:
            (self.folder / "slow-address.toml").write_text(_slow())
            plan = {"tool": "./slow-address.toml", "interval": "30s", "repeat": 4, "jobs": 2}
        (self.folder / "nightly.toml").write_text(PLAN.format(**plan))
        argv = [*EXITPIN, "watch", "nightly.toml", "--lab", "--name", self.lab, f"--store={self.store}", *options]
        with (self.folder / "said").open("ab") as said:
            return subprocess.Popen(
                argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                env={**os.environ, MARK: self.mark},
            )  # fmt: skip

    def marked(self) -> list[psutil.Process]:
        """All that descends from a watch of this folder."""
        found = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if f"{MARK}={self.mark}".encode() in Path(f"/proc/{process.pid}/environ").read_bytes():
                    found.append(process)
        return found

    def of_runs(self) -> list[psutil.Process]:
        """The tools that run in the lab, and their launchers: they have no environment of ours."""
        supervisor = self.state.supervisor_pid
        inside = os.stat(f"/proc/{supervisor}/ns/pid").st_ino
        found = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if process.pid == supervisor or os.stat(f"/proc/{process.pid}/ns/pid").st_ino != inside:
                    continue
                if process.name() != "tor" and not any(
                    "lab_" in word or word == "exitpin" for word in process.cmdline()
                ):
                    found.append(process)
        return found

    def rows(self, kind: str) -> dict[str, dict[str, Any]]:
        """The records of a kind, by id."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30)) as database:
            rows = database.execute("SELECT record_id, record FROM runs WHERE kind = ?", [kind]).fetchall()
        return {name: json.loads(text) for name, text in rows}

    def scans(self) -> list[dict[str, Any]]:
        """The scans, the oldest first."""
        with closing(sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30)) as database:
            return [json.loads(text) for (text,) in database.execute("SELECT scan FROM scans ORDER BY started")]


def _slow() -> str:
    """The tool `exit-address`, that takes its time."""
    own = (Path(__file__).parents[2] / "tools.d" / "exit-address.toml").read_text().partition("\ntest = [")[0]
    slow = own.replace('"exit-address"', '"slow-address"').replace('"curl", "-qsS"', f'{SLOWLY}, "curl", "-qsS"')
    assert slow.count(SLOWLY) == 1
    return slow


@dataclass(slots=True)
class Changes:
    """Somebody who changes the network, at random, for as long as the block lasts. `made`: how often, by verb."""

    lab: str
    rng: random.Random
    pause_s: float = 4.0
    made: dict[str, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Changes":
        self._thread = threading.Thread(target=self._change)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()

    def _change(self) -> None:
        while not self._stop.wait(self.pause_s * (0.5 + self.rng.random())):
            state = load(self.lab)
            there = [relay.nickname for relay in state.relays if relay.role == "exit" and not relay.is_removed]
            away = [relay.nickname for relay in state.relays if relay.role == "exit" and relay.is_removed]
            ways: dict[str, list[str]] = {
                "rekey": [self.rng.choice(there)],
                "policy": [self.rng.choice(there), self.rng.choice(["accept *:*", "reject *:*", "accept *:80"])],
            }
            if len(there) < 10:
                ways["add"] = [f"new{self.made.get('add', 0)}"]
            if len(there) > 6:
                ways["remove"] = [self.rng.choice(there)]
            if away:
                ways["restore"] = [self.rng.choice(away)]
            verb = self.rng.choice(sorted(ways))
            argv = [*EXITPIN, "lab", "change", verb, "--name", self.lab, *ways[verb]]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
            if done.returncode == 0:
                self.made[verb] = self.made.get(verb, 0) + 1


def consensuses(watched: Watched, scan: Mapping[str, Any]) -> dict[str, set[str]]:
    """By valid-after, the relays of each consensus that a scan went by, as the signed documents have them."""
    import base64

    reader = open_store(watched.store)
    assert reader is not None
    found = {}
    with reader:
        for leg in scan["legs"]:
            piece = next(one for one in leg["evidence"] if one["name"] == "consensus")
            text = reader.blobs.read(piece["sha256"]).decode()
            found[leg["consensus"]] = {base64.b64decode(one + "=").hex().upper() for one in _RELAY.findall(text)}
    return found


def judge(watched: Watched) -> dict[str, int]:
    """What there is to object to, counted, by kind; each of them is said, too."""
    scans, verdicts, runs = watched.scans(), watched.rows("verdict"), watched.rows("run")
    residents, problems = watched.residents(), []
    for scan in scans:
        of_scan = [one for one in verdicts.values() if one["scan_id"] == scan["scan_id"]]
        if scan["state"] == "done" and len(of_scan) != scan["planned"]:
            problems.append(f"{scan['scan_id']}: {len(of_scan)} verdicts of {scan['planned']}")
        problems += _of_snapshots(watched, scan, of_scan, [r for r in runs.values() if r["scan_id"] == scan["scan_id"]])
    seen = 0
    for run in runs.values():
        address = (run.get("facts") or {}).get("address")
        if address is None:
            continue
        seen += 1
        who = residents.at(address, run["t"]["first_byte"] or run["t"]["end"])
        if who != run["exit"]["fingerprint"]:
            problems.append(f"{run['run_id']}: {address} is {who}, not {run['exit']['fingerprint']}")
    assert problems == [], problems[:20]
    states = [scan["state"] for scan in scans]
    return {
        "scans": len(scans),
        "done": states.count("done"),
        "verdicts": len(verdicts),
        "runs": len(runs),
        "seen": seen,
    }


def _of_snapshots(watched: Watched, scan: Mapping[str, Any], verdicts: list[Any], runs: list[Any]) -> list[str]:
    """Each record's exit was in the snapshot that it names, which is the scan's of that time."""
    known, problems = consensuses(watched, scan), []
    for record in [*verdicts, *runs]:
        name, by = record.get("verdict_id") or record["run_id"], record["exit"]["consensus"]
        if by not in known:
            problems.append(f"{name}: judged by {by}, and its scan went by {sorted(known)}")
        elif record["exit"]["fingerprint"] not in known[by] and record.get("layer") != "gone":
            problems.append(f"{name}: its exit was not in the consensus of {by}")
    for run in runs:
        leg = next(leg for leg in scan["legs"] if leg["consensus"] == run["exit"]["consensus"])
        began = next(one["started"] for one in scan["legs"] if one["consensus"] == leg["consensus"])
        later = [
            one["started"]
            for one in scan["legs"]
            if one["started"] > leg["started"] and one["consensus"] != leg["consensus"]
        ]
        if not began <= run["t"]["queue"] + 0.01 or (later and run["t"]["queue"] > later[0]):
            problems.append(f"{run['run_id']}: made at {run['t']['queue']}, by the consensus of {leg['consensus']}")
    return problems


def accused(watched: Watched, *, restarted: bool = False) -> list[str]:
    """The exits that a verdict accuses, and that were not being changed, and so were away, since the consensus that it
    rests on. `restarted`: exits were killed, which nobody wrote down: those that nobody could reach are not counted."""
    changed = [json.loads(line) for line in watched.state.residents_file.read_text().splitlines()]
    wrong = []
    for name, record in watched.rows("verdict").items():
        told = record["exit"]["fingerprint"]
        times = [fact["t"] for fact in changed if fact["fingerprint"] == told]
        known_at = epoch_of(record["exit"]["consensus"])
        is_away = any(known_at - AWAY_S < t < record["ended"] for t in times) or restarted
        if record["status"] in ("tampered", "suspect") or (record["status"] == "broken" and not is_away):
            wrong.append(f"{name}: {record['exit']['nickname']} {record['status']}: {record['reason']}")
    return wrong


def wait_until(is_so: Any, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.2)
