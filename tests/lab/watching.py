"""A plan, a store, and watches that go by it, in the lab."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from exitpin.orchestrator.lab.state import LabState
from exitpin.orchestrator.results.stored import open_store

from .running import EXITPIN

END_S = 90.0
HEAD = 'schema = "exitpin.watch/1"\n[output]\nprometheus = "exitpin.prom"\nstatus = "status.json"\n'


def scan(name: str, tool: str, *more: str, interval: str = "1h") -> str:
    """A `[[scan]]` of a plan."""
    return "\n".join(["[[scan]]", f'name = "{name}"', f'tools = ["{tool}"]', f'interval = "{interval}"', *more, ""])


@dataclass(frozen=True, slots=True)
class Watching:
    """A folder with the plan `nightly`, and what its watches left there."""

    lab: LabState
    folder: Path

    @classmethod
    def of(cls, lab: LabState, folder: Path, *scans: str) -> "Watching":
        """With these scans in its plan."""
        (folder / "nightly.toml").write_text(HEAD + "".join(scans))
        return cls(lab, folder)

    @property
    def store(self) -> Path:
        return self.folder / "results.sqlite"

    def command(self, *options: str) -> list[str]:
        """What is typed."""
        where = ("--lab", "--name", self.lab.name, f"--store={self.store}")
        return [*EXITPIN, "watch", "nightly.toml", *where, *options]

    def run(self, *options: str) -> "subprocess.CompletedProcess[str]":
        """A watch that ends by itself."""
        return subprocess.run(
            self.command(*options), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=END_S, check=False,
        )  # fmt: skip

    @contextmanager
    def started(self, *options: str) -> Iterator["subprocess.Popen[str]"]:
        """One that is ended when the block is left, if it was not before."""
        log = self.folder / "watch.log"
        with log.open("a") as file:
            process = subprocess.Popen(
                self.command(*options), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file, text=True
            )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @property
    def said(self) -> str:
        """What those that were started have said."""
        return (self.folder / "watch.log").read_text()

    def scans(self) -> list[dict[str, Any]]:
        """What the store knows of each scan, the oldest first."""
        reader = open_store(self.store)
        if reader is None:
            return []
        with reader:
            return [json.loads(row.scan) for row in reader.scan_rows()][::-1]

    def iterations(self) -> list[tuple[str, int, str]]:
        """Scan, number and state of each."""
        return [(s["iteration"]["scan"], s["iteration"]["number"], s["state"]) for s in self.scans()]


def audits_of(pid: int) -> list[psutil.Process]:
    """The audits that a watch has under way."""
    try:
        return [child for child in psutil.Process(pid).children() if "audit" in child.cmdline()]
    except psutil.NoSuchProcess:
        return []


def is_there(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")
