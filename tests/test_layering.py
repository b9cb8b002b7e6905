"""The direction of flow, as rules on imports: what the core may know, who sees the lab, where foreign code is met."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("orchestrator", "wrappers", "shim", "tools.d")

# Modules that do I/O or are told of it. All others in these folders are the core.
SHELL = {
    "orchestrator": {
        *("active", "attacher", "daemon", "evidence", "loop", "looks", "network", "ports", "settings", "timekeeping"),
    },
    "orchestrator/audit": {
        *("assessing", "auditing", "controlling", "keeping", "ledger", "recalling", "replaying", "scanning", "tasks"),
    },
    "orchestrator/results": {
        *(
            "blobs",
            "bundling",
            "checking",
            "exact_facts",
            "scan_lock",
            "sightings",
            "store",
            "stored",
            "sweep",
            "unbundling",
            "unpacking",
        ),
    },
    "orchestrator/watch": {"past"},
}
# Who may know whom, in the direction of flow: runs, what is kept of them, audits, what is told of those.
MAY_KNOW = {
    "": {""},
    "results": {"", "results"},
    "audit": {"", "results", "audit"},
    "report": {"", "results", "audit", "report"},
    "watch": {"", "results", "watch"},
}
NOT_IN_THE_CORE = {
    *("asyncio", "concurrent", "ctypes", "fcntl", "http", "io", "logging", "mmap", "multiprocessing", "os", "pathlib"),
    *("pty", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile"),
    *("threading", "time", "urllib"),
}
# Foreign packages are met in wrappers/ and shim/; these places may meet one more.
FOREIGN_ELSEWHERE = {
    "orchestrator/settings.py": {"pydantic"},
    "orchestrator/cli/": {"rich"},
    "orchestrator/lab/": {"platformdirs", "rich"},
    "orchestrator/report/": {"rich", "jinja2", "markupsafe"},
}
TOO_LONG = 300
REASON = "Over 300 lines because"


def sources() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for top in PACKAGES for path in (ROOT / top).rglob("*.py"))


def imports(source: str, root: Path = ROOT) -> Iterator[str]:
    """Each imported name in full: `orchestrator.model.Run` for one of ours, `socket.AF_INET` for another's."""
    package = source.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(ast.parse((root / source).read_text("utf-8"), source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("exitpin.") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = [*base, *(node.module or "").split(".")]
            yield from (".".join([*filter(None, stem), alias.name]).removeprefix("exitpin.") for alias in node.names)


def is_ours(name: str) -> bool:
    return name.split(".")[0] in {"orchestrator", "wrappers", "shim", "tools_d", "exitpin", "__version__", "_version"}


def is_core(source: str) -> bool:
    folder, _, name = source.rpartition("/")
    return folder in SHELL and name.removesuffix(".py") not in SHELL[folder]


def is_shell(name: str) -> bool:
    """A dotted name of one of ours that does I/O."""
    parts = name.split(".")
    return any("/".join(parts[:n]) in SHELL and parts[n] in SHELL["/".join(parts[:n])] for n in range(1, len(parts)))


def room(name: str) -> str:
    """The folder of orchestrator/ that a dotted name, or a path, is in; empty for orchestrator/ itself."""
    parts = name.replace("/", ".").removesuffix(".py").split(".")
    return parts[1] if len(parts) > 2 and (ROOT / "orchestrator" / parts[1]).is_dir() else ""


def is_lab(name: str) -> bool:
    """A dotted name, or a path, of the lab: its own folder, and its daemons' adapters."""
    return name.replace("/", ".").startswith(("orchestrator.lab", "wrappers.lab_"))


@pytest.mark.parametrize("source", [source for source in sources() if is_core(source)])
def test_the_core_imports_the_standard_library_and_itself_and_does_no_io(source: str) -> None:
    for name in imports(source):
        top = name.split(".")[0]
        if is_ours(name):
            assert name.startswith("orchestrator.") and not is_shell(name), f"{source} imports {name}"
        else:
            assert top in sys.stdlib_module_names, f"{source} imports {name}"
            assert top not in NOT_IN_THE_CORE, f"{source} imports {name}"
            assert top != "random" or name == "random.Random", f"{source}: the generator is an argument, not {name}"


@pytest.mark.parametrize("source", [source for source in sources() if source.startswith("orchestrator/")])
def test_each_room_knows_only_what_flows_into_it(source: str) -> None:
    allowed = MAY_KNOW.get(room(source))
    known = {room(name) for name in imports(source) if name.startswith("orchestrator.")}
    assert allowed is None or known <= allowed, f"{source} knows of {known - allowed}"


@pytest.mark.parametrize("source", sources())
def test_only_the_lab_and_the_command_line_see_the_lab(source: str) -> None:
    if not is_lab(source) and not source.startswith("orchestrator/cli/"):
        assert not [name for name in imports(source) if is_lab(name)]


@pytest.mark.parametrize("source", sources())
def test_nothing_but_the_command_line_imports_the_command_line(source: str) -> None:
    """The lab's demo is a program of its own, which shows what a verb does."""
    if not source.startswith(("orchestrator/cli/", "orchestrator/_root/", "orchestrator/lab/demo")):
        assert not [name for name in imports(source) if name.startswith("orchestrator.cli")]


@pytest.mark.parametrize("source", sources())
def test_foreign_code_is_met_in_wrappers_and_shim(source: str) -> None:
    if source.startswith(("wrappers/", "shim/")):
        return
    allowed = set().union(*(names for place, names in FOREIGN_ELSEWHERE.items() if source.startswith(place)))
    tops = {name.split(".")[0] for name in imports(source) if not is_ours(name)}
    assert tops - sys.stdlib_module_names <= allowed


def long_sources() -> list[str]:
    """All that people read: Python and C, tests included."""
    folders = [ROOT / name for name in (*PACKAGES, "tests")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".c", ".h", ".sh"}]
    generated = ROOT / "shim" / "_bindings.c"
    return sorted(str(path.relative_to(ROOT)) for path in paths if path != generated)


@pytest.mark.parametrize("source", long_sources())
def test_a_file_over_300_lines_says_why_at_its_top(source: str) -> None:
    lines = (ROOT / source).read_text("utf-8").splitlines()
    assert len(lines) <= TOO_LONG or REASON in " ".join(" ".join(lines[:30]).split()), f"{len(lines)} lines"


def test_the_rules_see_imports_of_every_form(tmp_path: Path) -> None:
    (tmp_path / "wrappers").mkdir()
    (tmp_path / "wrappers" / "tor.py").write_text(
        "import socket\nfrom ..orchestrator.model import Run\nfrom . import socks\n"
        "from exitpin.orchestrator import lab\ndef late():\n    from ..orchestrator.cli.main import main\n"
    )
    assert list(imports("wrappers/tor.py", tmp_path)) == [
        "socket",
        "orchestrator.model.Run",
        "wrappers.socks",
        "orchestrator.lab",
        "orchestrator.cli.main.main",
    ]
