"""`exitpin __names KIND WORD COMMAND-LINE...`: the names that an argument can take, for a shell that completes it.

Asked at each TAB, so it imports little, starts nothing and asks nobody: exits are those of a running lab, or of the
consensus that exitpin's own tor has last kept. A line each, the name and what it is, with a tab between; only names
that begin as WORD does. What can't be read has no names: a shell that completes is no place for complaints. Whatever
the files say, a name is of letters, digits and dashes, and what is said of it is printable: both end up in a shell.
"""

import binascii
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

FINGERPRINT_AT_LEAST = 2
"""Digits of a fingerprint from which on fingerprints are offered: before that there are thousands."""
SAID_MAX = 100  # characters
CONSENSUS_MAX = 16 << 20  # bytes; it is at some 3 MB

Named = Iterator[tuple[str, str]]

_RELAY = re.compile(  # dir-spec, 3.4.1: `r nickname identity digest date time address port port`, then `s flags`
    rb"(?m)^r ([A-Za-z0-9]{1,19}) ([A-Za-z0-9+/]{27}) (?:\S+ ){2,3}([0-9.]{7,15}) \d+ \d+\n(?:[^rs].*\n)*s (.*)$"
)
_HEX = re.compile(r"[0-9A-Fa-f]+\Z")
_TOOL = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
_TAGS = re.compile(r"(?m)^(?:# ?)?tags *= *\[([^\]]*)\]")
_TAG = re.compile(r'"([a-z0-9][a-z0-9-]{0,63})"')
_SUMMARY = re.compile(r'(?m)^(?:# ?)?summary *= *"((?:[^"\\\n]|\\.)*)"')


def answer(arguments: Sequence[str]) -> int:
    """Print the names; the exit status is 0 whatever was asked."""
    kind, word, *line = [*arguments[1:], "", ""]
    find = KINDS.get(kind)
    try:
        for name, said in find(word, line) if find is not None else ():
            if name.startswith(word):
                told = "".join(c if c.isprintable() else "?" for c in said[:SAID_MAX])
                sys.stdout.write(f"{name}\t{told}\n" if told else f"{name}\n")
        sys.stdout.flush()
    except Exception:  # whatever lies in the folders of tools and labs: it is a TAB
        return 0
    return 0


def exits(word: str, line: Sequence[str]) -> Named:
    """What -e takes: `all` and `any`, nicknames, fingerprints; the last of several, with those before it."""
    before, comma, last = word.rpartition(",")
    taken = set(before.split(","))
    everything = [] if before else [("all", "each exit"), ("any", "a random one")]
    for name, said in [*everything, *exit_(last, line)]:
        if name not in taken:
            yield before + comma + name, said


def exit_(word: str, line: Sequence[str]) -> Named:
    """Nicknames that one exit alone has; with two hexadecimal digits fingerprints, too."""
    found = list(_relays(line))
    count: dict[str, int] = {}
    for nickname, _, _ in found:
        count[nickname.lower()] = count.get(nickname.lower(), 0) + 1
    for nickname, fingerprint, address in found:
        if count[nickname.lower()] == 1:
            yield nickname, f"{fingerprint[:8]} {address}"
    if len(word) >= FINGERPRINT_AT_LEAST and _HEX.match(word):
        for nickname, fingerprint, address in found:
            if fingerprint.startswith(word.upper()):
                yield word + fingerprint[len(word) :], f"{nickname} {address}"


def tools(word: str, _: Sequence[str]) -> Named:
    """Ids of declared tools; after @, tags of theirs."""
    seen: dict[str, str] = {}
    for path in _tool_files():
        text = path.read_text("utf-8", "replace") if os.access(path, os.R_OK) else ""
        if path.suffix != ".toml" and "# /// exitpin" not in text:
            continue
        if word.startswith("@"):
            tags = _TAGS.search(text)
            seen.update(dict.fromkeys((f"@{tag}" for tag in _TAG.findall(tags[1])), "") if tags else {})
        elif _TOOL.match(path.stem):
            summary = _SUMMARY.search(text)
            seen[path.stem] = summary[1] if summary else ""
    if word.startswith("@"):
        seen["@all"] = "every tool"
    yield from sorted(seen.items())


def labs(_: str, __: Sequence[str]) -> Named:
    """The labs that run."""
    from ..lab.state import running

    for lab in running():
        yield lab.name, f"{lab.exits} exits, {lab.profile}"


KINDS: Mapping[str, Callable[[str, Sequence[str]], Named]] = {
    "exits": exits,
    "exit": exit_,
    "tools": tools,
    "labs": labs,
}


def _relays(line: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Nickname, fingerprint and address of each exit of the network that the command line names."""
    inside = os.environ.get("EXITPIN_LAB")
    if "--lab" in line or (inside and "--control" not in line):
        from ..lab.state import DEFAULT_NAME, find

        lab = find(_value_of("--name", line) or inside or DEFAULT_NAME)
        for relay in lab.relays if lab is not None else ():
            if relay.role == "exit":
                yield relay.nickname, relay.fingerprint, relay.address
    elif "--control" not in line:
        from ...wrappers.runtime import data_directory

        try:
            with (data_directory() / "cached-consensus").open("rb") as file:
                kept = file.read(CONSENSUS_MAX)
        except OSError:
            kept = b""
        yield from of_consensus(kept)


def of_consensus(text: bytes) -> Iterator[tuple[str, str, str]]:
    """Nickname, fingerprint and IPv4 address of each exit of a consensus (dir-spec, 3.4.1), without bad ones."""
    for relay in _RELAY.finditer(text):
        nickname, identity, address, flags = relay.groups()
        if b"Exit" in flags.split() and b"BadExit" not in flags.split():
            yield nickname.decode(), binascii.a2b_base64(identity + b"=").hex().upper(), address.decode()


def _value_of(option: str, line: Sequence[str]) -> str:
    """Of `--option value` and `--option=value`; empty without it."""
    for at, word in enumerate(line):
        if word == option:
            return line[at + 1] if at + 1 < len(line) else ""
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
    return ""


def _tool_files() -> Iterator[Path]:
    """All that may be a tool, the weaker first."""
    from ...wrappers.tool_layers import layers_of

    for layer in layers_of(os.environ, Path.cwd()):
        yield from sorted(layer.folder.glob("scripts/*.*"))
        yield from sorted(layer.folder.glob("*.toml"))
