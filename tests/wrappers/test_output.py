"""What a tool writes: capped, by line where somebody wants lines, and never at the cost of the loop."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest

from exitpin.wrappers.output import LINE_COST, LINE_MAX, LineWriter, Output, printable

DEADLINE_S = 30.0


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


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.005)


def test_a_tool_waits_while_the_reader_of_its_lines_does() -> None:
    async def script() -> None:
        reading, writing = os.pipe()
        writer = LineWriter(writing, lambda: None, max_queued=1 << 17)
        output = Output(10, lambda line: writer.put(line + b"\n"), writer)
        os.set_blocking(output.descriptor, False)
        sent, blocked_turns = 0, 0
        while blocked_turns < 1000:
            try:
                sent += os.write(output.descriptor, b"x" * 1023 + b"\n")
                blocked_turns = 0
            except BlockingIOError:
                blocked_turns += 1
            await asyncio.sleep(0)
        assert sent < 1 << 20, "two pipes and the bound"
        taken = 0
        while taken < sent:
            taken += len(await asyncio.to_thread(os.read, reading, 1 << 16))
        await until(lambda: not writer.is_full)
        os.write(output.descriptor, b"more\n")
        assert await asyncio.to_thread(os.read, reading, 100) == b"more\n"
        output.started()
        output.finish()
        await writer.close()
        assert writer.problem is None

    played(script)


def test_lines_are_written_whole_and_in_order_before_it_closes() -> None:
    async def script() -> None:
        reading, writing = os.pipe()
        writer = LineWriter(writing, lambda: None)
        for number in range(1000):
            writer.put(b"%d\n" % number)
        writer.put(b"")
        await writer.close()
        assert os.read(reading, 1 << 16) == b"".join(b"%d\n" % number for number in range(1000))

    played(script)


def test_a_stalled_reader_is_waited_for_until_somebody_is_in_a_hurry() -> None:
    async def script() -> None:
        reading, writing = os.pipe()
        writer, hurry = LineWriter(writing, lambda: None), asyncio.Event()
        writer.put(b"x" * (1 << 20))
        closing = asyncio.ensure_future(writer.close(hurry, patience_s=0.01))
        await asyncio.sleep(0.05)
        assert not closing.done(), "and the loop goes on"
        hurry.set()
        await closing
        assert writer.problem == "its reader took too long"
        os.close(reading)

    played(script)


def test_a_reader_who_has_gone_is_told_of_once_and_nothing_is_kept_for_him() -> None:
    async def script() -> None:
        told: list[str] = []
        reading, writing = os.pipe()
        os.close(reading)
        writer = LineWriter(writing, lambda: told.append("gone"), max_queued=LINE_COST)
        writer.put(b"one\n")
        await until(lambda: bool(told))
        await turns()
        for _ in range(10):
            writer.put(b"more\n")
        assert not writer.is_full
        await writer.close()
        assert told == ["gone"] and writer.problem == "Broken pipe"

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
        ("a\udcff\n", "a\\udcff\\n"),
    ],
)
def test_a_terminal_is_shown_control_characters_and_does_not_obey_them(line: bytes | str, shown: str) -> None:
    assert printable(line) == shown
