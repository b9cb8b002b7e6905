"""Where tools' files are found, which of them holds, and whether it may be used: package data < /usr/share < /etc <
the user's configuration < ./tools.d.

A later layer's ID.toml replaces an earlier one; drop-ins ID.toml.d/*.toml of every layer are merged on top; a script
in scripts/ may carry its own table. Reading runs nothing, so a broken or an untrusted file can be looked at; `tool`
hands out only what is right and trusted. Nothing is read before it is asked for. Called by the command line.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..orchestrator.errors import EXIT_USAGE, OperatorError
from ..orchestrator.tool import Tool
from .tool_layers import SYSTEM, Layer, Source, beside, layers_of, sources_of
from .tool_tables import Merged, NoTable, digest, read_table, script_block
from .tool_trust import Refused, Trust, read_own


@dataclass(slots=True)
class Entry:
    """A tool as it was found. `tool` None: `problems` say why. `refusals`: why it may not be used although it can be
    read. `files`: all that it consists of, with their bytes."""

    id: str
    source: Source
    merged: Merged = field(default_factory=Merged)
    files: list[tuple[Source, bytes]] = field(default_factory=list)
    tool: Tool | None = None
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    @property
    def tags(self) -> list[str]:
        """The tags, also of a file that is wrong elsewhere."""
        tags = self.merged.table.get("tags")
        return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []

    def usable(self) -> Tool:
        """The tool. Raises ToolFileError, or OperatorError if it may not be used."""
        if self.problems or self.tool is None:
            from .tool_problems import ToolFileError

            raise ToolFileError(self.problems)
        if self.refusals:
            raise OperatorError("\n".join(self.refusals), "", EXIT_USAGE)
        return self.tool


def load_catalogue(
    env: Mapping[str, str], cwd: str | Path, *, package: Path | None = None, system: Sequence[Path] = SYSTEM
) -> "Catalogue":
    """The tools that can be found from here."""
    return Catalogue(layers_of(env, Path(cwd), package, system), Trust(env), Path(cwd))


class Catalogue:
    """Finds tools by id, tag or path, reading each file once. `notes`: what a selection left out, for the user."""

    def __init__(self, layers: Sequence[Layer], trust: Trust, cwd: Path) -> None:
        self._layers = layers
        self._trust = trust
        self._cwd = cwd
        self._entries: dict[str, Entry] = {}
        self._sources: dict[str, Source] | None = None
        self._doubles: list[str] = []
        self.notes: list[str] = []

    def ids(self) -> list[str]:
        """All ids, in the order of the alphabet."""
        return sorted(self._found())

    def entry(self, tool_id: str) -> Entry:
        """The tool as it was found, be it right or not. Raises OperatorError for an id that nothing has."""
        found = self._found()
        if tool_id not in found:
            near = get_close_matches(tool_id, found, 3, 0.5)
            hint = f"Did you mean {' or '.join(near)}?" if near else "`exitpin tools list` shows all."
            if Path(tool_id).suffix or (self._cwd / tool_id).is_file():
                hint = f"For a file write its path: ./{tool_id}"
            raise OperatorError(f"There is no tool {tool_id!r}.", hint, EXIT_USAGE)
        if tool_id not in self._entries:
            self._entries[tool_id] = self._read(tool_id, found[tool_id], self._drop_ins(tool_id))
        return self._entries[tool_id]

    def tool(self, tool_id: str) -> Tool:
        """The tool, to be run. Raises OperatorError if it is unknown, wrong, or not trusted."""
        return self.entry(tool_id).usable()

    def tagged(self, tag: str) -> list[Tool]:
        """All tools with the tag (`all`: all tools) that may be used; `notes` names the others."""
        entries = [self.entry(tool_id) for tool_id in self.ids()]
        chosen = [entry for entry in entries if tag == "all" or tag in entry.tags]
        if not chosen:
            tags = sorted({each for entry in entries for each in entry.tags})
            near = get_close_matches(tag, tags, 3, 0.5)
            hint = f"Did you mean @{' or @'.join(near)}?" if near else f"There are {', '.join(['all', *tags])}."
            raise OperatorError(f"No tool has the tag {tag!r}.", hint, EXIT_USAGE)
        tools = []
        for entry in chosen:
            try:
                tools.append(entry.usable())
            except OperatorError as error:
                self.notes.append(f"{entry.id} is left out: {str(error).splitlines()[0]}")
        return tools

    def resolve(self, words: Iterable[str]) -> list[Tool]:
        """The tools that `ID`, `@TAG`, `@all`, `./path.toml` and `./path.sh` stand for, each once.

        Raises OperatorError for what is unknown, and for a tool that was named and can't be used.
        """
        tools: dict[str, Tool] = {}
        for word in words:
            if word.startswith("@"):
                found = self.tagged(word[1:])
            elif is_path(word):
                found = [self.at(word).usable()]
            else:
                found = [self.tool(word)]
            for tool in found:
                other = tools.setdefault(tool.id, tool)
                if other.path != tool.path:
                    hint = "Name one of them."
                    raise OperatorError(f"{other.path} and {tool.path} are both {tool.id}.", hint, EXIT_USAGE)
        return list(tools.values())

    def at(self, word: str) -> Entry:
        """The tool in the file of that path. Whoever names a file trusts it; it must still be theirs alone to write."""
        path = self._cwd.absolute() / word
        return self._read(path.stem, Source(path, Layer(path.parent), path.suffix != ".toml"), [])

    def unfounded(self) -> list[Path]:
        """Folders of drop-ins for tools that there are not."""
        folders = [folder for layer in self._layers for folder in sorted(layer.folder.glob("*.toml.d"))]
        return [folder for folder in folders if folder.name.removesuffix(".toml.d") not in self._found()]

    def doubles(self) -> list[str]:
        """A line for each two files of one layer that are the same tool."""
        self._found()
        return self._doubles

    def _found(self) -> dict[str, Source]:
        if self._sources is None:
            self._sources = {}
            for layer in self._layers:
                of_layer: dict[str, Source] = {}
                for source in sources_of(layer):
                    other = of_layer.get(source.path.stem)
                    if other is not None:
                        self._doubles.append(f"{source.path}: {other.path} is the same tool; rename one of them")
                    of_layer[source.path.stem] = source
                self._sources.update(of_layer)
        return self._sources

    def _drop_ins(self, tool_id: str) -> list[Source]:
        folders = [(layer, layer.folder / f"{tool_id}.toml.d") for layer in self._layers]
        return [Source(path, layer) for layer, folder in folders for path in sorted(folder.glob("*.toml"))]

    def _read(self, tool_id: str, source: Source, drop_ins: Iterable[Source]) -> Entry:
        entry = Entry(tool_id, source)
        script: bytes | None = None
        for each in (source, *drop_ins):
            content = self._content(each, entry)
            if content is None:
                continue
            try:
                table = _table(each, content)
            except NoTable as error:
                entry.problems.append(f"{each.path}: {error}")
                continue
            entry.merged.add(table, str(each.path))
            script = content if each.is_script else script
        if not entry.problems:
            paths = beside(entry.merged.table, source.path.parent)
            contents = [script, *(self._content(Source(path, source.layer), entry) for path in paths)]
            scripts = [content for content in contents if content is not None]
            _finish(entry, script, digest(entry.merged.table, scripts))
        return entry

    def _content(self, source: Source, entry: Entry) -> bytes | None:
        """The bytes of a file; None, and a problem, if it can't be read. That it is not trusted is noted only."""
        try:
            content = read_own(source.path, is_ours=source.layer.is_ours)
        except Refused as error:
            entry.problems.append(f"{source.path} is refused: {error}")
            return None
        except OSError as error:
            entry.problems.append(f"{source.path}: can't be read: {error.strerror}")
            return None
        entry.files.append((source, content))
        if source.layer.wants_trust and not self._trust.covers(source.path, content):
            why = "has changed since you trusted it" if self._trust.was_given(source.path) else "is not trusted"
            path = os.path.relpath(entry.source.path, self._cwd)
            path = path if path.startswith("..") else f"./{path}"
            hint = f"`exitpin tools cat {entry.id}` shows it; if you want to run it type: exitpin tools trust {path}"
            entry.refusals.append(f"{source.path} {why}: it is code. {hint}")
        return content


def is_path(word: str) -> bool:
    """Whether a word of the command line names a file, rather than a tool or a tag."""
    return "/" in word


def _table(source: Source, content: bytes) -> dict[str, Any]:
    if not source.is_script:
        return read_table(content)
    block = script_block(content)
    if block is None:
        raise NoTable("has no `# /// exitpin` block; `exitpin tools new NAME --script` writes one to look at")
    return read_table(block.encode())


def _finish(entry: Entry, script: bytes | None, sha256: str) -> None:
    """Make the tool of the merged table, or tell what is wrong with it."""
    from .tool_schema import ToolFileError, read_tool

    try:
        entry.tool, entry.warnings = read_tool(
            entry.merged.table,
            str(entry.source.path),
            stem=entry.id,
            script=None if script is None else script.decode("utf-8", "replace"),
            digest=sha256,
            origins=entry.merged.origins,
        )
    except ToolFileError as error:
        entry.problems += error.problems
        return
    path = entry.source.path
    if entry.tool.command.argv[0] == "{{script}}" and not os.access(path, os.X_OK):
        remedy = f'type chmod +x {path}, or write ["sh", "{{{{script}}}}"]'
        entry.problems.append(f"{path}: run.argv[0]: the script is not executable; {remedy}")
