"""Commands that are left, fed, listened to and cancelled: none runs on for nobody, and no exception is lost."""

import asyncio
import contextlib
import copy
import io
import os
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sh

from .test_commands import Here, here, run

__all__ = ["here"]

QUIET = ("-c", "echo begun; exec sleep 60")
ASKS = ("-c", 'echo name?; read name; echo "it is $name"; echo more?; read more; echo "$more"')


class Odd(Exception):
    """Raised by what a program gave."""


def ended(process: Any) -> bool:
    """Within the time of a test."""
    process.wait()
    return bool(process.exit_code in (-15, 143))


def test_a_loop_over_lines_that_is_left_ends_its_command_which_writes_nothing_more(here: Here) -> None:
    processes = []
    for line in (lines := run(here, "sh", *QUIET, _iter=True)):
        processes.append(lines.process)
        assert line == "begun\n"
        del lines
        break
    assert ended(processes[0])


def test_lines_that_nobody_reads_end_their_command(here: Here) -> None:
    hears: dict[str, Any] = {"_done": lambda *_: None, "_bg_exc": True}
    for habit in ({"_iter": True}, {"_iter": "err"}, {"_iter_noblock": True}, {"_iter": True, **hears}):
        lines = run(here, "sh", *QUIET, **habit)
        process = lines.process
        del lines
        assert ended(process), habit


def test_lines_that_are_closed_have_ended_their_command(here: Here) -> None:
    with contextlib.closing(run(here, "sh", *QUIET, _iter=True)) as lines:
        assert next(lines) == "begun\n"
    assert lines.process.exit_code in (-15, 143)


def test_one_in_the_background_runs_on_though_nobody_keeps_it(here: Here, tmp_path: Path) -> None:
    process = run(here, "sh", "-c", 'sleep 0.3; echo > "$0"', str(tmp_path / "done"), _bg=True).process
    process.wait()
    assert (tmp_path / "done").exists()


def failing() -> Iterator[str]:
    yield "a\n"
    raise Odd("no more")


def asked() -> str:
    raise Odd("no more")


class Source(io.RawIOBase):
    """A file of nobody's."""

    def read(self, size: int = -1) -> bytes:
        raise Odd("no more")


@pytest.mark.parametrize(
    ("given", "error"),
    [(failing(), Odd), (map(str.strip, failing()), Odd), (asked, Odd), (Source(), Odd), ([1, 2], TypeError)],
    ids=["generator", "iterator", "callable", "file", "numbers"],
)
@pytest.mark.parametrize("habits", [{}, {"_bg": True}, {"_iter": True}], ids=str)
def test_what_raises_while_it_feeds_a_command_ends_that_and_is_raised(
    here: Here, given: Any, error: type[Exception], habits: dict[str, Any]
) -> None:
    given = failing() if given is not asked and not isinstance(given, list | Source | map) else given
    if isinstance(given, map):
        given = map(str.strip, failing())
    with pytest.raises(error, match=r"no more|made of text"):
        ran = run(here, "sh", "-c", "cat; exec sleep 60", _in=given, **habits)
        list(ran) if "_iter" in habits else ran.wait()


def test_a_queue_with_what_is_no_text_ends_its_command(here: Here) -> None:
    given: queue.Queue[Any] = queue.Queue()
    given.put("text")
    given.put(1)
    with pytest.raises(TypeError, match="made of text and bytes, and not of 1"):
        run(here, "cat", _in=given)


def test_what_feeds_a_command_feeds_it_to_its_end(here: Here) -> None:
    given: queue.Queue[Any] = queue.Queue()
    for chunk in ("a", b"b", None):
        given.put(chunk)
    left = ["c", b"b", "a"]
    for source in (given, iter(("a", "b")), (one for one in "ab"), io.StringIO("ab"), io.BytesIO(b"ab"), ["a", b"b"]):
        assert run(here, "cat", _in=source) == "ab", source
    assert run(here, "cat", _in=lambda: left.pop() if left else None) == "abc"


@pytest.mark.parametrize("stream", ["_out", "_err"])
@pytest.mark.parametrize("habits", [{}, {"_bg": True}], ids=str)
def test_what_raises_while_it_hears_a_command_ends_that_and_is_raised(
    here: Here, stream: str, habits: dict[str, Any]
) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise Odd("no more")

    def hears(line: str) -> None:
        raise Odd("no more")

    for given in (hears, Full(), lambda line, stdin: stdin.no_more, lambda line, stdin, process: process.no_more()):
        with pytest.raises((Odd, AttributeError), match=r"no.more"):
            run(here, "sh", "-c", "echo a; echo b >&2; exec sleep 60", **{stream: given}, **habits).wait()


