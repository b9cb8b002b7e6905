"""Where two bodies differ: shown in few lines, in bounded time, whatever the bodies are."""

import itertools
import random
import time
from collections.abc import Callable

import pytest

from exitpin.orchestrator.report.bodies import (
    BODY_MAX,
    GONE,
    LINE_MAX,
    LINES_MAX,
    NEW,
    PATIENCE_S,
    SAME,
    SHOWN_MAX,
    SKIP,
    BodyDifference,
    body_difference,
)

DEADLINE_S = 10.0
PAGE = b"".join(b"<p>line %d</p>\n" % n for n in range(50))


def difference(here: bytes, there: bytes, clock: Callable[[], float] = lambda: 0.0) -> BodyDifference:
    return body_difference(here, there, clock)


def told(found: BodyDifference) -> list[tuple[str, str]]:
    return [(line.kind, line.before + line.marked + line.after) for line in found.lines]


def test_a_script_that_was_put_in_stands_alone_with_a_little_around_it() -> None:
    found = difference(PAGE + b"<script>evil()</script>\n</html>\n", PAGE + b"</html>\n")
    assert told(found) == [
        (SKIP, "48 lines that are the same"),
        (SAME, "<p>line 48</p>"),
        (SAME, "<p>line 49</p>"),
        (NEW, "<script>evil()</script>"),
        (SAME, "</html>"),
    ]
    assert (found.is_text, found.note) == (True, "")


def test_in_a_line_that_was_changed_the_change_is_marked() -> None:
    gone, new = difference(b"<a href='https://x'>", b"<a href='http://x'>").lines
    assert (gone.kind, gone.before, gone.marked, gone.after) == (GONE, "<a href='http", "", "://x'>")
    assert (new.kind, new.marked) == (NEW, "s")


def test_a_tag_that_was_put_into_a_line_is_marked_whole() -> None:
    _, new = difference(b"<b>x</b><script src=1></script></body>", b"<b>x</b></body>").lines
    assert new.marked == "<script src=1></script>"


def test_lines_that_have_little_in_common_are_not_marked() -> None:
    assert [line.marked for line in difference(b"Connection: close", b"Content-Type: text/html").lines] == ["", ""]


def test_a_page_of_one_line_is_broken_after_its_tags() -> None:
    line = b"<div>" + b"<p>words</p>" * 40
    assert told(difference(line + b"<i>evil</i></div>", line + b"</div>"))[-2] == (NEW, "<i>evil</i>")


def test_two_that_are_the_same_have_no_lines() -> None:
    assert difference(b"a\n", b"a\n").lines == ()


def test_what_differs_only_in_the_ends_of_lines_is_said_to_differ() -> None:
    found = difference(b"a\r\nb\r\n", b"a\nb\n")
    assert found.lines == () and "differ" in found.note


def test_bytes_are_shown_around_the_first_that_differs() -> None:
    found = difference(b"\0" * 1000 + b"evil" + b"\1" * 500, b"\0" * 1000 + b"good")
    assert not found.is_text
    assert found.lines[0].before == "976 bytes that are the same"
    assert any(line.kind == NEW and line.before.endswith("evil....") for line in found.lines)
    assert found.lines[-1].kind == SKIP


@pytest.mark.parametrize(
    "here",
    [b"\xff\xfe\xfd text that is no utf-8 \xc3\x28\n", b"\xed\xa0\x80", "\u202e\u2066evil".encode(), b"\r\r\r", b""],
    ids=["no utf-8", "surrogate", "bidi", "returns", "nothing"],
)
def test_any_bytes_can_be_compared(here: bytes) -> None:
    found = difference(here, PAGE)
    assert found.lines and all(line.kind in (SAME, GONE, NEW, SKIP) for line in found.lines)


def test_huge_bodies_are_cut_and_it_is_said() -> None:
    found = difference(b"x\n" * BODY_MAX, b"y\n" * BODY_MAX, time.monotonic)
    assert "first 1 MiB" in found.note and "not aligned" in found.note
    assert len(found.lines) <= SHOWN_MAX
    assert found.here_bytes == 2 * BODY_MAX


def test_thousands_of_lines_that_differ_are_shown_unaligned_half_of_each_side() -> None:
    found = difference(b"".join(b"a%d\n" % n for n in range(5000)), b"".join(b"b%d\n" % n for n in range(5000)))
    assert f"more than {LINES_MAX} lines" in found.note
    assert {line.kind for line in found.lines} == {GONE, NEW, SKIP}
    assert len(found.lines) <= SHOWN_MAX


def test_a_long_line_is_cut() -> None:
    for line in difference(b"x" * 50_000, b"y" * 50_000).lines:
        assert len(line.before + line.marked + line.after) < LINE_MAX + 50


def test_what_takes_too_long_is_shown_unaligned() -> None:
    clock = itertools.count(0.0, PATIENCE_S / 50)
    lines = [b"%d" % n for n in range(300)]
    found = difference(b"\n".join(lines), b"\n".join(reversed(lines)), lambda: next(clock))
    assert "took too long" in found.note
    assert {line.kind for line in found.lines} >= {GONE, NEW}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("letters", [b"ab", b"abcdefgh", b"a"])
def test_the_worst_for_difflib_ends_in_time(letters: bytes) -> None:
    rng = random.Random(1)
    sides = [b"\n".join(bytes([rng.choice(letters)]) for _ in range(LINES_MAX)) + tail for tail in (b"c", b"d")]
    began = time.monotonic()
    difference(*sides, time.monotonic)
    assert time.monotonic() - began < DEADLINE_S


@pytest.mark.timeout(60)
@pytest.mark.parametrize("body", [b"<" * BODY_MAX, b"><" * (BODY_MAX // 2), b"\n" * BODY_MAX], ids=["<", "><", "ends"])
def test_a_megabyte_of_anything_ends_in_time(body: bytes) -> None:
    began = time.monotonic()
    found = difference(body, body[:-2] + b"xy", time.monotonic)
    assert found.lines and time.monotonic() - began < DEADLINE_S
