"""What a tool writes: capped, by line where somebody wants lines, and never at the cost of the loop."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from exitpin.wrappers.output import LINE_MAX, Output, printable

DEADLINE_S = 5.0


def played(script: Callable[[], Awaitable[None]]) -> None:
    async def play() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await script()

    asyncio.run(play())


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("cap", "kept", "is_truncated"), [(100, b"abcdef", False), (6, b"abcdef", False), (4, b"abcd", True)]
)
def test_no_more_than_the_cap_is_kept_and_that_is_said(cap: int, kept: bytes, is_truncated: bool) -> None:
    async def script() -> None:
        output = Output(cap)
        for part in (b"abc", b"def"):
            os.write(output.descriptor, part)
            await turns()
        output.started()
        output.finish()
        assert (bytes(output.kept), output.size, output.is_truncated) == (kept, 6, is_truncated)

    played(script)


def test_lines_are_handed_on_whole_and_the_last_one_without_its_end() -> None:
    async def script() -> None:
        lines: list[bytes] = []
        output = Output(100, lines.append)
        for part in (b"one\ntw", b"o\n\nthree"):
            os.write(output.descriptor, part)
            await turns()
        assert lines == [b"one", b"two", b""]
        output.started()
        output.finish()
        output.finish()
        assert lines == [b"one", b"two", b"", b"three"]

    played(script)


def test_a_line_without_end_is_handed_on_in_parts() -> None:
    async def script() -> None:
        lines: list[bytes] = []
        output = Output(10, lines.append)
        for _ in range(LINE_MAX // 4096 + 1):
            os.write(output.descriptor, b"x" * 4096)
            await turns()
        output.started()
        output.finish()
        assert lines == [b"x" * (LINE_MAX + 4096)]
        assert len(output.kept) == 10

    played(script)


def test_what_is_left_in_the_pipe_is_read_at_the_end() -> None:
    async def script() -> None:
        output = Output(1 << 20)
        os.write(output.descriptor, b"x" * 65536)
        output.started()
        output.finish()
        assert output.size == 65536

    played(script)


def test_a_tool_that_never_stops_writing_holds_up_neither_the_loop_nor_the_end() -> None:
    async def script() -> None:
        output: Output

        def writes_again(line: bytes) -> None:
            os.write(output.descriptor, b"y\n")  # as fast as it is read

        output = Output(4, writes_again)
        os.write(output.descriptor, b"y\n")
        await turns()
        assert 0 < output.size < 100
        output.finish()
        output.started()
        assert bytes(output.kept) == b"y\ny\n"

    played(script)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"plain \ttext", "plain \ttext"),
        (b"\x1b[2Jgone", "\\x1b[2Jgone"),
        (b"over\rwritten\x07", "over\\rwritten\\x07"),
        ("é ☃".encode(), "é ☃"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("\x9b31m\u202e".encode(), "\\x9b31m\\u202e"),
    ],
)
def test_a_terminal_is_shown_control_characters_and_does_not_obey_them(line: bytes, shown: str) -> None:
    assert printable(line) == shown
