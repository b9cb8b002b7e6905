"""Watches whose world breaks: all of it inside the lab, where a disk of so much room can be mounted, and be filled, and
be made read-only, under a scan."""

import json
import os
import re
import resource
import shlex
import shutil
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from exitpin.orchestrator.lab.state import LabState

from .conftest import eventually, verb
from .running import EXITPIN, stored
from .watching import HEAD, scan

BEGIN_S, END_S = 120.0, 120.0
EXITS, REPEAT = ("exit01", "exit02"), 4
SLOW = scan(
    "slow", "http-body", f"select = {{ exits = {json.dumps(EXITS)} }}", "jobs = 2", f"repeat = {REPEAT}",
    'params = { url = "http://web.test/delay/1" }',
)  # fmt: skip
SLOW_AUDIT = ("http-body", "-p", "url=http://web.test/delay/1", "-e", ",".join(EXITS), "-j", "2", f"--repeat={REPEAT}")

NO_MORE_FILES = "no more files could be opened: this process may have {} at a time. Raise that limit"


def assert_so(is_so: object, *told: object) -> None:
    assert is_so, told


def seen(lab: LabState, path: Path) -> Path:
    """What stands there inside the lab, for us outside."""
    return Path(f"/proc/{lab.supervisor_pid}/root{path}")


def inside(lab: LabState, *argv: str) -> list[str]:
    """A command line that is carried out inside the lab."""
    return [*verb("exec", "--name", lab.name, "--"), *argv]


def call(argv: list[str], **options: object) -> "subprocess.CompletedProcess[str]":
    """Carry it out and wait for its end."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=END_S, check=False, **options
    )


@contextmanager
def mounted(lab: LabState, place: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A tmpfs inside the lab; what is yielded remounts it."""
    place.mkdir(exist_ok=True)

    def mount(how: str) -> None:
        done = call(inside(lab, "mount", "-t", "tmpfs", "-o", how, "tmpfs", str(place)))
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr}")

    mount(options)
    try:
        yield lambda how: mount(f"remount,{how}")
    finally:
        call(inside(lab, "umount", "-l", str(place)))


