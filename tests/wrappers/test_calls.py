"""Calls of functions: what is read of a child, and when nothing is; no file is left. The runs are none."""

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.callee import RAISED, RETURNED
from exitpin.wrappers.calls import ANSWER_MAX, Call, ChildTraceback, RemoteError, RunFailed
from exitpin.wrappers.kept import TooMuchOutput
from exitpin.wrappers.machine import abilities
from exitpin.wrappers.own_daemon import OwnDaemon

from .test_ordinary_user import ORDINARY

PROVEN = {"failure": None}
DOUBTED = {"failure": {"kind": "attribution", "detail": "they disagree"}}


class Played(OwnDaemon):
    """Runs what it is given, here, and leaves a record of one's choice."""

    def __init__(self, directory: Path, record: dict[str, Any] | None = PROVEN) -> None:
        super().__init__([], {})
        self._directory = directory
        self._told = None if record is None else {**record}

    def command(self, exit_: str, argv: Sequence[str], record: Path, options: Sequence[str] = ()) -> list[str]:
        if self._told is not None:
            self._told |= {"exit": {"fingerprint": "A" * 40, "nickname": exit_}, "tool": {"argv": argv}}
            record.write_text(json.dumps(self._told))
        return list(argv)


def outcome(daemon: OwnDaemon, function: Callable[..., Any], *args: Any, timeout_s: Any = None, **kwargs: Any) -> Any:
    with Call(daemon, "exit01", (function, args, kwargs), timeout_s) as call:
        call.run()
        return call.result()


def answering(header: tuple[int, int], content: bytes) -> Callable[[], None]:
    """A function that was taken over, and writes the answer by itself."""
    kind, size = header

    def answer() -> None:
        from exitpin.wrappers.callee import HEADER, signature

        frame = sys._getframe()
        while "key" not in frame.f_locals:
            assert frame.f_back is not None
            frame = frame.f_back
        whole = HEADER.pack(kind, size, signature(frame.f_locals["key"], kind, content)) + content
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
def test_no_answer_is_read_that_is_not_proven(tmp_path: Path, record: Any, why: str) -> None:
    with pytest.raises(RunFailed, match=f"gave no answer: {why}") as raised:
        outcome(Played(tmp_path, record), os.getpid)
    assert raised.value.record is None if record is None else raised.value.record["failure"] == record["failure"]


class Odd(ValueError):
    """An exception that can't be made anew from what it was made of."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} {two}")


def raises_odd() -> None:
    raise Odd(1, 2)


def raises_an_open_one() -> None:
    raise HTTPError("http://a.test/", 404, "Not Found", {}, open(os.devnull, "rb"))  # type: ignore[arg-type]  # noqa: SIM115


def returns_a_lock() -> object:
    return threading.Lock()


@pytest.mark.parametrize(
    ("function", "type_name", "message"),
    [
        (raises_odd, "Odd", "1 2"),
        (raises_an_open_one, "HTTPError", "HTTP Error 404: Not Found"),
        (returns_a_lock, "TypeError", r"what the function returned, a lock, can't be sent: cannot pickle .*lock.*"),
    ],
)
def test_what_can_not_come_back_is_told_by_an_exception_of_ours(
    tmp_path: Path, function: Callable[[], object], type_name: str, message: str
) -> None:
    with pytest.raises(RemoteError, match=f"{type_name}: {message}") as raised:
        outcome(Played(tmp_path), function)
    assert raised.value.type_name == type_name and "Traceback" in raised.value.traceback
    assert isinstance(raised.value.__cause__, ChildTraceback)
    for error in (raised.value, RunFailed("why", {"a": 1}), TooMuchOutput("curl", {"a": 1})):
        copied = pickle.loads(pickle.dumps(error))
        assert (str(copied), vars(copied)) == (str(error), vars(error))


def test_a_call_that_can_not_be_sent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        OperatorError, match="the function, or an argument of it, can't be sent: TypeError: cannot pickle"
    ):
        outcome(Played(tmp_path), len, threading.Lock())


FORGER = """
import os, sys
from exitpin.orchestrator.errors import OperatorError
from exitpin.wrappers.callee import HEADER, RETURNED
seen = []
for number in os.listdir(f"/proc/{os.getppid()}/fd"):
    path = f"/proc/{os.getppid()}/fd/{number}"
    if "exitpin-call" in os.readlink(path):
        seen += [os.read(os.open(path, os.O_RDONLY), 1 << 20).strip(bytes(1))]
        os.pwrite(os.open(path, os.O_RDWR), HEADER.pack(RETURNED, 3, bytes(32)) + b"I1\\n.", 0)
