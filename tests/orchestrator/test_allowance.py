"""How many starts are allowed in a time."""

from math import inf, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exitpin.orchestrator.allowance import Allowance, Tally, Unlimited, Window, last_of, open_at
from exitpin.orchestrator.model import Destination

WINDOWS = st.lists(st.builds(Window, st.integers(1, 5), st.floats(0.1, 20)), min_size=1, max_size=3)
WEB, SSH = Destination("web.test", 80), Destination("ssh.test", 22)


@given(WINDOWS, st.lists(st.floats(0, 5), max_size=40))
def test_no_window_ever_has_more_than_its_count(windows: list[Window], pauses: list[float]) -> None:
    times: list[float] = []
    now = 0.0
    for pause in pauses:
        now = max(now + pause, open_at(times, windows))
        times.append(now)
    for window in windows:
        for first, beyond in zip(times, times[window.count :], strict=False):
            assert beyond >= first + window.period_s


@given(WINDOWS, st.lists(st.floats(0, 5), min_size=1, max_size=40))
def test_nobody_waits_longer_than_the_longest_period_after_the_last_start(
    windows: list[Window], pauses: list[float]
) -> None:
    times: list[float] = []
    for pause in pauses:
        times.append(max(times[-1] + pause if times else 0.0, open_at(times, windows)))
    assert open_at(times, windows) <= times[-1] + max(window.period_s for window in windows)


@given(WINDOWS, st.lists(st.floats(0, 5), min_size=5, max_size=40))
def test_nobody_waits_where_there_is_room(windows: list[Window], pauses: list[float]) -> None:
    """The time told is the earliest: a moment before it one window would have one too many."""
    times: list[float] = []
    for pause in pauses:
        times.append((times[-1] if times else 0.0) + pause)
    earliest = open_at(times, windows)
    if earliest > times[-1]:
        before = nextafter(earliest, -inf)
        assert any(sum(at + window.period_s > before for at in times) >= window.count for window in windows)


def test_the_end_of_a_window_is_not_part_of_it() -> None:
    assert open_at([0.0, 10.0], [Window(2, 60)]) == 60.0
    assert open_at([0.0], [Window(2, 60)]) == -inf


def test_what_is_under_way_has_its_place_in_every_window() -> None:
    assert open_at([0.0], [Window(2, 60)], under_way=1) == 60.0
    assert open_at([], [Window(2, 60)], under_way=1) == -inf
    assert open_at([], [Window(2, 60)], under_way=2) == inf


@pytest.mark.parametrize(
    ("count", "end"), [(0, 100.0), (1, 100.0), (2, 103.0), (20, 157.0), (21, 160.0), (40, 217.0), (41, 220.0)]
)
def test_the_last_of_many_starts_is_foretold(count: int, end: float) -> None:
    assert last_of(count, [], [Window(1, 3), Window(20, 60)], 100.0) == end


def test_earlier_starts_are_counted_when_the_last_one_is_foretold() -> None:
    assert last_of(2, [90.0, 95.0], [Window(2, 60)], 100.0) == 155.0


def test_old_starts_are_forgotten() -> None:
    tally = Tally[str]()
    for at in (30.0, 10.0, 20.0):
        tally.add("a", at)
    tally.add("b", 5.0)
    tally.forget(15.0)
    assert (tally.of("a"), tally.of("b"), len(tally)) == ([20.0, 30.0], (), 2)


def test_what_is_exempt_has_no_limit_of_its_own() -> None:
    allowance = Allowance((Window(1, 3),), Window(120, 3600), lambda destination: destination == WEB)
    assert allowance.windows_of(WEB) == ()
    assert allowance.windows_of(SSH) == (Window(120, 3600),)
    assert allowance.horizon_s == 3600
    assert allowance.is_limited and not Allowance().is_limited


def test_where_nothing_is_limited_everything_starts_at_once() -> None:
    assert Unlimited().take_circuit() == 0.0
    assert Unlimited().take_run([WEB, SSH]) == {}
