"""`exitpin emit`, `exitpin evidence`, `exitpin verdict`: what a script gives to the run that it is in.

They append to files of the run's own folder and decide nothing: who reads those files trusts none of it
(`wrappers/harvest.py`). Scripts call them in loops, so this file imports what the interpreter has loaded anyway, and
nothing of ours: `wrappers/shims/exitpin`, first in a run's PATH, starts it by itself, without packages. Called by
`main.py`, too.
"""

import os
import sys
from collections.abc import Sequence

VERBS = ("emit", "evidence", "verdict")
STATUSES = ("ok", "tampered", "suspect", "broken", "error")
SPOKEN = ("verdict", "reason")
"""Facts that `exitpin verdict` sets."""

NAMES = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
NAME_MAX = 64
VALUE_MAX = 4096  # characters of a fact; what is longer ends in its digest
FACTS_BYTES = 64 << 10
FACTS_MAX = 1000
FILES_MAX = 64
FILE_BYTES = 64 << 20
_FILE_NAMES = NAMES | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ.")
_CHUNK = 1 << 16
_SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

MISUSED, FAILED = 2, 125

HELP = {
    "emit": """\
usage: exitpin emit NAME=VALUE...

Gives facts to the run that this is called in; each name once, or the run ends as error (parse). A name is of a-z, 0-9,
'_' and '-'. What in a value could be taken for another line, or is not printed, is escaped, and a backslash is doubled,
so that two values stay two; one of more than 4096 characters ends in its SHA-256.

  sum=$(sha256sum < "$EXITPIN_ARTIFACTS/body") && exitpin emit code="$code" sum="$sum"
""",
    "evidence": """\
usage: exitpin evidence FILE [NAME]

Keeps a copy of a file with the run, under its own name or another one; FILE `-` is standard input. A name is of
letters, digits, '.', '_' and '-'. It is cut where the limit of the tool's artifacts is reached; there are 64 at most.

  exitpin evidence chain.pem
  curl -sS "$url" | exitpin evidence - page.html
""",
    "verdict": """\
usage: exitpin verdict STATUS [REASON...]

Says what the script found: ok, tampered, suspect, broken or error; of all but ok with a reason. Once, in a tool that
declares run.parse = "status"; there exit statuses say it, too: 0 ok, 100 tampered, 101 suspect, 102 broken, and all
others are an error of the tool. It does not end the script. Like every verdict it is confirmed, or not.

  exitpin verdict tampered "another key: $key"
""",
}


class Refused(Exception):
    """Why nothing was given, and with which status that ends."""

    def __init__(self, why: str, status: int = MISUSED) -> None:
        super().__init__(why)
        self.status = status


def give(arguments: Sequence[str]) -> int:
    """Carry out `VERB ARG...`; returns the exit status. 2: misused, or not inside of a run; 1: given, and the run will
    fail for it; 125: it could not be written."""
    verb, words = arguments[0], list(arguments[1:])
    if words[:1] in (["-h"], ["--help"]):
        if sys.stdout is not None:
            sys.stdout.write(HELP[verb])
        return 0
    try:
        if os.environ.get("EXITPIN") != "1" or "EXITPIN_FACTS" not in os.environ:
            raise Refused(f"`exitpin {verb}` is for scripts inside of a run: exitpin sh -e EXIT ./script.sh")
        return {"emit": _emit, "evidence": _evidence, "verdict": _verdict}[verb](words)
    except Refused as refused:
        _say(f"{verb}: {refused}")
        return refused.status
    except OSError as error:
        _say(f"{verb}: nothing was given: {error.strerror}")
        return FAILED


def escaped(text: str) -> str:
    """A value on one line, as text that a terminal does not obey; no two values become the same."""
    if text.isprintable() and "\\" not in text:
        shown = text
    else:
        shown = "".join(c if c.isprintable() and c != "\\" else _escape(c) for c in text)
    if len(shown) <= VALUE_MAX:
        return shown
    from hashlib import sha256

    tail = f"... sha256:{sha256(os.fsencode(text)).hexdigest()}"
    return shown[: VALUE_MAX - len(tail)] + tail


