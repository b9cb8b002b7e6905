"""Loads a module as exitmap does: as `modules.NAME`, with exitmap's own names to import beside it.

Called in the processes of a scan alone. A name of ours hides a module of that name in the file's folder, as in exitmap.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Final

NAMES: Final = frozenset(
    {"command", "error", "eventhandler", "exitmap", "log", "relayselector", "stats", "torsocks", "util"}
)


class _Alias:
    """A loader of a module that is loaded already, under a name of its own."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """It was carried out when it was first imported."""


class Names:
    """Finds exitmap's names before all others, and `socks` (PySocks, which exitmap needs) after all others."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """As importlib asks for it."""
        if name not in self._names:
            return None
        module = importlib.import_module(f".names.{name}", __package__)
        spec = ModuleSpec(name, _Alias(module), origin=module.__file__)  # type: ignore[arg-type]
        module.__spec__ = spec
        return spec


def provide_names() -> None:
    """From now on this process has exitmap's names."""
    sys.meta_path.insert(0, Names(NAMES))
    sys.meta_path.append(Names(frozenset({"socks"})))


def load(path: Path, source: bytes) -> ModuleType:
    """The module in this file, whose content was read already. Raises whatever its top-level code raises."""
    modules = ModuleType("modules")
    modules.__path__ = [str(path.parent)]
    sys.modules["modules"] = modules
    if path.parent.name == "modules":
        sys.path.append(str(path.parent.parent))  # a checkout: what else lies in its src
    name = f"modules.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=SourceFileLoader(name, str(path)))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    setattr(modules, path.stem, module)
    exec(compile(source, path, "exec", dont_inherit=True), vars(module))
    return module
