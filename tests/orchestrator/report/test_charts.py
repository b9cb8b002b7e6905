"""Strips and histograms as geometry: nothing gets lost, nothing leaves its frame."""

import itertools

import pytest

from exitpin.orchestrator.report.charts import (
    BINS_MAX,
    BINS_MIN,
    HISTOGRAM_HEIGHT,
    HISTOGRAM_WIDTH,
    SEGMENT_MIN,
    STRIP_WIDTH,
    TICK_GAP,
    duration,
    histogram,
    strip,
)


def test_a_strip_has_the_gravest_first_and_is_as_wide_as_its_verdicts_are_many() -> None:
    found = strip("tls-cert", {"ok": 90, "tampered": 10})
    assert [(part.status, part.count) for part in found.segments] == [("tampered", 10), ("ok", 90)]
    assert sum(part.width for part in found.segments) == pytest.approx(STRIP_WIDTH, abs=0.1)
    assert found.title == "tls-cert: 10 tampered, 90 ok"


def test_one_liar_among_many_exits_can_be_seen() -> None:
    thin = strip("x", {"ok": 1499, "tampered": 1}).segments[0]
    assert thin.width >= SEGMENT_MIN


def test_a_strip_without_verdicts_says_so() -> None:
    found = strip("x", {"ok": 0, "unheard-of": 3})
    assert found.segments == () and found.title == "x: no verdict"


@pytest.mark.parametrize(
    "seconds",
    [[0.5], [0.5] * 100, [0.001, 1000.0], [0.0, -1.0, 1e-9], [n / 10 for n in range(1, 500)], [1e-3, 1e9]],
    ids=["one", "the same", "far apart", "none at all", "many", "absurd"],
)
def test_a_histogram_counts_each_value_and_stays_in_its_frame(seconds: list[float]) -> None:
    found = histogram("x", seconds)
    assert sum(int(bar.title.split(": ")[1].split(" ")[0].replace(",", "")) for bar in found.bars) == len(seconds)
    for bar in found.bars:
        assert bar.x >= 0 and bar.x + bar.width <= HISTOGRAM_WIDTH
        assert bar.y >= 0 and bar.y + bar.height <= HISTOGRAM_HEIGHT + 0.01
    assert 0 <= found.median_x <= HISTOGRAM_WIDTH
    assert len(found.bars) <= BINS_MAX and BINS_MIN <= BINS_MAX


def test_labels_of_an_axis_do_not_touch() -> None:
    places = [tick.x for tick in histogram("x", [0.001, 100.0]).ticks]
    assert len(places) > 3
    assert all(b - a >= TICK_GAP for a, b in itertools.pairwise(places))


def test_half_and_nearly_all_are_told_in_words() -> None:
    assert histogram("whole run", [1.0] * 95 + [9.0] * 5).title == (
        "whole run, 100 runs: half within 1 s, 95 % within 1.4 s"
    )


@pytest.mark.parametrize("seconds", [[], [float("nan"), float("inf")]], ids=["none", "not finite"])
def test_where_nothing_was_measured_there_are_no_bars(seconds: list[float]) -> None:
    found = histogram("x", seconds)
    assert found.bars == () and "nothing" in found.title


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.0004, "0 ms"), (0.25, "250 ms"), (0.9999, "1 s"), (1.25, "1.2 s"), (61.0, "61 s")],
)
def test_durations_are_told_in_two_digits(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words
