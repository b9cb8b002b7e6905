"""Tables of tools' files: read from TOML or from a script's comment block, merged with drop-ins, digested, and written
out again with the file that each key came from. Works on bytes and dicts; opens nothing. Called by `tool_files.py`.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_BLOCK = re.compile(r"(?m)^# /// exitpin[ \t]*\n((?:^#(?:| .*)\n)*?)^# ///[ \t]*$")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDTH = 150
_SPLIT = (("run",), ("params",), ("requires",), ("extract",))
Keys = tuple[str, ...]


class NoTable(Exception):
    """There is no table in these bytes; the text says why."""


@dataclass(slots=True)
class Merged:
    """A table and, for each of its leaves, the file that it came from."""

    table: dict[str, Any] = field(default_factory=dict)
    origins: dict[Keys, str] = field(default_factory=dict)

    def add(self, table: Mapping[str, Any], origin: str) -> None:
        """Merge on top: tables key by key; everything else, lists too, replaces what was there."""
        self._add(self.table, table, origin, ())

    def _add(self, into: dict[str, Any], table: Mapping[str, Any], origin: str, place: Keys) -> None:
        for key, value in table.items():
            at = (*place, key)
            if isinstance(value, dict) and value:
                if not isinstance(into.get(key), dict):
                    self._forget(at)
                    into[key] = {}
                self._add(into[key], value, origin, at)
            elif value != {} or not isinstance(into.get(key), dict):
                self._forget(at)
                into[key] = value
                self.origins[at] = origin

    def _forget(self, place: Keys) -> None:
        for each in [each for each in self.origins if each[: len(place)] == place]:
            del self.origins[each]

    def origins_below(self, place: Keys) -> set[str]:
        """The files that the leaves of a table came from."""
        return {origin for each, origin in self.origins.items() if each[: len(place)] == place}


def read_table(content: bytes) -> dict[str, Any]:
    """The table of a TOML file. Raises NoTable."""
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NoTable(f"not TOML: {error}") from None


def script_block(content: bytes) -> str | None:
    """The text of a script's `# /// exitpin` block, without the comment signs; None: it has none.

    Raises NoTable for a second block, or one that does not end.
    """
    text = content.decode("utf-8", "replace").replace("\r\n", "\n")
    blocks = _BLOCK.findall(text)
    if len(blocks) > 1:
        raise NoTable("has two `# /// exitpin` blocks; keep one")
    if blocks:
        return "".join(line[2:] if line.startswith("# ") else line[1:] for line in blocks[0].splitlines(keepends=True))
    if re.search(r"(?m)^# /// exitpin[ \t]*$", text):
        raise NoTable("its `# /// exitpin` block has no end: each line begins with `# `, and the last is `# ///`")
    return None


def digest(table: Mapping[str, Any], scripts: Iterable[bytes]) -> str:
    """What two tools must share for their results to compare: SHA-256 of the merged table and the scripts it runs."""
    text = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    whole = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for script in scripts:
        whole.update(b"\0" + hashlib.sha256(script).digest())
    return whole.hexdigest()


def written(merged: Merged) -> str:
    """The table as TOML that a person can read, each entry with its origin behind it. `schema` comes first."""
    keys = sorted(merged.table, key=lambda key: (key != "schema", key == "test"))
    return "".join(line for key in keys for line in _entry((key,), merged.table[key], merged))


def _entry(place: Keys, value: Any, merged: Merged) -> Iterator[str]:
    origins = merged.origins_below(place)
    key = ".".join(_key(part) for part in place)
    origin = f"  # {_shown(', '.join(sorted(origins)))}\n"
    line = f"{key} = {toml(value)}"
    is_split = place in _SPLIT or len(origins) > 1 or len(line) > _WIDTH
    if isinstance(value, dict) and value and is_split:
        for name, each in value.items():
            yield from _entry((*place, name), each, merged)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield f"{key} = [{origin}"
        for each in value:
            yield f"  {toml(each)},\n"
        yield "]\n"
    else:
        yield line + origin


def _key(part: str) -> str:
    return part if _BARE.fullmatch(part) else _quoted(part)


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def toml(value: Any) -> str:
    """A value in TOML. Nothing in it can make a terminal do something."""
    if isinstance(value, str):
        is_literal = "\\" in value or '"' in value
        return f"'{value}'" if is_literal and "'" not in value and value.isprintable() else _quoted(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {toml(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return str(value)


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    return short or (f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}")
