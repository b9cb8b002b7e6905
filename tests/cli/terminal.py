"""A verb on a terminal of a given width: what it writes there."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence

COMMAND_S = 60


def on_a_terminal(words: Sequence[str], width: int = 80, environment: Mapping[str, str] | None = None) -> str:
    """Run `exitpin WORDS` and wait for its end; its output, ends of lines as in a file."""
    known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    running = subprocess.Popen(
        [sys.executable, "-m", "exitpin", *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE,
        env={**known, "TERM": "xterm-256color", **(environment or {})},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while part := _read(ours):
        said += part
    os.close(ours)
    _, complaints = running.communicate(timeout=COMMAND_S)
    assert running.returncode == 0, complaints.decode()
    return said.decode().replace("\r\n", "\n")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the other side of a terminal has gone
        return b""
