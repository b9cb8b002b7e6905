"""Audits of one lab, killed and gone on with: the commands, what is left of them, and what their store holds."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from exitpin.orchestrator.lab.state import base_directory

EXITPIN = (sys.executable, "-m", "exitpin")
TOOLS = ("tls-cert", "http-body", "exit-address", "dns-exit")
EXITS = "exit01,exit02,exit03,exit04,exit15,exit16,exit17,exit18"  # four honest ones, and one of each odd kind
SCAN_S, END_S = 180.0, 120.0
USUALLY_S = 5.0
"""What a scan takes; one whose circuit is lost takes ten times as long, and most blows would come after its end."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a store holds, by content: verdicts (key, status), and probes (key, repetition), in order."""

    verdicts: list[tuple[str, str]]
    probes: list[tuple[str, int]]

    @property
    def keys(self) -> tuple[list[str], list[tuple[str, int]]]:
        return [key for key, _ in self.verdicts], self.probes


def content(store: Path) -> Content:
    with closing(sqlite3.connect(store)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        verdicts = database.execute("SELECT key, status FROM runs WHERE kind = 'verdict' ORDER BY key").fetchall()
        probes = "SELECT key, repetition FROM runs WHERE kind = 'run' AND role = 'probe' ORDER BY key, repetition"
        return Content(verdicts, database.execute(probes).fetchall())


def is_begun(store: Path) -> bool:
    """Whether the scan had got as far as to be written down."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        return bool(database.execute("SELECT count(*) FROM scans").fetchone()[0])
    return False


@dataclass(slots=True)
class Audits:
    """Audits of one lab, all marked, with a runtime directory of their own."""

    lab: str
    directory: Path
    runtime: Path
    mark: str

    def command(self, store: Path, *words: str) -> list[str]:
        return [*EXITPIN, "audit", "--lab", "--name", self.lab, "--store", str(store), *words]

    @property
    def whole(self) -> tuple[str, ...]:
        """What is asked in each scan."""
        return (*TOOLS, "-e", EXITS, "--repeat", "2")

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "EXITPIN_TORTURE": self.mark, "XDG_RUNTIME_DIR": str(self.runtime),
                "EXITPIN_LAB_DIR": str(base_directory())}  # fmt: skip

    def run(self, argv: list[str]) -> "subprocess.CompletedProcess[str]":
        options = {"capture_output": True, "text": True, "timeout": SCAN_S, "stdin": subprocess.DEVNULL}
        return subprocess.run(argv, env=self.environment, check=False, **options)  # type: ignore[call-overload, no-any-return]

    def inside(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        """Run something in the lab's own namespaces."""
        return self.run([*EXITPIN, "lab", "exec", "--name", self.lab, "--", *argv])

    def begin(self, store: Path, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.command(store, *words), env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def resume(self, store: Path) -> "subprocess.CompletedProcess[str]":
        return self.run(self.command(store, "--resume"))

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if self.mark.encode() in Path(f"/proc/{process.pid}/environ").read_bytes():
                    found.append(process)
        return found

    def nothing_is_left(self) -> None:
        assert self.processes() == []

    def no_file_is_left(self) -> None:
        left = [path for path in self.runtime.rglob("*") if path.is_file() and not path.name.endswith(".lock")]
        assert left == []
