"""The folders in which tools are looked for, the files in them, and which files belong together.

Decides nothing about their contents, but that a script without a table is no tool. Called by `tool_files.py`, and where
files are written.
"""

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..orchestrator.settings import config_files
from .tool_tables import NoTable, read_table, script_block
from .tool_trust import read_own

SYSTEM = (Path("/usr/share/exitpin/tools.d"), Path("/etc/exitpin/tools.d"))
_BESIDE = re.compile(r"\{\{\s*tool_dir\s*\}\}/([^\0{}]+)")


@dataclass(frozen=True, slots=True)
class Layer:
    """A folder of tools. `is_ours`: part of exitpin itself; `wants_trust`: used only file by file, as trusted."""

    folder: Path
    is_ours: bool = False
    wants_trust: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a layer."""

    path: Path
    layer: Layer
    is_script: bool = False


def package_folder() -> Path:
    """Where the tools are that come with exitpin."""
    found = importlib.import_module(f"{__package__.rpartition('.')[0]}.tools_d").__file__
    assert found is not None
    return Path(found).parent


def user_folder(env: Mapping[str, str]) -> Path | None:
    """The user's own layer; None without XDG_CONFIG_HOME and HOME."""
    files = config_files(env)
    return files[1].parent / "tools.d" if len(files) > 1 else None


def layers_of(
    env: Mapping[str, str], cwd: Path, package: Path | None = None, system: Sequence[Path] = SYSTEM
) -> list[Layer]:
    """The layers that are there, the weaker first; a folder that is one already is not another."""
    own = user_folder(env)
    wanted = [Layer(package_folder() if package is None else package, is_ours=True), *map(Layer, system)]
    wanted += [Layer(own)] if own is not None else []
    wanted.append(Layer(cwd.absolute() / "tools.d", wants_trust=True))
    found: dict[Path, Layer] = {}
    for layer in wanted:
        if layer.folder.is_dir():
            found.setdefault(layer.folder.resolve(), layer)
    return list(found.values())


def sources_of(layer: Layer) -> Iterator[Source]:
    """The tools of a layer: scripts first."""
    yield from (Source(path, layer, True) for path in _scripts(layer))
    yield from (Source(path, layer) for path in sorted(layer.folder.glob("*.toml")) if path.is_file())


def _scripts(layer: Layer) -> Iterator[Path]:
    """The scripts of a layer that carry a table; also those whose table is broken."""
    for path in sorted(layer.folder.glob("scripts/*")):
        try:
            if path.is_file() and script_block(path.read_bytes()) is None:
                continue
        except NoTable:
            pass  # told when it is read
        except OSError:
            continue
        if path.is_file():
            yield path


def beside(table: Mapping[str, Any], folder: Path) -> Iterator[Path]:
    """The files of the tool's own folder that its command names: they belong to it."""
    run = table.get("run")
    argv = run.get("argv") if isinstance(run, dict) else None
    for word in argv if isinstance(argv, list) else ():
        match = _BESIDE.fullmatch(word) if isinstance(word, str) else None
        if match is not None:
            yield folder / match[1]


def trusting(path: Path) -> Iterator[tuple[Path, bytes]]:
    """All that trusting a file or a folder means: a tool's drop-ins and scripts belong to it.

    Raises Refused for what others could have written, and OSError.
    """
    if path.is_dir():
        patterns = ("*.toml", "*.toml.d/*.toml", "scripts/*")
        for file in (file for pattern in patterns for file in sorted(path.glob(pattern)) if file.is_file()):
            yield file, read_own(file)
        return
    content = read_own(path)
    yield path, content
    if path.suffix == ".toml":
        drop_ins = sorted(path.parent.glob(f"{path.name}.d/*.toml"))
        try:
            named = list(beside(read_table(content), path.parent))
        except NoTable:
            named = []
        yield from ((file, read_own(file)) for file in (*drop_ins, *named))
