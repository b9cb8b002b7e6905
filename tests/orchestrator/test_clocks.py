"""What three clocks tell together: a machine that slept, a process that was stopped, a clock that was set."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.clocks import Clocks, ClockWatch, Jump
from exitpin.orchestrator.timekeeping import Timekeeper
from exitpin.wrappers.clocks import read_clocks

START = Clocks(1_000_000.0, 100.0, 150.0)


def after(wall: float, monotonic: float, boottime: float) -> Jump | None:
    """What is seen when the clocks have gone on by so much."""
    return ClockWatch(START).look(Clocks(START.wall + wall, START.monotonic + monotonic, START.boottime + boottime))


@pytest.mark.parametrize(
    ("went_on", "jump"),
    [
        ((1, 1, 1), None),
        ((9, 9, 9), None),
        ((3601, 1, 3601), Jump(slept_s=3600)),
        ((15, 15, 15), Jump(stopped_s=15)),
        ((21, 1, 1), Jump(set_s=20)),
        ((-19, 1, 1), Jump(set_s=-20)),
        ((10, 1, 1), None),
        ((1, 1, 3601), Jump(slept_s=3600, set_s=-3600)),
        ((7201, 1, 3601), Jump(slept_s=3600, set_s=3600)),
    ],
)
def test_each_kind_of_jump_is_told_from_the_others(went_on: tuple[float, float, float], jump: Jump | None) -> None:
    assert after(*went_on) == jump


@given(st.lists(st.floats(0.0, 9.0), max_size=50))
def test_clocks_that_go_on_together_never_jump(steps: list[float]) -> None:
    watch, now = ClockWatch(START), START
    for step in steps:
        now = Clocks(*(value + step for value in now))
        assert watch.look(now) is None


def test_a_jump_is_seen_once_and_reads_as_a_sentence() -> None:
    watch = ClockWatch(START)
    later = Clocks(START.wall + 3600, START.monotonic, START.boottime + 3600)
    assert str(watch.look(later)) == "the machine was suspended for 3600 s"
    assert watch.look(later) is None
    assert str(Jump(stopped_s=15, set_s=-90)) == "exitpin was stopped for 15 s, and the clock was set back by 90 s"


def test_this_machines_clocks_can_be_read() -> None:
    first, second = read_clocks(), read_clocks()
    assert second.monotonic >= first.monotonic and second.boottime >= first.boottime
    assert first.boottime >= first.monotonic and first.wall > 1e9


def test_a_timekeeper_looks_when_it_is_asked_and_no_more_after_its_end() -> None:
    def told() -> Iterator[Clocks]:
        yield START
        yield START
        while True:
            yield START._replace(wall=START.wall + 100)

    async def script() -> None:
        clocks, jumps = told(), list[Jump]()
        keeper = Timekeeper(lambda: next(clocks), jumps.append)
        keeper.check()
        keeper.check()
        keeper.close()
        keeper.check()
        assert jumps == [Jump(set_s=100)]

    asyncio.run(script())