def _escape(character: str) -> str:
    """As Python writes it; a byte that is no UTF-8 as \\xff."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return _SHORT.get(character) or character.encode("unicode_escape").decode("ascii")


def _emit(words: list[str]) -> int:
    facts: list[tuple[str, str]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not 0 < len(name) <= NAME_MAX or not NAMES.issuperset(name):
            raise Refused(f"{escaped(word)[:80]} is not NAME=VALUE, with a name of a-z, 0-9, '_' and '-'")
        if name in SPOKEN:
            raise Refused(f"{name} is said by `exitpin verdict STATUS REASON`")
        facts.append((name, value))
    if not facts:
        raise Refused("there is no NAME=VALUE")
    return _append("emit", facts)


def _verdict(words: list[str]) -> int:
    status, reason = words[0] if words else "", " ".join(words[1:])
    if status not in STATUSES:
        raise Refused(f"{escaped(status)[:80] or 'nothing'} is no verdict; it is {', '.join(STATUSES)}")
    if status != "ok" and not reason.strip():
        raise Refused(f"{status} wants a reason: exitpin verdict {status} 'what was seen'")
    return _append("verdict", [("verdict", status), *([("reason", reason)] if reason else [])])


def _append(verb: str, facts: list[tuple[str, str]]) -> int:
    """Add lines to the facts of the run, in one write: two scripts at once don't mix theirs."""
    lines = "".join(f"{name}={escaped(value)}\n" for name, value in facts).encode()
    file = os.open(os.environ["EXITPIN_FACTS"], os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        known = os.read(file, FACTS_BYTES + 1)
        if len(known) + len(lines) > FACTS_BYTES or known.count(b"\n") + len(facts) > FACTS_MAX:
            raise Refused(f"a run has room for {FACTS_MAX} facts and {FACTS_BYTES >> 10} KiB of them", 1)
        os.write(file, (b"" if known.endswith(b"\n") or not known else b"\n") + lines)
    finally:
        os.close(file)
    names = [line.partition(b"=")[0] for line in known.split(b"\n")] + [name.encode() for name, _ in facts]
    twice = [name for name, _ in facts if names.count(name.encode()) > 1]
    if twice:
        _say(f"{verb}: {twice[0]} is set twice, and the run ends as error (parse)")
    return 1 if twice else 0


def _evidence(words: list[str]) -> int:
    if len(words) not in (1, 2) or not words[0]:
        raise Refused("it wants FILE, or FILE and NAME")
    name = words[1] if len(words) == 2 else os.path.basename(words[0])
    if not 0 < len(name) <= NAME_MAX or name[0] in ".-" or not _FILE_NAMES.issuperset(name):
        raise Refused(f"{escaped(name)[:80]} is no name for it; write exitpin evidence FILE NAME")
    folder = os.environ.get("EXITPIN_EVIDENCE")
    if folder is None:
        _say(f"evidence: {name} is not kept: `exitpin run` and `exitpin sh` keep evidence with --json or --events FILE")
        return 0
    if len(os.listdir(folder)) >= FILES_MAX:
        raise Refused(f"a run has room for {FILES_MAX} files", 1)
    try:
        source = 0 if words[0] == "-" else os.open(words[0], os.O_RDONLY)
    except OSError as error:
        raise Refused(f"{escaped(words[0])[:80]}: {error.strerror}") from None
    chunk, path = os.read(source, _CHUNK), os.path.join(folder, name)  # a folder can be opened, and not be read
    try:
        kept = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Refused(f"{name} is kept already") from None
    try:
        size, is_cut = _copy(chunk, source, kept)
    except OSError:
        os.unlink(path)  # nobody is to take half of it for the whole
        raise
    if is_cut:
        _say(f"evidence: {name} was cut after {size} bytes")
    return 0


def _copy(chunk: bytes, source: int, kept: int) -> tuple[int, bool]:
    """As much as there is room for, and whether there was more: the kernel says where the tool's limit is (the
    interpreter ignores SIGXFSZ)."""
    import errno

    size = 0
    while chunk:
        try:
            written = os.write(kept, chunk[: FILE_BYTES - size])
        except OSError as error:
            if error.errno != errno.EFBIG:
                raise
            return size, True
        size += written
        if size == FILE_BYTES:
            return size, bool(chunk[written:] or os.read(source, 1))
        chunk = chunk[written:] or os.read(source, _CHUNK)
    return size, False


def _say(sentence: str) -> None:
    if sys.stderr is not None:  # somebody may have closed it
        sys.stderr.write(f"exitpin {sentence}.\n")


if __name__ == "__main__":
    sys.exit(give(sys.argv[1:]))
