"""What the kernel executes for a script, told from its first line, with env(1) looked through.

The kernel hands all that follows the interpreter over as one argument. env takes it for a name, an option, or, behind
-S, for words that it splits as a shell would. Called by `program.py`.
Sources: execve(2), fs/binfmt_script.c, env(1) of GNU coreutils.
"""

import os
import re
import shlex
import shutil

LINE_MAX = 256
"""As the kernel: BINPRM_BUF_SIZE."""
_ALONE = {"-": "i", "--ignore-environment": "i", "--null": "0", "--debug": "v"}
_LONG = {"--unset": "u", "--chdir": "C", "--split-string": "S", "--argv0": "a"}


class NoInterpreter(Exception):
    """Nothing can be executed; the text says why."""


def first_line(path: str) -> list[str] | None:
    """The interpreter and its one argument, if there is one; None without `#!`. Raises OSError."""
    with open(path, "rb") as file:
        line = file.read(LINE_MAX).split(b"\n", 1)[0]
    if not line.startswith(b"#!"):
        return None
    return re.split("[ \t]+", os.fsdecode(line[2:].split(b"\0", 1)[0].strip(b" \t")), maxsplit=1)


def interpreter(words: list[str], search_path: str) -> str:
    """The path of what interprets a script that begins so; env itself, where nobody can say what that would do. Raises
    NoInterpreter."""
    if not os.access(words[0], os.X_OK):
        why = " (the line ends with a carriage return)" if words[-1].endswith("\r") else ""
        raise NoInterpreter(f"its interpreter is not there: {' '.join(words).rstrip()}{why}")
    if os.path.basename(words[0]) != "env":
        return words[0]
    try:
        command = _Env(words[1:], search_path).command()
    except ValueError as error:
        raise NoInterpreter(f"{words[0]} can't split its interpreter's words: {error}") from None
    except _Unclear:
        return words[0]
    if command is None:
        raise NoInterpreter(f"{words[0]} is told no interpreter")
    name, path = command
    found = shutil.which(name, path=path)
    if found is None:
        why = f" ({words[0]} takes that for one name: it splits behind -S)" if re.search(r"\s", name) else ""
        raise NoInterpreter(f"its interpreter is not there: {' '.join(words)}{why}")
    return found


class _Unclear(Exception):
    """env has options and variables that are not known here."""


class _Env:
    """env(1) with these arguments. Its own doing: what it makes of PATH, of its working directory, of words."""

    def __init__(self, words: list[str], search_path: str) -> None:
        self._words = list(words)
        self._path = search_path
        self._directory = ""

    def command(self) -> tuple[str, str] | None:
        """What it would execute, and where it would look for that. Raises ValueError."""
        while self._words and self._words[0].startswith("-"):
            word = self._words.pop(0)
            if word == "--":
                break
            self._obey(word)
        while self._words and "=" in self._words[0]:
            name, _, value = self._words.pop(0).partition("=")
            self._path = value if name == "PATH" else self._path
        if not self._words:
            return None
        name = self._words[0]
        return (os.path.join(self._directory, name) if "/" in name else name), self._path

    def _obey(self, word: str) -> None:
        name, equals, value = word.partition("=")
        if word in _ALONE:
            self._obey_letters(_ALONE[word])
        elif name in _LONG:
            self._take(_LONG[name], value if equals else self._next())
        elif word.startswith("--"):
            raise _Unclear
        else:
            self._obey_letters(word[1:])

    def _obey_letters(self, letters: str) -> None:
        for at, letter in enumerate(letters):
            if letter in "uCSa":
                self._take(letter, letters[at + 1 :] or self._next())
                return
            if letter == "i":
                self._path = os.defpath
            elif letter not in "0v \t":
                raise _Unclear

    def _next(self) -> str:
        if not self._words:
            raise _Unclear
        return self._words.pop(0)

    def _take(self, letter: str, value: str) -> None:
        if letter == "S":
            self._words[:0] = _split(value)
        elif letter == "C":
            self._directory = value
        elif letter == "u" and value == "PATH":
            self._path = os.defpath


def _split(text: str) -> list[str]:
    """Raises ValueError."""
    if "${" in text or re.search(r"\\[^\"'\\$# ]", text):
        raise _Unclear
    return shlex.split(text, comments=True)
