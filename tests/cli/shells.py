"""The shells themselves, asked what they complete a line to: bash and zsh on a terminal, fish by `complete -C`."""

import functools
import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ANSWER_S = 30.0
BASH = r"""
PS1='ready> ' PS2='' HISTFILE=
bind 'set enable-bracketed-paste off' 2>/dev/null
show() { printf '%s\n' "$READLINE_LINE" > "$ANSWER"; }
bind '"\C-xa": insert-completions' 2>/dev/null
bind -x '"\C-xs": show' 2>/dev/null
"""
ZSH = r"""
PS1='ready> ' HISTFILE=
unsetopt zle_bracketed_paste 2>/dev/null
unset zle_bracketed_paste
autoload -Uz compinit && compinit -u -D
zle -C all-matches complete-word _generic
zstyle ':completion:all-matches::::' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert true
show() { print -r -- "$BUFFER" > "$ANSWER"; }
zle -N show
bindkey '^Xa' all-matches
bindkey '^Xs' show
"""


class Shell:
    """A shell with the script of `exitpin completion`, in a folder of its own.

    `first`: what it runs before anything else; `load`: how the script is taken, instead of the usual way.
    """

    def __init__(
        self, name: str, folder: Path, environment: Mapping[str, str], first: str = "", load: str = ". $SCRIPT"
    ) -> None:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed")
        self.name, self.folder = name, folder
        programs = folder / "programs"
        programs.mkdir()
        (programs / "exitpin").write_text(f'#!/bin/sh\nexec {sys.executable} -m exitpin "$@"\n')
        (programs / "exitpin").chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8",
            "ANSWER": str(folder / "answer"), "SCRIPT": str(folder / "script"), **environment,
        }  # fmt: skip
        (folder / "script").write_bytes(_script(name))
        self.first, self.load = first, load
        self.work = folder / "work"
        self.work.mkdir()

    def completed(self, line: str) -> list[str]:
        """All that the last word may become, sorted; of `--option=value` the value, of an option no `=` behind it."""
        return self.all_completed([line])[line]

    def all_completed(self, lines: Sequence[str]) -> dict[str, list[str]]:
        """The same by line, each typed into the same shell, one after the other."""
        words_of = self._fish(lines) if self.name == "fish" else self._on_a_terminal(lines)
        found = {}
        for line, words in words_of.items():
            before = f"{line.split(' ')[-1].partition('=')[0]}=" if "=" in line.split(" ")[-1] else ""
            found[line] = sorted({word.removeprefix(before).rstrip("=") for word in words})
        return found

    def _fish(self, lines: Sequence[str]) -> dict[str, list[str]]:
        asks = f"{self.first}\n{self.load}\nfor line in $argv; complete -C $line; echo $line; end"
        said = subprocess.run(
            ["fish", "--no-config", "-c", asks, *lines],
            env=self.environment, cwd=self.work, capture_output=True, check=True, timeout=ANSWER_S, text=True,
        )  # fmt: skip
        assert said.stderr == ""
        found: dict[str, list[str]] = {}
        words: list[str] = []
        for each in said.stdout.splitlines():
            if each in lines:
                found[each], words = words, []
            else:
                words.append(each.partition("\t")[0])
        assert list(found) == list(lines)
        return found

    def _on_a_terminal(self, lines: Sequence[str]) -> dict[str, list[str]]:
        """Type each line, have all that fits inserted, let the shell write down what has become of it, and kill it."""
        found = {}
        with self._typed_into() as (terminal, told):
            for line in lines:
                os.write(terminal, f"{line}\x18a\x18s".encode())
                became, before = _read_line(told, terminal), line[: line.rindex(" ") + 1]
                assert became.startswith(before), became
                found[line] = shlex.split(became.removeprefix(before))
                os.write(terminal, b"\x15")
        return found

    @contextmanager
    def _typed_into(self) -> Iterator[tuple[int, int]]:
        """A shell that is ready: its terminal, and where it writes down what is asked."""
        answer = self.folder / "answer"
        answer.unlink(missing_ok=True)
        os.mkfifo(answer)
        told = os.open(answer, os.O_RDONLY | os.O_NONBLOCK)
        kept = os.open(answer, os.O_WRONLY)  # so that there is no end before the shell has written
        begin = self.folder / "begin"
        begin.write_text(f"{self.first}\n{BASH if self.name == 'bash' else ZSH}\n{self.load}\n")
        argv = ["bash", "--noprofile", "--rcfile", str(begin), "-i"] if self.name == "bash" else ["zsh", "-f", "-i"]
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.work)
            os.execvpe(argv[0], argv, self.environment)
        try:
            if self.name == "zsh":
                os.write(terminal, f". {begin}\n".encode())
            _read_until(terminal, b"ready> ")
            yield terminal, told
        finally:
            os.close(terminal)
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            os.close(told)
            os.close(kept)


@functools.cache
def _script(name: str) -> bytes:
    """What `exitpin completion` prints for that shell."""
    argv = [sys.executable, "-m", "exitpin", "completion", name]
    return subprocess.run(argv, capture_output=True, check=True, timeout=ANSWER_S).stdout


def _read_until(terminal: int, prompt: bytes) -> None:
    deadline, seen = time.monotonic() + ANSWER_S, b""
    while not seen.endswith(prompt):
        assert select.select([terminal], [], [], deadline - time.monotonic())[0], seen
        seen += os.read(terminal, 1 << 12)


def _read_line(told: int, terminal: int) -> str:
    """A line from the FIFO; what goes to the terminal meanwhile is read, and kept for a complaint."""
    deadline, line, seen = time.monotonic() + ANSWER_S, b"", b""
    while not line.endswith(b"\n"):
        ready = select.select([told, terminal], [], [], max(0, deadline - time.monotonic()))[0]
        assert ready, seen
        if terminal in ready:
            seen += os.read(terminal, 1 << 12)
        if told in ready:
            line += os.read(told, 1 << 16)
    return line.decode().rstrip("\n")
