"""Audits that are killed, and disks that fail, at moments drawn at random: nothing that had ended is lost, nothing is
asked twice, every piece of evidence is there, and nothing is left running.

Black box: the command line, the store as SQLite shows it, and a mark in the environment of all that descends from it.
"""

import os
import random
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

import psutil
import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.orchestrator.lab import start

from .resumed import END_S, EXITPIN, TOOLS, USUALLY_S, Audits, Content, content, is_begun

pytestmark = [pytest.mark.torture, pytest.mark.timeout(900)]

PROFILE = Path(__file__).parent.parent / "lab" / "audited.toml"
KILLS, CHAIN, DISKS = 20, 10, 4


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    name = f"resume-{os.getpid()}"
    try:
        start.up(name, None, profile=str(PROFILE))
    except OperatorError as error:
        if "make namespaces" in error.message or "needs the program" in error.message:
            pytest.skip(str(error))
        raise
    yield name
    start.down(name)


@pytest.fixture
def audits(lab: str, tmp_path: Path) -> Iterator[Audits]:
    with tempfile.TemporaryDirectory(prefix="xr", dir="/tmp") as runtime:
        found = Audits(lab, tmp_path, Path(runtime), secrets.token_hex(8))
        yield found
        for process in found.processes():
            with suppress(psutil.Error):
                process.kill()


@pytest.fixture
def undisturbed(audits: Audits) -> tuple[Content, float]:
    """What a scan that nobody disturbs leaves, and how long it takes."""
    store, began = audits.directory / "undisturbed.sqlite", time.monotonic()
    done = audits.run(audits.command(store, *audits.whole))
    assert done.returncode == 1, done.stderr
    found = content(store)
    assert len(found.verdicts) == len(TOOLS) * 8
    return found, time.monotonic() - began


def kill(audits: Audits, running: "subprocess.Popen[str]", rng: random.Random) -> str:
    """SIGKILL to the command, to its half inside the lab, or to both; which."""
    halves = psutil.Process(running.pid).children()
    whom = rng.choice(["outside", "inside", "both"])
    for process in ([running] if whom != "inside" else []) + (halves if whom != "outside" else []):
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)  # type: ignore[attr-defined]
    running.communicate(timeout=END_S)
    return whom


def assert_begun(store: Path) -> None:
    assert is_begun(store)


def assert_whole(audits: Audits, store: Path, expected: Content) -> None:
    """The store holds what an undisturbed scan would have left, each once, with all evidence."""
    found = content(store)
    assert found.keys == expected.keys
    assert found.verdicts == expected.verdicts
    checked = audits.run([*EXITPIN, "results", "verify", "--store", str(store)])
    assert checked.returncode == 0 and checked.stdout.startswith("consistent: "), checked.stdout[-2000:]
    scans = audits.run([*EXITPIN, "results", "list", "--scans", "--store", str(store)])
    assert scans.stdout.count("\n") == 1 and "done" in scans.stdout.split("\t"), scans.stdout


def test_a_scan_killed_at_any_moment_and_gone_on_with_is_a_whole_one(
    audits: Audits,
    undisturbed: tuple[Content, float],
    seed: int,
    scale: float,
    eventually: Callable[..., None],
    tell: Callable[[str, Mapping[str, object]], None],
) -> None:
    expected, took_s = undisturbed
    rng, resumed, kept, latest_s = random.Random(seed), 0, 0, min(took_s, USUALLY_S)
    blows = max(1, round(KILLS * scale))
    for number in count():
        is_drawn = number < blows
        if resumed and not is_drawn:
            break
        store = audits.directory / f"{number}.sqlite"
        running = audits.begin(store, *audits.whole)
        if is_drawn:
            time.sleep(rng.uniform(0.0, latest_s))
        else:  # each of those came before it had begun, or after its end
            eventually(partial(assert_begun, store), END_S)
        whom = kill(audits, running, rng)
        eventually(audits.nothing_is_left, END_S)
        if not is_begun(store):
            continue
        kept += len(content(store).verdicts)
        done = audits.resume(store)
        assert done.returncode in (1, 2), (whom, done.stderr)
        if done.returncode == 2:  # it had ended before the blow
            assert "no scan that was interrupted" in done.stderr, done.stderr
            latest_s = max(latest_s / 2, 1.0)  # the machine is less busy than it was
        resumed += done.returncode == 1
        assert_whole(audits, store, expected)
        audits.nothing_is_left()
        audits.no_file_is_left()
    tell("killed and resumed", {"scans": resumed, "verdicts kept": kept, "seconds undisturbed": round(took_s, 1)})


