"""What was started is remembered: by the next process, by another one, after a kill, and whatever the clock does."""

import select
from heapq import heappop, heappush
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from exitpin.orchestrator.allowance import Allowance, Window
from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.starts import LOOK_S, SYNC_S, UNDER_WAY_S, KeptStarts, recent_starts

from .starting import FIRST, SSH, WEB, Machine, circuit, run, starts, times_of

MINUTE = Window(30, 60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "starts-tor"


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_the_next_process_waits_for_what_the_last_one_started(path: Path, machine: Machine) -> None:
    first = starts(path, machine, Window(1, 3))
    assert circuit(first) == 0.0
    first.close()
    machine.passes(1)
    second = starts(path, machine, Window(1, 3))
    assert circuit(second) == pytest.approx(2)
    machine.passes(2)
    assert circuit(second) == 0.0


def test_no_window_has_too_many_over_a_row_of_processes_that_are_killed(path: Path, machine: Machine) -> None:
    begun: list[float] = []
    for _ in range(12):
        kept = starts(path, machine, MINUTE)  # and nobody closes it: it was killed
        begun += times_of(lambda kept=kept: circuit(kept), machine, 17)  # type: ignore[misc]
    assert len(begun) > 80
    assert all(later - earlier >= 60 for earlier, later in zip(begun, begun[30:], strict=False))


@pytest.mark.parametrize("seed", range(5))
def test_no_window_has_too_many_over_processes_that_run_at_once(path: Path, machine: Machine, seed: int) -> None:
    rng = Random(seed)
    several = [starts(path, machine, Window(1, 0.5), MINUTE) for _ in range(4)]
    due = [(machine.up + rng.random(), one) for one in range(4)]
    begun: list[float] = []
    while len(begun) < 100:
        at, one = heappop(due)
        machine.passes(max(0.0, at - machine.up))
        if rng.random() < 0.01:  # killed, with or without a record that it had reserved
            several[one] = starts(path, machine, Window(1, 0.5), MINUTE)
        wait_s = several[one].take_circuit()
        begun += [machine.up] if wait_s == 0.0 else []
        if wait_s == SYNC_S:
            select.select([], [], [], 0.001)
        heappush(due, (machine.up + (wait_s or rng.random()), one))
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(begun))
    assert all(later - earlier >= 60 for earlier, later in zip(begun, begun[30:], strict=False))
    assert begun[-1] - begun[0] < 260, "and not far fewer than may start"


def test_two_who_have_reserved_do_not_wait_for_each_other(path: Path, machine: Machine) -> None:
    one, other = starts(path, machine, Window(1, 3)), starts(path, machine, Window(1, 3))
    one.take_circuit(), other.take_circuit()
    assert circuit(one) == 0.0
    assert circuit(other) == pytest.approx(3)
    machine.passes(3)
    assert circuit(other) == 0.0


def test_one_destination_has_its_limit_and_others_have_theirs(path: Path, machine: Machine) -> None:
    first = starts(path, machine, runs=Window(2, 60))
    assert [run(first, WEB), run(first, WEB)] == [0.0, 0.0]
    second = starts(path, machine, runs=Window(2, 60))
    assert run(second, WEB, SSH) == LOOK_S, "60 s, and it looks again before"
    assert run(second, SSH) == 0.0, "nothing was counted of what could not start"
    machine.passes(60)
    assert run(second, WEB, SSH) == 0.0


def test_a_run_that_has_not_begun_may_begin_at_any_moment(path: Path, machine: Machine) -> None:
    kept = starts(path, machine, runs=Window(2, 60))
    assert kept.take_run([WEB]) == {} and kept.take_run([WEB]) == {}
    machine.passes(100)
    assert kept.take_run([WEB]) == {WEB: UNDER_WAY_S}, "both are under way still"
    kept.began([WEB])
    machine.passes(40)
    kept.began([WEB])
    assert kept.take_run([WEB]) == {WEB: pytest.approx(20)}, "a minute after the first began"
    other = starts(path, machine, runs=Window(2, 60))
    assert other.take_run([WEB]) == {WEB: pytest.approx(20)}
    machine.passes(20)
    assert kept.take_run([WEB]) == {}


def test_a_run_is_on_the_disk_before_its_circuit_is_built(path: Path, machine: Machine) -> None:
    kept = starts(path, machine, runs=Window(2, 60))
    kept.take_run([WEB])
    assert kept.take_circuit() > 0, "neither the run nor the circuit has reached it"
    assert circuit(kept) == 0.0


@pytest.mark.parametrize("jump_s", [-1e6, -7200, 7200, 1e9])
def test_a_clock_that_is_set_changes_nothing(path: Path, machine: Machine, jump_s: float) -> None:
    first = starts(path, machine, MINUTE)
    assert [circuit(first) for _ in range(30)] == [0.0] * 30
    machine.wall += jump_s
    assert circuit(first) == LOOK_S
    second = starts(path, machine, MINUTE)
    assert circuit(second) == LOOK_S
    machine.passes(60)
    assert circuit(second) == 0.0