print(seen)
"""


def forged(*, then_exits: bool) -> str:
    """Has a program of its own write its answer, as /proc lets it where it may."""
    done = subprocess.run([sys.executable, "-c", FORGER], capture_output=True, text=True, check=False)
    if then_exits:
        os._exit(0)
    return done.stdout or done.stderr.splitlines()[-1]


def test_a_program_that_a_function_starts_can_not_answer_in_its_place(tmp_path: Path) -> None:
    """It may open what its parent has open; the call, and the key, are there no more."""
    told = outcome(Played(tmp_path), forged, then_exits=False)
    assert told == "[b'']\n" or told.startswith("PermissionError")
    with pytest.raises(RunFailed, match=r"was not written by its process|ended without one"):
        outcome(Played(tmp_path), forged, then_exits=True)


@pytest.mark.parametrize("end", ["return 'child'", "raise ValueError('child')", "sys.exit(3)"])
def test_a_process_that_was_forked_does_not_answer_in_its_parent_s_place(tmp_path: Path, end: str) -> None:
    namespace: dict[str, Any] = {}
    exec(
        "import os, sys\ndef forking():\n    child = os.fork()\n"
        f"    if child == 0:\n        {end}\n"
        "    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n    return 'parent', status\n",
        namespace,
    )
    status = {"r": 0, "s": 3}[end[0]] if "ValueError" not in end else 1
    assert outcome(Played(tmp_path), namespace["forking"]) == ("parent", status)


@pytest.mark.skipif(not abilities().has_namespaces, reason="only in a user namespace root becomes ordinary")
def test_nobody_without_capabilities_looks_into_its_process(tmp_path: Path) -> None:
    class Ordinary(Played):
        def command(self, *args: Any, **kwargs: Any) -> list[str]:
            return [*ORDINARY, *super().command(*args, **kwargs)]

    assert outcome(Ordinary(tmp_path), forged, then_exits=False).startswith("PermissionError")


def test_a_call_that_takes_too_long_with_all_that_comes_before_it_is_ended(tmp_path: Path) -> None:
    class Hurried(Played):
        def patience_s(self, timeout_s: float | None) -> float | None:
            return timeout_s

    with pytest.raises(RunFailed, match=r"it was ended, since it had none after 0\.3 s"):
        outcome(Hurried(tmp_path), time.sleep, 60, timeout_s=0.3)


def test_where_there_was_no_run_it_is_nobody_s_but_the_caller_s(tmp_path: Path) -> None:
    class Refusing(Played):
        def command(self, *_: object, **__: object) -> list[str]:
            return ["sh", "-c", "exit 2"]

    with pytest.raises(OperatorError, match=r"no run of the function \(exit status 2\)") as raised:
        outcome(Refusing(tmp_path), os.getpid)
    assert raised.value.exit_status == 2
    for timeout_s in (0, -1, float("nan"), float("inf"), "1", True):
        with pytest.raises(OperatorError, match="is no timeout"):
            outcome(Played(tmp_path), os.getpid, timeout_s=timeout_s)


def unmakeable() -> object:
    class Unmakeable:
        def __reduce__(self) -> tuple[type, tuple[str]]:
            return int, ("no number",)

    return Unmakeable()


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (unmakeable, "can't be read here: ValueError: invalid literal"),
        (answering((RETURNED, 1), b"x"), "can't be read here: UnpicklingError"),
        (answering((RAISED, 5), b"\x80\x04K\x01."), "can't be read here: TypeError"),
        (answering((RAISED, 6), b"(K\x01K\x02t."), "was not written by its process"),
        (answering((RETURNED, ANSWER_MAX), b""), "ended without one"),
        (answering((7, 1), b""), "ended without one"),
    ],
)
def test_an_answer_that_can_not_be_understood_is_none(tmp_path: Path, function: Callable[[], Any], why: str) -> None:
    with pytest.raises(RunFailed, match=why) as raised:
        outcome(Played(tmp_path), function)
    assert raised.value.record["failure"] is None