def test_a_callback_answers_and_ends_what_it_hears(here: Here) -> None:
    heard: list[str] = []

    def answers(line: str, stdin: "queue.Queue[str]") -> None:
        heard.append(line)
        if line.endswith("?\n"):
            stdin.put("me\n")

    run(here, "sh", *ASKS, _out=answers)
    assert heard == ["name?\n", "it is me\n", "more?\n", "me\n"]

    def ends(line: str, stdin: object, process: Any) -> bool:
        process.terminate()
        return True

    with pytest.raises((sh.SignalException_SIGTERM, sh.ErrorReturnCode_143)):
        run(here, "sh", *QUIET, _out=ends)


@pytest.mark.parametrize("stream", ["_out", "_err"])
def test_who_takes_his_time_hears_all_that_was_written(here: Here, stream: str) -> None:
    heard: list[str] = []
    goes_on = threading.Event()

    def slow(line: str) -> None:
        goes_on.wait()
        heard.append(line)

    ran = run(here, "sh", "-c", "seq 4000; seq 4000 >&2", _bg=True, **{stream: slow})
    os.waitid(os.P_PID, ran.pid, os.WEXITED | os.WNOWAIT)
    ran.process._stop_output_event.set()  # as sh does 2 s later
    goes_on.set()
    ran.wait()
    assert len(heard) == 4000


def test_nobody_hears_more_of_one_that_has_left_another_behind(here: Here) -> None:
    heard: list[str] = []
    ran = run(here, "sh", "-c", "sleep 60 & echo $!", _out=heard.append, _bg=True)
    os.waitid(os.P_PID, ran.pid, os.WEXITED | os.WNOWAIT)
    ran.process._stop_output_event.set()
    ran.wait()
    os.kill(int(heard[0]), signal.SIGTERM)


@pytest.mark.parametrize("make", [io.StringIO, io.BytesIO])
def test_what_is_written_to_is_written_to(here: Here, make: Callable[[], Any]) -> None:
    given = make()
    run(here, "printf", "a\\nb", _out=given)
    assert given.getvalue() in ("a\nb", b"a\nb")


def test_who_is_cancelled_while_he_awaits_a_command_has_ended_it(here: Here) -> None:
    async def main() -> Any:
        running = run(here, "sh", *QUIET, _async=True)

        async def awaits() -> None:
            await running

        task = asyncio.create_task(awaits())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return running

    assert asyncio.run(main()).process.exit_code in (-15, 143)


def test_what_was_printed_can_be_copied_as_text(here: Here) -> None:
    printed = run(here, "echo", "out")
    for copied in (copy.deepcopy(printed), copy.copy(printed), pickle.loads(pickle.dumps(printed))):
        assert (copied, type(copied)) == ("out\n", str)


def test_one_without_an_end_is_piped_into_another(here: Here) -> None:
    endless = run(here, "yes", _piped=True)
    assert run(here, "head", "-c", "4", _in=endless) == "y\ny\n"
    assert endless.process.wait() in (-13, 141)


@pytest.mark.parametrize("habits", [{}, {"_bg": True}, {"_iter": True}], ids=str)
def test_who_is_called_at_the_end_finds_the_record_and_what_he_raises_is_raised(
    here: Here, habits: dict[str, Any]
) -> None:
    found: list[object] = []
    ran = run(here, "true", _done=lambda running, *_: found.append(running.record), **habits)
    [*ran] if "_iter" in habits else str(ran)
    assert found == [{"process": {}}]

    def raises(*_: object) -> None:
        raise Odd("no more")

    with pytest.raises(Odd):
        ran = run(here, "true", _done=raises, **habits)
        [*ran] if "_iter" in habits else str(ran)


def test_what_a_command_raises_comes_back_from_another_process(here: Here) -> None:
    """A pool would wait for ever for what can't be made anew."""
    for argv, habits in ((("-c", "exit 7"), {}), (("-c", "kill -9 $$"), {}), (QUIET, {"_timeout": 0.2})):
        with pytest.raises((sh.ErrorReturnCode, sh.TimeoutException)) as raised:
            run(here, "sh", *argv, **habits)
        copied = pickle.loads(pickle.dumps(raised.value))
        assert (type(copied), copied.exit_code) == (type(raised.value), raised.value.exit_code)
