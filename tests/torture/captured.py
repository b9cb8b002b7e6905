"""`exitpin` as a pipe and as a terminal get it: raw bytes, time, memory; and what in such bytes would be obeyed."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EXITPIN = (sys.executable, "-m", "exitpin")
RUN_S, AUDIT_S = 8, 150.0
PROGRESS = b"\r\x1b[K"
COLOUR = re.compile(rb"\x1b\[[0-9;]{0,12}m")


@dataclass(frozen=True, slots=True)
class Done:
    """A command of ours that has ended: what it wrote, its status, seconds, and the most memory of it or a child."""

    stdout: bytes
    stderr: bytes
    status: int
    took_s: float
    peak_kib: int


@dataclass(slots=True)
class Bench:
    """A lab, and `exitpin` with a state of its own in it."""

    name: str
    state: Path

    @property
    def store(self) -> Path:
        return self.state / "exitpin" / "results.sqlite"

    def run(self, *words: str, timeout_s: float = AUDIT_S) -> Done:
        """`exitpin WORDS`, its output in files: no reader of ours holds it up."""
        out, err = self.state / "out", self.state / "err"
        before = time.monotonic()
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*EXITPIN, *words], stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=self.environment()
            )
            status, peak_kib = ended(process, timeout_s)
        return Done(out.read_bytes(), err.read_bytes(), status, time.monotonic() - before, peak_kib)

    def show(self, *words: str, timeout_s: float = AUDIT_S) -> bytes:
        """What a terminal of 120 columns gets of `exitpin WORDS`."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        process = subprocess.Popen(
            [*EXITPIN, *words], stdin=theirs, stdout=theirs, stderr=theirs,
            env={**self.environment(), "TERM": "xterm-256color"},
        )  # fmt: skip
        os.close(theirs)
        said, deadline = bytearray(), time.monotonic() + timeout_s
        try:
            while select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
                try:
                    chunk = os.read(ours, 1 << 16)
                except OSError:  # EIO: nobody has the other end any more
                    break
                said += chunk
        finally:
            os.close(ours)
            ended(process, 20.0)
        return bytes(said)

    def audit(self, *words: str) -> Done:
        return self.run("audit", "--lab", "--name", self.name, "-e", "exit01", "--timeout", f"{RUN_S}s", *words)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "XDG_STATE_HOME": str(self.state), "XDG_CONFIG_HOME": str(self.state / "config")}

    def records(self) -> list[dict[str, Any]]:
        """All that is stored."""
        with sqlite3.connect(self.store) as connection:
            return [json.loads(text) for (text,) in connection.execute("SELECT record FROM runs")]


def ended(process: "subprocess.Popen[bytes]", timeout_s: float) -> tuple[int, int]:
    """Its status, and the largest resident set (KiB) of it and those it waited for. Fails when it does not end."""
    descriptor = os.pidfd_open(process.pid)
    try:
        is_over = bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)
    if not is_over:
        process.send_signal(signal.SIGTERM)
    _, waited, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(waited)
    assert is_over, f"it did not end in {timeout_s:g} s"
    return process.returncode, usage.ru_maxrss


def obeyed(written: bytes) -> list[str]:
    """What in it a terminal might obey, or show as something else than it is."""
    text = written.decode("utf-8")
    wrong = {c for c in set(text) - {"\n", "\t"} if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")}
    return sorted(f"U+{ord(c):04X}" for c in wrong)


def plain(shown: bytes) -> bytes:
    """What a terminal got, without our own progress and colours, and what the terminal's driver made of a newline."""
    return COLOUR.sub(b"", shown.replace(PROGRESS, b"").replace(b"\r\n", b"\n"))