@pytest.mark.parametrize(("off_s", "wait_s"), [(10, 30), (0, 30), (-1e6, 30), (45, 5), (1e9, 0)])
def test_after_a_boot_the_wall_clock_says_how_old_a_start_is_and_the_boot_how_old_at_least(
    path: Path, machine: Machine, off_s: float, wait_s: float
) -> None:
    first = starts(path, machine, Window(1, 50))
    assert circuit(first) == 0.0
    machine.boots(off_s, up=20)
    assert circuit(starts(path, machine, Window(1, 50))) == pytest.approx(wait_s)
    machine.passes(wait_s or 50)
    assert circuit(starts(path, machine, Window(1, 50))) == 0.0, "no clock makes anybody wait longer than the period"


def test_a_limit_of_hours_sees_what_a_shorter_one_started(path: Path, machine: Machine) -> None:
    first = starts(path, machine, Window(1, 1))
    assert len(times_of(lambda: circuit(first), machine, 20)) >= 15
    second = starts(path, machine, Window(10, 3600))
    assert circuit(second) == LOOK_S


def test_what_was_started_can_be_asked_without_making_a_file(path: Path, machine: Machine) -> None:
    allowance = Allowance((Window(1, 3),))
    assert recent_starts(path, allowance) is None and not path.exists()
    kept = KeptStarts(path, allowance)
    assert circuit(kept) == 0.0
    known = recent_starts(path, allowance)
    assert known is not None and len(known.times(None)) == 1 and known.times(WEB) == []


def test_who_waits_long_is_told_whereto(path: Path, machine: Machine) -> None:
    told: list[tuple[object, float]] = []
    kept = starts(path, machine, Window(1, 30), runs=Window(1, 60))
    kept.watch(lambda why: None, lambda place, wait_s: told.append((place, wait_s)))
    assert circuit(kept) == 0.0 and run(kept, WEB) == 0.0
    circuit(kept), run(kept, WEB)
    assert told == [(None, 30), (WEB, 60)]


def test_names_of_destinations_are_not_written_down(path: Path, machine: Machine) -> None:
    kept = starts(path, machine, runs=Window(1, 60))
    run(kept, WEB)
    assert b"web" not in path.read_bytes() and FIRST in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_somebody_keeps_locked_is_a_problem_and_no_excuse(path: Path, machine: Machine) -> None:
    one, other = starts(path, machine, Window(1, 3)), starts(path, machine, Window(1, 3))
    problems: list[str] = []
    other.watch(problems.append, lambda place, wait_s: None)
    one._file.lock()
    assert 0 < other.take_circuit() < 1 and not problems
    other._busy_since = -1e6
    assert other.take_circuit() > 0
    assert problems == [other.problem] and "locked" in other.problem
    one._file.unlock()
    assert other.take_circuit() > 0, "it stays one"


def test_a_start_that_found_the_file_locked_is_counted_when_it_is_free(path: Path, machine: Machine) -> None:
    one, other = starts(path, machine, runs=Window(1, 60)), starts(path, machine, runs=Window(1, 60))
    assert one.take_run([WEB]) == {}
    machine.passes(25)
    other._file.lock()
    one.began([WEB])
    assert one.take_run([WEB]) != {}, "nothing starts meanwhile"
    other._file.unlock()
    machine.passes(10)
    assert one.take_run([WEB]) == {WEB: LOOK_S}, "it began 10 s ago"
    assert one.times(WEB) == [machine.up - 10]
    assert other.take_run([WEB]) == {WEB: LOOK_S}
    assert other.times(WEB) == [machine.up - 10], "and not 35 s ago, when it was decided"


def test_a_start_that_found_the_file_locked_is_counted_before_it_is_closed(path: Path, machine: Machine) -> None:
    one, other = starts(path, machine, runs=Window(1, 60)), starts(path, machine, runs=Window(1, 60))
    assert one.take_run([WEB]) == {}
    machine.passes(25)
    other._file.lock()
    one.began([WEB])
    other._file.unlock()
    one.close()
    assert starts(path, machine, runs=Window(1, 60)).times(WEB) == [machine.up]


def test_a_start_that_finds_the_file_locked_for_good_is_a_problem(path: Path, machine: Machine) -> None:
    one, other = starts(path, machine, runs=Window(1, 60)), starts(path, machine, runs=Window(1, 60))
    assert one.take_run([WEB]) == {}
    other._file.lock()
    one._busy_since = -1e6
    one.began([WEB])
    assert "locked" in one.problem
    other._file.unlock()
    assert one.take_run([SSH]) != {}, "nothing starts any more"
    one.close()


def test_a_folder_that_can_not_be_made_is_told_before_anything_starts(tmp_path: Path, machine: Machine) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match=r"can't be written: .*XDG_STATE_HOME"):
        starts(tmp_path / "file" / "starts-tor", machine, Window(1, 3))
