"""The file of starts: what is cut off, damaged, removed or full is seen, and what is killed leaves it whole."""

import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest

from exitpin.orchestrator.allowance import Window
from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers import starts_file
from exitpin.wrappers.starts_file import SIZE, StartsFile

from .starting import FIRST, WEB, Machine, circuit, run, starts

KILLED = """
import sys
from pathlib import Path
from exitpin.orchestrator.allowance import Allowance, Window
from exitpin.wrappers.starts import KeptStarts
kept = KeptStarts(Path(sys.argv[1]), Allowance((Window(60000, 3600),)))
while True:
    if kept.take_circuit() == 0.0:
        print(1, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "starts-tor"


@pytest.fixture
def machine() -> Machine:
    return Machine()


def filled(path: Path, machine: Machine, count: int = 3) -> None:
    kept = starts(path, machine, Window(1000, 60))
    assert [circuit(kept) for _ in range(count)] == [0.0] * count
    kept.close()


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (0, b"no such file"),
        (9, b"\xff"),
        (SIZE + 3, b"\xff"),
        (2 * SIZE + 20, b"\xff\xff"),
        (0, b"SQLite format 3\0"),
        (SIZE, os.urandom(2 * SIZE)),
    ],
)
def test_damage_is_told_with_what_to_do(path: Path, machine: Machine, place: int, told: bytes) -> None:
    filled(path, machine)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(told)
    with pytest.raises(OperatorError, match=r"starts-tor, which keeps limits .* damaged.* remove it"):
        starts(path, machine, Window(1, 3))


def test_damage_that_comes_later_lets_nothing_start_any_more(path: Path, machine: Machine) -> None:
    kept, problems = starts(path, machine, Window(1, 3)), []
    kept.watch(problems.append, lambda place, wait_s: None)
    path.write_bytes(b"x" * 200)
    assert circuit(kept) > 0 and kept.take_run([WEB])
    kept.began([WEB])
    assert len(problems) == 1 and "damaged" in problems[0]


def test_a_file_that_is_removed_meanwhile_is_missed(path: Path, machine: Machine) -> None:
    kept = starts(path, machine, Window(1, 3))
    path.unlink()
    assert circuit(kept) > 0
    assert "removed" in kept.problem


def test_a_file_that_is_emptied_meanwhile_is_not_taken_for_a_new_one(path: Path, machine: Machine) -> None:
    kept = starts(path, machine, Window(1000, 60))
    assert circuit(kept) == 0.0
    os.truncate(path, 0)
    assert circuit(kept) > 0
    assert "emptied" in kept.problem


def test_a_file_that_was_cut_in_a_record_is_damaged(path: Path, machine: Machine) -> None:
    filled(path, machine)
    os.truncate(path, 3 * SIZE + 10)
    with pytest.raises(OperatorError, match="cut off"):
        starts(path, machine, Window(1, 3))


def test_a_record_that_never_reached_the_disk_is_none(path: Path, machine: Machine) -> None:
    """Of what was written since the last sync a power cut may leave the header alone."""
    filled(path, machine)
    os.truncate(path, 3 * SIZE)
    assert len(starts(path, machine, Window(1, 3)).times(None)) == 2


def test_an_empty_file_is_a_new_one(path: Path, machine: Machine) -> None:
    path.touch()
    assert circuit(starts(path, machine, Window(1, 3))) == 0.0


def test_a_link_is_not_followed(path: Path, machine: Machine, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperatorError, match="can't be written"):
        starts(path, machine, Window(1, 3))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("room", [0, SIZE, 3 * SIZE, 3 * SIZE + 30])
def test_a_full_disk_lets_nothing_start_and_is_told_once(path: Path, machine: Machine, room: int) -> None:
    filled(path, machine, 0)
    kept, problems, begun = starts(path, machine, Window(1000, 60)), [], 0
    kept.watch(problems.append, lambda place, wait_s: None)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        while circuit(kept) == 0.0:
            begun += 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert run(kept, WEB) > 0, "also when there is room again: what was not written is not known"
    assert len(problems) == 1 and "File too large" in problems[0] and "Make room" in problems[0]
    known = starts(path, machine, Window(1000, 60)).times(None)
    assert len(known) >= begun


def test_a_ring_has_an_end_and_what_counts_is_not_written_over(
    path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts_file, "SLOTS", 16)
    monkeypatch.setattr("exitpin.wrappers.starts.SLOTS", 16)
    kept = starts(path, machine, Window(1000, 60))
    assert [circuit(kept) for _ in range(16)] == [0.0] * 16
    assert circuit(kept) == 30.0, "full: the oldest counts still"
    machine.passes(60)
    assert [circuit(kept) for _ in range(10)] == [0.0] * 10
    assert len(starts(path, machine, Window(1000, 60)).times(None)) == 16
    machine.passes(60)
    for _ in range(5):
        assert [run(kept, WEB) for _ in range(16)] == [0.0] * 16
        machine.passes(60)
    assert path.stat().st_size == 17 * SIZE


def test_what_is_read_stops_at_what_is_too_old(path: Path, machine: Machine) -> None:
    filled(path, machine, 60)
    machine.passes(4000)
    filled(path, machine, 3)
    read = 0

    def reading(take: Callable[..., bytes]) -> Callable[..., bytes]:
        def pread(*args: int) -> bytes:
            nonlocal read
            found = take(*args)
            read += len(found)
            return found

        return pread

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starts_file, "CHUNK", 8)
        patch.setattr("exitpin.wrappers.starts.CHUNK", 8)
        patch.setattr(os, "pread", reading(os.pread))
        assert len(starts(path, machine, Window(1, 3)).times(None)) == 3
    assert read < 30 * SIZE


def test_a_header_is_read_back_as_it_was_written(path: Path) -> None:
    file = StartsFile(path)
    file.lock()
    number = file.append(starts_file.Start(starts_file.short("a"), FIRST, 1.5, 2.5, False))
    told = path.read_bytes()
    assert struct.unpack_from("<8sQQ", told) == (b"exitpin\x01", 1, 1)
    assert struct.unpack_from("<I", told, 24)[0] == crc32(told[:24])
    assert file.read(number) == starts_file.Start(starts_file.short("a"), FIRST, 1.5, 2.5, False)
    assert StartsFile(path).is_as_left() is False


def test_whoever_is_killed_at_any_moment_has_started_no_more_than_is_written(path: Path) -> None:
    for _ in range(5):
        known_before = _known(path)
        with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            begun = sum(1 for _ in zip(range(50), child.stdout, strict=False))
            child.kill()
            begun += len(child.stdout.readlines())
        assert begun >= 50
        assert begun <= _known(path) - known_before <= begun + 2, "what it was about to start, too"


def _known(path: Path) -> int:
    from exitpin.orchestrator.allowance import Allowance
    from exitpin.wrappers.starts import recent_starts

    known = recent_starts(path, Allowance((Window(1, 3),)))
    return 0 if known is None else len(known.times(None))
