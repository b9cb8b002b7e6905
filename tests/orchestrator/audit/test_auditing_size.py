"""Scans of hundreds of exits on plays: how long they take, what they keep in memory, what chance decides."""

import gc
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from exitpin.orchestrator.audit.assessing import Ended
from exitpin.orchestrator.audit.cases import Case
from exitpin.orchestrator.model import Run
from exitpin.wrappers.stand_in_launch import Play

from ..scans import (
    DEAD,
    HONEST,
    LIE,
    Record,
    Scan,
    assert_nothing_is_held,
    assert_told_once,
    by_exit,
    exit_of,
    honest,
    number_of,
    tool,
)

pytestmark = pytest.mark.timeout(90)

PAGE = Path("/proc/self/statm")
PAGE_KIB = 4


def rss_kib() -> int:
    return int(PAGE.read_text().split()[1]) * PAGE_KIB


def test_300_exits_by_two_tools_take_seconds_and_leave_nothing_in_memory() -> None:
    liars = set(range(7, 300, 30))
    play = replace(HONEST, delay_s=0.01, stdout=HONEST.stdout + b"x" * 100_000)

    def told(run: Run) -> Play:
        return LIE if number_of(run) in liars else play

    scan = Scan(told, exits=300, tools=[tool("one"), tool("two")], jobs=64, circuit_s=0.005)
    peaks: list[int] = []
    at_first = rss_kib()
    kept: defaultdict[str, int] = defaultdict(int)

    def note(record: Record) -> None:
        kept[record["schema"]] += 1
        if kept[record["schema"]] % 100 == 0:
            peaks.append(rss_kib())

    scan.note = note
    before = time.monotonic()
    scan.carry_out()
    took_s = time.monotonic() - before
    assert scan.accused() == liars
    assert_told_once(scan, range(1, 301))
    assert_nothing_is_held(scan)
    assert took_s < 30.0
    assert max(peaks) - at_first < 60 << 10, f"{at_first} KiB at first, then {peaks}"
    gc.collect()
    left = Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, Ended | Case))
    assert left[Ended.__name__] <= 1, left


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_begins_in_the_same_order_and_comes_to_the_same_verdicts(seed: int) -> None:
    once = tool()
    often = replace(once, command=replace(once.command, retries=12))  # which circuits fail is a matter of time, too

    def told() -> Scan:
        play = by_exit(e5=[LIE], e11=[DEAD], e14=[DEAD, HONEST], e20=[replace(LIE, delay_s=0.01)])
        return Scan(play, exits=30, tools=[often], seed=seed, jobs=16, circuit_failures=0.1, control=honest).carry_out()

    def found(scan: Scan) -> set[tuple[int, str, int]]:
        return {(exit_of(verdict), verdict["status"], verdict["lied"]) for verdict in scan.verdicts}

    one, other = told(), told()
    assert one.began[:8] == other.began[:8]
    assert found(one) == found(other)
    assert Scan(by_exit(), exits=30, seed=seed + 10, jobs=16).carry_out().began[:8] != one.began[:8]
