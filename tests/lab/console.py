"""The console blocks of a document: the commands that it shows, and whether a terminal gets what stands under them.

A block is a shell of its own. What differs from run to run (fingerprints, ids, times, keys) is equal to whatever stands
in its place; a line `...` stands for any lines, and at a line's end for the rest of it.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

WIDTH = 110
MARK = "\x1e"
CHANGING = (
    (r"\b[0-9A-F]{40}\b", "FINGERPRINT"),
    (r"\b\d{8}T\d{6}-[0-9a-f]{6}(?:-v[0-9a-f]+|-\d{5})?", "ID"),
    (r"(?<=[/(])[0-9A-F]{8}\b", "FINGERPR"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b", "TIME"),
    (r"\bAAAA[0-9A-Za-z+/]{20,}", "KEY"),
    (r"(?m)^ +- \d+ of \d+ ", "- SOME OF SOME "),
    (r"\b\d+(?:\.\d+)? (s|ms|runs|streams|pieces)\b", r"SOME \1"),
)


@dataclass(frozen=True, slots=True)
class Shown:
    """A command as a document shows it, and what it prints there."""

    command: str
    printed: str


def blocks(text: str) -> list[list[Shown]]:
    """The console blocks of a document, each a list of commands."""
    found = re.findall(r"(?m)^\.\. code:: console\n\n((?:   .*\n|\n)+)", text)
    return [[_shown(one) for one in re.split(r"(?m)^\$ ", dedent(block))[1:]] for block in found]


def _shown(text: str) -> Shown:
    command, _, printed = text.partition("\n")
    while command.endswith(("\\", "|")):
        more, _, printed = printed.partition("\n")
        command = f"{command}\n{more}"
    return Shown(command, printed.rstrip("\n"))


def run(commands: Sequence[str], folder: Path, environment: Mapping[str, str], timeout_s: float) -> list[str]:
    """What a terminal gets of each command, run by one shell; TimeoutExpired when it takes longer."""
    script = "".join(f"printf '{MARK}'\n{command}\n" for command in commands)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, WIDTH, 0, 0))
    shell = subprocess.Popen(
        ["timeout", "--foreground", f"{timeout_s}", "bash", "-c", script], cwd=folder, env=environment,
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while part := _read(ours):
        said += part
    os.close(ours)
    if shell.wait() == 124:
        raise subprocess.TimeoutExpired(script, timeout_s, said)
    return [_cleared(part) for part in said.decode().split(MARK)[1:]]


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # the other side of a terminal has gone
        return b""


def _cleared(said: str) -> str:
    """What is left on the screen: what progress is overwritten with, without blanks at the ends of lines."""
    lines = [line.split("\r")[-1].removeprefix("\x1b[K") for line in said.replace("\r\n", "\n").split("\n")]
    return "\n".join(line.expandtabs().rstrip() for line in lines).rstrip("\n")


def is_so(shown: str, printed: str) -> bool:
    """Whether a command printed what a document shows."""
    pattern = ""
    for line in _steady(shown).splitlines():
        if line == "...":
            pattern += r"(?:.*\n)*?"
        elif line.endswith("..."):
            pattern += re.escape(line.removesuffix("...")) + ".*\n"
        else:
            pattern += re.escape(line) + "\n"
    return re.fullmatch(pattern, _steady(printed) + "\n" if printed else "") is not None


def _steady(text: str) -> str:
    for pattern, word in CHANGING:
        text = re.sub(pattern, word, text)
    return text
