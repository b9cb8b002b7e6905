"""TAP as an exit may have written it: what fails is seen, and what is not whole is no success."""

import time

import pytest

from exitpin.wrappers.tap import NOT_OK_MAX, Tap, read_tap

WELL = b"1..2\nok 1 - a\nok 2 - b\n"


@pytest.mark.parametrize(
    ("content", "not_ok", "passed"),
    [
        (WELL, (), 2),
        (b"TAP version 14\nok\nok\n1..2\n", (), 2),
        (b"ok 1\r\nok 2\r\n1..2\r\n", (), 2),
        (b"# a comment\n1..1\n    not ok 1 - of a block below\nok 1\n  ---\n  got: not ok 2\n  ...\n", (), 1),
        (b"1..2\nok 1\nok 2 - b # SKIP no openssl\n", (), 1),
        (b"1..2\nok 1\nok 2 # todo\n", (), 1),
        (b"1..0 # SKIP no openssl\n", (), 0),
        (b"1..1\nnot ok 1 - the body is whole\n", ("the body is whole",), 0),
        (b"1..1\nnot ok\n", ("test 1",), 0),
        (b"1..2\nok 1\nnot ok 2 # TODO as somebody says\n", ("# TODO as somebody says",), 1),
        (b"okay\nnot okay\nok1\n1..1\nok 1\n", (), 1),
    ],
)
def test_a_whole_document_is_read_line_by_line(content: bytes, not_ok: tuple[str, ...], passed: int) -> None:
    assert read_tap(content) == Tap(not_ok, passed)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "there is no plan"),
        (b"<html>ok</html>", "there is no plan"),
        (b"ok 1\n", "there is no plan"),
        (b"1..2\nok 1\n", "of 2 planned tests there are 1"),
        (b"1..1\nok 2\n", "of 1 planned tests"),
        (b"1..1\nok 1\nok 2\n", "of 1 planned tests there are 2"),
        (b"1..1\nok 1\n" + WELL, "test 1 stands there twice"),
        (b"1..1\n1..1\nok 1\n", "there are two plans"),
        (b"1..2\nok 1\nok 1\n", "test 1 stands there twice"),
        (b"1..1\nok 1\nBail out! no \x1b[2Jroute\n", "it gave up: no"),
        (b"the page's last line, unendedok 1\n1..1\n", "of 1 planned tests there are 0"),
        (b"1..1\nok 1\n" + b"#\n" * 100_000, "more than 100000 lines"),
        (b"ok\n" * 20_000 + b"1..20000\n", "more than 10000 tests"),
    ],
)
def test_what_is_not_whole_says_so(content: bytes, problem: str) -> None:
    found = read_tap(content)
    assert found.problem.startswith(problem) or problem in found.problem
    assert found.not_ok == ()


def test_what_was_cut_is_not_whole() -> None:
    assert read_tap(WELL, is_cut=True).problem == "it was cut"


@pytest.mark.parametrize(
    "noise", [b"1..0 # SKIP\n", b"Bail out!\n", b"  ---\n", b"ok 1\nok 2\n", b"1..9\n", b"# SKIP "]
)
def test_nothing_that_is_put_around_it_hides_what_failed(noise: bytes) -> None:
    assert "the key is known" in read_tap(noise + b"\n1..2\nok 1\nnot ok 2 - the key is known\n" + noise).not_ok


def test_failures_without_end_take_little_time_and_room() -> None:
    started = time.monotonic()
    found = read_tap(b"not ok 1 " + b"x" * 5000 + b"\n" + b"not ok \n" * 9_000 + b"\n" * 1_000_000)
    assert time.monotonic() - started < 5
    assert len(found.not_ok) == NOT_OK_MAX
    assert max(map(len, found.not_ok)) <= 1000
