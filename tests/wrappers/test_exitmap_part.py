"""A part of a module as the process that it is: which file it carries out, and what it has told when it has ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exitpin.wrappers.exitmap.imports import Outline
from exitpin.wrappers.exitmap.scan_files import FOLDER, ScanFiles, Spec

TIMEOUT_S = 30
FINGERPRINT = "A" * 40
EXIT = {"EXITPIN_EXIT_FP": FINGERPRINT, "EXITPIN_EXIT_NICK": "exit01", "EXITPIN_EXIT_IP": "203.0.113.7"}


class Part:
    """setup() and what comes after it, outside of a run. `facts`: what they gave, by name, in order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.module = folder / "tried.py"

    def begin(self, text: str) -> None:
        """A scan of this module."""
        self.module.write_text(text)
        files = ScanFiles(self._folder / "scan")
        files.begin(Spec(str(self.module), Outline.of(self.module).digest), "")
        files.tell_exit(FINGERPRINT, "", None)
        files.tell_stats({"started": 0, "probes": 0, "failed": {}, "terminated_relays": []})

    def run(self, part: str) -> "subprocess.CompletedProcess[str]":
        facts = self._folder / "facts"
        facts.write_text("")
        return subprocess.run(
            [sys.executable, "-P", "-m", "exitpin.wrappers.exitmap", part, str(self.module)],
            env={**os.environ, **EXIT, FOLDER: str(self._folder / "scan"), "EXITPIN_FACTS": str(facts)},
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip

    @property
    def facts(self) -> list[tuple[str, str]]:
        lines = (self._folder / "facts").read_text().splitlines()
        return [(name, value) for name, _, value in (line.partition("=") for line in lines) if name != "module"]


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return Part(tmp_path)


def test_a_thread_that_outlives_the_call_is_in_the_level_which_is_told_once(part: Part) -> None:
    """A fact that is given twice makes the run one that failed."""
    part.begin(
        "import logging, threading\n"
        "def late():\n"
        "    threading.main_thread().join()\n"
        "    logging.critical('late')\n"
        "def setup():\n"
        "    logging.warning('early')\n"
        "    threading.Thread(target=late).start()\n"
    )
    ended = part.run("setup")
    assert ended.returncode == 0, ended.stderr
    assert part.facts == [
        ("log.0001.warning", "root: early"), ("log.0002.critical", "root: late"), ("level", "critical"),
    ]  # fmt: skip


def test_what_forked_processes_and_the_end_log_is_a_fact_each_and_one_level(part: Part) -> None:
    part.begin(
        "import atexit, logging, multiprocessing, os, sys\n"
        "def child(n):\n"
        "    for _ in range(2): logging.log(10 * n, 'child')\n"
        "atexit.register(logging.info, 'at the end')\n"
        "def setup():\n"
        "    logging.info('first')\n"
        "    for n in (4, 5):\n"
        "        process = multiprocessing.get_context('fork').Process(target=child, args=(n,))\n"
        "        process.start(), process.join()\n"
        "    if os.fork() == 0:\n"
        "        logging.info('leaves as it came')\n"
        "        sys.exit(0)\n"
        "    os.wait()\n"
        "    logging.info('last')\n"
    )
    ended = part.run("setup")
    assert ended.returncode == 0, ended.stderr
    names = [name for name, _ in part.facts]
    assert len(set(names)) == len(names) == 10, names
    assert [name for name in names if name.count(".") == 2] == ["log.0001.info", "log.0002.info", "log.0003.info"]
    assert part.facts[-1] == ("level", "critical")


@pytest.mark.parametrize(
    ("end", "status", "facts"),
    [
        ("return 3", 0, [("exitmap.returned", "yes")]),
        ("sys.exit()", 1, [("raised", "SystemExit: probe() has exited, and not returned")]),
        ("sys.exit(0)", 1, [("raised", "SystemExit: probe() has exited, and not returned")]),
        ("sys.exit(7)", 7, []),
        ("os._exit(0)", 0, []),
        ("raise ValueError('no')", 1, [("raised", "ValueError: no")]),
        ("os.fork() or sys.exit(0); os.wait()", 0, [("exitmap.returned", "yes")]),
        ("os.fork() and os.wait()", 0, [("exitmap.returned", "yes")]),
        ("1 / (os.fork() and os.wait()[0])", 0, [("exitmap.returned", "yes")]),
    ],
)
def test_a_probe_has_returned_or_not_whatever_its_exit_status(
    part: Part, end: str, status: int, facts: list[tuple[str, str]]
) -> None:
    part.begin(f"import os, sys\ndef probe(a, b, c):\n    {end}\n")
    assert part.run("setup").returncode == 0
    ended = part.run("probe")
    assert (ended.returncode, part.facts) == (status, facts), ended.stderr


def test_what_a_module_makes_as_it_is_imported_is_made_once_for_all_parts(part: Part) -> None:
    """Else one that compares with it accuses every exit."""
    part.begin(
        "import uuid\ntoken, expected = uuid.uuid4().hex, None\n"
        "def setup():\n    global expected\n    expected = 'page for ' + token\n"
        "def probe(a, b, c):\n    assert expected == 'page for ' + token\n"
        "def teardown():\n    assert expected == 'page for ' + token\n"
    )
    for name in ("setup", "probe", "teardown"):
        ended = part.run(name)
        assert ended.returncode == 0, ended.stderr


def test_a_file_that_has_changed_since_the_scan_began_is_not_carried_out(part: Part) -> None:
    part.begin("def setup(): pass\n")
    assert part.run("setup").returncode == 0
    part.module.write_text("print('another one')\ndef setup(): pass\n")
    ended = part.run("setup")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "has changed since the scan began: begin another one" in ended.stderr
    assert [name for name, _ in part.facts] == ["raised"]


def test_what_a_file_is_called_does_not_matter(part: Part) -> None:
    part.module = part.module.with_name("tried")
    part.begin("def setup(): print(__name__, __file__)\n")
    ended = part.run("setup")
    assert (ended.returncode, ended.stdout) == (0, f"modules.tried {part.module}\n"), ended.stderr


def test_it_is_not_carried_out_by_itself(part: Part) -> None:
    part.begin("def setup(): pass\n")
    argv = [sys.executable, "-P", "-m", "exitpin.wrappers.exitmap", "setup", str(part.module)]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert (ended.returncode, ended.stdout) == (2, "") and "`exitpin exitmap`" in ended.stderr