def test_one_scan_killed_again_and_again_comes_to_the_same_end(
    audits: Audits,
    undisturbed: tuple[Content, float],
    seed: int,
    scale: float,
    eventually: Callable[..., None],
    tell: Callable[[str, Mapping[str, object]], None],
) -> None:
    expected, took_s = undisturbed
    rng, store, blows = random.Random(seed), audits.directory / "chain.sqlite", 0
    for _ in range(max(2, round(CHAIN * scale))):
        words = ["--resume"] if is_begun(store) else audits.whole
        running = audits.begin(store, *words)
        time.sleep(rng.uniform(0.5, max(1.0, min(took_s, USUALLY_S) / 2)))
        blows += running.poll() is None
        kill(audits, running, rng) if running.poll() is None else running.communicate(timeout=END_S)
        eventually(audits.nothing_is_left, END_S)
    words = ["--resume"] if is_begun(store) else audits.whole  # all blows may have come before its first line
    done = audits.run(audits.command(store, *words))
    assert done.returncode in (1, 2), done.stderr
    assert_whole(audits, store, expected)
    tell("one scan", {"blows": blows})


# Disks. They are mounted inside the lab, where the audit writes.


@pytest.fixture
def disk(audits: Audits, lab: str) -> Iterator[Callable[[str], Path]]:
    """A file system of so much room, inside the lab."""
    place = Path(tempfile.mkdtemp(prefix="xd", dir="/tmp"))

    def mount(options: str) -> Path:
        done = audits.inside("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr}")
        return place

    yield mount
    audits.inside("umount", str(place))
    place.rmdir()


def audit_inside(audits: Audits, store: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return audits.inside(*audits.command(store, *words))


def assert_one_sentence(stderr: str, why: str) -> None:
    said = [line for line in stderr.splitlines() if "could not be written" in line or "can't be kept" in line]
    assert len(said) == 1 and why in said[0], stderr
    assert "Traceback" not in stderr
    assert stderr.count("to go on: exitpin audit --resume ") == 1, stderr


def test_a_disk_that_fills_up_is_one_sentence_and_nothing_is_half_written(
    audits: Audits,
    undisturbed: tuple[Content, float],
    disk: Callable[[str], Path],
    seed: int,
    scale: float,
) -> None:
    expected, _ = undisturbed
    rng, place = random.Random(seed), disk("size=64m")
    for number in range(max(1, round(DISKS * scale))):
        store = place / f"{number}.sqlite"
        room_kib = rng.randrange(400, 1500)
        assert audits.inside("mount", "-o", f"remount,size={room_kib}k", str(place)).returncode == 0
        full = audit_inside(audits, store, *audits.whole)
        assert full.returncode == 125, (room_kib, full.stderr)
        assert_one_sentence(full.stderr, "full" if "disk is full" in full.stderr else "No space left")
        checked = audits.inside(*EXITPIN, "results", "verify", "--store", str(store))
        assert checked.returncode in (0, 2), checked.stdout + checked.stderr
        assert audits.inside("mount", "-o", "remount,size=64m", str(place)).returncode == 0
        again = audit_inside(audits, store, "--resume")
        assert again.returncode == 1, again.stderr
        assert audits.inside("cp", "-r", str(store), str(audits.directory)).returncode == 0
        evidence = f"{store}.evidence"
        assert audits.inside("cp", "-r", evidence, str(audits.directory)).returncode == 0
        assert_whole(audits, audits.directory / store.name, expected)
        audits.nothing_is_left()
        assert audits.inside("sh", "-c", f"rm -rf {place}/*").returncode == 0


def test_evidence_that_can_not_be_kept_is_one_sentence(
    audits: Audits,
    undisturbed: tuple[Content, float],
    disk: Callable[[str], Path],
) -> None:
    """The folder of evidence is a disk of its own: at first it may not be written to, later it is full."""
    expected, _ = undisturbed
    store = audits.directory / "store.sqlite"
    evidence = Path(f"{store}.evidence")
    evidence.mkdir()
    assert audits.inside("mount", "-t", "tmpfs", "-o", "size=200k,ro", "tmpfs", str(evidence)).returncode == 0
    try:
        refused = audits.run(audits.command(store, *audits.whole))
        assert refused.returncode == 125
        assert "evidence can't be kept" in refused.stderr and "Nothing was started" in refused.stderr
        assert audits.inside("mount", "-o", "remount,rw", str(evidence)).returncode == 0
        full = audits.run(audits.command(store, *audits.whole))
        assert full.returncode == 125, full.stderr
        assert_one_sentence(full.stderr, "evidence can't be kept in")
        assert audits.inside("cp", "-r", f"{evidence}/.", f"{evidence}.saved").returncode == 0
    finally:
        audits.inside("umount", str(evidence))
    evidence.rmdir()
    Path(f"{evidence}.saved").rename(evidence)
    assert audits.run([*EXITPIN, "results", "verify", "--store", str(store)]).returncode == 0
    assert audits.resume(store).returncode == 1
    assert_whole(audits, store, expected)
