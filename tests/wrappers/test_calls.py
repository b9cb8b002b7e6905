"""Calls of functions: what is read of a child, and when nothing is; no file is left. The runs are none."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from exitpin.wrappers.callee import HEADER, RAISED, RETURNED
from exitpin.wrappers.calls import ANSWER_MAX, Call, RunFailed
from exitpin.wrappers.own_daemon import OwnDaemon

PROVEN = {"schema": "exitpin.run/1", "failure": None}
DOUBTED = {"schema": "exitpin.run/1", "failure": {"kind": "attribution", "detail": "they disagree"}}


class Played(OwnDaemon):
    """Runs what it is given, here, and leaves a record of one's choice."""

    def __init__(self, directory: Path, record: object = PROVEN) -> None:
        super().__init__([], {})
        self._directory = directory
        self._told = record

    def command(self, exit_: str, argv: Sequence[str], record: Path, options: Sequence[str] = ()) -> list[str]:
        if self._told is not None:
            record.write_text(json.dumps(self._told))
        return list(argv)


def outcome(daemon: OwnDaemon, function: Callable[..., Any], *args: Any) -> Any:
    with Call(daemon, "exit01", (function, args, {}), None) as call:
        call.run()
        return call.result()


def answering(header: tuple[int, int], content: bytes) -> Callable[[], None]:
    """A function that was taken over, and writes the answer by itself."""
    whole = HEADER.pack(*header) + content

    def answer() -> None:
        for number in range(256):
            name = f"/proc/self/fd/{number}"
            if os.path.lexists(name) and "exitpin-call" in os.readlink(name):
                os.pwrite(number, whole, 0)
        os._exit(0)

    return answer


def open_files() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def test_what_a_function_returns_comes_back_and_no_file_is_left(tmp_path: Path) -> None:
    before = open_files()
    assert outcome(Played(tmp_path), divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        outcome(Played(tmp_path), divmod, 7, 0)
    assert open_files() == before and [*tmp_path.iterdir()] == []


def test_a_call_that_is_broken_off_leaves_no_file(tmp_path: Path) -> None:
    before = open_files()
    with pytest.raises(KeyboardInterrupt), Call(Played(tmp_path), "exit01", (len, ("",), {}), None):
        raise KeyboardInterrupt
    assert open_files() == before and [*tmp_path.iterdir()] == []


def test_a_call_that_can_not_be_made_leaves_no_file(tmp_path: Path) -> None:
    class Closed(Played):
        def command(self, *_: object, **__: object) -> list[str]:
            raise RuntimeError("closed meanwhile")

    before = open_files()
    with pytest.raises(RuntimeError, match="closed meanwhile"):
        Call(Closed(tmp_path), "exit01", (len, ("",), {}), None)
    assert open_files() == before


@pytest.mark.parametrize(
    ("record", "why"), [(None, "exit status 0, and no record"), (DOUBTED, "attribution: they disagree")]
)
def test_no_answer_is_read_that_is_not_proven(tmp_path: Path, record: object, why: str) -> None:
    with pytest.raises(RunFailed, match=f"gave no answer: {why}") as raised:
        outcome(Played(tmp_path, record), os.getpid)
    assert raised.value.record == record


def unmakeable() -> object:
    class Unmakeable:
        def __reduce__(self) -> tuple[type, tuple[str]]:
            return int, ("no number",)

    return Unmakeable()


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (unmakeable, "can't be read here: ValueError: invalid literal"),
        (answering((RETURNED, 100), b""), "can't be read here: UnpicklingError"),
        (answering((RAISED, 100), b"\x80\x04K\x01."), "can't be read here: TypeError"),
        (answering((RAISED, 100), b"(K\x01K\x02t."), "it raised what is no exception"),
        (answering((RETURNED, ANSWER_MAX), b""), "ended without one"),
        (answering((7, 1), b""), "ended without one"),
    ],
)
def test_an_answer_that_can_not_be_understood_is_none(tmp_path: Path, function: Callable[[], Any], why: str) -> None:
    with pytest.raises(RunFailed, match=why) as raised:
        outcome(Played(tmp_path), function)
    assert raised.value.record == PROVEN
