"""Lines that an event loop reads: it goes on meanwhile, and none are written when they are left."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
import sh

from exitpin.wrappers import lines as lines_module

from .test_commands import Here, here, run
from .test_running import QUIET, ended

__all__ = ["here"]

WAYS = [{"_iter": True}, {"_iter": True, "_async": True}, {"_iter_noblock": True}, {"_iter": True, "_tee": True}]


async def read(lines: Any) -> list[Any]:
    return [line async for line in lines]


@pytest.mark.parametrize("habits", [*WAYS, {"_iter": "err", "_async": True}], ids=str)
def test_an_event_loop_goes_on_while_it_waits_for_a_line(here: Here, habits: dict[str, Any]) -> None:
    given: queue.Queue[Any] = queue.Queue()

    async def feed() -> None:
        for line in ("a\n", "b", None):
            await asyncio.sleep(0)
            given.put(line)

    async def main() -> list[Any]:
        lines = run(here, "sh", "-c", "cat >&2" if habits.get("_iter") == "err" else "cat", _in=given, **habits)
        feeding = asyncio.create_task(feed())
        seen = await read(lines)
        await feeding
        assert lines.record == {"process": {}}
        return seen

    assert asyncio.run(main()) == ["a\n", "b"]


@pytest.mark.parametrize("habits", WAYS, ids=str)
def test_what_a_command_raises_is_raised_when_its_lines_are_read(here: Here, habits: dict[str, Any]) -> None:
    async def main() -> None:
        lines = run(here, "sh", "-c", "echo a; exit 3", **habits)
        with pytest.raises(sh.ErrorReturnCode_3) as raised:
            await read(lines)
        assert raised.value.record is lines.record is not None
        assert await read(lines) == []

    asyncio.run(main())


def test_a_loop_of_one_kind_goes_on_where_one_of_the_other_was(here: Here) -> None:
    async def main() -> None:
        lines = run(here, "sh", "-c", "echo a; echo b; printf c", _iter=True)
        assert (next(lines), await read(lines)) == ("a\n", ["b\n", "c"])

    asyncio.run(main())


def test_a_line_without_an_end_comes_in_parts(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "LINE_MAX", 4)
    seen = asyncio.run(read(run(here, "printf", "abcdefgh\\nij", _iter=True)))
    assert (seen[0], "".join(seen)) == ("abcd", "abcdefgh\nij")


def test_lines_may_be_of_a_command_that_runs_on(here: Here) -> None:
    async def main() -> Any:
        lines = run(here, "sh", "-c", "echo a; exec >&-; exec sleep 60", _iter=True)
        async with asyncio.timeout(0.2):
            await read(lines)

    with pytest.raises(TimeoutError):
        asyncio.run(main())


@pytest.mark.parametrize("habits", WAYS, ids=str)
def test_a_loop_of_an_event_loop_that_is_left_ends_its_command(here: Here, habits: dict[str, Any]) -> None:
    """Though somebody refers to it."""

    async def main() -> None:
        lines = run(here, "sh", *QUIET, **habits)
        async for line in lines:
            assert line == "begun\n"
            break
        assert ended(lines.process)

    asyncio.run(main())


def test_lines_of_an_event_loop_that_are_closed_have_ended_their_command(here: Here) -> None:
    async def main() -> None:
        async with contextlib.aclosing(aiter(run(here, "sh", *QUIET, _iter=True))) as lines:
            assert await anext(lines) == "begun\n"
        assert lines._running.process.exit_code in (-15, 143)

    asyncio.run(main())


def test_a_loop_that_is_left_closes_its_pipe_however_much_is_in_it(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "LINE_MAX", 4)

    async def main() -> None:
        lines = run(here, "yes", _iter=True)
        async for _ in lines:
            break
        assert ended(lines.process)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert lines.lines.closed

    asyncio.run(main())


@pytest.mark.parametrize("habits", WAYS, ids=str)
def test_who_is_cancelled_in_a_loop_over_lines_has_ended_their_command(here: Here, habits: dict[str, Any]) -> None:
    async def main() -> None:
        lines = run(here, "sh", *QUIET, **habits)
        reads: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        async def loop() -> None:
            async for line in lines:
                reads.set_result(line)

        task = asyncio.create_task(loop())
        await reads
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert lines.process.exit_code in (-15, 143)

    asyncio.run(main())


def test_many_loops_wait_at_once(here: Here) -> None:
    """More than there are threads of an event loop."""
    given: list[queue.Queue[Any]] = [queue.Queue() for _ in range(40)]

    async def main() -> list[list[str]]:
        loops: list[Coroutine[Any, Any, list[str]]] = [read(run(here, "cat", _in=one, _iter=True)) for one in given]
        reading = asyncio.gather(*loops)
        await asyncio.sleep(0)
        for one in reversed(given):
            one.put("a\n")
            one.put(None)
        return await reading

    assert asyncio.run(main()) == [["a\n"]] * 40


def test_one_that_nobody_has_begun_to_read_is_ended_and_no_thread_of_it_fails(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)

    async def main() -> None:
        for habits in WAYS:
            process = run(here, "sh", *QUIET, **habits).process
            assert ended(process)

    asyncio.run(main())
    assert failed == []