@contextmanager
def full(place: Path) -> Iterator[None]:
    """A disk without a byte to spare; there is room again when the block is left."""
    filler = place / "filler"
    try:
        with open(filler, "wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue
        yield
    finally:
        filler.unlink()


@dataclass(frozen=True, slots=True)
class Scene:
    """One watch or audit inside the lab. `store`: its place there; `folder`: where it is started, and says things."""

    lab: LabState
    folder: Path
    store: Path

    @property
    def evidence(self) -> Path:
        return self.store.with_name(f"{self.store.name}.evidence")

    def watch(
        self,
        *options: str,
        plan: str = "nightly.toml",
        scans: str = SLOW,
        head: str = HEAD,
        under: tuple[str, ...] = (),
    ) -> list[str]:
        """What is typed, with the plan written; `under`: a command that starts it."""
        (self.folder / plan).write_text(head + scans)
        return inside(self.lab, *under, *EXITPIN, "watch", plan, f"--store={self.store}", *options)

    def audit(self, *options: str) -> list[str]:
        return inside(self.lab, *EXITPIN, "audit", f"--store={self.store}", *options)

    @contextmanager
    def started(self, argv: list[str], **environment: str) -> Iterator["subprocess.Popen[str]"]:
        """Its block begins when the first probes are in the store."""
        with (self.folder / "said").open("a") as said, (self.folder / "told").open("a") as told:
            process = subprocess.Popen(
                argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=told, stderr=said, text=True,
                start_new_session=True, env={**os.environ, **environment},
            )  # fmt: skip
        try:
            eventually(lambda: assert_so(process.poll() is not None or self.probes(), self.said), BEGIN_S)
            assert process.poll() is None, self.said
            yield process
        finally:
            process.kill()
            process.wait()

    @property
    def said(self) -> str:
        """On stderr."""
        return (self.folder / "said").read_text()

    def told(self) -> list[dict[str, object]]:
        """The records on stdout."""
        return [json.loads(line) for line in (self.folder / "told").read_text().splitlines()]

    def says(self, words: str, timeout_s: float = END_S) -> None:
        """Returns when it was said."""
        eventually(lambda: assert_so(words in self.said, words, self.said), timeout_s)

    def take_descriptors(self, share: float) -> int:
        """Let the audit open no more than this share of what it has open while two tools run; its limit then."""
        process = process_of(self.lab, "audit", f"--store={self.store}")
        eventually(lambda: assert_so(tools_below(process) == 2), END_S)
        limit = int(process.num_fds() * share)
        process.rlimit(resource.RLIMIT_NOFILE, (limit, limit))
        return limit

    def goes_on(self, where: Callable[[list[str]], list[str]] = lambda argv: argv) -> None:
        """By the command that was printed, to its end; `where`: what makes a command line of it."""
        (again,) = re.findall("to go on: exitpin (audit --resume .*)", self.said)
        done = call(where(inside(self.lab, *EXITPIN, *shlex.split(again))))
        assert done.returncode == 0, done.stderr

    def read(self) -> Path:
        """A copy of the store as it stands: SQLite follows the links of a path, and would leave the lab by them."""
        copy = self.folder / "copy" / "results.sqlite"
        copy.parent.mkdir(exist_ok=True)
        for end in ("", "-wal"):
            place = copy.with_name(copy.name + end)
            try:
                shutil.copyfile(seen(self.lab, self.store.with_name(self.store.name + end)), place)
            except FileNotFoundError:
                place.unlink(missing_ok=True)
        return copy

    def probes(self) -> Counter[tuple[str, int]]:
        """How often each probe is in the store."""
        try:
            runs = stored(self.read(), "run")
        except sqlite3.Error:  # it is not made yet
            return Counter()
        return Counter((run["key"], run["repetition"]) for run in runs if run["role"] == "probe")

    def ids(self) -> set[str]:
        """Of all that is in the store."""
        with closing(sqlite3.connect(self.read())) as database:
            return {name for (name,) in database.execute("SELECT record_id FROM runs")}

    def states(self) -> list[str]:
        """Of the scans, the oldest first."""
        with closing(sqlite3.connect(self.read())) as database:
            return [state for (state,) in database.execute("SELECT state FROM scans ORDER BY started")]

    def assert_whole(self, before: set[str], scans: int = 1) -> None:
        """All scans are done, each probe is there once, nothing that was there before is gone, nobody is accused, and
        all of it is consistent."""
        assert self.states() == ["done"] * scans, self.said
        assert before <= self.ids()
        probes = self.probes()
        assert set(probes.values()) == {scans} and len(probes) == len(EXITS) * REPEAT, probes
        verdicts = stored(self.read())
        assert [verdict["status"] for verdict in verdicts] == ["ok"] * len(EXITS) * scans
        checked = call(inside(self.lab, *EXITPIN, "results", "verify", f"--store={self.store}"))
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert "Traceback" not in self.said, self.said


def tools_below(audit: psutil.Process) -> int:
    """How many of its tools run."""
    found = 0
    for process in audit.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found += process.name() == "curl"
    return found


def process_of(lab: LabState, *words: str) -> psutil.Process:
    """The innermost process inside the lab whose command line has these words."""
    psutil.process_iter.cache_clear()  # it keeps who had a number long ago
    found = {
        one.pid: one for one in psutil.process_iter(["cmdline", "ppid"])
        if set(words) <= set(one.info["cmdline"] or ()) and _is_inside(lab, one.pid)
    }  # fmt: skip
    # a child of it that has not executed anything yet has its command line, too
    grown = [
        one for one in found.values()
        if one.info["ppid"] not in found or found[one.info["ppid"]].info["cmdline"] != one.info["cmdline"]
    ]  # fmt: skip
    assert grown, words
    return max(grown, key=lambda one: one.create_time())


def _is_inside(lab: LabState, pid: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino == os.stat(f"/proc/{lab.supervisor_pid}/ns/pid").st_ino
    except OSError:
        return False
